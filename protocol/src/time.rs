//! A moment, as records and logs write it. Reading the clock is the caller's affair.

use std::fmt;

/// A moment in UTC, to the second and below.
///
/// Written and read as RFC 3339. Dates never decide which version of a record counts; they only say
/// when something is due or stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

/// A text that is no RFC 3339 date and time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{text}” is not a date and time: write it like 2026-11-22T04:00:00Z")]
pub struct TimestampError {
    text: String,
}

impl Timestamp {
    /// Reads an RFC 3339 date and time of years 0000 to 9999, with `Z` or a numeric offset.
    ///
    /// # Errors
    /// Another form, another calendar, a leap second, or more than 35 characters.
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        let refused = || TimestampError {
            text: text.chars().take(40).collect(),
        };
        let bytes = text.as_bytes();
        // jiff reads more than RFC 3339: spaces, weeks, zone names, years with a sign.
        let shaped = (20..=35).contains(&bytes.len())
            && bytes[4] == b'-'
            && bytes[7] == b'-'
            && bytes[10] == b'T'
            && bytes[13] == b':'
            && bytes[16] == b':'
            && &bytes[17..19] != b"60"
            && bytes
                .iter()
                .all(|b| b.is_ascii_digit() || b"-:TZ.+".contains(b));
        if !shaped {
            return Err(refused());
        }
        text.parse().map(Self).map_err(|_| refused())
    }

    /// The moment `seconds` after 1970-01-01T00:00:00Z; beyond years -9999 to 9999, the nearest end.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        let nearest = if seconds < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        };
        Self(jiff::Timestamp::from_second(seconds).unwrap_or(nearest))
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, negative before.
    pub fn unix_seconds(self) -> i64 {
        self.0.as_second()
    }

    /// The number of the day since 1970-01-01, in UTC.
    pub fn unix_day(self) -> i64 {
        self.0.as_second().div_euclid(86_400)
    }

    /// How far `self` lies after `other`, in whole seconds; 0 if it does not.
    pub fn seconds_after(self, other: Self) -> i64 {
        self.unix_seconds()
            .saturating_sub(other.unix_seconds())
            .max(0)
    }

    /// The moment `seconds` later, or earlier if negative.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self::from_unix_seconds(self.unix_seconds().saturating_add(seconds))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, whole seconds: `2026-11-22T04:00:00Z`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn what_is_written_reads_back_as_the_same_moment() {
        let moment = Timestamp::parse("2026-11-22T04:00:00Z").unwrap();
        assert_eq!(moment.to_string(), "2026-11-22T04:00:00Z");
        assert_eq!(Timestamp::from_unix_seconds(moment.unix_seconds()), moment);
        assert_eq!(
            Timestamp::parse("2026-11-22T05:00:00.25+01:00")
                .unwrap()
                .unix_seconds(),
            moment.unix_seconds()
        );
        assert_eq!(
            Timestamp::parse("1970-01-01T00:00:00Z")
                .unwrap()
                .unix_seconds(),
            0
        );
    }

    #[test]
    fn what_is_no_rfc_3339_date_is_refused_without_panic() {
        let long = "2".repeat(10_000);
        for text in [
            "",
            "2026-11-22",
            "2026-11-22 04:00:00Z",
            "2026-13-22T04:00:00Z",
            "2026-11-22T23:59:60Z",
            "2026-11-22T04:00:00",
            "yesterday",
            "+002026-11-22T04:00:00Z",
            long.as_str(),
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }
}
