//! One pass over a file: each row goes to its sensor.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;

use jiff::Timestamp;
use spec::work::Columns;
use spec::{SensorKeys, TimeRange};

use super::layout::Resolver;
use super::record::Record;
use super::source::{self, Encoding};
use super::time::TimeParser;
use super::{BadRow, Layout, Readings, ReadingsError, SensorReadings, number};

/// Which readings are wanted of a file.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// How the file is written.
    pub encoding: &'a Encoding,
    /// Which column is what.
    pub columns: &'a Columns,
    /// The names of the sensors' keys.
    pub keys: &'a [String],
    /// Keys that have one value in the whole file.
    pub fixed: &'a SensorKeys,
    /// The sensors; `None`: every sensor found.
    pub sensors: Option<&'a BTreeSet<SensorKeys>>,
    /// The span of time; `None`: every row.
    pub window: Option<TimeRange>,
}

/// Reads a file once and keeps what belongs to the wanted sensors and lies in the window.
///
/// Keys are matched to columns by `columns.keys`, else by name, case-insensitively. A key without a column is allowed
/// only where `fixed` gives its value: the file is then one sensor's own. A sensor without a row in the window is not
/// an error here; it has `rows` 0.
///
/// # Errors
/// When the file is empty or broken, or a column is missing; the message says where.
pub fn read(name: &str, input: impl Read, wanted: &Wanted<'_>) -> Result<Readings, ReadingsError> {
    let mut opened = source::open(name, input, wanted.encoding)?;
    let Wanted { columns, keys, fixed, sensors, window, .. } = *wanted;
    let resolver = Resolver { file: name, header: &opened.header, columns, keys, fixed, needs_time: window.is_some() };
    let layout = resolver.resolve(&opened.sample)?;
    let times = &wanted.encoding.times;
    let mut splitter = Splitter::new(layout, opened.header.len(), times, keys, fixed, sensors, window);
    for record in &opened.sample {
        splitter.take(record.as_record());
    }
    while let Some(record) = opened.rest.next()? {
        splitter.take(record);
    }
    splitter.finish(name)
}

/// Reads a file of which nothing is said but which column is what; as [`read`].
///
/// # Errors
/// As [`read`].
pub fn read_csv(
    name: &str,
    input: impl Read,
    columns: &Columns,
    keys: &[String],
    fixed: &SensorKeys,
    sensors: Option<&BTreeSet<SensorKeys>>,
    window: Option<TimeRange>,
) -> Result<Readings, ReadingsError> {
    read(name, input, &Wanted { encoding: &Encoding::default(), columns, keys, fixed, sensors, window })
}

/// Gives each row to its sensor.
struct Splitter<'a> {
    layout: Layout,
    /// Fields of a whole row.
    width: usize,
    times: &'a TimeParser,
    window: Option<TimeRange>,
    /// Every key: its name, its column, and the value that it has in the whole file.
    keys: Vec<(&'a str, Option<usize>, Option<&'a str>)>,
    /// Where the texts of a sensor's keys lead, in `found`.
    places: HashMap<Vec<u8>, usize>,
    found: Vec<(SensorKeys, SensorReadings)>,
    /// Whether sensors that nobody named are kept.
    open: bool,
    /// The texts of a row's keys, reused.
    lookup: Vec<u8>,
    unplaced: u64,
    first_unplaced: Option<BadRow>,
    /// The time of the row before: neighbours often have the same.
    last_time: (Vec<u8>, Option<Timestamp>),
    times_read: bool,
    first_bad_time: Option<(u64, String)>,
}

/// Whose a row is.
enum Place {
    At(usize),
    /// Nobody's who was asked for.
    Unwanted,
    /// It cannot be told.
    Unknown,
}

impl<'a> Splitter<'a> {
    fn new(
        layout: Layout,
        width: usize,
        times: &'a TimeParser,
        keys: &'a [String],
        fixed: &'a SensorKeys,
        sensors: Option<&BTreeSet<SensorKeys>>,
        window: Option<TimeRange>,
    ) -> Self {
        let keys: Vec<_> =
            keys.iter().map(|k| (k.as_str(), layout.keys.get(k).map(|c| c.index), fixed.get(k))).collect();
        let mut splitter = Self {
            layout,
            width,
            times,
            window,
            keys,
            places: HashMap::new(),
            found: Vec::new(),
            open: sensors.is_none(),
            lookup: Vec::new(),
            unplaced: 0,
            first_unplaced: None,
            last_time: (Vec::new(), None),
            times_read: false,
            first_bad_time: None,
        };
        for sensor in sensors.into_iter().flatten() {
            let mut lookup = Vec::new();
            for (name, ..) in &splitter.keys {
                extend(&mut lookup, sensor.get(name).unwrap_or_default().as_bytes());
            }
            splitter.places.insert(lookup, splitter.found.len());
            splitter.found.push((sensor.clone(), SensorReadings::default()));
        }
        splitter
    }

