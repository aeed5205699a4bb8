//! Something that can be used: software, data, content, a model, a standard.

use super::fields::{Code, Fields, TextMap};
use crate::codes::{AREAS, BUILDING_BLOCKS, MATURITY, SDG_TARGETS, SECTORS_DAC, SOLUTION_KINDS};

/// The body of a `Solution`. Only `kind` and `name` are required.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// What it is.
    pub kind: &'static str,
    /// Its name, by language.
    pub name: TextMap,
    /// One or two sentences, by language.
    pub summary: TextMap,
    /// All there is to say, by language.
    pub description: TextMap,
    /// Where it is found.
    pub url: Option<Box<str>>,
    /// Where its source is.
    pub repository: Option<Box<str>>,
    /// Its own licence (SPDX).
    pub licence: Option<Box<str>>,
    /// Who keeps it.
    pub owners: Vec<Box<str>>,
    /// Focus areas.
    pub areas: Vec<Code>,
    /// Economic sectors (DAC).
    pub sectors: Vec<Code>,
    /// Targets of the Sustainable Development Goals.
    pub sdg_targets: Vec<Code>,
    /// Which technology building blocks it is.
    pub building_blocks: Vec<Code>,
    /// What it is used for.
    pub use_cases: Vec<Box<str>>,
    /// Whether it is a digital public good.
    pub dpg: Option<DpgStatus>,
    /// Where it is deployed.
    pub countries: Vec<Box<str>>,
    /// UN M49 regions in which it is deployed.
    pub regions: Vec<Box<str>>,
    /// Languages of its interface.
    pub languages: Vec<Box<str>>,
    /// How far it has come.
    pub maturity: Option<Code>,
}

/// What the DPG Standard's registry says.
#[derive(Debug, Clone, PartialEq)]
pub struct DpgStatus {
    /// `nominee`, `reviewed`, `removed`, … as the registry has it.
    pub status: Option<Box<str>>,
    /// Since when.
    pub date: Option<Box<str>>,
}

impl Solution {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            kind: fields.required_own_code("kind", &SOLUTION_KINDS),
            name: fields.required_text_map("name"),
            summary: fields.text_map("summary"),
            description: fields.text_map("description"),
            url: fields.url("url"),
            repository: fields.url("repository"),
            licence: fields.text("licence"),
            owners: fields.texts("owners"),
            areas: fields.codes("areas", &AREAS),
            sectors: fields.codes("sectors", &SECTORS_DAC),
            sdg_targets: fields.codes("sdgTargets", &SDG_TARGETS),
            building_blocks: fields.codes("buildingBlocks", &BUILDING_BLOCKS),
            use_cases: fields.texts("useCases"),
            dpg: fields.object("dpg", |dpg| DpgStatus {
                status: dpg.text("status"),
                date: dpg.date("date"),
            }),
            countries: fields.countries("countries"),
            regions: fields.regions("regions"),
            languages: fields.languages("languages"),
            maturity: fields.code("maturity", &MATURITY),
        }
    }
}
