//! Calendar months.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A calendar month in UTC; written `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    year: i16,
    month: i8,
}

/// Why a text is no [`Month`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no month; write year and month, such as 2026-11")]
pub struct MonthError(String);

impl Month {
    /// The month of a time.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let date = at.to_zoned(TimeZone::UTC).date();
        Self { year: date.year(), month: date.month() }
    }

    /// When the next one begins; `None` where there is no later time.
    #[must_use]
    pub fn end(self) -> Option<Timestamp> {
        let (year, month) = if self.month == 12 { (self.year.checked_add(1)?, 1) } else { (self.year, self.month + 1) };
        let first = Date::new(year, month, 1).ok()?;
        Some(first.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = MonthError;

    fn from_str(text: &str) -> Result<Self, MonthError> {
        let read = || {
            let (year, month) = text.split_once('-')?;
            let date = Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?;
            Some(Self { year: date.year(), month: date.month() })
        };
        read().ok_or_else(|| MonthError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_when_the_next_one_begins() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let december = Month::of(at("2026-12-31T23:59:59Z"));
        assert_eq!((december.to_string().as_str(), december.end()), ("2026-12", Some(at("2027-01-01T00:00:00Z"))));
        assert_eq!(Month::of(at("2027-01-01T00:00:00Z")).to_string(), "2027-01");
        assert_eq!(Month::of(at("2028-02-10T00:00:00Z")).end(), Some(at("2028-03-01T00:00:00Z")));
        assert_eq!(Month::of(Timestamp::MAX).end(), None);
    }

    #[test]
    fn a_month_reads_back_as_written_and_nothing_else_is_one() {
        assert_eq!("2026-11".parse::<Month>().unwrap().to_string(), "2026-11");
        for text in ["", "2026", "2026-13", "2026-00", "x-11", "2026-11-01"] {
            assert_eq!(text.parse::<Month>(), Err(MonthError(text.to_owned())));
        }
    }
}