    fn take(&mut self, record: Record<'_>) {
        let place = match self.place(record) {
            Place::At(place) => place,
            Place::Unwanted => return,
            Place::Unknown => {
                self.unplaced += 1;
                if self.first_unplaced.is_none() {
                    let why = match record.broken {
                        Some(why) => why.to_owned(),
                        None if record.len() == self.width => "a key is not UTF-8".to_owned(),
                        None => self.wrong_width(record),
                    };
                    self.first_unplaced = Some(BadRow { line: record.line, why });
                }
                return;
            }
        };
        let time = self.layout.time.as_ref().and_then(|c| record.get(c.index)).unwrap_or_default();
        let mut bad_time = false;
        if let Some(window) = self.window {
            match self.time_of(time) {
                Some(at) => {
                    self.times_read = true;
                    if !window.contains(at) {
                        self.found[place].1.outside += 1;
                        return;
                    }
                }
                None => {
                    bad_time = true;
                    if self.first_bad_time.is_none() {
                        self.first_bad_time = Some((record.line, shown(time)));
                    }
                }
            }
        }
        self.found[place].1.rows += 1;
        if let Err(why) = self.keep(place, record, time, bad_time) {
            let readings = &mut self.found[place].1;
            readings.bad_rows += 1;
            readings.good.drop_partial(self.layout.values.len());
            if readings.first_bad.is_none() {
                let why = self.explain(record, why);
                self.found[place].1.first_bad = Some(BadRow { line: record.line, why });
            }
        }
    }

    /// Keeps a row, or says what is wrong with it.
    fn keep(&mut self, place: usize, record: Record<'_>, time: &[u8], bad_time: bool) -> Result<(), Wrong> {
        if record.len() != self.width {
            return Err(Wrong::Width);
        }
        let time = if bad_time { Err(Wrong::Time) } else { std::str::from_utf8(time).map_err(|_| Wrong::Time) }?;
        let rows = &mut self.found[place].1.good;
        for (at, column) in self.layout.values.iter().enumerate() {
            let text = record.trimmed(column.index).unwrap_or_default();
            let value = number::parse(text).ok_or(Wrong::Value(at))?;
            rows.push_value(value, text);
        }
        rows.push_time(time);
        Ok(())
    }

    fn explain(&self, record: Record<'_>, wrong: Wrong) -> String {
        let column = match wrong {
            Wrong::Width => return self.wrong_width(record),
            Wrong::Time => self.layout.time.as_ref(),
            Wrong::Value(at) => self.layout.values.get(at),
        };
        let Some(column) = column else { return "it cannot be read".to_owned() };
        let text = record.get(column.index).unwrap_or_default();
        let what = match wrong {
            Wrong::Time => "no time",
            _ if number::is_number(text.trim_ascii()) => "no finite number",
            _ => "no number",
        };
        format!("column {}: {:?} is {what}", column.name, shown(text))
    }

    fn wrong_width(&self, record: Record<'_>) -> String {
        format!("it has {} field(s), the header {}; is it cut short, or are quotes missing?", record.len(), self.width)
    }

    fn time_of(&mut self, text: &[u8]) -> Option<Timestamp> {
        if self.last_time.0 != text || text.is_empty() {
            self.last_time.0.clear();
            self.last_time.0.extend_from_slice(text);
            self.last_time.1 = self.times.parse(text);
        }
        self.last_time.1
    }

    fn place(&mut self, record: Record<'_>) -> Place {
        if record.broken.is_some() {
            return Place::Unknown;
        }
        let whole = record.len() == self.width;
        self.lookup.clear();
        for (_, column, fixed) in &self.keys {
            let value = match column {
                // The last field of a row that is too short may be a part of what it was.
                Some(index) if !whole && index + 1 >= record.len() => return Place::Unknown,
                Some(index) => record.trimmed(*index).unwrap_or_default(),
                None => fixed.unwrap_or_default().as_bytes(),
            };
            if fixed.is_some_and(|f| f.as_bytes() != value) {
                return Place::Unwanted;
            }
            extend(&mut self.lookup, value);
        }
        if let Some(place) = self.places.get(&self.lookup) {
            return Place::At(*place);
        }
        let mut sensor = SensorKeys::default();
        for (name, column, fixed) in &self.keys {
            let value = column.and_then(|c| record.trimmed(c)).or(fixed.map(str::as_bytes)).unwrap_or_default();
            let Ok(value) = std::str::from_utf8(value) else { return Place::Unknown };
            if self.open {
                sensor.0.insert((*name).to_owned(), value.to_owned());
            }
        }
        if !self.open {
            return Place::Unwanted;
        }
        let place = self.found.len();
        self.found.push((sensor, SensorReadings::default()));
        self.places.insert(self.lookup.clone(), place);
        Place::At(place)
    }

    fn finish(self, file: &str) -> Result<Readings, ReadingsError> {
        if let (Some((line, text)), false, Some(column)) = (self.first_bad_time, self.times_read, &self.layout.time) {
            return Err(ReadingsError::Time { file: file.to_owned(), line, column: column.name.clone(), text });
        }
        let sensors = self.found.into_iter().collect();
        Ok(Readings { layout: self.layout, sensors, unplaced: self.unplaced, first_unplaced: self.first_unplaced })
    }
}

/// What is wrong with a row.
#[derive(Clone, Copy)]
enum Wrong {
    Width,
    Time,
    Value(usize),
}

/// A field as messages show it.
fn shown(text: &[u8]) -> String {
    const MOST: usize = 40;
    let text = String::from_utf8_lossy(text);
    if text.chars().count() <= MOST { text.into_owned() } else { text.chars().take(MOST).chain(['…']).collect() }
}

/// Adds a key's text in such a way that no two lists of texts look the same.
fn extend(lookup: &mut Vec<u8>, text: &[u8]) {
    lookup.extend_from_slice(&text.len().to_le_bytes());
    lookup.extend_from_slice(text);
}
