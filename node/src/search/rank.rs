//! The order of results. Pure: the same records and the same query give the same order on every
//! node, whatever the order of arrival, the machine, or what else is in the index.
//!
//! # The formula
//!
//! Statistics of the index (how rare a word is, how long texts are) play no part: two nodes that
//! hold different records must still agree on the order of those they share. Nor do payment, size or
//! popularity, which are not even in the index.
//!
//! 1. **Score.** Each word of the query, and each word of a phrase, gives `4 × part × grade` for the
//!    best place in which it stands; the score is their sum.
//!    *part*: name 8, summary 3, description 1, label 1 ([`Part`]).
//!    *grade*: the word itself 4, its stem in the asker's language 3, in another language 2, only its
//!    beginning 1 ([`Grade`]).
//!    Then, too small to outweigh any word: 2 if the record is offered in exactly the language asked
//!    for (`pt-MZ`, where `pt-BR` is found too), 1 if it has text in the asker's own language.
//! 2. **Confirmed** by its provider within the last 365 days. A date in the future
//!    confirms nothing.
//! 3. **Issued** on a later day first; a day in the future counts as today.
//! 4. **Record id**, by its bytes.

use protocol::time::Timestamp;

/// Where in a record a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// Its name, or another name of it.
    Name,
    /// Its one or two sentences.
    Summary,
    /// All there is to say.
    Description,
    /// The labels of its codes, and the names of those who take part.
    Label,
}

impl Part {
    pub(super) const ALL: [Self; 4] = [Self::Name, Self::Summary, Self::Description, Self::Label];

    const fn weight(self) -> u32 {
        match self {
            Self::Name => 8,
            Self::Summary => 3,
            Self::Description | Self::Label => 1,
        }
    }
}

/// How well a word of the query fits a word of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grade {
    /// The word itself.
    Plain,
    /// Its stem, in the asker's language.
    OwnStem,
    /// Its stem in another language.
    Stem,
    /// Only its beginning.
    Gram,
}

impl Grade {
    /// From the best on.
    pub(super) const ALL: [Self; 4] = [Self::Plain, Self::OwnStem, Self::Stem, Self::Gram];

    const fn weight(self) -> u32 {
        match self {
            Self::Plain => 4,
            Self::OwnStem => 3,
            Self::Stem => 2,
            Self::Gram => 1,
        }
    }
}

/// What one word is worth.
pub(super) const fn points(part: Part, grade: Grade) -> u32 {
    4 * part.weight() * grade.weight()
}

/// Offered in exactly the language that was asked for.
pub(super) const POINTS_EXACT_LANGUAGE: u32 = 2;
/// Described in the asker's own language.
pub(super) const POINTS_OWN_LANGUAGE: u32 = 1;

const CONFIRMED_RECENTLY_DAYS: u64 = 365;
const SECONDS_A_DAY: u64 = 86_400;
/// Moves the year -9999 above zero, by whole days.
pub(super) const BIAS_SECONDS: i64 = 6_400_000 * SECONDS_A_DAY.cast_signed();
const DAY_BITS: u32 = 24;
/// What fits below the score.
const DATES_MASK: u64 = (1 << (DAY_BITS + 1)) - 1;

/// By what results are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// The best fit first; see the formula at the head of `search/rank.rs`.
    #[default]
    Relevance,
    /// The newest version first, then by record id.
    Newest,
    /// By record id.
    Id,
}

impl Sort {
    /// The name in addresses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relevance => "relevance",
            Self::Newest => "newest",
            Self::Id => "id",
        }
    }

    /// The order of this name; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Relevance, Self::Newest, Self::Id]
            .into_iter()
            .find(|sort| sort.name() == name)
    }
}

/// A moment as the index keeps it: never negative, in order.
pub(super) fn stored(moment: Timestamp) -> u64 {
    u64::try_from(moment.unix_seconds().saturating_add(BIAS_SECONDS)).unwrap_or(0)
}

