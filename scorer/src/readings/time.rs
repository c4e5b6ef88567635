//! Times as they stand in data.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Reads `2018-08-28 23:00:05[.000]` (with `T` too; UTC, since it names no zone) and RFC 3339.
pub(crate) fn parse(text: &[u8]) -> Option<Timestamp> {
    let text = text.trim_ascii();
    utc(text).or_else(|| general(std::str::from_utf8(text).ok()?))
}

/// The forms that nearly all files have, without a parser for all the others: a zone-less time, or one with `Z`.
fn utc(text: &[u8]) -> Option<Timestamp> {
    let (time, rest) = text.split_at_checked(19)?;
    let number = |at: usize, digits: usize| -> Option<i64> {
        time.get(at..at + digits)?.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
    };
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| time[*at] != *mark) || !matches!(time[10], b' ' | b'T') {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
    let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
    // The last days of a month, leap seconds and the like are the general parser's.
    if year == 0 || !(1..=12).contains(&month) || !(1..=28).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Timestamp::new(seconds, nanoseconds(rest)?).ok()
}

/// Reads `[.fraction][Z]`.
fn nanoseconds(text: &[u8]) -> Option<i32> {
    let text = text.strip_suffix(b"Z").unwrap_or(text);
    let Some((dot, digits)) = text.split_first() else { return Some(0) };
    if *dot != b'.' || !(1..=9).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |n, b| n * 10 + i32::from(b - b'0'));
    (digits.len()..9).try_fold(number, |n, _| n.checked_mul(10))
}

/// Days since 1970 of a date of the Gregorian calendar; years begin in March here, so that leap days are last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn general(text: &str) -> Option<Timestamp> {
    // Behind the date, only an offset or a zone has these.
    let has_zone = text.get(10..).is_some_and(|rest| rest.contains(['Z', 'z', '+', '-', '[']));
    if has_zone { text.parse().ok() } else { TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{general, parse};

    #[test]
    fn a_time_without_a_zone_is_utc() {
        for text in [
            "2018-08-28 23:00:05.000",
            "2018-08-28 23:00:05",
            " 2018-08-28T23:00:05",
            "2018-08-28T23:00:05Z",
            "2018-08-28 23:00:05+00:00",
            "2018-08-29T01:00:05+02:00",
        ] {
            let time = parse(text.as_bytes()).map(|t| t.to_string());
            assert_eq!(time.as_deref(), Some("2018-08-28T23:00:05Z"), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "yesterday", "2018-13-01 00:00:00", "1535497205", "2018-08-28 23:00:05é", "2018-08-28é+"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse(b"2018-08-28 23:00:05.\xff"), None);
    }

    proptest! {
        #[test]
        fn the_quick_way_reads_what_the_general_one_reads(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,9})?Z?",
        ) {
            prop_assert_eq!(parse(text.as_bytes()), general(&text));
        }
    }
}
