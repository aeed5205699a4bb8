//! What the index keeps of one record: its words, its codes and its dates.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use protocol::codes::geography::{self, WORLD};
use protocol::codes::{area_of, primary_language};
use protocol::envelope::{Header, Status};
use protocol::id::RecordId;
use protocol::record::{
    Body, Code, FieldErrors, Instance, Offering, Organization, Place, Solution, TextMap,
};
use protocol::time::Timestamp;
use serde_json::{Map, Value};
use tantivy::TantivyDocument;

use super::facet::{Facet, GLOBAL};
use super::rank::{BIAS_SECONDS, Part, stored};
use super::schema::{Fields, code};
use super::text::{Analysis, Lowered, analysis_of, grams, joined, stems};

/// Why a record has no place in the index. None of these is a fault of the node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotIndexed {
    /// The version that counts takes the record back: [`super::Writer::remove`] it.
    #[error("the record is withdrawn")]
    Withdrawn,
    /// A type of a later version of the format.
    #[error("records of type {kind} are not known here")]
    UnknownType {
        /// What `type` says.
        kind: Box<str>,
    },
    /// A type that says nothing to people, such as a checkpoint.
    #[error("records of type {kind} are not for searching")]
    NothingToFind {
        /// What `type` says.
        kind: Box<str>,
    },
    /// A body that cannot be shown.
    #[error("the record's body is faulty: {0}")]
    Faulty(FieldErrors),
}

/// One record, ready to be put into the index.
#[derive(Debug, Clone)]
pub struct Document {
    id: RecordId,
    issued: Timestamp,
    confirmed: Option<Timestamp>,
    valid_until: Option<Timestamp>,
    texts: Vec<Text>,
    codes: BTreeMap<Facet, BTreeSet<Box<str>>>,
    /// Languages as the record writes them.
    language_tags: BTreeSet<Box<str>>,
    reach: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct Text {
    part: Part,
    language: Option<Box<str>>,
    text: Box<str>,
}

impl Document {
    /// Reads a record of a known type; `tree` is the whole record.
    ///
    /// # Errors
    /// [`NotIndexed`]; what the index held of the record must then be removed.
    pub fn of(header: &Header, tree: &Map<String, Value>) -> Result<Self, NotIndexed> {
        let (Status::Active, Some(Value::Object(body))) = (header.status, tree.get("body")) else {
            return Err(NotIndexed::Withdrawn);
        };
        let kind = || header.kind.clone();
        let body = Body::read(&header.kind, body)
            .map_err(NotIndexed::Faulty)?
            .ok_or_else(|| NotIndexed::UnknownType { kind: kind() })?;
        let mut document = Self {
            id: header.record_id(),
            issued: header.issued,
            confirmed: header.confirmed,
            valid_until: header.valid_until,
            texts: Vec::new(),
            codes: BTreeMap::new(),
            language_tags: BTreeSet::new(),
            reach: BTreeSet::new(),
        };
        match body {
            Body::Offering(offering) => document.read_offering(&offering),
            Body::Organization(organization) => document.read_organization(&organization),
            Body::Solution(solution) => document.read_solution(&solution),
            Body::Checkpoint(_) | Body::Endorsement(_) | Body::NodeCard(_) => {
                return Err(NotIndexed::NothingToFind { kind: kind() });
            }
        }
        document.add_code(Facet::Type, header.kind.as_ref());
        document.add_code(Facet::Org, header.author.scid().to_string());
        Ok(document)
    }

    /// Which record this is.
    pub fn id(&self) -> &RecordId {
        &self.id
    }

