//! Language tags (BCP 47): whether one is well-formed, and how it is written.
//!
//! Owns the syntax of RFC 5646. Refuses to know which languages exist: a tag for a language that no
//! list has works like any other. So it neither replaces outdated subtags (`iw`) nor finds the
//! nearest language a reader may understand.

/// The longest tag accepted, in bytes. RFC 5646, section 4.4.1, reckons with 35 at the least.
pub const LANGUAGE_TAG_BYTES_MAX: usize = 64;

/// `text` as a well-formed language tag in the conventional case, or `None`.
///
/// Follows RFC 5646, section 2.1: language, up to three extended languages, script, region,
/// variants, extensions, private use; also a tag of private use alone (`x-…`). Refused besides bad
/// syntax: repeated variants and repeated extension letters (sections 2.2.5 and 2.2.6), the
/// irregular tags of old (`i-klingon`, `sgn-BE-FR`, `en-GB-oed`), `_` for `-`, and anything longer
/// than [`LANGUAGE_TAG_BYTES_MAX`].
///
/// ```
/// use baraza_protocol::codes::language::language_tag;
///
/// assert_eq!(language_tag("pt-br").as_deref(), Some("pt-BR"));
/// assert_eq!(language_tag("ZH-hant-tw").as_deref(), Some("zh-Hant-TW"));
/// assert_eq!(language_tag("english, French"), None);
/// ```
pub fn language_tag(text: &str) -> Option<String> {
    if text.len() > LANGUAGE_TAG_BYTES_MAX {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let subtags: Vec<&str> = lower.split('-').collect();
    if !subtags.iter().all(|subtag| is_subtag(subtag)) {
        return None;
    }

    let mut rest = subtags.as_slice();
    let mut tag = String::with_capacity(text.len());
    if rest[0] != "x" {
        let language = next(&mut rest, |subtag| is_letters(subtag, 2, 8))?;
        tag.push_str(language);
        if language.len() <= 3 {
            for _ in 0..3 {
                if let Some(extended) = next(&mut rest, |subtag| is_letters(subtag, 3, 3)) {
                    push(&mut tag, extended);
                }
            }
        }
        if let Some(script) = next(&mut rest, |subtag| is_letters(subtag, 4, 4)) {
            push(&mut tag, &script[..1].to_ascii_uppercase());
            tag.push_str(&script[1..]);
        }
        if let Some(region) = next(&mut rest, is_region) {
            push(&mut tag, &region.to_ascii_uppercase());
        }
        let variants = rest;
        while let Some(variant) = next(&mut rest, is_variant) {
            let earlier = &variants[..variants.len() - rest.len() - 1];
            if earlier.contains(&variant) {
                return None;
            }
            push(&mut tag, variant);
        }
    }

    let mut letters_used = Vec::new();
    while let Some(letter) = next(&mut rest, |subtag| subtag.len() == 1) {
        if letters_used.contains(&letter) {
            return None;
        }
        letters_used.push(letter);
        push(&mut tag, letter);
        // After `x` the tag belongs to its users: single letters and repetitions too.
        let private = letter == "x";
        let mut has_content = false;
        while let Some(content) = next(&mut rest, |subtag| private || subtag.len() >= 2) {
            push(&mut tag, content);
            has_content = true;
        }
        if !has_content {
            return None;
        }
    }
    rest.is_empty().then_some(tag)
}

/// The language alone, without script, region and the rest: `pt` of `pt-BR`. A tag of private use
/// (`x-…`) is given back whole, for two such tags share no language.
///
/// Takes a tag as [`language_tag`] gives it; other text comes back up to its first `-`.
pub fn primary_language(tag: &str) -> &str {
    match tag.split_once('-') {
        Some(("x" | "X", _)) | None => tag,
        Some((language, _)) => language,
    }
}

/// Whether a well-formed tag stands for no language that there is: a first subtag of four letters is
/// reserved, and none of five to eight was ever registered (RFC 5646, section 2.2.1). It is mostly the
/// name of a language. Whoever writes a record is told; a record that is signed stays what it is.
///
/// ```
/// use baraza_protocol::codes::language::{is_no_language, meant_by};
///
/// assert!(is_no_language("english") && !is_no_language("en") && !is_no_language("x-english"));
/// assert_eq!(meant_by("English"), Some("en"));
/// ```
pub fn is_no_language(tag: &str) -> bool {
    let language = primary_language(tag);
    language.len() > 3 && !language.starts_with("x-")
}

/// The code of a language that was written by name, for some names of the languages most met.
pub fn meant_by(name: &str) -> Option<&'static str> {
    let name = primary_language(name).to_lowercase();
    let (_, code) = NAMES.iter().find(|(known, _)| *known == name)?;
    Some(code)
}

