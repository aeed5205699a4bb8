//! Texts and addresses that strangers wrote, made ready to be shown: which language they are in,
//! whether they may deceive the eye, whether an address may become a link.
//!
//! Escaping is the templates' affair. Every text that comes from here stands in an element of its
//! own with `dir="auto"`, so that whatever direction it forces ends with it.

use askama::Template;
use askama::filters::HtmlSafe;
use icu_properties::props::{DefaultIgnorableCodePoint, Script};
use icu_properties::{CodePointMapData, CodePointSetData};
use protocol::codes::primary_language;
use protocol::record::TextMap;
use url::Url;

use super::words::Words;
use crate::catalogue::choose;
use crate::places;

/// A text that somebody wrote. Shown, it stands in an isolate of its own.
#[derive(Clone, Template)]
#[template(path = "said.html")]
pub(super) struct Said {
    words: &'static Words,
    /// The text, without control characters.
    pub(super) text: String,
    /// The tag of its language, if that is not the page's.
    pub(super) lang: Option<String>,
    /// What that language is called, where it is to be shown.
    pub(super) mark: Option<String>,
    /// It has characters that cannot be seen, or mixes scripts within a word.
    is_unusual: bool,
}

// Its template escapes the text.
impl HtmlSafe for Said {}

impl Said {
    /// A text of no known language: a name, a host.
    pub(super) fn plain(text: &str, words: &'static Words) -> Self {
        Self {
            words,
            text: visible(text),
            lang: None,
            mark: None,
            is_unusual: is_unusual(text),
        }
    }

    /// A text in the language that `tag` names.
    pub(super) fn tagged(text: &str, tag: &str, words: &'static Words) -> Self {
        let is_ours = primary_language(tag) == words.code();
        Self {
            lang: (!is_ours).then(|| tag.to_owned()),
            mark: (!is_ours).then(|| places::language(tag, words.code())),
            ..Self::plain(text, words)
        }
    }

    /// The text in the first of `languages` that it has, else in the `original` one, else in any.
    pub(super) fn chosen(
        text: &TextMap,
        languages: &[&str],
        original: Option<&str>,
        words: &'static Words,
    ) -> Option<Self> {
        choose(text, languages, original).map(|(tag, text)| Self::tagged(text, tag, words))
    }

    /// Without the name of its language: for a text next to one that has it.
    #[must_use]
    pub(super) fn beside(self, other: &Self) -> Self {
        Self {
            mark: self.mark.filter(|_| self.lang != other.lang),
            ..self
        }
    }

    /// The first words of it, up to `chars_max` characters.
    #[must_use]
    pub(super) fn shortened(mut self, chars_max: usize) -> Self {
        if self.text.chars().count() > chars_max {
            let cut: String = self.text.chars().take(chars_max).collect();
            let end = cut
                .rfind(char::is_whitespace)
                .filter(|end| *end > chars_max / 2)
                .unwrap_or(cut.len());
            self.text = format!("{}…", cut.get(..end).unwrap_or(&cut).trim_end());
        }
        self
    }

    /// Its paragraphs, of the same language.
    pub(super) fn paragraphs(&self) -> impl Iterator<Item = &str> {
        self.text
            .split("\n\n")
            .map(str::trim)
            .filter(|paragraph| !paragraph.is_empty())
    }
}

/// The text without control characters, which HTML cannot hold; line ends stay.
fn visible(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .filter(|next| *next == '\n' || !next.is_control())
        .collect()
}

/// Whether a name has characters that cannot be seen, or a word in more than one script: both are
/// how one name is made to look like another. Whole names in another script are not found out by
/// this, which is why the host always stands beside a name.
pub(super) fn is_unusual(text: &str) -> bool {
    has_unseen(text)
        || text
            .split(|next: char| !next.is_alphabetic())
            .any(mixes_scripts)
}

const ZERO_WIDTH_JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];
const DIRECTION_MARKS: [char; 3] = ['\u{200e}', '\u{200f}', '\u{61c}'];
const EMOJI_STYLES: [char; 2] = ['\u{fe0e}', '\u{fe0f}'];