    fn read_offering(&mut self, offering: &Offering) {
        self.add_described(&offering.name, &offering.summary, &offering.description);
        let people = [&offering.provider, &offering.host].into_iter().flatten();
        for name in people
            .chain(&offering.accredited_by)
            .chain(&offering.partners)
        {
            self.add_name(name);
        }
        let places = || {
            offering.place.iter().chain(
                offering
                    .instances
                    .iter()
                    .flat_map(|instance| &instance.place),
            )
        };
        for place in places() {
            self.add_map(Part::Label, &place.name);
            self.add_text(
                Part::Label,
                None,
                place.locality.as_deref().unwrap_or_default(),
            );
        }

        self.add_code(Facet::Kind, offering.kind);
        self.add_topics(&offering.areas, &offering.topics);
        self.add_codes(Facet::Audience, &offering.audiences);
        self.add_codes(Facet::Level, &offering.levels);
        self.add_codes(Facet::Mode, &offering.modes);
        self.add_sdg_targets(&offering.sdg_targets);
        if let Some(cost) = &offering.cost {
            self.add_code(Facet::Cost, cost.kind);
        }
        if let Some(certificate) = &offering.certificate {
            self.add_code(Facet::Certificate, certificate.kind);
        }
        if let Some(licence) = &offering.licence {
            self.add_code(Facet::Licence, licence.clone());
        }
        // What is only to be read or heard has no language of teaching.
        if offering.languages.is_empty() {
            self.add_languages(&offering.material_languages);
        } else {
            self.add_languages(&offering.languages);
        }

        let mut countries = offering.countries.clone();
        if countries.is_empty() && offering.regions.is_empty() && !is_online(offering) {
            countries.extend(places().filter_map(|place: &Place| place.country.clone()));
        }
        self.add_geography(&countries, &offering.regions, &offering.excluded_countries);

        if matches!(offering.kind, "event" | "workshop") {
            let over = last_end(&offering.instances);
            self.valid_until = match (self.valid_until, over) {
                (Some(until), Some(over)) => Some(until.min(over)),
                (until, over) => until.or(over),
            };
        }
    }

    fn read_organization(&mut self, organization: &Organization) {
        self.add_described(
            &organization.name,
            &organization.summary,
            &organization.description,
        );
        for name in &organization.alternate_names {
            self.add_text(Part::Name, None, name);
        }
        self.add_codes(Facet::Kind, organization.kind.as_slice());
        self.add_topics(&organization.areas, &[]);
        self.add_codes(Facet::Audience, &organization.audiences);
        self.add_languages(&organization.languages);
        self.add_geography(&organization.countries, &organization.regions, &[]);
    }

    fn read_solution(&mut self, solution: &Solution) {
        self.add_described(&solution.name, &solution.summary, &solution.description);
        for use_case in &solution.use_cases {
            self.add_text(Part::Description, None, use_case);
        }
        for name in &solution.owners {
            self.add_name(name);
        }
        self.add_code(Facet::Kind, solution.kind);
        self.add_topics(&solution.areas, &[]);
        self.add_sdg_targets(&solution.sdg_targets);
        if let Some(licence) = &solution.licence {
            self.add_code(Facet::Licence, licence.clone());
        }
        self.add_languages(&solution.languages);
        self.add_geography(&solution.countries, &solution.regions, &[]);
    }

    fn add_described(&mut self, name: &TextMap, summary: &TextMap, description: &TextMap) {
        self.add_map(Part::Name, name);
        self.add_map(Part::Summary, summary);
        self.add_map(Part::Description, description);
    }

    fn add_map(&mut self, part: Part, texts: &TextMap) {
        for (language, text) in texts {
            self.add_text(part, Some(language), text);
        }
    }

    /// The name of someone; identifiers and addresses are no words.
    fn add_name(&mut self, name: &str) {
        if !["did:", "http:", "https:"]
            .iter()
            .any(|scheme| name.starts_with(scheme))
        {
            self.add_text(Part::Label, None, name);
        }
    }

    fn add_text(&mut self, part: Part, language: Option<&str>, text: &str) {
        if !text.is_empty() {
            self.texts.push(Text {
                part,
                language: language.map(Into::into),
                text: text.into(),
            });
        }
    }

    fn add_code(&mut self, facet: Facet, code: impl Into<Box<str>>) {
        self.codes.entry(facet).or_default().insert(code.into());
    }

    fn add_codes(&mut self, facet: Facet, codes: &[Code]) {
        for code in codes {
            self.add_code(facet, written(code));
        }
    }

    fn add_topics(&mut self, areas: &[Code], topics: &[Code]) {
        self.add_codes(Facet::Area, areas);
        self.add_codes(Facet::Topic, topics);
        for area in topics
            .iter()
            .filter(|topic| topic.scheme.is_none())
            .filter_map(|topic| area_of(&topic.code))
        {
            self.add_code(Facet::Area, area);
        }
    }

