//! From what is asked to what tantivy runs: which terms answer a word, and what each is worth.

use std::sync::Arc;

use protocol::codes::geography::{self, Country};
use protocol::codes::primary_language;
use tantivy::query::{
    AllQuery, BooleanQuery, ConstScoreQuery, DisjunctionMaxQuery, EmptyQuery, Occur, PhraseQuery,
    Query as TantivyQuery, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, TantivyError, Term};

use super::document::{DESCRIBED_IN, EVERYWHERE, OFFERED_IN, REACH, in_part, not_in, whole_of};
use super::facet::{Facet, GLOBAL};
use super::labels::LabelWords;
use super::narrow::{Kept, Narrowed};
use super::places::AnyPlace;
use super::query::{Matching, Query, Wanted};
use super::rank::{Grade, POINTS_EXACT_LANGUAGE, POINTS_OWN_LANGUAGE, Part, Sort, points};
use super::schema::{Fields, code};
use super::text::{Analysis, Word, analysis_of, gram_asked, stems};

type Clause = Box<dyn TantivyQuery>;

type BelongsTo = fn(&Country) -> bool;

/// Groups of countries that filters take as if they were regions.
pub(super) const GROUPS: [(&str, BelongsTo); 3] = [
    ("LDC", Country::is_ldc),
    ("LLDC", Country::is_lldc),
    ("SIDS", Country::is_sids),
];

/// What finds the query's results. Its score is that of [`super::rank`].
///
/// Looks only for stems of languages in which the index has any: each costs some look-ups.
pub(super) fn plan(
    fields: &Fields,
    query: &Query,
    searcher: &Searcher,
    labels: &LabelWords,
    kept: &Arc<Kept>,
) -> Result<Clause, TantivyError> {
    if query.text.is_unfindable {
        return Ok(Box::new(EmptyQuery));
    }
    let mut stemmed = Vec::new();
    if query.matching != Matching::Plain && query.text.has_words() {
        for (position, field) in fields.stems.iter().enumerate() {
            for segment in searcher.segment_readers() {
                if segment.inverted_index(*field)?.terms().num_terms() > 0 {
                    stemmed.push((position, *field));
                    break;
                }
            }
        }
    }
    let required = match query.matching {
        Matching::Any => query.filters.len(),
        Matching::All | Matching::Plain => query.filters.len() + query.text.wanted.len(),
    };
    let planner = Planner {
        fields,
        query,
        stemmed,
        labels,
        is_narrowed: required > 1,
    };
    let mut clauses: Vec<(Occur, Clause)> = Vec::new();

    let wanted: Vec<Clause> = query
        .text
        .wanted
        .iter()
        .map(|wanted| planner.wanted(wanted))
        .collect();
    match query.matching {
        Matching::Any if wanted.len() > 1 => {
            let any = wanted
                .into_iter()
                .map(|clause| (Occur::Should, clause))
                .collect();
            clauses.push((Occur::Must, Box::new(BooleanQuery::new(any))));
        }
        _ => clauses.extend(wanted.into_iter().map(|clause| (Occur::Must, clause))),
    }
    if !query.filters.is_empty() {
        let filters = query.filters.iter().map(|filter| {
            let name = format!("{}={}", filter.facet, filter.values.join("\n"));
            (
                name.into(),
                Arc::from(planner.filter(filter.facet, &filter.values)),
            )
        });
        let narrowed = Narrowed {
            filters: filters.collect(),
            kept: Arc::clone(kept),
        };
        clauses.push((Occur::Must, Box::new(narrowed)));
    }
    if clauses.is_empty() {
        clauses.push((Occur::Must, planner.worth(Box::new(AllQuery), 0)));
    }
    clauses.extend(
        query
            .text
            .unwanted
            .iter()
            .map(|unwanted| (Occur::MustNot, planner.unwanted(unwanted))),
    );
    if query.sort == Sort::Relevance {
        clauses.extend(planner.preferred().map(|clause| (Occur::Should, clause)));
    }
    Ok(Box::new(BooleanQuery::new(clauses)))
}

struct Planner<'p> {
    fields: &'p Fields,
    query: &'p Query,
    /// The languages to stem by: positions and fields.
    stemmed: Vec<(usize, Field)>,
    labels: &'p LabelWords,
    /// Whether a record must have more than one thing, so that few of those that have one are looked at.
    is_narrowed: bool,
}

