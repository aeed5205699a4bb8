//! The nine working areas and the topics within each.
//!
//! Owns which topic belongs to which area. The areas are those of the project's own taxonomy
//! (`urn:x-dirnode:areas:v0`, provisional: not the network's official list), written as the last
//! part of their identifier; its one narrower concept, `digital-economy`, is a topic here. The
//! other topics are this project's.

use super::Scheme;

/// The nine areas, in the order of the taxonomy's notation.
pub static AREAS: Scheme = Scheme {
    name: "area",
    codes: &[
        "digital-literacy",
        "digital-inclusion",
        "connectivity",
        "ict-professional",
        "data-ai",
        "cyber",
        "digital-government",
        "policy",
        "leadership-financing",
    ],
};

/// The topics, those of one area together, areas in the order of [`AREAS`].
pub static TOPICS: Scheme = Scheme {
    name: "topic",
    codes: &TOPIC_CODES,
};

/// The area that `topic` narrows; `None` if the topic is unknown.
///
/// ```
/// use baraza_protocol::codes::area_of;
///
/// assert_eq!(area_of("incident-response"), Some("cyber"));
/// ```
pub fn area_of(topic: &str) -> Option<&'static str> {
    TOPIC_TABLE
        .iter()
        .find(|(_, code)| *code == topic)
        .map(|(area, _)| *area)
}

/// The topics within `area`, in reading order; none if the area is unknown.
pub fn topics_in(area: &str) -> impl Iterator<Item = &'static str> + use<> {
    let area = AREAS.get(area);
    TOPIC_TABLE
        .iter()
        .filter(move |(of, _)| Some(*of) == area)
        .map(|(_, code)| *code)
}

const TOPIC_CODES: [&str; TOPIC_TABLE.len()] = {
    let mut codes = [""; TOPIC_TABLE.len()];
    let mut row = 0;
    while row < codes.len() {
        codes[row] = TOPIC_TABLE[row].1;
        row += 1;
    }
    codes
};

const TOPIC_TABLE: &[(&str, &str)] = &[
    ("digital-literacy", "basic-digital-skills"),
    ("digital-literacy", "mobile-skills"),
    ("digital-literacy", "information-literacy"),
    ("digital-literacy", "digital-citizenship"),
    ("digital-literacy", "online-learning"),
    ("digital-literacy", "digital-teaching"),
    ("digital-literacy", "skills-frameworks"),
    ("digital-inclusion", "gender-digital-divide"),
    ("digital-inclusion", "youth-participation"),
    ("digital-inclusion", "accessibility"),
    ("digital-inclusion", "affordability"),
    ("digital-inclusion", "rural-access"),
    ("digital-inclusion", "access-centres"),
    ("digital-inclusion", "local-content"),
    ("digital-inclusion", "financial-inclusion"),
    ("connectivity", "broadband"),
    ("connectivity", "spectrum"),
    ("connectivity", "satellite"),
    ("connectivity", "community-networks"),
    ("connectivity", "school-connectivity"),
    ("connectivity", "internet-exchange"),
    ("connectivity", "internet-addressing"),
    ("connectivity", "data-centres"),
    ("ict-professional", "programming"),
    ("ict-professional", "web-development"),
    ("ict-professional", "user-experience"),
    ("ict-professional", "databases"),
    ("ict-professional", "network-administration"),
    ("ict-professional", "cloud-computing"),
    ("ict-professional", "open-source"),
    ("ict-professional", "it-project-management"),
    ("data-ai", "artificial-intelligence"),
    ("data-ai", "ai-governance"),
    ("data-ai", "data-analysis"),
    ("data-ai", "data-governance"),
    ("data-ai", "open-data"),
    ("data-ai", "geospatial-data"),
    ("data-ai", "internet-of-things"),
    ("data-ai", "blockchain"),
    ("cyber", "cyber-hygiene"),
    ("cyber", "online-safety"),
    ("cyber", "child-online-protection"),
    ("cyber", "cybercrime"),
    ("cyber", "incident-response"),
    ("cyber", "critical-infrastructure"),
    ("cyber", "national-cyber-strategy"),
    ("cyber", "cyber-diplomacy"),
    ("digital-government", "digital-public-infrastructure"),
    ("digital-government", "digital-identity"),
    ("digital-government", "civil-registration"),
    ("digital-government", "digital-payments"),
    ("digital-government", "interoperability"),
    ("digital-government", "service-design"),
    ("digital-government", "e-procurement"),
    ("digital-government", "digital-health"),
    ("policy", "internet-governance"),
    ("policy", "telecom-regulation"),
    ("policy", "universal-service"),
    ("policy", "data-protection"),
    ("policy", "digital-rights"),
    ("policy", "platform-governance"),
    ("policy", "digital-diplomacy"),
    ("policy", "digital-environment"),
    ("leadership-financing", "digital-leadership"),
    ("leadership-financing", "digital-strategy"),
    ("leadership-financing", "fundraising"),
    ("leadership-financing", "digital-economy"),
    ("leadership-financing", "digital-jobs"),
    ("leadership-financing", "entrepreneurship"),
    ("leadership-financing", "e-commerce"),
    ("leadership-financing", "digital-agriculture"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_narrows_a_listed_area() {
        for topic in TOPICS.codes() {
            assert!(
                area_of(topic).is_some_and(|area| AREAS.contains(area)),
                "{topic}"
            );
        }
    }

    #[test]
    fn the_topics_of_all_areas_in_order_are_the_list_of_topics() {
        let by_area: Vec<_> = AREAS
            .codes()
            .iter()
            .flat_map(|area| topics_in(area))
            .collect();
        assert_eq!(by_area, TOPICS.codes());
    }

    #[test]
    fn every_area_has_five_to_eight_topics() {
        assert_eq!(AREAS.codes().len(), 9);
        for area in AREAS.codes() {
            assert!((5..=8).contains(&topics_in(area).count()), "{area}");
        }
    }

    #[test]
    fn no_topic_bears_the_name_of_an_area() {
        assert!(TOPICS.codes().iter().all(|topic| !AREAS.contains(topic)));
    }

    #[test]
    fn an_unknown_area_has_no_topics_and_an_unknown_topic_no_area() {
        assert_eq!(topics_in("welding").count(), 0);
        assert_eq!(area_of("welding"), None);
        assert_eq!(area_of("cyber"), None);
    }
}