const NAMES: [(&str, &str); 48] = [
    ("amharic", "am"),
    ("arabe", "ar"),
    ("arabic", "ar"),
    ("bahasa", "id"),
    ("bengali", "bn"),
    ("burmese", "my"),
    ("chinese", "zh"),
    ("chinois", "zh"),
    ("creole", "ht"),
    ("deutsch", "de"),
    ("dutch", "nl"),
    ("english", "en"),
    ("anglais", "en"),
    ("espagnol", "es"),
    ("espanol", "es"),
    ("español", "es"),
    ("farsi", "fa"),
    ("filipino", "fil"),
    ("francais", "fr"),
    ("français", "fr"),
    ("french", "fr"),
    ("german", "de"),
    ("greek", "el"),
    ("hausa", "ha"),
    ("hindi", "hi"),
    ("igbo", "ig"),
    ("ingles", "en"),
    ("inglés", "en"),
    ("italian", "it"),
    ("japanese", "ja"),
    ("khmer", "km"),
    ("korean", "ko"),
    ("malay", "ms"),
    ("nepali", "ne"),
    ("persian", "fa"),
    ("polish", "pl"),
    ("portuguese", "pt"),
    ("russian", "ru"),
    ("sinhala", "si"),
    ("somali", "so"),
    ("spanish", "es"),
    ("swahili", "sw"),
    ("kiswahili", "sw"),
    ("tamil", "ta"),
    ("turkish", "tr"),
    ("urdu", "ur"),
    ("wolof", "wo"),
    ("yoruba", "yo"),
];

/// The first of `rest`, taken off it, if it `fits`.
fn next<'a>(rest: &mut &[&'a str], fits: impl Fn(&str) -> bool) -> Option<&'a str> {
    let (first, others) = rest.split_first()?;
    if !fits(first) {
        return None;
    }
    *rest = others;
    Some(first)
}

fn push(tag: &mut String, subtag: &str) {
    if !tag.is_empty() {
        tag.push('-');
    }
    tag.push_str(subtag);
}

