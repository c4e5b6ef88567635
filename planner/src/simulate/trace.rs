//! Demand that somebody wrote down: a CSV of times, sensors and seconds per sensor.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

mod fields;

use super::delimited::Delimiter;
use fields::Columns;

/// The most bytes.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;
/// The most rows.
pub const MAX_ROWS: usize = 1_000_000;
/// The most sensors of a row.
pub const MAX_SENSORS: u32 = 1_000_000;
/// The most seconds that a sensor takes: a week.
pub const MAX_SECONDS: f64 = 604_800.0;
/// The longest time from the first row to the last, in seconds: ten years.
pub const MAX_SPAN: i64 = 3_660 * 86_400;
/// The latest time as a number: in the year 5138. What is larger counts no seconds.
const LATEST: f64 = 1e11;

/// A run of a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// When, in seconds after the first.
    pub at: i64,
    /// How many sensors.
    pub sensors: u32,
    /// How long each takes.
    pub seconds: f64,
    /// Its line, from 1.
    pub line: usize,
}

/// All of them, in the order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// The runs; those without sensors are none.
    pub rows: Vec<Row>,
    /// When the first is, where times are dates.
    pub start: Option<Timestamp>,
    /// How many rows have no sensors.
    pub empty: usize,
    /// No column says how long a sensor takes.
    pub seconds_assumed: bool,
}

/// Where a trace is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TraceError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Too large as a whole.
    #[error("the trace is larger than {MAX_BYTES} bytes")]
    Bytes,
    /// More rows than are taken.
    #[error("more than {MAX_ROWS} rows")]
    Rows,
    /// No rows at all.
    #[error("there is no row; write time,sensors,seconds per sensor, such as 2026-01-01T00:05:00Z,100,1.5")]
    Nothing,
    /// No text.
    #[error("this is not UTF-8")]
    Utf8,
    /// A quoted field goes on.
    #[error("a quote that does not end on its line, or something behind it")]
    Quote,
    /// The header lacks a column.
    #[error("the header has no column {0}; write time,sensors,seconds (in any order; further columns are left alone)")]
    Column(&'static str),
    /// No column says how long a sensor takes; these are there.
    #[error(
        "none of the columns {0} says how many seconds a sensor takes; call one seconds per sensor (or seconds, sec, \
         duration, runtime), or give --seconds-per-sensor"
    )]
    NoSeconds(String),
    /// Two columns of one meaning.
    #[error("the columns {one:?} and {other:?} say the same; leave one of them, or give it another name")]
    Doubled {
        /// One of them.
        one: String,
        /// The other.
        other: String,
    },
    /// Not the fields that there have to be.
    #[error(
        "{found} fields instead of {wanted}; write time,sensors,seconds per sensor (no row needs the last one with \
         --seconds-per-sensor)"
    )]
    Fields {
        /// So many are there.
        found: usize,
        /// So many should be.
        wanted: usize,
    },
    /// Not a time.
    #[error(
        "{0:?} is not a time; write RFC 3339, such as 2026-01-01T00:05:00Z or 2026-01-01T00:05:00[Europe/Berlin], or \
         seconds from 0 to 100000000000"
    )]
    Time(String),
    /// Dates and seconds in one file.
    #[error("{0:?}: times are either dates in all rows or seconds in all rows")]
    Mixed(String),
    /// Not a number of sensors.
    #[error("{0:?} is not a number of sensors; write a whole number from 0 to {MAX_SENSORS}")]
    Sensors(String),
    /// Not a length of time.
    #[error("{0:?} is not how many seconds a sensor takes; write a number above 0, at most {MAX_SECONDS}")]
    Seconds(String),
    /// Too far from the first.
    #[error("this is more than ten years after the first row")]
    Span,
}

/// A time, as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Time {
    Date(Timestamp),
    Seconds(i64),
}

