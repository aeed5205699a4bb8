//! The flat lists: who an offering is for, how it is given, what it costs, and the lists of others
//! (SDG targets, DAC sectors, building blocks) that records point to.
//!
//! Owns their codes and reading order. For a list of others, only the codes are here: they are
//! facts; the wording of labels is ours.

use super::Scheme;

/// For whom an offering is.
pub static AUDIENCES: Scheme = Scheme {
    name: "audience",
    codes: &[
        "citizens",
        "children",
        "youth",
        "women",
        "older-people",
        "persons-with-disabilities",
        "refugees",
        "rural-communities",
        "students",
        "teachers",
        "trainers",
        "job-seekers",
        "entrepreneurs",
        "farmers",
        "civil-servants",
        "government-it",
        "middle-managers",
        "leaders",
        "regulators",
        "legislators",
        "police-cert",
        "nonprofits",
        "providers",
    ],
};

/// How much a learner should already know, from least to most. The first three are those of the
/// ITU Digital Skills Toolkit; the four match DigComp 1-2, 3-4, 5-6 and 7-8.
pub static LEVELS: Scheme = Scheme {
    name: "level",
    codes: &["basic", "intermediate", "advanced", "specialist"],
};

/// How an offering reaches people.
pub static MODES: Scheme = Scheme {
    name: "mode",
    codes: &[
        "online-self",
        "online-live",
        "blended",
        "in-person",
        "offline-material",
    ],
};

/// What an offering is. A request for one kind is not met by another: advice is not a course.
pub static OFFERING_KINDS: Scheme = Scheme {
    name: "kind",
    codes: &[
        "course",
        "programme",
        "workshop",
        "advisory",
        "mentorship",
        "peer-exchange",
        "toolkit",
        "content",
        "event",
        "funding",
        "in-kind",
        "community",
        "place",
    ],
};

/// What an organisation is; [`iati_organization_type`] gives the IATI code.
pub static ORGANIZATION_KINDS: Scheme = Scheme {
    name: "organization-kind",
    codes: &[
        "government",
        "international",
        "regional",
        "ngo",
        "academic",
        "private",
        "foundation",
        "multistakeholder",
        "other",
    ],
};

/// What a solution is.
pub static SOLUTION_KINDS: Scheme = Scheme {
    name: "solution-kind",
    codes: &["software", "data", "content", "ai-model", "standard"],
};

/// What an offering costs the one who uses it. `conditional` is not free: it is free for some.
pub static COST_KINDS: Scheme = Scheme {
    name: "cost",
    codes: &["free", "conditional", "paid"],
};

/// What a learner holds at the end. `none` says that there is none; an absent field, nothing.
pub static CERTIFICATE_KINDS: Scheme = Scheme {
    name: "certificate",
    codes: &["none", "completion", "exam", "credit", "badge"],
};

/// Whether an offering can take more people.
pub static CAPACITY: Scheme = Scheme {
    name: "capacity",
    codes: &["open", "limited", "full"],
};

/// How far a solution has come, from least to most.
pub static MATURITY: Scheme = Scheme {
    name: "maturity",
    codes: &["idea", "pilot", "in-use", "scaled"],
};

/// What one organisation says of another. For programs: it has no labels of its own.
pub static ENDORSEMENT_CLAIMS: Scheme = Scheme {
    name: "endorsement-claim",
    codes: &[
        "listed",
        "reviewed",
        "co-owned",
        "member",
        "recommended-for",
    ],
};

/// The purposes of aid of the OECD Development Assistance Committee (DAC) that concern digital
/// capacity, by number.
pub static SECTORS_DAC: Scheme = Scheme {
    name: "sector",
    codes: &[
        "11231", "11330", "11430", "15110", "15125", "16020", "22010", "22020", "22040", "32130",
        "43081",
    ],
};

/// The building blocks of the Digital Impact Alliance's catalogue, by letter. Its own identifiers
/// differ; see [`building_block_from_dial`].
pub static BUILDING_BLOCKS: Scheme = Scheme {
    name: "building-block",
    codes: &[
        "analytics-and-business-intelligence",
        "artificial-intelligence",
        "client-case-management",
        "collaboration-management",
        "consent-management",
        "content-management",
        "data-collection",
        "digital-registries",
        "elearning",
        "emarketplace",
        "geographic-information-services",
        "identification-and-authentication",
        "information-mediator",
        "messaging",
        "mobility-management",
        "payments",
        "registration",
        "reporting-and-dashboards",
        "scheduling",
        "security",
        "shared-data-repositories",
        "terminology",
        "workflow-and-algorithm",
    ],
};

/// The 169 targets of the Sustainable Development Goals (A/RES/70/1, A/RES/71/313), goals 1 to 17
/// in order.
///
/// Copies of this list are often spoilt. The DIAL Exchange has 168: its 11.b stands among the
/// indicators of 11.a, its 10.1 is coded `10.a` (so that one appears twice) and its 14.c `14.d`.
pub static SDG_TARGETS: Scheme = Scheme {
    name: "sdg-target",
    codes: SDG_TARGET_CODES,
};