fn has_unseen(text: &str) -> bool {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let scripts = CodePointMapData::<Script>::new();
    let is_right_to_left = text.chars().any(|next| is_right_to_left(scripts.get(next)));
    let letters: Vec<char> = text.chars().collect();
    let unseen = |(position, next): (usize, &char)| match *next {
        '\n' | '\r' | '\t' => false,
        // Persian, Hindi and emoji are written with them, between two characters of theirs.
        joiner if ZERO_WIDTH_JOINERS.contains(&joiner) => {
            let before = position
                .checked_sub(1)
                .and_then(|before| letters.get(before));
            let joins = |side: Option<&char>| {
                side.is_some_and(|side| takes_joiners(scripts.get(*side), *side))
            };
            !(joins(before) && joins(letters.get(position + 1)))
        }
        mark if DIRECTION_MARKS.contains(&mark) => !is_right_to_left,
        style if EMOJI_STYLES.contains(&style) => false,
        next => {
            next.is_control()
                || ignorable.contains(next)
                || is_private(next)
                || is_bidi_control(next)
        }
    };
    letters.iter().enumerate().any(unseen)
}

fn is_bidi_control(next: char) -> bool {
    matches!(next, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_private(next: char) -> bool {
    matches!(next, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..)
}

fn is_right_to_left(script: Script) -> bool {
    [
        Script::Arabic,
        Script::Hebrew,
        Script::Syriac,
        Script::Thaana,
        Script::Nko,
        Script::Adlam,
    ]
    .contains(&script)
}

fn takes_joiners(script: Script, letter: char) -> bool {
    let is_spaced = [
        Script::Latin,
        Script::Cyrillic,
        Script::Greek,
        Script::Armenian,
        Script::Georgian,
    ];
    let is_emoji =
        matches!(letter, '\u{fe0f}' | '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}');
    is_emoji || !(is_spaced.contains(&script) || script == Script::Common)
}

/// Whether the letters of one word are of scripts that are not written together (UTS 39, 5.2, highly
/// restrictive).
fn mixes_scripts(word: &str) -> bool {
    let scripts = CodePointMapData::<Script>::new();
    let east_asian = [
        Script::Han,
        Script::Hiragana,
        Script::Katakana,
        Script::Hangul,
        Script::Bopomofo,
        Script::Latin,
    ];
    let mut found: Vec<Script> = Vec::new();
    for script in word.chars().map(|letter| scripts.get(letter)) {
        if script != Script::Common && script != Script::Inherited && !found.contains(&script) {
            found.push(script);
        }
    }
    found.len() > 1 && !found.iter().all(|script| east_asian.contains(script))
}

/// An address that a stranger gave.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "web.html")]
pub(super) enum Web {
    /// It may be followed: where it leads, with the host in full.
    Link {
        /// The whole address.
        href: String,
        /// The host, and the port where it is not the usual one; in ASCII, so that no letter of it
        /// looks like another.
        host: String,
        /// What follows the host.
        path: String,
    },
    /// It is shown and not linked.
    Text(String),
}

// Its template escapes every part.
impl HtmlSafe for Web {}

impl Web {
    /// Reads an address: only web addresses without credentials become links.
    pub(super) fn read(text: &str) -> Self {
        let url = Url::parse(text).ok().filter(|url| {
            matches!(url.scheme(), "https" | "http")
                && url.username().is_empty()
                && url.password().is_none()
                && text.trim() == text
                && !text.chars().any(char::is_control)
        });
        let Some((url, host)) = url.and_then(|url| {
            url.host_str()
                .map(ToOwned::to_owned)
                .map(|host| (url, host))
        }) else {
            return Self::Text(visible(text));
        };
        let host = url
            .port()
            .map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let mut path = url.path().to_owned();
        if let Some(query) = url.query() {
            path = format!("{path}?{query}");
        }
        if path == "/" {
            path.clear();
        }
        if path.chars().count() > 40 {
            path = path.chars().take(39).chain(['…']).collect();
        }
        Self::Link {
            href: url.into(),
            host,
            path,
        }
    }
}

/// `mailto:` for an address of mail, if it is plainly one.
pub(super) fn mail_href(text: &str) -> Option<String> {
    let (name, host) = text.split_once('@')?;
    let allowed = |extra: &'static str| {
        move |next: char| next.is_ascii_alphanumeric() || extra.contains(next)
    };
    let is_plain = !name.is_empty()
        && name.chars().all(allowed("._+-"))
        && host.contains('.')
        && host.chars().all(allowed(".-"));
    is_plain.then(|| format!("mailto:{text}"))
}

/// `tel:` for a telephone number, if it is plainly one.
pub(super) fn telephone_href(text: &str) -> Option<String> {
    let is_plain = text
        .chars()
        .all(|next| next.is_ascii_digit() || "+ ()-./".contains(next));
    let digits: String = text
        .chars()
        .filter(|next| next.is_ascii_digit() || *next == '+')
        .collect();
    (is_plain && (5..=20).contains(&digits.len())).then(|| format!("tel:{digits}"))
}

#[cfg(test)]
mod tests {
    use super::{Web, is_unusual, mail_href, telephone_href};

    #[test]
    fn k15_names_that_deceive_the_eye_are_found_out() {
        for name in [
            "\u{440}\u{430}ypal",  // Cyrillic er and a
            "Worl\u{202e}knaB d",  // right-to-left override
            "G\u{200b}IZ",         // zero width space
            "GI\u{200d}Z",         // joiner between Latin letters
            "IT\u{ad}U",           // soft hyphen
            "IT\u{200f}U",         // right-to-left mark without such a script
            "\u{2066}ITU\u{2069}", // isolate
            "UN\u{e000}",          // private use
        ] {
            assert!(is_unusual(name), "{name:?}");
        }
    }

    #[test]
    fn names_as_people_write_them_are_usual() {
        for name in [
            "DiploFoundation / Geneva Internet Platform",
            "Académie e-gouvernance n° 4",
            "مراكز التحول الرقمي GIZ",
            "می\u{200c}خواهم", // Persian, zero width non-joiner
            "हिन्\u{200d}दी",   // Hindi, joiner
            "AI技術トレーニング",
            "Цифровая школа IT",
            "የዲጂታል ትምህርት",
            "👩\u{200d}💻 Women who code",
            "Côte d’Ivoire – 5G µ-lab",
        ] {
            assert!(!is_unusual(name), "{name:?}");
        }
    }

    #[test]
    fn w03_only_web_addresses_become_links() {
        for text in [
            "javascript:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "vbscript:msgbox(1)",
            " java\nscript:alert(1)",
            " https://example.org",
            "https://exa\nmple.org",
            "https://bank.example@evil.example/",
            "//evil.example",
            "mailto:someone@example.org",
            "example.org",
        ] {
            assert!(matches!(Web::read(text), Web::Text(_)), "{text:?}");
        }
    }

    #[test]
    fn w04_a_link_names_its_host_in_ascii_and_its_port() {
        let read = |text: &str| match Web::read(text) {
            Web::Link { host, path, .. } => (host, path),
            Web::Text(text) => panic!("{text}"),
        };
        assert_eq!(
            read("https://example.org/"),
            ("example.org".into(), "".into())
        );
        assert_eq!(
            read("http://example.org:8080/a?b=c"),
            ("example.org:8080".into(), "/a?b=c".into())
        );
        assert_eq!(
            read("https://\u{440}\u{430}ypal.example/x").0,
            "xn--ypal-43d9g.example"
        );
    }

    #[test]
    fn only_plain_addresses_of_mail_and_telephone_become_links() {
        assert_eq!(
            mail_href("desk@itu.example").as_deref(),
            Some("mailto:desk@itu.example")
        );
        assert_eq!(mail_href("desk@itu.example?cc=all@example.org"), None);
        assert_eq!(
            telephone_href("+254 (20) 123-456").as_deref(),
            Some("tel:+25420123456")
        );
        assert_eq!(telephone_href("javascript:1"), None);
    }
}