/// Reads a trace. `seconds`: what a sensor takes where there is no such column; without it there has to be one.
///
/// The first row is a header if none of its fields is a number and the first is no time; without one the columns are time,
/// sensors, seconds. Rows need not be in order. Fields are separated by commas, semicolons or tabs and may be quoted; blank
/// lines and those that begin with `#` are left out. Parts of a second are cut off times.
///
/// # Errors
/// At the first line that is wrong.
pub fn parse(bytes: &[u8], seconds: Option<f64>) -> Result<Trace, TraceError> {
    let wrong = |line, problem| Err(TraceError { line, problem });
    if bytes.len() > MAX_BYTES {
        return wrong(1, Problem::Bytes);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut found: Vec<(Time, Row)> = Vec::new();
    let mut layout: Option<(Delimiter, Columns)> = None;
    for (number, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = number + 1;
        let at = |problem| TraceError { line, problem };
        let text = std::str::from_utf8(text).map_err(|_| at(Problem::Utf8))?.trim_end_matches('\r');
        if text.trim().is_empty() || text.trim_start().starts_with('#') {
            continue;
        }
        let (delimiter, columns) = match &layout {
            Some(known) => known,
            None => {
                let delimiter = Delimiter::of(text);
                let first = delimiter.fields(text).ok_or_else(|| at(Problem::Quote))?;
                let header = Columns::of_header(&first, is_value, seconds.is_some()).map_err(at)?;
                let known = layout.insert((delimiter, header.unwrap_or(Columns::of_width(first.len()))));
                if header.is_some() {
                    continue;
                }
                &*known
            }
        };
        let fields = delimiter.fields(text).ok_or_else(|| at(Problem::Quote))?;
        let row = columns.pick(&fields, seconds.is_some()).map_err(at)?;
        let time = time(row.time).ok_or_else(|| at(Problem::Time(shown(row.time))))?;
        if found.first().is_some_and(|(first, _)| matches!(first, Time::Date(_)) != matches!(time, Time::Date(_))) {
            return wrong(line, Problem::Mixed(shown(row.time)));
        }
        let sensors = sensors(row.sensors).ok_or_else(|| at(Problem::Sensors(shown(row.sensors))))?;
        let takes = match row.seconds {
            Some(text) => lasts(text).ok_or_else(|| at(Problem::Seconds(shown(text))))?,
            None => seconds.unwrap_or(1.0),
        };
        if found.len() == MAX_ROWS {
            return wrong(line, Problem::Rows);
        }
        found.push((time, Row { at: 0, sensors, seconds: takes, line }));
    }
    let seconds_assumed = layout.is_some_and(|(_, columns)| !columns.tells_seconds());
    Ok(Trace { seconds_assumed, ..order(found)? })
}

/// In the order of time, from the first.
fn order(found: Vec<(Time, Row)>) -> Result<Trace, TraceError> {
    let second = |time: Time| match time {
        Time::Date(at) => at.as_second(),
        Time::Seconds(at) => at,
    };
    let first = found.iter().map(|(time, _)| *time).min_by_key(|time| second(*time));
    let Some(start) = first else { return Err(TraceError { line: 1, problem: Problem::Nothing }) };
    let mut rows = Vec::with_capacity(found.len());
    let mut empty = 0;
    for (time, row) in found {
        let at = second(time).saturating_sub(second(start));
        if at > MAX_SPAN {
            return Err(TraceError { line: row.line, problem: Problem::Span });
        }
        match row.sensors {
            0 => empty += 1,
            _ => rows.push(Row { at, ..row }),
        }
    }
    rows.sort_by_key(|row| row.at);
    let start = match start {
        Time::Date(at) => Some(at),
        Time::Seconds(_) => None,
    };
    Ok(Trace { rows, start, empty, seconds_assumed: false })
}

/// Whether a field is one of a row, not of a header.
fn is_value(field: &str) -> bool {
    time(field).is_some() || field.parse::<f64>().is_ok()
}

fn time(text: &str) -> Option<Time> {
    if let Ok(number) = text.parse::<f64>() {
        #[expect(clippy::cast_possible_truncation, reason = "parts of a second are cut off; the range is looked at")]
        return (0.0..=LATEST).contains(&number).then_some(Time::Seconds(number as i64));
    }
    // Other types leave out the zone in brackets, and with it an hour or more.
    if text.contains('[') {
        return text.parse::<Zoned>().ok().map(|zoned| Time::Date(zoned.timestamp()));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(Time::Date(at));
    }
    let civil: DateTime = text.parse().ok()?;
    Some(Time::Date(civil.to_zoned(TimeZone::UTC).ok()?.timestamp()))
}

fn sensors(text: &str) -> Option<u32> {
    // Programs that know missing numbers write whole ones as 100.0.
    let whole = text
        .split_once('.')
        .map_or(text, |(whole, rest)| if rest.trim_end_matches('0').is_empty() { whole } else { text });
    whole.parse().ok().filter(|sensors| *sensors <= MAX_SENSORS)
}

fn lasts(text: &str) -> Option<f64> {
    text.parse().ok().filter(|seconds| *seconds > 0.0 && *seconds <= MAX_SECONDS)
}

/// As much of a field as a message holds.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

impl Trace {
    /// How long after the first row the last is.
    #[must_use]
    pub fn span(&self) -> SignedDuration {
        SignedDuration::from_secs(self.rows.last().map_or(0, |row| row.at))
    }
}

#[cfg(test)]
mod tests;