// One line a goal, so that a person can check it.
#[rustfmt::skip]
const SDG_TARGET_CODES: &[&str] = &[
    "1.1", "1.2", "1.3", "1.4", "1.5", "1.a", "1.b",
    "2.1", "2.2", "2.3", "2.4", "2.5", "2.a", "2.b", "2.c",
    "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "3.a", "3.b", "3.c", "3.d",
    "4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "4.7", "4.a", "4.b", "4.c",
    "5.1", "5.2", "5.3", "5.4", "5.5", "5.6", "5.a", "5.b", "5.c",
    "6.1", "6.2", "6.3", "6.4", "6.5", "6.6", "6.a", "6.b",
    "7.1", "7.2", "7.3", "7.a", "7.b",
    "8.1", "8.2", "8.3", "8.4", "8.5", "8.6", "8.7", "8.8", "8.9", "8.10", "8.a", "8.b",
    "9.1", "9.2", "9.3", "9.4", "9.5", "9.a", "9.b", "9.c",
    "10.1", "10.2", "10.3", "10.4", "10.5", "10.6", "10.7", "10.a", "10.b", "10.c",
    "11.1", "11.2", "11.3", "11.4", "11.5", "11.6", "11.7", "11.a", "11.b", "11.c",
    "12.1", "12.2", "12.3", "12.4", "12.5", "12.6", "12.7", "12.8", "12.a", "12.b", "12.c",
    "13.1", "13.2", "13.3", "13.a", "13.b",
    "14.1", "14.2", "14.3", "14.4", "14.5", "14.6", "14.7", "14.a", "14.b", "14.c",
    "15.1", "15.2", "15.3", "15.4", "15.5", "15.6", "15.7", "15.8", "15.9", "15.a", "15.b", "15.c",
    "16.1", "16.2", "16.3", "16.4", "16.5", "16.6", "16.7", "16.8", "16.9", "16.10", "16.a", "16.b",
    "17.1", "17.2", "17.3", "17.4", "17.5", "17.6", "17.7", "17.8", "17.9", "17.10", "17.11",
    "17.12", "17.13", "17.14", "17.15", "17.16", "17.17", "17.18", "17.19",
];

/// The code of the IATI list OrganisationType for an organisation `kind`.
///
/// `None` for an unknown kind and for `ngo`, which IATI only has divided by reach (21 to 24).
/// `regional`, like `international`, is 40 (multilateral): IATI does not part them.
pub fn iati_organization_type(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "government" => "10",
        "multistakeholder" => "30",
        "international" | "regional" => "40",
        "foundation" => "60",
        "private" => "70",
        "academic" => "80",
        "other" => "90",
        _ => return None,
    })
}

/// The organisation kind for a code of the IATI list OrganisationType; `None` if it has no such
/// code. 30 (public private partnership) is read as `multistakeholder`.
pub fn organization_kind_from_iati(code: &str) -> Option<&'static str> {
    Some(match code {
        "10" | "11" | "15" => "government",
        "21" | "22" | "23" | "24" => "ngo",
        "30" => "multistakeholder",
        "40" => "international",
        "60" => "foundation",
        "70" | "71" | "72" | "73" => "private",
        "80" => "academic",
        "90" => "other",
        _ => return None,
    })
}

/// The building block for an identifier (`slug`) of the DIAL Exchange, which writes `_` for `-` and
/// cuts two of its identifiers short.
pub fn building_block_from_dial(slug: &str) -> Option<&'static str> {
    match slug {
        "analytics_and_business_intel" => Some("analytics-and-business-intelligence"),
        "identification_and_authenticatio" => Some("identification-and-authentication"),
        _ => BUILDING_BLOCKS.get(&slug.replace('_', "-")),
    }
    .and_then(|code| BUILDING_BLOCKS.get(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_goal_has_its_official_number_of_targets() {
        let official = [7, 8, 13, 10, 9, 8, 5, 12, 8, 10, 10, 11, 5, 10, 12, 12, 19];
        assert_eq!(SDG_TARGETS.codes().len(), 169);
        for (goal, expected) in (1..).zip(official) {
            let of_goal = format!("{goal}.");
            let found = SDG_TARGETS
                .codes()
                .iter()
                .filter(|code| code.starts_with(&of_goal));
            assert_eq!(found.count(), expected, "goal {goal}");
        }
    }

    #[test]
    fn the_targets_that_copies_lose_are_here() {
        for code in ["10.1", "10.a", "11.b", "14.c"] {
            assert!(SDG_TARGETS.contains(code), "{code}");
        }
        assert!(!SDG_TARGETS.contains("14.d"));
    }

    #[test]
    fn every_organization_kind_comes_back_from_iati_or_is_said_not_to() {
        for kind in ORGANIZATION_KINDS.codes() {
            let back = iati_organization_type(kind).and_then(organization_kind_from_iati);
            match *kind {
                "ngo" => assert_eq!(back, None),
                "regional" => assert_eq!(back, Some("international")),
                _ => assert_eq!(back, Some(*kind)),
            }
        }
        assert_eq!(iati_organization_type("bank"), None);
    }

    #[test]
    fn every_iati_organization_type_has_a_listed_kind() {
        let all = "10 11 15 21 22 23 24 30 40 60 70 71 72 73 80 90";
        for code in all.split(' ') {
            let kind = organization_kind_from_iati(code);
            assert!(
                kind.is_some_and(|kind| ORGANIZATION_KINDS.contains(kind)),
                "{code}"
            );
        }
        assert_eq!(organization_kind_from_iati("99"), None);
    }

    #[test]
    fn identifiers_of_the_dial_exchange_lead_to_their_building_block() {
        assert_eq!(BUILDING_BLOCKS.codes().len(), 23);
        for (slug, code) in [
            ("consent_management", "consent-management"),
            (
                "analytics_and_business_intel",
                "analytics-and-business-intelligence",
            ),
            (
                "identification_and_authenticatio",
                "identification-and-authentication",
            ),
            ("elearning", "elearning"),
        ] {
            assert_eq!(building_block_from_dial(slug), Some(code));
        }
        assert_eq!(building_block_from_dial("teleportation"), None);
    }
}
