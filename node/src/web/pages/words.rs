//! The words of the pages, in each language of the interface: texts from `i18n/*.ftl`, numbers,
//! dates and spans of time as that language writes them.

use std::borrow::Cow;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use jiff::civil::Date;
use protocol::codes::primary_language;
use protocol::time::Timestamp;
use unic_langid::LanguageIdentifier;

/// The languages that pages come in, each with its texts. The first is spoken where none fits.
const FILES: [(&str, &str); 2] = [
    ("en", include_str!("../../../i18n/en.ftl")),
    ("fr", include_str!("../../../i18n/fr.ftl")),
];

static ALL: LazyLock<[Words; 2]> =
    LazyLock::new(|| FILES.map(|(code, texts)| Words::read(code, texts)));

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The texts of one language.
pub(super) struct Words {
    code: &'static str,
    bundle: FluentBundle<FluentResource>,
}

impl Words {
    fn read(code: &'static str, texts: &str) -> Self {
        let language: LanguageIdentifier = code.parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![language]);
        // What is foreign is isolated where it is put in, see `Words::about`.
        bundle.set_use_isolating(false);
        // A test reads the files; a fault in one of them costs that message and no other.
        let (Ok(resource) | Err((resource, _))) = FluentResource::try_new(texts.to_owned());
        if let Err(faults) = bundle.add_resource(resource) {
            tracing::error!(?faults, code, "texts of the interface do not read");
        }
        Self { code, bundle }
    }

    /// Every language of the interface.
    pub(super) fn all() -> &'static [Self; 2] {
        &ALL
    }

    /// The language of the interface that a tag means; `None` if pages do not come in it.
    pub(super) fn of(tag: &str) -> Option<&'static Self> {
        Self::all()
            .iter()
            .find(|words| words.code == primary_language(tag))
    }

    /// The language spoken where none fits.
    pub(super) fn fallback() -> &'static Self {
        let [first, ..] = Self::all();
        first
    }

    /// The language's tag, as it stands in addresses.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// The direction in which it is written.
    pub(super) fn dir(&self) -> &'static str {
        match self.code {
            "ar" | "fa" | "he" | "ur" => "rtl",
            _ => "ltr",
        }
    }

    fn say<'w>(&'w self, id: &'w str, arguments: Option<&FluentArgs<'_>>) -> Cow<'w, str> {
        let Some(pattern) = self
            .bundle
            .get_message(id)
            .and_then(|message| message.value())
        else {
            tracing::error!(id, code = self.code, "a text of the interface is missing");
            return Cow::Borrowed(id);
        };
        self.bundle
            .format_pattern(pattern, arguments, &mut Vec::new())
    }

    /// The text of this name; the name itself if there is none.
    pub(super) fn t<'w>(&'w self, id: &'w str) -> Cow<'w, str> {
        self.say(id, None)
    }

    /// A text about so many: `$n` chooses its form, `$count` is the written number.
    pub(super) fn n(&self, id: &str, n: impl Count) -> String {
        let mut arguments = FluentArgs::new();
        arguments.set("n", n.number() as f64);
        arguments.set("count", self.number(n));
        self.say(id, Some(&arguments)).into_owned()
    }

    /// A text about something: `$it`, which keeps its own direction.
    pub(super) fn about(&self, id: &str, it: &str) -> String {
        let mut arguments = FluentArgs::new();
        arguments.set("it", isolated(it));
        self.say(id, Some(&arguments)).into_owned()
    }

    /// A text about two things: `$it` and `$other`.
    pub(super) fn about_both(&self, id: &str, it: &str, other: &str) -> String {
        let mut arguments = FluentArgs::new();
        arguments.set("it", isolated(it));
        arguments.set("other", isolated(other));
        self.say(id, Some(&arguments)).into_owned()
    }

    /// A number with its thousands apart.
    pub(super) fn number(&self, n: impl Count) -> String {
        let digits = n.number().to_string();
        // A narrow space that does not break, as French typography has it.
        let separator = if self.code == "fr" { '\u{202f}' } else { ',' };
        let mut written = String::with_capacity(digits.len() + 4);
        for (position, digit) in digits.chars().enumerate() {
            if position > 0 && (digits.len() - position).is_multiple_of(3) {
                written.push(separator);
            }
            written.push(digit);
        }
        written
    }

    /// A decimal number that travels as text, such as `1200.50`.
    pub(super) fn decimal(&self, text: &str) -> String {
        let (sign, unsigned) = text
            .strip_prefix('-')
            .map_or(("", text), |rest| ("−", rest));
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let whole = whole
            .parse::<u64>()
            .map_or_else(|_| whole.to_owned(), |whole| self.number(whole));
        let comma = if self.code == "fr" { ',' } else { '.' };
        if fraction.bytes().all(|digit| digit == b'0') {
            format!("{sign}{whole}")
        } else {
            format!("{sign}{whole}{comma}{fraction}")
        }
    }

    /// A day in words.
    pub(super) fn date(&self, moment: Timestamp) -> String {
        let moment = jiff::Timestamp::from_second(moment.unix_seconds())
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        self.day(moment.to_zoned(jiff::tz::TimeZone::UTC).date())
    }

    /// A day or a moment that travels as text, in words; the text itself if it is neither.
    pub(super) fn date_text(&self, text: &str) -> String {
        match (text.parse::<Date>(), Timestamp::parse(text)) {
            (_, Ok(moment)) => self.date(moment),
            (Ok(day), _) => self.day(day),
            _ => text.to_owned(),
        }
    }

    fn day(&self, day: Date) -> String {
        let mut arguments = FluentArgs::new();
        arguments.set("day", f64::from(day.day()));
        arguments.set("month", FluentValue::from(format!("m{}", day.month())));
        arguments.set("year", FluentValue::from(day.year().to_string()));
        self.say("date", Some(&arguments)).into_owned()
    }

    /// How long ago something was, in words; the day itself if that is more than a month.
    pub(super) fn ago(&self, now: Timestamp, then: Timestamp) -> String {
        match now.seconds_after(then) {
            seconds if seconds < MINUTE => self.t("ago-now").into_owned(),
            seconds if seconds < HOUR => self.n("ago-minutes", seconds / MINUTE),
            seconds if seconds < DAY => self.n("ago-hours", seconds / HOUR),
            seconds if seconds < 31 * DAY => self.n("ago-days", seconds / DAY),
            _ => self.date(then),
        }
    }

    /// An ISO 8601 duration such as `P6W` or `PT12H30M` in words; the text itself if it is none.
    pub(super) fn duration(&self, text: &str) -> String {
        self.duration_parts(text)
            .map_or_else(|| text.to_owned(), |parts| parts.join(" "))
    }

    fn duration_parts(&self, text: &str) -> Option<Vec<String>> {
        let (days, time) = text
            .strip_prefix('P')
            .map(|rest| rest.split_once('T').unwrap_or((rest, "")))?;
        let mut parts = Vec::new();
        for (mut rest, is_time) in [(days, false), (time, true)] {
            while !rest.is_empty() {
                let end = rest.find(|digit: char| !digit.is_ascii_digit())?;
                let (count, unit) = rest.split_at_checked(end)?;
                let count: u64 = count.parse().ok()?;
                let id = match (unit.chars().next()?, is_time) {
                    ('Y', false) => "years",
                    ('M', false) => "months",
                    ('W', false) => "weeks",
                    ('D', false) => "days",
                    ('H', true) => "hours",
                    ('M', true) => "minutes",
                    ('S', true) => "seconds",
                    _ => return None,
                };
                parts.push(self.n(id, count));
                rest = unit.get(1..)?;
            }
        }
        (!parts.is_empty()).then_some(parts)
    }

    /// Things in a row: “a, b, c”.
    pub(super) fn list(&self, items: &[String]) -> String {
        items.join(if self.code == "ar" { "، " } else { ", " })
    }
}

