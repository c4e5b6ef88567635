//! Times as they stand in data.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

/// How times are written: by default as RFC 3339 or `2018-08-28 23:00:05[.000]`, or as seconds, milli-, micro- or
/// nanoseconds since 1970. What names no zone is in the zone given.
#[derive(Clone, PartialEq, Eq)]
pub struct TimeParser {
    zone: TimeZone,
    format: Option<String>,
}

impl Default for TimeParser {
    fn default() -> Self {
        Self { zone: TimeZone::UTC, format: None }
    }
}

impl fmt::Debug for TimeParser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TimeParser({:?}, {:?})", self.zone.iana_name(), self.format)
    }
}

impl TimeParser {
    /// Times of an IANA zone (UTC where there is none, or none of that name), in a format of `strptime`.
    #[must_use]
    pub fn new(zone: Option<&str>, format: Option<&str>) -> Self {
        let zone = zone.and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
        Self { zone, format: format.map(str::to_owned) }
    }

    /// The same.
    ///
    /// # Errors
    /// When there is no such zone, or the format tells no date and time.
    pub fn checked(zone: Option<&str>, format: Option<&str>) -> Result<Self, TimesError> {
        if let Some(zone) = zone
            && TimeZone::get(zone).is_err()
        {
            return Err(TimesError::Zone(zone.to_owned()));
        }
        if let Some(format) = format {
            check_format(format).map_err(TimesError::Format)?;
        }
        Ok(Self::new(zone, format))
    }

    /// The zone of times that name none.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The same for times that are written as RFC 3339 whatever was said.
    #[must_use]
    pub fn without_format(&self) -> Self {
        Self { zone: self.zone.clone(), format: None }
    }

    /// Reads a time.
    #[must_use]
    pub fn parse(&self, text: &[u8]) -> Option<Timestamp> {
        self.read(text).map(|found| found.time)
    }

    /// Reads a time of a row. The instants of Parquet and of databases come as RFC 3339, however others are written.
    #[must_use]
    pub fn instant(&self, text: &[u8]) -> Option<Timestamp> {
        self.parse(text).or_else(|| self.without_format().parse(text))
    }

    /// Reads a time, and tells whether clocks show it twice or never.
    #[must_use]
    pub fn read(&self, text: &[u8]) -> Option<Found> {
        let text = text.trim_ascii();
        if let Some(format) = &self.format {
            return self.formatted(format, std::str::from_utf8(text).ok()?);
        }
        if (text.last() == Some(&b'Z') || self.zone == TimeZone::UTC)
            && let Some(time) = utc(text)
        {
            return Some(time.into());
        }
        let text = std::str::from_utf8(text).ok()?;
        since_1970(text).map(Found::from).or_else(|| self.general(text))
    }

    fn general(&self, text: &str) -> Option<Found> {
        // Behind the date, only an offset or a zone has these.
        let has_zone = text.get(10..).is_some_and(|rest| rest.contains(['Z', 'z', '+', '-', '[']));
        if has_zone { text.parse().ok().map(|time: Timestamp| time.into()) } else { self.civil(text.parse().ok()?) }
    }

    fn formatted(&self, format: &str, text: &str) -> Option<Found> {
        let time = strtime::parse(format, text).ok()?;
        if time.offset().is_some() || time.timestamp().is_some() || time.iana_time_zone().is_some() {
            return time.to_timestamp().ok().map(Found::from);
        }
        self.civil(time.to_datetime().ok()?)
    }

    /// An hour that the clock goes through twice is the first one; one that it skips is an hour later.
    fn civil(&self, time: DateTime) -> Option<Found> {
        let time = self.zone.to_ambiguous_timestamp(time);
        let unclear = time.is_ambiguous();
        Some(Found { time: time.compatible().ok()?, unclear })
    }
}

/// Why times cannot be read as is said.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TimesError {
    /// There is no such zone.
    #[error("{0:?} is no zone of the IANA database, such as Europe/Berlin")]
    Zone(String),
    /// What it makes of a time is not one again.
    #[error("{0}")]
    Format(String),
}

/// A time that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The time.
    pub time: Timestamp,
    /// Whether it is local, and clocks show it twice or never.
    pub unclear: bool,
}

impl From<Timestamp> for Found {
    fn from(time: Timestamp) -> Self {
        Self { time, unclear: false }
    }
}

/// Whether what a format makes of a time is one again.
fn check_format(format: &str) -> Result<(), String> {
    if !format.contains('%') {
        return Err(format!("{format:?} has no field; write it as %d.%m.%Y %H:%M:%S"));
    }
    let example = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    match strtime::format(format, &example).and_then(|text| strtime::parse(format, text)) {
        Err(error) => Err(format!("{format:?} is no format: {error}")),
        Ok(time) if time.to_timestamp().is_err() && time.to_datetime().is_err() => {
            Err(format!("{format:?} tells no date and time; write it as %d.%m.%Y %H:%M:%S"))
        }
        Ok(_) => Ok(()),
    }
}

