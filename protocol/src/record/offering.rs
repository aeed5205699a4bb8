//! Something that is offered: a course, advice, a toolkit, money, a place to go to.

use super::fields::{Code, Fields, TextMap};
use crate::codes::{
    AREAS, AUDIENCES, BUILDING_BLOCKS, CAPACITY, CERTIFICATE_KINDS, COST_KINDS, LEVELS, MODES,
    OFFERING_KINDS, SDG_TARGETS, SECTORS_DAC, TOPICS,
};
use crate::id::RecordId;

/// The body of an `Offering`. Only `kind` and `name` are required; what is absent is unknown.
///
/// Member names follow schema.org (`Course`, `CourseInstance`, `Offer`) where it has them.
#[derive(Debug, Clone, PartialEq)]
pub struct Offering {
    /// What is offered: `course`, `advisory`, `funding`, …
    pub kind: &'static str,
    /// Its name, by language.
    pub name: TextMap,
    /// One or two sentences, by language.
    pub summary: TextMap,
    /// All there is to say, by language.
    pub description: TextMap,
    /// Where it is found.
    pub url: Option<Box<str>>,
    /// A picture of it; never fetched by nodes.
    pub image: Option<Box<str>>,
    /// Who provides it, if that is not the author.
    pub provider: Option<Box<str>>,
    /// On whose platform or premises it takes place.
    pub host: Option<Box<str>>,
    /// Who accredits it.
    pub accredited_by: Vec<Box<str>>,
    /// Who takes part in providing it.
    pub partners: Vec<Box<str>>,
    /// Focus areas.
    pub areas: Vec<Code>,
    /// Narrower topics.
    pub topics: Vec<Code>,
    /// Economic sectors (DAC).
    pub sectors: Vec<Code>,
    /// Targets of the Sustainable Development Goals.
    pub sdg_targets: Vec<Code>,
    /// Technology building blocks that it is about.
    pub building_blocks: Vec<Code>,
    /// For whom it is.
    pub audiences: Vec<Code>,
    /// How hard it is; other frameworks (DigComp, EQF) by name.
    pub levels: Vec<Code>,
    /// What one learns: skills of ESCO, DigComp, …
    pub teaches: Vec<Code>,
    /// What one must bring, by language.
    pub prerequisites: TextMap,
    /// How it takes place.
    pub modes: Vec<Code>,
    /// Whether someone helps the learner.
    pub tutor: Option<bool>,
    /// Whether it works without a network.
    pub works_offline: Option<bool>,
    /// How much there is to load, in megabytes.
    pub size_megabytes: Option<u64>,
    /// Features such as `captions` (schema.org `accessibilityFeature`).
    pub accessibility_features: Vec<Box<str>>,
    /// From beginning to end (ISO 8601).
    pub duration: Option<Box<str>>,
    /// Hours of work in all (ISO 8601).
    pub workload: Option<Box<str>>,
    /// When and where it takes place.
    pub instances: Vec<Instance>,
    /// What it costs.
    pub cost: Option<Cost>,
    /// What one gets at the end.
    pub certificate: Option<Certificate>,
    /// Who may take part, by language.
    pub eligibility: TextMap,
    /// The same in codes of a scheme.
    pub eligibility_codes: Vec<Code>,
    /// Where it is available; none means that nothing was said.
    pub countries: Vec<Box<str>>,
    /// Where it is not available.
    pub excluded_countries: Vec<Box<str>>,
    /// UN M49 regions in which it is available.
    pub regions: Vec<Box<str>>,
    /// Languages of teaching.
    pub languages: Vec<Box<str>>,
    /// Languages of subtitles.
    pub subtitle_languages: Vec<Box<str>>,
    /// Languages of the material.
    pub material_languages: Vec<Box<str>>,
    /// The licence of what is offered (SPDX), which is not that of the record.
    pub licence: Option<Box<str>>,
    /// The record that this was adapted from.
    pub derived_from: Option<RecordId>,
    /// The record that this translates.
    pub translation_of: Option<RecordId>,
    /// Solutions that it teaches or supports.
    pub supports_solution: Vec<RecordId>,
    /// Whether there is room.
    pub capacity: Option<Code>,
    /// For offers of money.
    pub funding: Option<Funding>,
    /// Where it is, for a place.
    pub place: Option<Place>,
}

