//! The fields of an event to what they say.

use spec::shown;
use spec::time::TimeParser;

use super::fields::{Fields, Raw};
use super::filter::Filter;
use super::malformed::{Cause, Malformed};
use super::{Decoded, Event, SEPARATOR};
use crate::Micros;

/// What a key may have of bytes: it becomes a part of paths.
pub(super) const MAX_KEY: usize = 160;
/// 0001-01-01T00:00:00Z: a table has no room for times that are much earlier, and no sensor means them.
const YEAR_1: Micros = -62_135_596_800_000_000;

/// Reads one event after the other.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) fields: Fields,
    times: TimeParser,
    filter: Option<Filter>,
    sensor: Vec<u8>,
}

impl Reading {
    pub(super) fn new(fields: Fields, times: TimeParser, filter: Option<Filter>) -> Self {
        Self { fields, times, filter, sensor: Vec::new() }
    }

    /// Reads the event whose fields are these. The filter is asked first: what it passes over need not be an event at all.
    pub(super) fn read(&mut self, raws: &[Raw<'_>]) -> Decoded<'_> {
        let asked = match &self.filter {
            None => Ok(true),
            Some(filter) => filter.is_true(&self.fields, raws),
        };
        if asked == Ok(false) {
            return Decoded::Filtered;
        }
        match (self.event(raws), asked) {
            (Err(malformed), _) => Decoded::Malformed(malformed),
            (_, Err(why)) => Decoded::Malformed(Malformed::Filter { why }),
            (Ok(event), _) => Decoded::Event(event),
        }
    }

    #[inline]
    fn event(&mut self, raws: &[Raw<'_>]) -> Result<Event<'_>, Malformed> {
        let fields = &self.fields;
        let raw = |field: usize| match raws.get(field) {
            None | Some(Raw::Absent) => Err(Malformed::Missing { field: fields.name(field).to_owned() }),
            Some(raw) => Ok(*raw),
        };
        let time = raw(Fields::TIME)?;
        let time = self
            .time(time)
            .ok_or_else(|| Malformed::NoTime { field: fields.name(Fields::TIME).to_owned(), text: time.shown() })?;
        let value = raw(Fields::VALUE)?;
        let value = number(value).ok_or_else(|| Malformed::NotANumber {
            field: fields.name(Fields::VALUE).to_owned(),
            text: value.shown(),
        })?;
        self.sensor.clear();
        for field in fields.keys() {
            let key = raw(field)?;
            if !self.sensor.is_empty() {
                self.sensor.push(SEPARATOR);
            }
            push_key(key, &mut self.sensor).map_err(|why| Malformed::BadKey {
                field: fields.name(field).to_owned(),
                why,
                text: key.shown(),
            })?;
        }
        Ok(Event { sensor: &self.sensor, time, value })
    }

    #[inline]
    fn time(&self, raw: Raw<'_>) -> Option<Micros> {
        let time = self.times.parse(&raw.text()?).map(jiff::Timestamp::as_microsecond);
        time.filter(|time| *time >= YEAR_1)
    }
}

/// A finite number, also where it is written as a text.
#[inline]
pub(super) fn number(raw: Raw<'_>) -> Option<f64> {
    Some(spec::number::parse(raw.text()?.trim_ascii())).filter(|number| number.is_finite())
}

/// Writes a key's value behind others.
#[inline]
pub(super) fn push_key(raw: Raw<'_>, out: &mut Vec<u8>) -> Result<(), Cause> {
    let text = match (raw.text(), raw) {
        (Some(text), _) => text,
        (None, Raw::Escaped(_)) => return Err(Cause::NotUnicode),
        (None, _) => return Err(Cause::Kind),
    };
    let key = text.trim_ascii();
    // By far the most are short and of plain characters.
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b' ' | b':' | b'/');
    if key.len() > MAX_KEY || matches!(key.first(), None | Some(b'.')) || !key.iter().all(is_plain) {
        check_key(key)?;
    }
    out.extend_from_slice(key);
    Ok(())
}

/// What a key may be for all that later has it in a path, or in the name of a model (docs/readings.md).
fn check_key(key: &[u8]) -> Result<(), Cause> {
    let key = std::str::from_utf8(key).map_err(|_| Cause::NotUnicode)?;
    if key.trim().is_empty() {
        return Err(Cause::Empty);
    }
    if key.len() > MAX_KEY {
        return Err(Cause::TooLong);
    }
    if key == "." || key == ".." {
        return Err(Cause::Dots);
    }
    if key.contains('\\') {
        return Err(Cause::Backslash);
    }
    if key.contains(shown::is_control) { Err(Cause::Control) } else { Ok(()) }
}
