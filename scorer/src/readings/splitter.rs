//! Gives each row to its sensor, and counts what is wrong with rows.

use std::collections::HashMap;
use std::ops::ControlFlow;

use spec::time::{Found as FoundTime, TimeParser};
use spec::{SensorKeys, TimeRange};

use super::file::{File, Origin, shown};
use super::pass::{Limits, Sink, Wanted};
use super::record::Record;
use super::rows::no_field;
use super::{BadRow, Counts, Layout, ReadingsError, RowAt, Rows, Totals, Unplaced};
use crate::shown;

pub(super) struct Splitter {
    limits: Limits,
    /// How times are written, as was said, and in the file under way.
    said_times: TimeParser,
    times: TimeParser,
    window: Option<TimeRange>,
    instants: bool,
    /// Every key: its name, its column in the file under way, and the value that it has in all files.
    keys: Vec<(String, Option<usize>, Option<String>)>,
    file: File,
    /// Whether there are several files.
    several: bool,
    /// Where the texts of a sensor's keys lead, in `found`.
    places: HashMap<Vec<u8>, usize>,
    found: Vec<Found>,
    /// Whether sensors that nobody named are kept.
    open: bool,
    /// Bytes of the rows of all sensors.
    held: usize,
    /// The texts of a row's keys, reused.
    lookup: Vec<u8>,
    unplaced: Unplaced,
    /// The time of the row before: neighbours often have the same.
    last_time: (Vec<u8>, Option<FoundTime>),
    /// Whose every row of the file is, where no column tells. (Looking up an empty key for each row took a quarter of the
    /// time: comparing nothing with AVX-512 at an address that is none is slow.)
    everybodys: Option<usize>,
    times_read: bool,
    first_bad_time: Option<ReadingsError>,
}

struct Found {
    sensor: SensorKeys,
    counts: Counts,
    rows: Rows,
}

/// Whose a row is.
enum Place {
    At(usize),
    /// Nobody's who was asked for.
    Unwanted,
    /// It cannot be told.
    Unknown,
}

impl Splitter {
    pub(super) fn new(wanted: &Wanted, several: bool, limits: Limits) -> Self {
        let keys = wanted.keys.iter().map(|k| (k.clone(), None, wanted.fixed.get(k).map(str::to_owned))).collect();
        let mut splitter = Self {
            limits,
            said_times: wanted.encoding.times.clone(),
            times: wanted.encoding.times.clone(),
            window: wanted.window,
            instants: wanted.instants && wanted.window.is_none(),
            keys,
            file: File::default(),
            several,
            places: HashMap::new(),
            found: Vec::new(),
            open: wanted.sensors.is_none(),
            held: 0,
            lookup: Vec::new(),
            unplaced: Unplaced::default(),
            last_time: (Vec::new(), None),
            everybodys: None,
            times_read: false,
            first_bad_time: None,
        };
        for sensor in wanted.sensors.iter().flatten() {
            let mut lookup = Vec::new();
            for (name, ..) in &splitter.keys {
                extend(&mut lookup, sensor.get(name).unwrap_or_default().as_bytes());
            }
            splitter.add(sensor.clone(), lookup);
        }
        splitter
    }

    /// Goes on with another file.
    pub(super) fn open(&mut self, name: &str, layout: Layout, origin: &Origin) {
        self.times = if origin.instants { self.said_times.without_format() } else { self.said_times.clone() };
        self.last_time = (Vec::new(), None);
        self.everybodys = None;
        for (key, column, _) in &mut self.keys {
            *column = layout.keys.get(key).map(|c| c.index);
        }
        self.file = File::new(name, layout, origin);
    }

    fn add(&mut self, sensor: SensorKeys, lookup: Vec<u8>) -> usize {
        let place = self.found.len();
        self.found.push(Found { sensor, counts: Counts::default(), rows: Rows::default() });
        self.places.insert(lookup, place);
        place
    }

    fn at(&self, record: Record<'_>) -> RowAt {
        if self.file.has_lines { RowAt::Line(record.line) } else { RowAt::Row(record.line) }
    }