/// The forms that nearly all files have, without a parser for all the others: a time of UTC, with `Z` or without a zone.
fn utc(text: &[u8]) -> Option<Timestamp> {
    let (time, rest) = text.split_first_chunk::<19>()?;
    let mut all_digits = true;
    let mut two = |at: usize| {
        let (tens, ones) = (time[at].wrapping_sub(b'0'), time[at + 1].wrapping_sub(b'0'));
        all_digits &= tens <= 9 && ones <= 9;
        i64::from(tens) * 10 + i64::from(ones)
    };
    let (year, month, day) = (two(0) * 100 + two(2), two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if !all_digits || marks.iter().any(|(at, mark)| time[*at] != *mark) || !matches!(time[10], b' ' | b'T') {
        return None;
    }
    // The last days of a month, leap seconds and the like are the general parser's.
    if year == 0 || !(1..=12).contains(&month) || !(1..=28).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    let rest = rest.strip_suffix(b"Z").unwrap_or(rest);
    let nanoseconds = match rest.split_first() {
        None => 0,
        Some((b'.', digits)) => fraction(digits)?,
        Some(_) => return None,
    };
    Timestamp::new(seconds, nanoseconds).ok()
}

/// Nanoseconds of the 1 to 9 digits behind a point.
fn fraction(digits: &[u8]) -> Option<i32> {
    const UNITS: [i32; 9] = [100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    let unit = UNITS.get(digits.len().checked_sub(1)?)?;
    let number = digits.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i32::from(b - b'0')))?;
    Some(number * unit)
}

/// Days since 1970 of a date of the Gregorian calendar; years begin in March here, so that leap days are last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Seconds, milli-, micro- or nanoseconds since 1970, told by how many digits there are: those of 1973 and later.
fn since_1970(text: &str) -> Option<Timestamp> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !(9..=19).contains(&whole.len()) || !digits(whole) || !digits(part) {
        return None;
    }
    let number: i128 = whole.parse().ok()?;
    let unit: i128 = match whole.len() {
        9..=11 => 1_000_000_000,
        12..=14 => 1_000_000,
        15..=17 => 1_000,
        _ => 1,
    };
    let part = fraction(part.as_bytes().get(..part.len().min(9))?)?;
    Timestamp::from_nanosecond(number * unit + i128::from(part) * unit / 1_000_000_000).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Option<String> {
        TimeParser::default().parse(text.as_bytes()).map(|t| t.to_string())
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        for text in [
            "2018-08-28 23:00:05.000",
            "2018-08-28 23:00:05",
            " 2018-08-28T23:00:05",
            "2018-08-28T23:00:05Z",
            "2018-08-28 23:00:05+00:00",
            "2018-08-29T01:00:05+02:00",
            "1535497205",
            "1535497205.0",
            "1535497205000",
            "1535497205000000",
            "1535497205000000000",
        ] {
            assert_eq!(parse(text).as_deref(), Some("2018-08-28T23:00:05Z"), "{text}");
        }
        assert_eq!(parse("1535497205.25").as_deref(), Some("2018-08-28T23:00:05.25Z"));
    }

    #[test]
    fn a_time_without_a_zone_is_of_the_zone_that_is_said() {
        let berlin = TimeParser::new(Some("Europe/Berlin"), None);
        for (text, utc) in [
            ("2018-08-29 01:00:05", "2018-08-28T23:00:05Z"),
            ("2018-08-28T23:00:05Z", "2018-08-28T23:00:05Z"),
            ("2018-08-28 23:00:05-01:00", "2018-08-29T00:00:05Z"),
            ("1535497205", "2018-08-28T23:00:05Z"),
            // Clocks went from 2 to 3 here, and from 3 to 2 there.
            ("2018-03-25 02:30:00", "2018-03-25T01:30:00Z"),
            ("2018-10-28 02:30:00", "2018-10-28T00:30:00Z"),
        ] {
            assert_eq!(berlin.parse(text.as_bytes()).map(|t| t.to_string()).as_deref(), Some(utc), "{text}");
        }
    }

    #[test]
    fn a_local_time_that_comes_twice_or_never_is_told() {
        let berlin = TimeParser::new(Some("Europe/Berlin"), None);
        for (text, unclear) in [
            ("2018-10-28 01:59:59", false),
            ("2018-10-28 02:00:00", true),
            ("2018-10-28 02:59:59", true),
            ("2018-10-28 03:00:00", false),
            ("2018-03-25 02:30:00", true),
            ("2018-03-25 03:00:00", false),
            ("2018-10-28T00:30:00Z", false),
            ("2018-10-28 02:30:00+02:00", false),
            ("1540686600", false),
        ] {
            assert_eq!(berlin.read(text.as_bytes()).map(|found| found.unclear), Some(unclear), "{text}");
        }
    }

    #[test]
    fn a_format_is_that_of_strptime() {
        let german = TimeParser::new(Some("Europe/Berlin"), Some("%d.%m.%Y %H:%M:%S"));
        assert_eq!(
            german.parse(b"29.08.2018 01:00:05").map(|t| t.to_string()).as_deref(),
            Some("2018-08-28T23:00:05Z")
        );
        assert_eq!(german.parse(b"2018-08-28T23:00:05Z"), None);
        let offset = TimeParser::new(Some("Europe/Berlin"), Some("%Y%m%dT%H%M%S%z"));
        assert_eq!(
            offset.parse(b"20180828T230005+0000").map(|t| t.to_string()).as_deref(),
            Some("2018-08-28T23:00:05Z")
        );
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "yesterday", "2018-13-01 00:00:00", "12", "2018-08-28 23:00:05é", "2018-08-28é+", "1e9"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(TimeParser::default().parse(b"2018-08-28 23:00:05.\xff"), None);
    }

    proptest! {
        #[test]
        fn the_quick_way_reads_what_the_general_one_reads(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,9})?Z?",
        ) {
            let parser = TimeParser::default();
            prop_assert_eq!(parser.read(text.as_bytes()), parser.general(&text));
        }

        #[test]
        fn any_text_in_any_format_is_read_or_refused(text in "\\PC{0,20}", format in "(%[a-zA-Z:.]|\\PC){0,6}") {
            let _ = TimeParser::new(None, Some(&format)).parse(text.as_bytes());
            let _ = TimeParser::new(Some("America/New_York"), None).parse(text.as_bytes());
        }
    }
}