/// One time and place (schema.org `CourseInstance`).
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// First day.
    pub start: Option<Box<str>>,
    /// Last day.
    pub end: Option<Box<str>>,
    /// Last day to enrol.
    pub enrol_until: Option<Box<str>>,
    /// How many may take part.
    pub seats: Option<u64>,
    /// Where.
    pub place: Option<Place>,
}

/// Somewhere (schema.org `Place`).
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// What the place is called, by language.
    pub name: TextMap,
    /// Country, or part of one.
    pub country: Option<Box<str>>,
    /// Town.
    pub locality: Option<Box<str>>,
    /// Street and number.
    pub address: Option<Box<str>>,
    /// Degrees north, as decimal text.
    pub latitude: Option<Box<str>>,
    /// Degrees east, as decimal text.
    pub longitude: Option<Box<str>>,
    /// When it is open, by language.
    pub opening_hours: TextMap,
}

/// What something costs (schema.org `Offer`).
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// `free`, `paid` or `conditional`.
    pub kind: &'static str,
    /// The price, as decimal text.
    pub price: Option<Box<str>>,
    /// Of the price (ISO 4217).
    pub currency: Option<Box<str>>,
    /// Who pays.
    pub payer: Option<Box<str>>,
    /// Until when this holds.
    pub until: Option<Box<str>>,
    /// On what it depends, by language.
    pub note: TextMap,
}

/// What one gets at the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// `none`, `completion`, `exam`, `credit` or `badge`.
    pub kind: &'static str,
    /// Who issues it.
    pub issuer: Option<Box<str>>,
    /// Its Open Badges address.
    pub badge_url: Option<Box<str>>,
}

/// An offer of money.
#[derive(Debug, Clone, PartialEq)]
pub struct Funding {
    /// Smallest amount, as decimal text.
    pub amount_min: Option<Box<str>>,
    /// Largest amount, as decimal text.
    pub amount_max: Option<Box<str>>,
    /// Of the amounts (ISO 4217).
    pub currency: Option<Box<str>>,
    /// First day of the call.
    pub opens: Option<Box<str>>,
    /// Last day of the call.
    pub closes: Option<Box<str>>,
    /// IATI FinanceType or another scheme.
    pub finance_types: Vec<Code>,
}