/// What can be counted.
pub(super) trait Count: Copy {
    /// The number.
    fn number(self) -> u64;
}

impl Count for u64 {
    fn number(self) -> u64 {
        self
    }
}

impl Count for usize {
    fn number(self) -> u64 {
        self as u64
    }
}

impl Count for i64 {
    fn number(self) -> u64 {
        self.unsigned_abs()
    }
}

/// Templates hand on what they iterate over by reference.
impl<T: Count> Count for &T {
    fn number(self) -> u64 {
        (*self).number()
    }
}

/// A text that keeps its own direction within another (first strong isolate).
fn isolated(text: &str) -> String {
    format!("\u{2068}{text}\u{2069}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use fluent_bundle::FluentResource;
    use protocol::time::Timestamp;

    use super::{FILES, Words};

    fn ids(texts: &str) -> BTreeSet<String> {
        FluentResource::try_new(texts.to_owned())
            .unwrap_or_else(|(_, faults)| panic!("{faults:?}"));
        texts
            .lines()
            .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()))
            .filter_map(|line| line.split_once(" =").map(|(id, _)| id.to_owned()))
            .collect()
    }

    #[test]
    fn both_languages_have_the_same_texts() {
        let [(_, en), (_, fr)] = FILES;
        assert_eq!(ids(en), ids(fr));
    }

    /// Sources and templates of the pages, without white space.
    fn sources() -> String {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut paths = vec![root.join("src/web/pages.rs")];
        for folder in ["src/web/pages", "templates"] {
            let entries = std::fs::read_dir(root.join(folder)).unwrap();
            paths.extend(entries.map(|entry| entry.unwrap().path()));
        }
        let texts = paths
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap());
        texts.collect::<String>().split_whitespace().collect()
    }

    #[test]
    fn every_text_is_used_and_every_used_one_exists() {
        let [(_, en), _] = FILES;
        let (known, sources) = (ids(en), sources());
        let is_unused = |id: &&String| !sources.contains(&format!("\"{id}\""));
        let unused: Vec<&String> = known.iter().filter(is_unused).collect();
        assert!(unused.is_empty(), "{unused:?}");
        for call in ["t", "n", "about", "about_both", "add", "add_asked"] {
            for after in sources.split(&format!(".{call}(\"")).skip(1) {
                let id = after.split('"').next().unwrap_or_default();
                assert!(known.contains(id), "{call}: {id}");
            }
        }
    }

    #[test]
    fn dates_numbers_and_spans_are_written_as_the_language_does() {
        let [en, fr] = Words::all();
        let moment = Timestamp::parse("2026-11-01T04:00:00Z").unwrap();
        assert_eq!(
            (en.date(moment).as_str(), fr.date(moment).as_str()),
            ("1 November 2026", "1er novembre 2026")
        );
        assert_eq!(fr.date_text("2027-01-12"), "12 janvier 2027");
        assert_eq!(fr.date_text("soon"), "soon");
        assert_eq!(
            (en.number(1_234_567_u64), fr.number(1_234_u64)),
            ("1,234,567".into(), "1\u{202f}234".into())
        );
        assert_eq!(
            (en.decimal("1200.50"), fr.decimal("1200.50")),
            ("1,200.50".into(), "1\u{202f}200,50".into())
        );
        assert_eq!(
            (en.duration("P6W"), fr.duration("PT1H30M")),
            ("6 weeks".into(), "1 heure 30 minutes".into())
        );
        assert_eq!(en.duration("six weeks"), "six weeks");
        assert_eq!(en.ago(moment.plus_seconds(3 * 60), moment), "3 minutes ago");
        assert_eq!(
            fr.ago(moment.plus_seconds(40 * 86_400), moment),
            "1er novembre 2026"
        );
        assert_eq!(fr.n("result-count", 0_u64), "0 résultat");
        assert_eq!(en.n("result-count", 2_u64), "2 results");
    }
}
