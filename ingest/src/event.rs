//! Bytes of a record to events.
//!
//! The hot path: an event is read where it stands, and nothing is allocated for it. `fields` notes where in the record each field
//! that matters is, whatever the format (`json`, `csv`); `reading` makes the event of that; a `filter` is asked before.

use spec::time::TimeParser;

use crate::Micros;
use crate::config::{EventConfig, EventFormat};

mod csv;
mod expression;
mod fields;
mod filter;
mod json;
mod malformed;
mod reading;
mod scanner;

use fields::{Fields, Raw};
use filter::Filter;
pub use filter::FilterError;
pub use malformed::{Cause, Malformed};
use reading::Reading;

/// Between two values of a sensor's keys. No value has it: it is a control character, which none may have.
pub const SEPARATOR: u8 = 0x1f;

/// A record of more events than these is read no further.
pub const MAX_EVENTS: u32 = 100_000;

/// A reading of a sensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event<'a> {
    /// The values of the sensor's keys as UTF-8, in the order of `event.columns.keys`, with [`SEPARATOR`] between two.
    pub sensor: &'a [u8],
    /// Its time.
    pub time: Micros,
    /// Its value; finite.
    pub value: f64,
}

/// The values of a sensor's keys.
pub fn keys(sensor: &[u8]) -> impl Iterator<Item = &str> {
    // They came from texts.
    sensor.split(|byte| *byte == SEPARATOR).map(|key| std::str::from_utf8(key).unwrap_or_default())
}

/// What is found in a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded<'a> {
    /// An event.
    Event(Event<'a>),
    /// An event of which the filter is not true.
    Filtered,
    /// None.
    Malformed(Malformed),
}

/// Reads records. It keeps what it has allocated for the next ones; it does not keep anything of them.
#[derive(Debug)]
pub struct Decoder {
    reading: Reading,
    csv: Option<csv::Csv>,
    /// Where the fields of an event are; empty between two records.
    raws: Vec<Raw<'static>>,
}

impl Decoder {
    /// One for such records. Zone, format of times, names and delimiter are those that the configuration's check has passed.
    ///
    /// # Errors
    /// When the filter is no condition; the message does not name the field, `event.filter`.
    pub fn new(config: &EventConfig) -> Result<Self, FilterError> {
        let filter = config.filter.as_deref().map(|filter| Filter::compile(filter, config)).transpose()?;
        let fields = Fields::new(&config.columns, filter.iter().flat_map(Filter::variables));
        let csv = match config.format {
            EventFormat::Json => None,
            EventFormat::Csv => Some(csv::Csv::new(config, &fields)),
        };
        let times = TimeParser::new(config.time_zone.as_deref(), config.time_format.as_deref());
        Ok(Self { reading: Reading::new(fields, times, filter), csv, raws: Vec::new() })
    }

    /// Calls `each` for each event of a record, and for each thing that is none, in their order and with its place: 0, 1, 2 and so
    /// on, which is the same whenever the record is read. Of `[]` there is none.
    pub fn decode(&mut self, payload: &[u8], each: impl FnMut(u32, Decoded<'_>)) {
        let mut found = Found { next: 0, each };
        let text = payload.strip_prefix("\u{feff}".as_bytes()).unwrap_or(payload);
        if text.trim_ascii().is_empty() {
            let _ = found.tell(Decoded::Malformed(Malformed::Empty));
            return;
        }
        match &mut self.csv {
            Some(csv) => csv.decode(text, &mut self.reading, &mut self.raws, &mut found),
            None => json::decode(text, payload.len() - text.len(), &mut self.reading, &mut self.raws, &mut found),
        }
    }
}

/// Told one thing after another.
struct Found<F> {
    next: u32,
    each: F,
}

/// There is no more to be told.
struct Enough;

impl<F: FnMut(u32, Decoded<'_>)> Found<F> {
    fn tell(&mut self, decoded: Decoded<'_>) -> Result<(), Enough> {
        let at = self.next;
        if at >= MAX_EVENTS {
            (self.each)(at, Decoded::Malformed(Malformed::TooManyEvents));
            return Err(Enough);
        }
        self.next += 1;
        (self.each)(at, decoded);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
