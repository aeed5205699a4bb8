//! The code lists that ship with the program: the words in which a record says what it is about.
//!
//! Owns the codes, their reading order, and the facts that hang on a code (the area of a topic, the
//! regions of a country). A plain string in a coded field of a record is a code of the list for
//! that field; another list is named in full, `{"scheme": …, "code": …}` (protocol, section 2).
//!
//! Refuses: labels (the node's `codes/labels.csv` has them, in every interface language), lists
//! that an operator brings, mappings between lists, and judging records. A code that is not listed
//! here is unknown, not wrong: it may belong to a newer version of this program.
//!
//! Read next: [`Scheme`], then [`geography`] and [`language`] for codes with a structure.

use std::cmp::Reverse;

pub mod geography;
pub mod language;
mod lists;
mod topics;

pub use language::{language_tag, primary_language};
pub use lists::{
    AUDIENCES, BUILDING_BLOCKS, CAPACITY, CERTIFICATE_KINDS, COST_KINDS, ENDORSEMENT_CLAIMS,
    LEVELS, MATURITY, MODES, OFFERING_KINDS, ORGANIZATION_KINDS, SDG_TARGETS, SECTORS_DAC,
    SOLUTION_KINDS, building_block_from_dial, iati_organization_type, organization_kind_from_iati,
};
pub use topics::{AREAS, TOPICS, area_of, topics_in};

/// Every shipped list, in the order in which a record page shows them.
pub static SCHEMES: [&Scheme; 16] = [
    &AREAS,
    &TOPICS,
    &AUDIENCES,
    &LEVELS,
    &MODES,
    &OFFERING_KINDS,
    &ORGANIZATION_KINDS,
    &SOLUTION_KINDS,
    &COST_KINDS,
    &CERTIFICATE_KINDS,
    &CAPACITY,
    &MATURITY,
    &SDG_TARGETS,
    &SECTORS_DAC,
    &BUILDING_BLOCKS,
    &geography::REGIONS,
];

/// The shipped list of this name, as in [`Scheme::name`]; `None` if there is none.
pub fn scheme(name: &str) -> Option<&'static Scheme> {
    SCHEMES.into_iter().find(|scheme| scheme.name == name)
}

/// A closed list of codes under one name.
///
/// Codes are ASCII, lower case, and unique within their list; two lists may share a code.
///
/// ```
/// use baraza_protocol::codes::AREAS;
///
/// assert!(AREAS.contains("cyber"));
/// assert!(!AREAS.contains("Cyber"));
/// assert_eq!(AREAS.nearest("cybr"), Some("cyber"));
/// ```
#[derive(Debug)]
pub struct Scheme {
    name: &'static str,
    codes: &'static [&'static str],
}

impl Scheme {
    /// The name that the list has in the labels file and in messages: singular, kebab-case.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// All codes, in the order in which a person should read them: levels from easy to hard,
    /// topics by area. Not sorted by letters.
    pub const fn codes(&self) -> &'static [&'static str] {
        self.codes
    }

    /// Whether `code` is listed, written exactly so.
    pub fn contains(&self, code: &str) -> bool {
        self.get(code).is_some()
    }

    /// The listed code equal to `code`, so that a caller can keep it without copying.
    pub fn get(&self, code: &str) -> Option<&'static str> {
        // The longest list has 169 short codes: a scan costs less than keeping a second, sorted
        // copy in step with the reading order.
        self.codes.iter().copied().find(|listed| *listed == code)
    }

    /// The code the writer of `text` most likely meant, for an error message; never for guessing
    /// on the writer's behalf.
    ///
    /// Looks, in this order, for the same code in another spelling (`In person`), one a few
    /// letters off (`cybr`), one that begins `text` or that `text` begins (`cybersecurity`). Codes
    /// with a digit match by spelling only (`4.B`): a wrong digit names another code, not this one.
    pub fn nearest(&self, text: &str) -> Option<&'static str> {
        // The comparison costs length times length; no code comes near this.
        if text.len() > SUGGESTION_BYTES_MAX {
            return None;
        }
        let text = code_spelling(text);
        if let Some(code) = self.get(&text) {
            return Some(code);
        }
        let words = || self.codes.iter().copied().filter(|code| !has_digit(code));

        let letters: Vec<char> = text.chars().collect();
        words()
            .map(|code| (code, edit_distance(&letters, code)))
            .filter(|(code, edits)| *edits <= edits_allowed(letters.len().max(code.len())))
            .min_by_key(|(_, edits)| *edits)
            .map(|(code, _)| code)
            .or_else(|| {
                words()
                    .filter(|code| text.len().min(code.len()) >= STEM_BYTES_MIN)
                    .filter(|code| code.starts_with(&text) || text.starts_with(code))
                    .min_by_key(|code| (text.len().abs_diff(code.len()), Reverse(code.len())))
            })
    }
}

const SUGGESTION_BYTES_MAX: usize = 64;

/// Shorter beginnings than this are shared by words that have nothing to do with each other.
const STEM_BYTES_MIN: usize = 4;

