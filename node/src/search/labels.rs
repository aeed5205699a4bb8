//! Words that a record does not say but its codes mean: `sécurité` finds what is coded `cyber`.
//!
//! The labels are matched to codes when a query is planned, not put into the index with every
//! record: they are the same for all records, and would be most of its words.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::facet::Facet;
use super::rank::Grade;
use super::schema::code;
use super::text::{Analysis, Lowered, Word, analysis_of, gram_asked, grams, stems};

/// The labels of codes, by their words as `search/text.rs` cuts and compares words.
///
/// Must be the same on every node, or the order of results is not.
#[derive(Debug, Clone, Default)]
pub struct LabelWords {
    /// The codes, each as its term in the index.
    terms: Vec<String>,
    /// The words of every label, in order, with the position of its code in `terms`.
    texts: Vec<(usize, Vec<String>)>,
    plain: HashMap<String, BTreeSet<usize>>,
    /// By position in [`super::text::STEMMED`].
    stems: BTreeMap<usize, HashMap<String, BTreeSet<usize>>>,
    grams: HashMap<String, BTreeSet<usize>>,
}

impl LabelWords {
    /// Takes labels of codes: the family, the code, the language of the label (BCP 47), the label.
    pub fn of<'l>(labels: impl IntoIterator<Item = (Facet, &'l str, &'l str, &'l str)>) -> Self {
        let mut made = Self::default();
        let mut positions: HashMap<String, usize> = HashMap::new();
        for (facet, value, language, label) in labels {
            let next = positions.len();
            let position = *positions
                .entry(code(facet.name(), value))
                .or_insert_with_key(|term| {
                    made.terms.push(term.clone());
                    next
                });
            made.add(position, language, label);
        }
        made
    }

    fn add(&mut self, position: usize, language: &str, label: &str) {
        let lowered = Lowered::of(label);
        let words = lowered.words();
        match analysis_of(language) {
            Analysis::Stems(stemmer) => {
                let by_stem = self.stems.entry(stemmer).or_default();
                stems(stemmer, &words, |stem| {
                    let codes: &mut BTreeSet<usize> = by_stem.entry(stem.to_owned()).or_default();
                    codes.insert(position);
                });
            }
            Analysis::Grams => {
                for gram in words.iter().flat_map(grams) {
                    let codes = self.grams.entry(gram.to_owned()).or_default();
                    codes.insert(position);
                }
            }
            Analysis::Segments => {}
        }
        let text: Vec<String> = words
            .into_iter()
            .map(|word| word.folded.into_owned())
            .collect();
        for word in &text {
            let codes = self.plain.entry(word.clone()).or_default();
            codes.insert(position);
        }
        self.texts.push((position, text));
    }

    /// The codes that a word of a query means, as their terms, each under the best grade.
    ///
    /// `own` is the stemmer of the asker's language; without `with_grams` a shared beginning is too
    /// little.
    pub(super) fn codes(
        &self,
        word: &Word<'_>,
        own: Option<usize>,
        with_grams: bool,
    ) -> Vec<(Grade, Vec<&str>)> {
        let mut by_grade: [BTreeSet<usize>; Grade::ALL.len()] = Default::default();
        let [plain, own_stem, other_stem, gram] = &mut by_grade;
        plain.extend(self.plain.get(word.folded.as_ref()).into_iter().flatten());
        for (stemmer, by_stem) in &self.stems {
            let of_grade = if own == Some(*stemmer) {
                &mut *own_stem
            } else {
                &mut *other_stem
            };
            stems(*stemmer, std::slice::from_ref(word), |stem| {
                of_grade.extend(by_stem.get(stem).into_iter().flatten());
            });
        }
        if let Some(asked) = gram_asked(word).filter(|_| with_grams) {
            gram.extend(self.grams.get(asked).into_iter().flatten());
        }
        let mut seen = BTreeSet::new();
        let graded = Grade::ALL.into_iter().zip(by_grade);
        graded
            .map(|(grade, codes)| {
                let new = codes.into_iter().filter(|code| seen.insert(*code));
                (grade, self.terms_of(new))
            })
            .filter(|(_, terms)| !terms.is_empty())
            .collect()
    }

    /// The codes in whose labels these words stand one after the other, as their terms.
    pub(super) fn phrase(&self, words: &[Word<'_>]) -> Vec<&str> {
        let has_phrase = |text: &Vec<String>| {
            text.windows(words.len().max(1))
                .any(|run| run.iter().eq(words.iter().map(|word| word.folded.as_ref())))
        };
        let found: BTreeSet<usize> = self
            .texts
            .iter()
            .filter(|(_, text)| has_phrase(text))
            .map(|(position, _)| *position)
            .collect();
        self.terms_of(found)
    }

    fn terms_of(&self, positions: impl IntoIterator<Item = usize>) -> Vec<&str> {
        positions
            .into_iter()
            .filter_map(|position| self.terms.get(position))
            .map(String::as_str)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::{Lowered, Word};
    use super::{Facet, Grade, LabelWords};

    fn words(text: &str) -> Vec<Word<'static>> {
        let lowered = Lowered::of(text);
        lowered.words().into_iter().map(Word::into_owned).collect()
    }

    fn labels() -> LabelWords {
        LabelWords::of([
            (Facet::Area, "cyber", "en", "Security and trust"),
            (Facet::Area, "cyber", "fr", "Cybersécurité"),
            (Facet::Area, "cyber", "sw", "Usalama wa mtandao"),
            (Facet::Topic, "privacy", "en", "Trusted data"),
        ])
    }

    fn codes(word: &str) -> Vec<(Grade, Vec<String>)> {
        let word = words(word).remove(0);
        let (labels, english) = (labels(), Some(3));
        labels
            .codes(&word, english, true)
            .into_iter()
            .map(|(grade, terms)| (grade, terms.into_iter().map(str::to_owned).collect()))
            .collect()
    }

    #[test]
    fn a_word_means_each_code_once_under_its_best_grade() {
        let [cyber, privacy] = ["area=cyber", "topic=privacy"].map(|term| vec![term.to_owned()]);
        assert_eq!(
            codes("trust"),
            [(Grade::Plain, cyber.clone()), (Grade::OwnStem, privacy)]
        );
        assert_eq!(codes("cybersecurite"), [(Grade::Plain, cyber.clone())]);
        assert_eq!(codes("mtandaoni"), [(Grade::Gram, cyber)]);
        assert!(codes("gardening").is_empty());
    }

    #[test]
    fn a_phrase_means_codes_whose_label_has_its_words_in_order() {
        let labels = labels();
        assert_eq!(labels.phrase(&words("and trust")), ["area=cyber"]);
        assert!(labels.phrase(&words("trust and")).is_empty());
        assert!(labels.phrase(&words("trust data")).is_empty());
    }
}
