//! What codes are called, in every language of the interface. Facts of geography and language names
//! come with the program too, so that a page never shows a bare code where it has a name.

use std::collections::BTreeMap;

use crate::search::{Facet, LabelWords};

/// The languages in which codes have labels, in the order of the file's columns.
pub const LANGUAGES: [&str; 6] = ["en", "fr", "es", "pt", "ar", "sw"];

/// The labels that ship with the program.
const FILE: &str = include_str!("../codes/labels.csv");

/// The file that ships is broken: a defect of the build.
#[derive(Debug, thiserror::Error)]
#[error("the labels that ship with this program do not read: {0}")]
pub struct LabelsError(String);

/// The labels of one code, in the order of [`LANGUAGES`].
type ByLanguage = [Box<str>; LANGUAGES.len()];

/// The labels of codes.
#[derive(Debug)]
pub struct Labels {
    /// By scheme and code.
    by_code: BTreeMap<(Box<str>, Box<str>), ByLanguage>,
}

impl Labels {
    /// Reads the labels that ship.
    ///
    /// # Errors
    /// The file is broken.
    pub fn shipped() -> Result<Self, LabelsError> {
        let broken = |error: &dyn std::fmt::Display| LabelsError(error.to_string());
        let mut by_code = BTreeMap::new();
        for row in csv::Reader::from_reader(FILE.as_bytes()).records() {
            let row = row.map_err(|error| broken(&error))?;
            let cell = |column: usize| row.get(column).unwrap_or_default();
            let labels = std::array::from_fn(|language| cell(language + 2).into());
            by_code.insert((cell(0).into(), cell(1).into()), labels);
        }
        Ok(Self { by_code })
    }

    /// The label of a code, in `language` or else in English; `None` for a code that has none.
    pub fn of(&self, scheme: &str, code: &str, language: &str) -> Option<&str> {
        let labels = self.by_code.get(&(scheme.into(), code.into()))?;
        let primary = protocol::codes::primary_language(language);
        let position = LANGUAGES
            .iter()
            .position(|known| *known == primary)
            .unwrap_or(0);
        labels
            .get(position)
            .filter(|label| !label.is_empty())
            .or(labels.first())
            .map(AsRef::as_ref)
    }

    /// Every label: scheme, code, language, label.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, &str, &str)> {
        self.by_code.iter().flat_map(|((scheme, code), labels)| {
            let labels = LANGUAGES.into_iter().zip(labels);
            labels.map(|(language, label)| (&**scheme, &**code, language, &**label))
        })
    }

    /// By which words a search finds codes. Those of prices and certificates are left out: they speak
    /// of what is not offered, too (`no certificate`).
    pub fn words(&self) -> LabelWords {
        LabelWords::of(self.all().filter_map(|(scheme, code, language, label)| {
            let facet = match scheme {
                "area" => Facet::Area,
                "topic" => Facet::Topic,
                "audience" => Facet::Audience,
                "level" => Facet::Level,
                "mode" => Facet::Mode,
                "kind" | "organization-kind" | "solution-kind" => Facet::Kind,
                _ => return None,
            };
            Some((facet, code, language, label))
        }))
    }

    /// The code of a scheme that has this label in some language, whatever the case.
    pub fn find(&self, scheme: &str, label: &str) -> Option<&str> {
        let wanted = label.trim().to_lowercase();
        self.by_code
            .iter()
            .filter(|((of, _), _)| **of == *scheme)
            .find(|(_, labels)| labels.iter().any(|label| label.to_lowercase() == wanted))
            .map(|((_, code), _)| code.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use protocol::codes::SCHEMES;

    use super::{LANGUAGES, Labels};

    #[test]
    fn every_shipped_code_has_a_label_in_every_language() {
        let labels = Labels::shipped().unwrap();
        for scheme in SCHEMES
            .iter()
            .filter(|scheme| scheme.name() != "sdg-target")
        {
            for code in scheme.codes() {
                let found = labels.all().filter(|(of, labelled, _, label)| {
                    *of == scheme.name() && labelled == code && !label.is_empty()
                });
                assert_eq!(found.count(), LANGUAGES.len(), "{} {code}", scheme.name());
            }
        }
    }

    #[test]
    fn a_code_is_found_by_its_label_in_any_language() {
        let labels = Labels::shipped().unwrap();
        assert_eq!(labels.of("audience", "women", "fr-SN"), Some("Femmes"));
        assert_eq!(labels.find("audience", "femmes"), Some("women"));
        assert_eq!(labels.find("audience", "nobody in particular"), None);
    }
}
