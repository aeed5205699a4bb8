//! What countries and languages are called (`codes/places.csv`).
//!
//! A table of our own and not ICU4X's display names: those live in `icu_experimental`, whose code is
//! declared unstable and which brings 17 crates and 31 MB of sources for two columns of names.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use protocol::codes::primary_language;

const FILE: &str = include_str!("../../../codes/places.csv");

static NAMES: LazyLock<Names> = LazyLock::new(|| read(FILE));

/// Scheme and code to the English and the French name.
type Names = BTreeMap<(Box<str>, Box<str>), [Box<str>; 2]>;

fn read(file: &str) -> Names {
    let rows = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .from_reader(file.as_bytes())
        .into_records();
    // A test reads every row.
    rows.filter_map(Result::ok)
        .map(|row| {
            let cell = |column: usize| -> Box<str> { row.get(column).unwrap_or_default().into() };
            ((cell(0), cell(1)), [cell(2), cell(3)])
        })
        .collect()
}

fn name(scheme: &str, code: &str, language: &str) -> Option<&'static str> {
    let [en, fr] = NAMES.get(&(scheme.into(), code.into()))?;
    Some(if primary_language(language) == "fr" {
        fr
    } else {
        en
    })
}

/// The name of a country or territory (ISO 3166-1, two capitals).
pub(super) fn country(code: &str, language: &str) -> Option<&'static str> {
    name("country", code, language)
}

/// What a language is called, with the script and the country that its tag names: “Portuguese
/// (Brazil)”. The tag itself if the language is not in the table.
pub(super) fn language(tag: &str, language: &str) -> String {
    if let Some(name) = name("language", tag, language) {
        return capitalised(name);
    }
    let primary = primary_language(tag);
    let Some(name) = name("language", primary, language).map(capitalised) else {
        return tag.to_owned();
    };
    let rest: Vec<&str> = tag
        .split('-')
        .skip(1)
        .map(|part| country(part, language).unwrap_or(part))
        .collect();
    if rest.is_empty() {
        name
    } else {
        format!("{name} ({})", rest.join(", "))
    }
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// Every code of a scheme.
#[cfg(test)]
pub(super) fn codes(scheme: &str) -> Vec<String> {
    NAMES
        .keys()
        .filter(|(of, _)| **of == *scheme)
        .map(|(_, code)| code.to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{NAMES, country, language};

    #[test]
    fn every_country_has_its_names() {
        for listed in protocol::codes::geography::countries() {
            for tongue in ["en", "fr"] {
                assert!(
                    country(listed.code(), tongue).is_some_and(|name| !name.is_empty()),
                    "{}",
                    listed.code()
                );
            }
        }
        assert!(
            NAMES
                .values()
                .all(|names| names.iter().all(|name| !name.is_empty()))
        );
    }

    #[test]
    fn a_language_is_named_with_script_and_country() {
        assert_eq!(language("sw", "fr"), "Swahili");
        assert_eq!(language("pt-BR", "en"), "Portuguese (Brazil)");
        assert_eq!(language("zh-Hant", "fr"), "Chinois traditionnel");
        assert_eq!(language("x-ours", "en"), "x-ours");
    }
}
