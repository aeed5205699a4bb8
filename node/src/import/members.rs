//! The members that a column can fill, by type of record, and the form that each has.
//!
//! What a body must be is decided by [`protocol::record::Body`]; here stands only how text becomes
//! the value that is then checked there.

use protocol::codes::{
    AREAS, AUDIENCES, BUILDING_BLOCKS, CAPACITY, CERTIFICATE_KINDS, COST_KINDS, LEVELS, MATURITY,
    MODES, OFFERING_KINDS, ORGANIZATION_KINDS, SDG_TARGETS, SECTORS_DAC, SOLUTION_KINDS, Scheme,
    TOPICS,
};

/// A type of record that is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Offering,
    Organization,
    Solution,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Offering => "Offering",
            Self::Organization => "Organization",
            Self::Solution => "Solution",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "offering" => Self::Offering,
            "organization" | "organisation" => Self::Organization,
            "solution" => Self::Solution,
            _ => return None,
        })
    }

    /// The form of the member at `path`; `None` if this type does not have it.
    pub(super) fn shape(self, path: &str) -> Option<Shape> {
        let table = match self {
            Self::Offering => OFFERING,
            Self::Organization => ORGANIZATION,
            Self::Solution => SOLUTION,
        };
        table
            .iter()
            .find(|(listed, _)| *listed == path)
            .map(|(_, shape)| *shape)
    }

    /// Where this type has what another calls `path`.
    pub(super) fn own_path(self, path: &'static str) -> &'static str {
        match (self, path) {
            (Self::Organization, "url") => "website",
            (Self::Offering | Self::Solution, "website") => "url",
            (Self::Solution, "provider") => "owners",
            _ => path,
        }
    }
}

/// Every path of every type.
pub(super) fn paths() -> impl Iterator<Item = &'static str> {
    [OFFERING, ORGANIZATION, SOLUTION]
        .into_iter()
        .flatten()
        .map(|(path, _)| *path)
}

/// Whether a text by language stands at `path`.
pub(super) fn is_text_map(path: &str) -> bool {
    [Kind::Offering, Kind::Organization, Kind::Solution]
        .into_iter()
        .any(|kind| matches!(kind.shape(path), Some(Shape::TextMap)))
}

/// Whether several columns may fill `path` together.
pub(super) fn is_list(path: &str) -> bool {
    [Kind::Offering, Kind::Organization, Kind::Solution]
        .into_iter()
        .filter_map(|kind| kind.shape(path))
        .any(|shape| {
            matches!(
                shape,
                Shape::Texts
                    | Shape::Urls
                    | Shape::Codes(_)
                    | Shape::ForeignCodes
                    | Shape::Languages
                    | Shape::Countries
                    | Shape::Regions
                    | Shape::RecordIds
            )
        })
}

/// How the text of a cell becomes a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Text by language.
    TextMap,
    Text,
    Texts,
    Flag,
    Count,
    Decimal,
    Url,
    Urls,
    Date,
    Duration,
    Currency,
    RecordId,
    RecordIds,
    /// A code of ours only.
    OwnCode(&'static Scheme),
    /// A code of ours, or a text of the source.
    Code(&'static Scheme),
    Codes(&'static Scheme),
    ForeignCodes,
    Languages,
    Country,
    Countries,
    Regions,
}

type Members = &'static [(&'static str, Shape)];