/// All of a record that the order depends on, its id left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    pub(super) score: u32,
    /// As [`stored`]; 0 for never.
    pub(super) confirmed: u64,
    /// As [`stored`].
    pub(super) issued: u64,
}

/// Where a result stands: the larger the earlier, equal ones by record id.
pub(super) fn rank(sort: Sort, now: u64, facts: Facts) -> u64 {
    let today = now / SECONDS_A_DAY;
    match sort {
        Sort::Relevance => {
            let age_days = today.checked_sub(facts.confirmed / SECONDS_A_DAY);
            let fresh = age_days.is_some_and(|days| days <= CONFIRMED_RECENTLY_DAYS);
            let day = (facts.issued / SECONDS_A_DAY).min(today);
            least_of_score(facts.score) | (u64::from(fresh) << DAY_BITS) | day
        }
        // Whole days bound the future here too, so that the order holds from page to page.
        Sort::Newest => facts.issued.min((today + 1) * SECONDS_A_DAY),
        Sort::Id => 0,
    }
}

/// The least rank of any result with this score.
pub(super) fn least_of_score(score: u32) -> u64 {
    u64::from(score) << (DAY_BITS + 1)
}

/// The greatest rank of any result with this score.
pub(super) fn most_of_score(score: u32) -> u64 {
    least_of_score(score) | DATES_MASK
}

/// The score within a rank by relevance.
pub(super) fn score_of(rank: u64) -> u32 {
    u32::try_from(rank >> (DAY_BITS + 1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use protocol::time::Timestamp;

    use super::{Facts, Grade, Part, Sort, most_of_score, points, rank, score_of, stored};

    fn at(text: &str) -> u64 {
        stored(Timestamp::parse(text).unwrap())
    }

    #[test]
    fn the_word_itself_beats_its_stem_and_the_stem_its_beginning() {
        for part in Part::ALL {
            let worth = [Grade::Plain, Grade::OwnStem, Grade::Stem, Grade::Gram]
                .map(|grade| points(part, grade));
            assert!(worth.is_sorted_by(|a, b| a > b), "{part:?}");
        }
        assert!(points(Part::Name, Grade::Stem) > points(Part::Summary, Grade::Plain));
        assert!(points(Part::Summary, Grade::Plain) > points(Part::Description, Grade::Plain));
    }

    #[test]
    fn at_equal_score_confirmed_comes_before_newer_and_newer_before_older() {
        let now = at("2026-11-22T04:00:00Z");
        let of = |score, confirmed: &str, issued: &str| {
            let confirmed = if confirmed.is_empty() {
                0
            } else {
                at(confirmed)
            };
            rank(
                Sort::Relevance,
                now,
                Facts {
                    score,
                    confirmed,
                    issued: at(issued),
                },
            )
        };
        let fresh = of(7, "2026-06-01T00:00:00Z", "2020-01-01T00:00:00Z");
        let stale = of(7, "2024-06-01T00:00:00Z", "2026-11-21T00:00:00Z");
        assert!(fresh > stale && stale > of(7, "", "2026-11-20T23:00:00Z"));
        assert!(of(8, "", "0001-01-01T00:00:00Z") > fresh);
        assert_eq!(
            of(7, "", "2026-11-21T01:00:00Z"),
            of(7, "", "2026-11-21T23:00:00Z")
        );
        assert_eq!((score_of(fresh), score_of(most_of_score(7))), (7, 7));
    }

    #[test]
    fn dates_in_the_future_buy_no_place() {
        let now = at("2026-11-22T04:00:00Z");
        let of = |confirmed, issued| {
            rank(
                Sort::Relevance,
                now,
                Facts {
                    score: 1,
                    confirmed,
                    issued,
                },
            )
        };
        assert_eq!(
            of(at("9999-01-01T00:00:00Z"), at("9999-01-01T00:00:00Z")),
            of(0, now)
        );
    }
}
