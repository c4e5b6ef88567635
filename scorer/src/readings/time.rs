//! Times as they stand in data.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Reads `2018-08-28 23:00:05[.000]` (with `T` too; UTC, since it names no zone) and RFC 3339.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    // Behind the date, only an offset or a zone has these.
    let has_zone = text.get(10..).is_some_and(|rest| rest.contains(['Z', 'z', '+', '-', '[']));
    if has_zone { text.parse().ok() } else { TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok() }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_time_without_a_zone_is_utc() {
        for text in [
            "2018-08-28 23:00:05.000",
            "2018-08-28 23:00:05",
            "2018-08-28T23:00:05",
            "2018-08-28T23:00:05Z",
            "2018-08-28 23:00:05+00:00",
            "2018-08-29T01:00:05+02:00",
        ] {
            assert_eq!(parse(text).map(|t| t.to_string()).as_deref(), Some("2018-08-28T23:00:05Z"), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "yesterday", "2018-13-01 00:00:00", "1535497205", "2018-08-28 23:00:05é", "2018-08-28é+"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