impl Offering {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            kind: fields.required_own_code("kind", &OFFERING_KINDS),
            name: fields.required_text_map("name"),
            summary: fields.text_map("summary"),
            description: fields.text_map("description"),
            url: fields.url("url"),
            image: fields.url("image"),
            provider: fields.text("provider"),
            host: fields.text("host"),
            accredited_by: fields.texts("accreditedBy"),
            partners: fields.texts("partners"),
            areas: fields.codes("areas", &AREAS),
            topics: fields.codes("topics", &TOPICS),
            sectors: fields.codes("sectors", &SECTORS_DAC),
            sdg_targets: fields.codes("sdgTargets", &SDG_TARGETS),
            building_blocks: fields.codes("buildingBlocks", &BUILDING_BLOCKS),
            audiences: fields.codes("audiences", &AUDIENCES),
            levels: fields.codes("levels", &LEVELS),
            teaches: fields.foreign_codes("teaches"),
            prerequisites: fields.text_map("prerequisites"),
            modes: fields.codes("modes", &MODES),
            tutor: fields.flag("tutor"),
            works_offline: fields.flag("worksOffline"),
            size_megabytes: fields.count("sizeMegabytes"),
            accessibility_features: fields.texts("accessibilityFeatures"),
            duration: fields.duration("duration"),
            workload: fields.duration("workload"),
            instances: fields.objects("instances", |instance| Instance {
                start: instance.date("start"),
                end: instance.date("end"),
                enrol_until: instance.date("enrolUntil"),
                seats: instance.count("seats"),
                place: instance.object("place", read_place),
            }),
            cost: fields.object("cost", |cost| Cost {
                kind: cost.required_own_code("kind", &COST_KINDS),
                price: cost.decimal("price"),
                currency: cost.currency("currency"),
                payer: cost.text("payer"),
                until: cost.date("until"),
                note: cost.text_map("note"),
            }),
            certificate: fields.object("certificate", |certificate| Certificate {
                kind: certificate.required_own_code("kind", &CERTIFICATE_KINDS),
                issuer: certificate.text("issuer"),
                badge_url: certificate.url("badgeUrl"),
            }),
            eligibility: fields.text_map("eligibility"),
            eligibility_codes: fields.foreign_codes("eligibilityCodes"),
            countries: fields.countries("countries"),
            excluded_countries: fields.countries("excludedCountries"),
            regions: fields.regions("regions"),
            languages: fields.languages("languages"),
            subtitle_languages: fields.languages("subtitleLanguages"),
            material_languages: fields.languages("materialLanguages"),
            licence: fields.text("licence"),
            derived_from: fields.record_id("derivedFrom"),
            translation_of: fields.record_id("translationOf"),
            supports_solution: fields.record_ids("supportsSolution"),
            capacity: fields.code("capacity", &CAPACITY),
            funding: fields.object("funding", |funding| Funding {
                amount_min: funding.decimal("amountMin"),
                amount_max: funding.decimal("amountMax"),
                currency: funding.currency("currency"),
                opens: funding.date("opens"),
                closes: funding.date("closes"),
                finance_types: funding.foreign_codes("financeTypes"),
            }),
            place: fields.object("place", read_place),
        }
    }
}

fn read_place(place: &Fields<'_>) -> Place {
    Place {
        name: place.text_map("name"),
        country: place.country("country"),
        locality: place.text("locality"),
        address: place.text("address"),
        latitude: place.decimal("latitude"),
        longitude: place.decimal("longitude"),
        opening_hours: place.text_map("openingHours"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::record::{Body, FieldErrors};

    fn read(body: Value) -> Result<Option<Body>, FieldErrors> {
        Body::read("Offering", body.as_object().unwrap())
    }

    #[test]
    fn an_offering_needs_a_kind_and_a_name_and_nothing_else() {
        let Ok(Some(Body::Offering(offering))) =
            read(json!({"kind": "course", "name": {"fr": "Soudure"}}))
        else {
            panic!("refused");
        };
        assert_eq!(
            (offering.kind, offering.cost, offering.tutor),
            ("course", None, None)
        );
        let FieldErrors(faults) = read(json!({})).unwrap_err();
        assert_eq!(
            faults
                .iter()
                .map(|fault| fault.path.as_str())
                .collect::<Vec<_>>(),
            ["kind", "name"]
        );
    }

    #[test]
    fn j17_every_fault_is_named_with_its_path_and_what_would_be_right() {
        let body = json!({
            "kind": "cours", "name": "Soudure", "url": "javascript:alert(1)", "areas": ["cybr", {"scheme": "x"}],
            "cost": {"kind": "gratis", "price": 12}, "instances": [{"start": "12/01/2027", "seats": -1}],
            "countries": ["Kenya"], "regions": ["999"], "languages": ["english language"], "tutor": "yes",
        });
        let FieldErrors(faults) = read(body).unwrap_err();
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "kind",
                "name",
                "url",
                "areas.0",
                "areas.1",
                "tutor",
                "instances.0.start",
                "instances.0.seats",
                "cost.kind",
                "cost.price",
                "countries.0",
                "regions.0",
                "languages.0",
            ]
        );
        assert!(
            faults[0].problem.contains("did you mean “course”?"),
            "{}",
            faults[0].problem
        );
    }

    #[test]
    fn j18_members_that_the_type_does_not_know_are_left_alone() {
        assert!(
            read(
                json!({"kind": "course", "name": {"fr": "x"}, "future": {"a": [1]}, "__proto__": 1})
            )
            .is_ok()
        );
    }
}