    fn bad_row(&self, record: Record<'_>, why: String) -> BadRow {
        let file = self.several.then(|| self.file.name.clone());
        BadRow { file, number: self.file.number, at: self.at(record), why }
    }

    pub(super) fn take(&mut self, record: Record<'_>, sink: &mut dyn Sink) -> ControlFlow<()> {
        let place = match self.place(record) {
            Place::At(place) => place,
            Place::Unwanted => return ControlFlow::Continue(()),
            Place::Unknown => {
                self.unplaced.rows += 1;
                if self.unplaced.first.is_none() {
                    let why = match (record.broken, self.absent_key(record)) {
                        (Some(why), _) => why.to_owned(),
                        (None, Some(key)) => no_field(key),
                        (None, None) if record.len() == self.file.width => "a key is not UTF-8".to_owned(),
                        (None, None) => self.wrong_width(record),
                    };
                    self.unplaced.first = Some(self.bad_row(record, why));
                }
                return ControlFlow::Continue(());
            }
        };
        let time = self.file.time.as_ref().and_then(|c| record.get(c.index)).unwrap_or_default();
        let mut bad_time = false;
        if let Some(window) = self.window {
            match self.time_of(time) {
                Some(FoundTime { time, unclear }) => {
                    self.times_read = true;
                    let counts = &mut self.found[place].counts;
                    if !window.contains(time) {
                        counts.outside += 1;
                        counts.unclear_outside += u64::from(unclear);
                        return ControlFlow::Continue(());
                    }
                    counts.unclear += u64::from(unclear);
                }
                None if record.broken.is_some() => bad_time = true,
                None => {
                    bad_time = true;
                    let at = self.at(record);
                    self.first_bad_time.get_or_insert_with(|| ReadingsError::Time {
                        file: self.file.name.clone(),
                        at,
                        column: self.file.time.as_ref().map(|c| shown::name(&c.name)).unwrap_or_default(),
                        text: shown(time),
                    });
                }
            }
        }
        if self.instants && self.found[place].counts.unread_time.is_none() && self.time_of(time).is_none() {
            self.found[place].counts.unread_time = Some(shown(time));
        }
        self.found[place].counts.rows += 1;
        let time = if bad_time { None } else { std::str::from_utf8(time).ok() };
        let why = match time {
            _ if let Some(why) = record.broken => why.to_owned(),
            _ if record.len() != self.file.width => self.wrong_width(record),
            None => {
                let (name, index) = self.file.time.as_ref().map(|c| (c.name.as_str(), c.index)).unwrap_or_default();
                match record.lacks(index) {
                    true => no_field(name),
                    false => format!(
                        "column {}: {:?} is no time",
                        shown::name(name),
                        shown(record.get(index).unwrap_or_default())
                    ),
                }
            }
            Some(time) => return self.keep(place, record, time, sink),
        };
        let counts = &self.found[place].counts;
        let first = counts.first_bad.is_none().then(|| self.bad_row(record, why));
        self.found[place].counts.add_bad(1, first);
        ControlFlow::Continue(())
    }

    /// Keeps a row, with whatever is in its values.
    fn keep(&mut self, place: usize, record: Record<'_>, time: &str, sink: &mut dyn Sink) -> ControlFlow<()> {
        let at = self.at(record);
        let rows = &mut self.found[place].rows;
        let before = rows.bytes();
        let (all_good, absent) = self.file.keep(record, rows);
        rows.push_time(time, (!all_good).then_some((self.file.number, at, absent)));
        let after = rows.bytes();
        self.held += after - before;
        if after >= self.limits.block {
            return self.close(place, sink);
        }
        if self.held >= self.limits.open {
            return self.close_largest(sink);
        }
        ControlFlow::Continue(())
    }

    fn close(&mut self, place: usize, sink: &mut dyn Sink) -> ControlFlow<()> {
        let rows = std::mem::take(&mut self.found[place].rows);
        self.held -= rows.bytes();
        sink.rows(place, rows)
    }