/// How a person's spelling would look as a code: `In person` is `in-person`.
fn code_spelling(text: &str) -> String {
    text.trim()
        .to_lowercase()
        .split([' ', '_', '-'])
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

fn has_digit(code: &str) -> bool {
    code.bytes().any(|byte| byte.is_ascii_digit())
}

/// One slip for every four letters, and never so many that another word is meant.
fn edits_allowed(letters: usize) -> usize {
    (letters / 4).clamp(1, 3)
}

/// Letters added, dropped, replaced, or swapped with their neighbour to turn `text` into `code`
/// (optimal string alignment: no letter is edited twice).
fn edit_distance(text: &[char], code: &str) -> usize {
    let code: Vec<char> = code.chars().collect();
    let mut two_before = vec![0; code.len() + 1];
    let mut before: Vec<usize> = (0..=code.len()).collect();
    for i in 1..=text.len() {
        let mut row = vec![i; code.len() + 1];
        for j in 1..=code.len() {
            let replaced = before[j - 1] + usize::from(text[i - 1] != code[j - 1]);
            row[j] = replaced.min(before[j] + 1).min(row[j - 1] + 1);
            let swapped =
                i > 1 && j > 1 && text[i - 1] == code[j - 2] && text[i - 2] == code[j - 1];
            if swapped {
                row[j] = row[j].min(two_before[j - 2] + 1);
            }
        }
        two_before = before;
        before = row;
    }
    before[code.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_list_is_found_by_its_name_and_by_no_other() {
        for listed in SCHEMES {
            assert_eq!(
                scheme(listed.name()).map(Scheme::codes),
                Some(listed.codes())
            );
        }
        let names: BTreeSet<_> = SCHEMES.iter().map(|scheme| scheme.name()).collect();
        assert_eq!(names.len(), SCHEMES.len());
        assert!(scheme("").is_none());
        assert!(scheme("Area").is_none());
    }

    #[test]
    fn every_code_is_listed_once_and_is_safe_in_a_url_and_a_file_name() {
        for scheme in SCHEMES {
            let mut seen = BTreeSet::new();
            for code in scheme.codes() {
                assert!(seen.insert(code), "{} lists {code} twice", scheme.name());
                assert!(scheme.contains(code));
                let mut letters = code.chars();
                assert!(
                    letters.next().is_some_and(|c| c.is_ascii_alphanumeric()),
                    "{code}"
                );
                assert!(
                    letters
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c)),
                    "{code}"
                );
                assert!(code.len() <= SUGGESTION_BYTES_MAX);
            }
        }
    }

    #[test]
    fn a_code_is_known_only_in_its_own_spelling() {
        assert!(MODES.contains("in-person"));
        for other in [
            "In-person",
            "in person",
            " in-person",
            "in-person ",
            "",
            "in-persons",
        ] {
            assert!(!MODES.contains(other), "{other:?}");
        }
    }

    #[test]
    fn a_misspelt_code_brings_the_one_that_was_meant() {
        let cases: [(&Scheme, &str, &str); 12] = [
            (&AREAS, "cybr", "cyber"),
            (&AREAS, "cybersecurity", "cyber"),
            (&AREAS, "digital_litteracy", "digital-literacy"),
            (&AREAS, "conectivity", "connectivity"),
            (&TOPICS, "incident-respons", "incident-response"),
            (&AUDIENCES, "yuoth", "youth"),
            (
                &AUDIENCES,
                "Persons with disabilities",
                "persons-with-disabilities",
            ),
            (&MODES, "In person", "in-person"),
            (&OFFERING_KINDS, "courses", "course"),
            (&OFFERING_KINDS, "program", "programme"),
            (&ORGANIZATION_KINDS, "NGOs", "ngo"),
            (&SDG_TARGETS, "4.B", "4.b"),
        ];
        for (scheme, written, meant) in cases {
            assert_eq!(scheme.nearest(written), Some(meant), "{written}");
        }
    }

    #[test]
    fn a_listed_code_is_nearest_to_itself() {
        for scheme in SCHEMES {
            for code in scheme.codes() {
                assert_eq!(scheme.nearest(code), Some(*code));
            }
        }
    }

    #[test]
    fn nothing_is_suggested_for_what_resembles_no_code() {
        for text in ["", " ", "-", "x", "agriculture", "أمن", "é"] {
            assert_eq!(AREAS.nearest(text), None, "{text:?}");
        }
        assert_eq!(AREAS.nearest(&"cyber".repeat(1000)), None);
    }

    #[test]
    fn a_wrong_number_brings_no_other_number() {
        assert_eq!(SDG_TARGETS.nearest("4.9"), None);
        assert_eq!(SECTORS_DAC.nearest("22041"), None);
        assert_eq!(geography::REGIONS.nearest("003"), None);
    }

    #[test]
    fn swapped_neighbours_count_as_one_slip() {
        let distance = |text: &str, code| edit_distance(&text.chars().collect::<Vec<_>>(), code);
        assert_eq!(distance("yuoth", "youth"), 1);
        assert_eq!(distance("", "youth"), 5);
        assert_eq!(distance("youth", ""), 5);
        assert_eq!(distance("youth", "youth"), 0);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