fn is_subtag(text: &str) -> bool {
    (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_letters(subtag: &str, length_min: usize, length_max: usize) -> bool {
    (length_min..=length_max).contains(&subtag.len())
        && subtag.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn is_region(subtag: &str) -> bool {
    is_letters(subtag, 2, 2)
        || (subtag.len() == 3 && subtag.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_variant(subtag: &str) -> bool {
    let starts_with_digit = subtag
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_digit());
    subtag.len() >= 5 || (subtag.len() == 4 && starts_with_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_well_formed_tag_comes_back_in_the_conventional_case() {
        // The examples of RFC 5646, appendix A, and tags met in the data we import.
        let cases = [
            ("de", "de"),
            ("FR", "fr"),
            ("pt-br", "pt-BR"),
            ("ZH-hant-tw", "zh-Hant-TW"),
            ("zh-cmn-hans-cn", "zh-cmn-Hans-CN"),
            ("CMN-HANS-CN", "cmn-Hans-CN"),
            ("zh-yue-hk", "zh-yue-HK"),
            ("sr-latn-rs", "sr-Latn-RS"),
            ("sl-rozaj-biske", "sl-rozaj-biske"),
            ("SL-NEDIS", "sl-nedis"),
            ("de-ch-1901", "de-CH-1901"),
            ("sl-it-nedis", "sl-IT-nedis"),
            ("hy-latn-it-arevela", "hy-Latn-IT-arevela"),
            ("es-419", "es-419"),
            ("de-ch-X-Phonebk", "de-CH-x-phonebk"),
            ("az-arab-x-aze-derbend", "az-Arab-x-aze-derbend"),
            ("x-whatever", "x-whatever"),
            ("qaa-qaaa-qm-x-southern", "qaa-Qaaa-QM-x-southern"),
            ("de-qaaa", "de-Qaaa"),
            ("sr-qm", "sr-QM"),
            ("en-us-u-islamcal", "en-US-u-islamcal"),
            ("zh-cn-a-myext-x-private", "zh-CN-a-myext-x-private"),
            ("en-a-myext-b-another", "en-a-myext-b-another"),
            ("en-u-ca-gregory-nu-latn", "en-u-ca-gregory-nu-latn"),
            ("en-x-a-a-b", "en-x-a-a-b"),
            ("ca-es-valencia", "ca-ES-valencia"),
            ("ff-adlm-sn", "ff-Adlm-SN"),
            ("sw", "sw"),
            ("tlh", "tlh"),
            ("abcd", "abcd"),
            ("abcdefgh", "abcdefgh"),
            ("cel-gaulish", "cel-gaulish"),
            ("zh-min-nan", "zh-min-nan"),
        ];
        for (written, conventional) in cases {
            assert_eq!(
                language_tag(written).as_deref(),
                Some(conventional),
                "{written}"
            );
        }
    }

    #[test]
    fn the_conventional_form_of_a_tag_is_its_own() {
        for tag in ["pt-BR", "zh-Hant-TW", "de-CH-1901-x-a", "en-u-ca-gregory"] {
            assert_eq!(language_tag(tag).as_deref(), Some(tag));
        }
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        let cases = [
            "",
            "-",
            "e",
            "en-",
            "-en",
            "en--us",
            "pt_BR",
            "en us",
            "english language",
            "abcdefghi",
            "e1",
            "12",
            "419",
            "français",
            "عربي",
            "de-419-de",
            "a-de",
            "en-us-us",
            "en-latn-latn",
            "en-us-latn",
            "abcd-cmn",
            "zh-aaa-bbb-ccc-ddd",
            "en-a",
            "en-a-x-b",
            "en-a-b",
            "en-x",
            "x",
            "x-",
            "en-abcdefghi",
            "en\0",
            "en-us ",
        ];
        for text in cases {
            assert_eq!(language_tag(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_subtag_said_twice_is_refused() {
        assert_eq!(language_tag("de-DE-1901-1901"), None);
        assert_eq!(language_tag("sl-rozaj-biske-ROZAJ"), None);
        assert_eq!(language_tag("en-a-bbb-a-ccc"), None);
        assert_eq!(language_tag("ar-a-aaa-b-bbb-A-ccc"), None);
    }

    #[test]
    fn names_of_languages_are_told_from_codes() {
        for name in ["english", "English-GB", "urdu", "abcdefgh"] {
            assert!(is_no_language(name), "{name}");
            assert!(language_tag(name).is_some(), "{name}");
        }
        for tag in ["en", "fil", "en-GB", "x-english", "sgn-x-english"] {
            assert!(!is_no_language(tag), "{tag}");
        }
        for (name, code) in NAMES {
            assert_eq!(meant_by(name), Some(code));
            assert_eq!(language_tag(code).as_deref(), Some(code));
        }
        assert_eq!(meant_by("klingon"), None);
    }

    #[test]
    fn the_irregular_tags_of_old_are_refused() {
        for text in ["i-klingon", "i-default", "en-GB-oed", "sgn-BE-FR"] {
            assert_eq!(language_tag(text), None, "{text}");
        }
    }

    #[test]
    fn a_tag_may_not_be_longer_than_the_limit() {
        let longest = format!("en-x-{}a", "abcdef-".repeat(8));
        assert!(longest.len() <= LANGUAGE_TAG_BYTES_MAX);
        assert_eq!(language_tag(&longest), Some(longest));
        assert_eq!(
            language_tag(&format!("en-x-{}a", "abcdef-".repeat(9))),
            None
        );
    }

    #[test]
    fn the_primary_language_is_what_precedes_script_and_region() {
        assert_eq!(primary_language("pt-BR"), "pt");
        assert_eq!(primary_language("zh-Hant-TW"), "zh");
        assert_eq!(primary_language("sw"), "sw");
        assert_eq!(primary_language("x-ours"), "x-ours");
        assert_eq!(primary_language(""), "");
    }
}