    fn add_sdg_targets(&mut self, targets: &[Code]) {
        self.add_codes(Facet::Sdg, targets);
        for target in targets.iter().filter(|target| target.scheme.is_none()) {
            if let Some((goal, _)) = target.code.split_once('.') {
                self.add_code(Facet::Sdg, goal);
            }
        }
    }

    fn add_languages(&mut self, tags: &[Box<str>]) {
        for tag in tags {
            self.add_code(Facet::Language, primary_language(tag));
            self.language_tags.insert(tag.clone());
        }
    }

    /// Where the record's offer can be had: what is counted goes to the codes, what filters ask for
    /// to `reach`, in the words of [`super::plan::countries`].
    fn add_geography(
        &mut self,
        countries: &[Box<str>],
        regions: &[Box<str>],
        excluded: &[Box<str>],
    ) {
        let names_the_world = regions.iter().any(|region| region.as_ref() == WORLD);
        let is_global = names_the_world || (countries.is_empty() && regions.is_empty());
        let is_excluded = |country: &str| excluded.iter().any(|code| code.as_ref() == country);

        let mut whole: BTreeSet<&str> = BTreeSet::new();
        if is_global {
            self.add_code(Facet::Country, GLOBAL);
            self.reach.insert(GLOBAL.to_owned());
            if excluded
                .iter()
                .any(|code| geography::country(code).is_some())
            {
                whole.extend(geography::countries().map(geography::Country::code));
            } else {
                self.reach.insert(EVERYWHERE.to_owned());
            }
        } else {
            whole.extend(
                countries
                    .iter()
                    .filter_map(|code| geography::country(code))
                    .map(geography::Country::code),
            );
            whole.extend(
                regions
                    .iter()
                    .flat_map(|region| geography::countries_in(region))
                    .map(geography::Country::code),
            );
            for part in countries.iter() {
                let Some(country) = geography::country_of_subdivision(part) else {
                    continue;
                };
                if !is_excluded(part) && !is_excluded(country.code()) {
                    for code in [part, country.code()] {
                        self.add_code(Facet::Country, code);
                        self.reach.insert(code.to_owned());
                    }
                }
            }
        }
        for country in whole.into_iter().filter(|country| !is_excluded(country)) {
            if !is_global {
                self.add_code(Facet::Country, country);
            }
            self.reach.insert(country.to_owned());
            self.reach.insert(whole_of(country));
        }
        let parts = excluded
            .iter()
            .filter(|code| geography::country_of_subdivision(code).is_some());
        self.reach.extend(parts.map(|part| not_in(part)));
    }

    /// The form in which tantivy takes it; `id` is its id, written.
    pub(super) fn into_tantivy(mut self, fields: &Fields, id: &str) -> TantivyDocument {
        let mut out = TantivyDocument::new();
        out.add_text(fields.id, id);
        out.add_u64(fields.issued, stored(self.issued));
        out.add_u64(fields.confirmed, self.confirmed.map_or(0, stored));
        out.add_u64(fields.valid_until, self.valid_until.map_or(NO_END, stored));

        let mut codes: BTreeSet<String> =
            self.reach.iter().map(|reach| code(REACH, reach)).collect();
        for (position, facet) in Facet::ALL.into_iter().enumerate() {
            for value in self.codes.get(&facet).into_iter().flatten() {
                if let Some(column) = fields.counted.get(position) {
                    out.add_text(*column, value);
                }
                codes.insert(code(facet.name(), value));
            }
        }
        for tag in &self.language_tags {
            out.add_text(fields.language_tag, tag);
            codes.insert(code(OFFERED_IN, tag));
        }
        let described_in = self.texts.iter().filter(|text| text.part == Part::Name);
        codes.extend(described_in.filter_map(|text| {
            Some(code(
                DESCRIBED_IN,
                primary_language(text.language.as_deref()?),
            ))
        }));
        for code in codes {
            out.add_text(fields.code, code);
        }

        self.add_words(fields, &mut out);
        out
    }

