//! What countries and languages are called (`codes/places.csv`).
//!
//! A table of our own and not ICU4X's display names: those live in `icu_experimental`, whose code is
//! declared unstable and which brings 17 crates and 31 MB of sources for two columns of names.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use protocol::codes::primary_language;

use crate::fold::fold;

const FILE: &str = include_str!("../codes/places.csv");

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
pub(crate) fn country(code: &str, language: &str) -> Option<&'static str> {
    name("country", code, language)
}

/// What a language is called, with the script and the country that its tag names: “Portuguese
/// (Brazil)”. The tag itself if the language is not in the table.
pub(crate) fn language(tag: &str, language: &str) -> String {
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

/// Names of countries that people write and the table does not have.
const COUNTRIES_ALSO: &[(&str, &str)] = &[
    ("Bolivia", "BO"),
    ("Brunei", "BN"),
    ("Burma", "MM"),
    ("Cape Verde", "CV"),
    ("Caribbean Netherlands", "BQ"),
    ("Congo, Democratic Republic of the", "CD"),
    ("Czech Republic", "CZ"),
    ("Democratic Republic of Congo", "CD"),
    ("DR Congo", "CD"),
    ("DRC", "CD"),
    ("East Timor", "TL"),
    ("England", "GB"),
    ("Falkland Islands", "FK"),
    ("Great Britain", "GB"),
    ("Hong Kong", "HK"),
    ("Iran", "IR"),
    ("Ivory Coast", "CI"),
    ("Kosovo", "XK"),
    ("Lao", "LA"),
    ("Laos", "LA"),
    ("Macao", "MO"),
    ("Macau", "MO"),
    ("Macedonia", "MK"),
    ("Micronesia", "FM"),
    ("Moldova", "MD"),
    ("North Korea", "KP"),
    ("Palestine", "PS"),
    ("Palestine State", "PS"),
    ("Republic of Korea", "KR"),
    ("Republic of the Congo", "CG"),
    ("Russia", "RU"),
    ("Saint Helena, Ascension and Tristan da Cunha", "SH"),
    ("South Korea", "KR"),
    ("St. Lucia", "LC"),
    ("Svalbard and Jan Mayen", "SJ"),
    ("Swaziland", "SZ"),
    ("Syria", "SY"),
    ("Taiwan", "TW"),
    ("Tanzania", "TZ"),
    ("The Gambia", "GM"),
    ("The Netherlands", "NL"),
    ("Turkey", "TR"),
    ("United Kingdom", "GB"),
    ("United States", "US"),
    ("USA", "US"),
    ("Venezuela", "VE"),
    ("Vietnam", "VN"),
    ("Virgin Islands, British", "VG"),
    ("Virgin Islands, U.S.", "VI"),
    ("Wallis and Futuna", "WF"),
];

/// What languages call themselves, and the codes of ISO 639-2 that tables have for them.
const LANGUAGES_ALSO: &[(&str, &str)] = &[
    ("عربي", "ar"),
    ("العربية", "ar"),
    ("ara", "ar"),
    ("amh", "am"),
    ("বাংলা", "bn"),
    ("ben", "bn"),
    ("Deutsch", "de"),
    ("deu", "de"),
    ("ger", "de"),
    ("eng", "en"),
    ("Castellano", "es"),
    ("Español", "es"),
    ("spa", "es"),
    ("fas", "fa"),
    ("per", "fa"),
    ("Français", "fr"),
    ("fra", "fr"),
    ("fre", "fr"),
    ("hau", "ha"),
    ("हिन्दी", "hi"),
    ("hin", "hi"),
    ("Bahasa Indonesia", "id"),
    ("ind", "id"),
    ("Italiano", "it"),
    ("ita", "it"),
    ("日本語", "ja"),
    ("jpn", "ja"),
    ("한국어", "ko"),
    ("kor", "ko"),
    ("Português", "pt"),
    ("por", "pt"),
    ("Русский", "ru"),
    ("rus", "ru"),
    ("som", "so"),
    ("Kiswahili", "sw"),
    ("swa", "sw"),
    ("tam", "ta"),
    ("tur", "tr"),
    ("ukr", "uk"),
    ("urd", "ur"),
    ("vie", "vi"),
    ("中文", "zh"),
    ("chi", "zh"),
    ("zho", "zh"),
];

/// Folded names to codes, by scheme.
static CODES: LazyLock<HashMap<(&str, String), &str>> = LazyLock::new(|| {
    let shipped = NAMES.iter().flat_map(|((scheme, code), names)| {
        // “Bolivia (Plurinational State of)” is known without what stands in brackets, too.
        let plain = |name: &'static str| name.split_once(" (").map_or(name, |(name, _)| name);
        let whole = names.iter().map(|name| (&**scheme, fold(name), &**code));
        let short = names
            .iter()
            .map(move |name| (&**scheme, fold(plain(name)), &**code));
        whole.chain(short)
    });
    let also = |scheme, list: &'static [(&str, &'static str)]| {
        list.iter()
            .map(move |(name, code)| (scheme, fold(name), *code))
    };
    let mut codes = HashMap::new();
    for (scheme, name, code) in also("country", COUNTRIES_ALSO)
        .chain(also("language", LANGUAGES_ALSO))
        .chain(shipped)
    {
        codes.entry((scheme, name)).or_insert(code);
    }
    codes
});

/// The country that goes by this name, in whatever case and with or without accents.
pub(crate) fn country_named(name: &str) -> Option<&'static str> {
    let found = |name: &str| CODES.get(&("country", fold(name))).copied();
    // “Eswatini (formerly Swaziland)” is Eswatini.
    found(name).or_else(|| found(name.split_once(" (")?.0))
}

/// The tag of the language that goes by this name.
pub(crate) fn language_named(name: &str) -> Option<&'static str> {
    CODES.get(&("language", fold(name))).copied()
}

/// Every code of a scheme.
#[cfg(test)]
pub(crate) fn codes(scheme: &str) -> Vec<String> {
    NAMES
        .keys()
        .filter(|(of, _)| **of == *scheme)
        .map(|(_, code)| code.to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{
        COUNTRIES_ALSO, LANGUAGES_ALSO, NAMES, country, country_named, language, language_named,
    };

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
    #[test]
    fn every_name_leads_back_to_a_code_of_its_own() {
        for ((scheme, code), names) in NAMES.iter() {
            for name in names {
                let found = match &**scheme {
                    "country" => country_named(name),
                    _ => language_named(name),
                };
                // Two codes may share a name (Congo; Chinese): it leads to one of them.
                let found = found.unwrap_or_else(|| panic!("{name} is not found"));
                let shared = NAMES[&(scheme.clone(), found.into())].contains(name);
                assert!(*found == **code || shared, "{name}: {found}, {code}");
            }
        }
        for (name, code) in COUNTRIES_ALSO {
            assert_eq!(country_named(name), Some(*code), "{name}");
        }
        for (name, code) in LANGUAGES_ALSO {
            assert_eq!(language_named(name), Some(*code), "{name}");
        }
        assert_eq!(country_named("cote d'ivoire"), Some("CI"));
        assert_eq!(country_named("Kénya"), Some("KE"));
        assert_eq!(country_named("Eswatini (fmr. 'Swaziland')"), Some("SZ"));
        assert_eq!(country_named("Atlantis"), None);
        assert_eq!(language_named("portugais"), Some("pt"));
    }
}