    /// Makes room: the largest blocks are closed until half of what is held is left, so that blocks do not become small.
    fn close_largest(&mut self, sink: &mut dyn Sink) -> ControlFlow<()> {
        let mut sizes: Vec<(usize, usize)> =
            self.found.iter().enumerate().map(|(place, found)| (found.rows.bytes(), place)).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        for (bytes, place) in sizes {
            if bytes == 0 || self.held <= self.limits.open / 2 {
                break;
            }
            self.close(place, sink)?;
        }
        ControlFlow::Continue(())
    }

    fn wrong_width(&self, record: Record<'_>) -> String {
        let width = self.file.width;
        format!("it has {} field(s), the header {width}; is it cut short, or are quotes missing?", record.len())
    }

    /// The first key of which a row does not have the field.
    fn absent_key(&self, record: Record<'_>) -> Option<&str> {
        let key = self.keys.iter().find(|(_, column, _)| column.is_some_and(|column| record.lacks(column)));
        key.map(|(name, ..)| name.as_str())
    }

    fn time_of(&mut self, text: &[u8]) -> Option<FoundTime> {
        if self.last_time.0 != text || text.is_empty() {
            self.last_time.0.clear();
            self.last_time.0.extend_from_slice(text);
            self.last_time.1 = self.times.read(text);
        }
        self.last_time.1
    }

    fn place(&mut self, record: Record<'_>) -> Place {
        if let Some(place) = self.everybodys {
            return Place::At(place);
        }
        let in_columns = self.keys.iter().any(|(_, column, _)| column.is_some());
        if record.broken.is_some() && (in_columns || self.keys.iter().any(|(.., fixed)| fixed.is_none())) {
            return Place::Unknown;
        }
        let whole = record.len() == self.file.width;
        self.lookup.clear();
        for (_, column, fixed) in &self.keys {
            let value = match column {
                // The last field of a row that is too short may be a part of what it was.
                Some(index) if !whole && index + 1 >= record.len() => return Place::Unknown,
                Some(index) if record.lacks(*index) => return Place::Unknown,
                Some(index) => record.trimmed(*index).unwrap_or_default(),
                None => fixed.as_deref().unwrap_or_default().as_bytes(),
            };
            if fixed.as_ref().is_some_and(|f| f.as_bytes() != value) {
                return Place::Unwanted;
            }
            extend(&mut self.lookup, value);
        }
        if let Some(place) = self.places.get(&self.lookup) {
            self.everybodys = (!in_columns).then_some(*place);
            return Place::At(*place);
        }
        let mut sensor = SensorKeys::default();
        for (name, column, fixed) in &self.keys {
            let fixed = fixed.as_ref().map(String::as_bytes);
            let value = column.and_then(|c| record.trimmed(c)).or(fixed).unwrap_or_default();
            let Ok(value) = std::str::from_utf8(value) else { return Place::Unknown };
            if self.open {
                sensor.0.insert(name.clone(), value.to_owned());
            }
        }
        if !self.open {
            return Place::Unwanted;
        }
        Place::At(self.add(sensor, self.lookup.clone()))
    }

    pub(super) fn end(mut self, sink: &mut dyn Sink) -> Result<Totals, ReadingsError> {
        if let (Some(error), false) = (self.first_bad_time, self.times_read) {
            return Err(error);
        }
        for (place, found) in self.found.iter_mut().enumerate() {
            let rows = std::mem::take(&mut found.rows);
            if !rows.is_empty() && sink.rows(place, rows).is_break() {
                break;
            }
        }
        let sensors = self.found.into_iter().map(|found| (found.sensor, found.counts)).collect();
        Ok(Totals { sensors, unplaced: self.unplaced, notes: Vec::new() })
    }
}

/// Adds a key's text in such a way that no two lists of texts look the same.
fn extend(lookup: &mut Vec<u8>, text: &[u8]) {
    lookup.extend_from_slice(&text.len().to_le_bytes());
    lookup.extend_from_slice(text);
}