static OFFERING: Members = &[
    ("kind", Shape::OwnCode(&OFFERING_KINDS)),
    ("name", Shape::TextMap),
    ("summary", Shape::TextMap),
    ("description", Shape::TextMap),
    ("url", Shape::Url),
    ("image", Shape::Url),
    ("provider", Shape::Text),
    ("host", Shape::Text),
    ("accreditedBy", Shape::Texts),
    ("partners", Shape::Texts),
    ("areas", Shape::Codes(&AREAS)),
    ("topics", Shape::Codes(&TOPICS)),
    ("sectors", Shape::Codes(&SECTORS_DAC)),
    ("sdgTargets", Shape::Codes(&SDG_TARGETS)),
    ("buildingBlocks", Shape::Codes(&BUILDING_BLOCKS)),
    ("audiences", Shape::Codes(&AUDIENCES)),
    ("levels", Shape::Codes(&LEVELS)),
    ("teaches", Shape::ForeignCodes),
    ("prerequisites", Shape::TextMap),
    ("modes", Shape::Codes(&MODES)),
    ("tutor", Shape::Flag),
    ("worksOffline", Shape::Flag),
    ("sizeMegabytes", Shape::Count),
    ("accessibilityFeatures", Shape::Texts),
    ("duration", Shape::Duration),
    ("workload", Shape::Duration),
    ("instances.start", Shape::Date),
    ("instances.end", Shape::Date),
    ("instances.enrolUntil", Shape::Date),
    ("instances.seats", Shape::Count),
    ("instances.place.name", Shape::TextMap),
    ("instances.place.country", Shape::Country),
    ("instances.place.locality", Shape::Text),
    ("instances.place.address", Shape::Text),
    ("instances.place.latitude", Shape::Decimal),
    ("instances.place.longitude", Shape::Decimal),
    ("instances.place.openingHours", Shape::TextMap),
    ("cost.kind", Shape::OwnCode(&COST_KINDS)),
    ("cost.price", Shape::Decimal),
    ("cost.currency", Shape::Currency),
    ("cost.payer", Shape::Text),
    ("cost.until", Shape::Date),
    ("cost.note", Shape::TextMap),
    ("certificate.kind", Shape::OwnCode(&CERTIFICATE_KINDS)),
    ("certificate.issuer", Shape::Text),
    ("certificate.badgeUrl", Shape::Url),
    ("eligibility", Shape::TextMap),
    ("eligibilityCodes", Shape::ForeignCodes),
    ("countries", Shape::Countries),
    ("excludedCountries", Shape::Countries),
    ("regions", Shape::Regions),
    ("languages", Shape::Languages),
    ("subtitleLanguages", Shape::Languages),
    ("materialLanguages", Shape::Languages),
    ("licence", Shape::Text),
    ("derivedFrom", Shape::RecordId),
    ("translationOf", Shape::RecordId),
    ("supportsSolution", Shape::RecordIds),
    ("capacity", Shape::Code(&CAPACITY)),
    ("funding.amountMin", Shape::Decimal),
    ("funding.amountMax", Shape::Decimal),
    ("funding.currency", Shape::Currency),
    ("funding.opens", Shape::Date),
    ("funding.closes", Shape::Date),
    ("funding.financeTypes", Shape::ForeignCodes),
    ("place.name", Shape::TextMap),
    ("place.country", Shape::Country),
    ("place.locality", Shape::Text),
    ("place.address", Shape::Text),
    ("place.latitude", Shape::Decimal),
    ("place.longitude", Shape::Decimal),
    ("place.openingHours", Shape::TextMap),
];

static ORGANIZATION: Members = &[
    ("name", Shape::TextMap),
    ("alternateName", Shape::Texts),
    ("summary", Shape::TextMap),
    ("description", Shape::TextMap),
    ("kind", Shape::Code(&ORGANIZATION_KINDS)),
    ("website", Shape::Url),
    ("sameAs", Shape::Urls),
    ("countries", Shape::Countries),
    ("regions", Shape::Regions),
    ("languages", Shape::Languages),
    ("areas", Shape::Codes(&AREAS)),
    ("audiences", Shape::Codes(&AUDIENCES)),
    ("capabilities", Shape::ForeignCodes),
    ("contactPoints.role", Shape::TextMap),
    ("contactPoints.email", Shape::Text),
    ("contactPoints.telephone", Shape::Text),
    ("contactPoints.url", Shape::Url),
    ("contactPoints.languages", Shape::Languages),
    ("funders", Shape::Texts),
    ("parentOrganization", Shape::Text),
    ("memberOf", Shape::Texts),
    ("commercialInterest", Shape::TextMap),
];

static SOLUTION: Members = &[
    ("kind", Shape::OwnCode(&SOLUTION_KINDS)),
    ("name", Shape::TextMap),
    ("summary", Shape::TextMap),
    ("description", Shape::TextMap),
    ("url", Shape::Url),
    ("repository", Shape::Url),
    ("licence", Shape::Text),
    ("owners", Shape::Texts),
    ("areas", Shape::Codes(&AREAS)),
    ("sectors", Shape::Codes(&SECTORS_DAC)),
    ("sdgTargets", Shape::Codes(&SDG_TARGETS)),
    ("buildingBlocks", Shape::Codes(&BUILDING_BLOCKS)),
    ("useCases", Shape::Texts),
    ("dpg.status", Shape::Text),
    ("dpg.date", Shape::Date),
    ("countries", Shape::Countries),
    ("regions", Shape::Regions),
    ("languages", Shape::Languages),
    ("maturity", Shape::Code(&MATURITY)),
];
