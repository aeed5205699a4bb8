//! The families of codes by which results are filtered and counted.

use std::fmt;

/// One family of codes. A search names values of it, and may ask how many results have which value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Facet {
    /// Focus areas; a topic implies its area.
    Area,
    /// Narrower topics.
    Topic,
    /// Countries and their parts. Filters also take a UN M49 region, `LDC`, `LLDC`, `SIDS` and
    /// [`GLOBAL`].
    Country,
    /// Languages. Filters take any tag and match its primary language; counts are by primary
    /// language.
    Language,
    /// For whom.
    Audience,
    /// How hard.
    Level,
    /// How it takes place.
    Mode,
    /// `free`, `conditional` or `paid`; `free` never means `conditional`.
    Cost,
    /// What an offering, organisation or solution is.
    Kind,
    /// The record's type: `Offering`, `Organization`, `Solution`.
    Type,
    /// The author, by SCID.
    Org,
    /// The licence of what is offered, not that of the record.
    Licence,
    /// What one gets at the end.
    Certificate,
    /// SDG targets such as `4.4`, and the goals they belong to, such as `4`.
    Sdg,
}

/// Under [`Facet::Country`]: the records that name no country, and so reach every one that they do
/// not exclude.
pub const GLOBAL: &str = "global";

impl Facet {
    /// Every family.
    pub const ALL: [Self; 14] = [
        Self::Area,
        Self::Topic,
        Self::Country,
        Self::Language,
        Self::Audience,
        Self::Level,
        Self::Mode,
        Self::Cost,
        Self::Kind,
        Self::Type,
        Self::Org,
        Self::Licence,
        Self::Certificate,
        Self::Sdg,
    ];

    /// The name in addresses and answers, such as `area`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Area => "area",
            Self::Topic => "topic",
            Self::Country => "country",
            Self::Language => "language",
            Self::Audience => "audience",
            Self::Level => "level",
            Self::Mode => "mode",
            Self::Cost => "cost",
            Self::Kind => "kind",
            Self::Type => "type",
            Self::Org => "org",
            Self::Licence => "licence",
            Self::Certificate => "certificate",
            Self::Sdg => "sdg",
        }
    }

    /// The family of this name; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|facet| facet.name() == name)
    }
}

impl fmt::Display for Facet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