    /// A stem or a gram counts where it weighs most, so it is kept only there; plain words are kept
    /// in every place, for phrases.
    fn add_words(&mut self, fields: &Fields, out: &mut TantivyDocument) {
        self.texts.sort_by_key(|text| text.part);
        let mut stemmed: BTreeMap<usize, Kept> = BTreeMap::new();
        let mut begun = Kept::default();
        for text in &self.texts {
            let lowered = Lowered::of(&text.text);
            let words = lowered.words();
            if let Some(field) = fields.plain.get(text.part as usize) {
                out.add_text(
                    *field,
                    joined(words.iter().map(|word| word.folded.as_ref())),
                );
            }
            match text.language.as_deref().map(analysis_of) {
                Some(Analysis::Stems(language)) => {
                    let kept = stemmed.entry(language).or_default();
                    kept.seen.reserve(words.len());
                    stems(language, &words, |stem| kept.add(text.part, stem));
                }
                Some(Analysis::Grams) => {
                    for gram in words.iter().flat_map(grams) {
                        begun.add(text.part, gram);
                    }
                }
                Some(Analysis::Segments) | None => {}
            }
            for sequence in lowered.sequences() {
                begun.add(text.part, &sequence);
            }
        }
        for (language, kept) in stemmed {
            if let Some(field) = fields.stems.get(language) {
                out.add_text(*field, kept.terms);
            }
        }
        out.add_text(fields.grams, begun.terms);
    }
}

/// Stems or grams, each in the first part in which it came.
#[derive(Default)]
struct Kept {
    seen: HashSet<Box<str>>,
    /// With a space after each.
    terms: String,
}

impl Kept {
    fn add(&mut self, part: Part, word: &str) {
        if self.seen.insert(word.into()) {
            self.terms.push(letter(part));
            self.terms.push_str(word);
            self.terms.push(' ');
        }
    }
}

/// The family of codes that says where an offer can be had.
pub(super) const REACH: &str = "reach";
/// The family that says in which languages, as the record writes them.
pub(super) const OFFERED_IN: &str = "tag";
/// The family that says in which languages the record itself is written.
pub(super) const DESCRIBED_IN: &str = "described";
/// Reaches every country.
pub(super) const EVERYWHERE: &str = "*";

/// Reaches all of a country, not only some part.
pub(super) fn whole_of(country: &str) -> String {
    format!("{country}-*")
}

/// Does not reach this part of a country.
pub(super) fn not_in(part: &str) -> String {
    format!("!{part}")
}

/// A stem or gram of one part of a record, as one term.
pub(super) fn in_part(part: Part, word: &str) -> String {
    format!("{}{word}", letter(part))
}

const fn letter(part: Part) -> char {
    match part {
        Part::Name => 'n',
        Part::Summary => 's',
        Part::Description => 'd',
        Part::Label => 'l',
    }
}

/// After every date that can be written, and near enough to pack well.
const NO_END: u64 = BIAS_SECONDS.cast_unsigned() + 253_402_300_800;

/// A code as filters and counts write it: of another scheme, with its scheme.
fn written(code: &Code) -> Box<str> {
    match &code.scheme {
        None => code.code.clone(),
        Some(scheme) => format!("{scheme}|{}", code.code).into(),
    }
}

fn is_online(offering: &Offering) -> bool {
    offering.modes.iter().any(|mode| {
        mode.scheme.is_none()
            && matches!(
                mode.code.as_ref(),
                "online-self" | "online-live" | "blended"
            )
    })
}

/// When the last of the dates is over; `None` if there are none or one has no date.
fn last_end(instances: &[Instance]) -> Option<Timestamp> {
    let ends = instances
        .iter()
        .map(|instance| end_of(instance.end.as_deref().or(instance.start.as_deref())?));
    ends.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// When a day or a moment is over.
fn end_of(date: &str) -> Option<Timestamp> {
    const SECONDS_A_DAY: i64 = 86_400;
    match Timestamp::parse(date) {
        Ok(moment) => Some(moment),
        Err(_) => Timestamp::parse(&format!("{date}T00:00:00Z"))
            .ok()
            .map(|day| day.plus_seconds(SECONDS_A_DAY)),
    }
}