impl Planner<'_> {
    /// Gives a clause its points. Who does not order by them is spared the sums.
    fn worth(&self, clause: Clause, points: u32) -> Clause {
        match self.query.sort {
            // Sums of these stay exact: they are small whole numbers.
            Sort::Relevance => Box::new(ConstScoreQuery::new(clause, points as f32)),
            Sort::Newest | Sort::Id => clause,
        }
    }

    /// Any of these places will do; the best one counts.
    fn best_of(&self, places: Vec<Clause>) -> Clause {
        match self.query.sort {
            Sort::Relevance => Box::new(DisjunctionMaxQuery::new(places)),
            Sort::Newest | Sort::Id => Box::new(BooleanQuery::new(
                places
                    .into_iter()
                    .map(|place| (Occur::Should, place))
                    .collect(),
            )),
        }
    }

    fn wanted(&self, wanted: &Wanted) -> Clause {
        let words = self.words(wanted, true);
        if wanted.sequences.is_empty() || self.query.matching == Matching::Plain {
            return words;
        }
        let count = u32::try_from(wanted.words.len()).unwrap_or(u32::MAX);
        let all_in = |part: Part| {
            let each = |sequence: &String| {
                (
                    Occur::Must,
                    term(self.fields.grams, &in_part(part, sequence)),
                )
            };
            let all = BooleanQuery::new(wanted.sequences.iter().map(each).collect());
            self.worth(
                Box::new(all),
                points(part, Grade::Gram).saturating_mul(count),
            )
        };
        let cut_otherwise = Part::ALL.into_iter().map(all_in);
        self.best_of(std::iter::once(words).chain(cut_otherwise).collect())
    }

    /// What excludes a record: the word itself or its stem. A shared beginning is too little.
    fn unwanted(&self, unwanted: &Wanted) -> Clause {
        self.words(unwanted, false)
    }

    fn words(&self, wanted: &Wanted, with_grams: bool) -> Clause {
        let only_plain = self.query.matching == Matching::Plain;
        match wanted.words.as_slice() {
            [word] => self.word(word, only_plain, with_grams),
            words if wanted.is_phrase => self.phrase(words),
            words => {
                let each = |word| (Occur::Must, self.word(word, only_plain, with_grams));
                Box::new(BooleanQuery::new(words.iter().map(each).collect()))
            }
        }
    }

    fn word(&self, word: &Word<'_>, only_plain: bool, with_grams: bool) -> Clause {
        let mut places = Vec::new();
        for (part, field) in self.plain_parts() {
            let term = Term::from_field_text(field, &word.folded);
            places.push((term, points(part, Grade::Plain)));
        }
        if !only_plain {
            for (position, field) in &self.stemmed {
                self.stems(*position, *field, word, &mut places);
            }
            if let Some(gram) = gram_asked(word).filter(|_| with_grams) {
                for part in Part::ALL {
                    let term = Term::from_field_text(self.fields.grams, &in_part(part, gram));
                    places.push((term, points(part, Grade::Gram)));
                }
            }
            for (grade, codes) in self.labels.codes(word, self.own_stemmer(), with_grams) {
                let points = points(Part::Label, grade);
                let term = |code| Term::from_field_text(self.fields.code, code);
                places.extend(codes.into_iter().map(|code| (term(code), points)));
            }
        }
        self.any_place(places)
    }

    /// Any of these terms will do; the best one counts.
    fn any_place(&self, places: Vec<(Term, u32)>) -> Clause {
        if self.is_narrowed {
            return Box::new(AnyPlace(places));
        }
        let each = |(term, points)| {
            let term = TermQuery::new(term, IndexRecordOption::Basic);
            self.worth(Box::new(term), points)
        };
        self.best_of(places.into_iter().map(each).collect())
    }

    /// That of the asker's language.
    fn own_stemmer(&self) -> Option<usize> {
        match analysis_of(self.query.language.as_deref()?) {
            Analysis::Stems(position) => Some(position),
            Analysis::Segments | Analysis::Grams => None,
        }
    }

    fn stems(&self, position: usize, field: Field, word: &Word<'_>, places: &mut Vec<(Term, u32)>) {
        let is_own = self.own_stemmer() == Some(position);
        let grade = if is_own { Grade::OwnStem } else { Grade::Stem };
        let mut found = Vec::new();
        stems(position, std::slice::from_ref(word), |stem| {
            found.push(stem.to_owned());
        });
        found.dedup();
        for stem in found {
            for part in Part::ALL {
                let term = Term::from_field_text(field, &in_part(part, &stem));
                places.push((term, points(part, grade)));
            }
        }
    }

    /// A phrase is worth what its words are where it stands.
    fn phrase(&self, words: &[Word<'_>]) -> Clause {
        let count = u32::try_from(words.len()).unwrap_or(u32::MAX);
        let place = |(part, field): (Part, Field)| {
            let terms = words
                .iter()
                .map(|word| Term::from_field_text(field, &word.folded))
                .collect();
            self.worth(
                Box::new(PhraseQuery::new(terms)),
                points(part, Grade::Plain).saturating_mul(count),
            )
        };
        let mut places: Vec<Clause> = self.plain_parts().map(place).collect();
        let codes = self.labels.phrase(words);
        if self.query.matching != Matching::Plain && !codes.is_empty() {
            places.push(self.worth(
                self.any_term(codes),
                points(Part::Label, Grade::Plain).saturating_mul(count),
            ));
        }
        self.best_of(places)
    }

    fn plain_parts(&self) -> impl Iterator<Item = (Part, Field)> {
        let with_labels = self.query.matching != Matching::Plain;
        let parts = Part::ALL.into_iter().zip(self.fields.plain);
        parts.filter(move |(part, _)| with_labels || *part != Part::Label)
    }

    fn filter(&self, facet: Facet, values: &[Box<str>]) -> Clause {
        match facet {
            Facet::Country => self.countries(values),
            Facet::Language => {
                self.any_code(facet.name(), values.iter().map(|tag| primary_language(tag)))
            }
            _ => self.any_code(facet.name(), values.iter().map(AsRef::as_ref)),
        }
    }

    /// Records that reach any of these places.
    ///
    /// A country is reached by records that name it, a part of it, or its region, and by global ones
    /// that do not exclude it; a part of a country by those that name it or the whole country.
    fn countries(&self, values: &[Box<str>]) -> Clause {
        let mut reached = vec![EVERYWHERE.to_owned()];
        let mut parts: Vec<&str> = Vec::new();
        for value in values.iter().map(AsRef::as_ref) {
            if value == GLOBAL {
                reached.push(GLOBAL.to_owned());
            } else if let Some((_, belongs)) = GROUPS.iter().find(|(group, _)| *group == value) {
                reached.extend(
                    geography::countries()
                        .filter(|country| belongs(country))
                        .map(|c| c.code().to_owned()),
                );
            } else if geography::is_region(value) {
                reached.extend(
                    geography::countries_in(value).map(|country| country.code().to_owned()),
                );
            } else if geography::country_of_subdivision(value).is_some() {
                parts.push(value);
            } else {
                reached.push(value.to_owned());
            }
        }
        let mut any: Vec<(Occur, Clause)> = Vec::new();
        if values.len() > parts.len() {
            any.push((
                Occur::Should,
                self.any_code(REACH, reached.iter().map(String::as_str)),
            ));
        }
        for part in parts {
            let country = geography::country_of_subdivision(part).map_or("", Country::code);
            let reaching = self.any_code(REACH, [EVERYWHERE, part, &whole_of(country)].into_iter());
            let excluding = self.code(REACH, &not_in(part));
            let clause =
                BooleanQuery::new(vec![(Occur::Must, reaching), (Occur::MustNot, excluding)]);
            any.push((Occur::Should, Box::new(clause)));
        }
        Box::new(BooleanQuery::new(any))
    }

    /// What is worth a little more: exactly the language asked for, and the asker's own.
    fn preferred(&self) -> impl Iterator<Item = Clause> {
        let filters = self
            .query
            .filters
            .iter()
            .filter(|filter| filter.facet == Facet::Language);
        let exact = filters
            .flat_map(|filter| &filter.values)
            .filter(|tag| primary_language(tag) != tag.as_ref())
            .map(|tag| self.worth(self.code(OFFERED_IN, tag), POINTS_EXACT_LANGUAGE))
            .collect::<Vec<_>>();
        let own = self.query.language.as_deref();
        let own =
            own.map(|language| self.worth(self.code(DESCRIBED_IN, language), POINTS_OWN_LANGUAGE));
        let exact = (!exact.is_empty()).then(|| self.best_of(exact) as Clause);
        exact.into_iter().chain(own)
    }

    fn any_code<'v>(&self, family: &str, values: impl Iterator<Item = &'v str>) -> Clause {
        let term = |value| Term::from_field_text(self.fields.code, &code(family, value));
        self.any_place(values.map(|value| (term(value), 0)).collect())
    }

    /// Records with any of these codes, written as terms.
    fn any_term(&self, codes: Vec<&str>) -> Clause {
        let any = codes
            .into_iter()
            .map(|code| (Occur::Should, term(self.fields.code, code)))
            .collect();
        Box::new(BooleanQuery::new(any))
    }

    fn code(&self, family: &str, value: &str) -> Clause {
        term(self.fields.code, &code(family, value))
    }
}

fn term(field: Field, text: &str) -> Clause {
    Box::new(TermQuery::new(
        Term::from_field_text(field, text),
        IndexRecordOption::Basic,
    ))
}
