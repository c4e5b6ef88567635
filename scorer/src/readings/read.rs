//! One pass over a CSV: each row goes to its sensor.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;

use csv::StringRecord;
use spec::work::Columns;
use spec::{SensorKeys, TimeRange};

use super::layout::Resolver;
use super::{Layout, Readings, ReadingsError, SensorReadings, time};

/// Rows from which it is told which columns are numbers.
const SAMPLE: usize = 100;

/// Reads a CSV once and keeps what belongs to `sensors` (`None`: every sensor found) and lies in `window`.
///
/// Keys are matched to columns by `columns.keys`, else by name, case-insensitively. A key without a column is allowed
/// only where `fixed` gives its value: the file is then one sensor's own. A sensor without a row in the window is not
/// an error here; it has `rows` 0.
///
/// # Errors
/// When the file is empty or broken, or a column is missing; the message says where.
pub fn read_csv(
    name: &str,
    input: impl Read,
    columns: &Columns,
    keys: &[String],
    fixed: &SensorKeys,
    sensors: Option<&BTreeSet<SensorKeys>>,
    window: Option<TimeRange>,
) -> Result<Readings, ReadingsError> {
    let mut csv = csv::ReaderBuilder::new().has_headers(false).buffer_capacity(1 << 16).from_reader(input);
    let mut record = StringRecord::new();
    let broken = |header: &[String], e| ReadingsError::from_csv(name, header, e);
    if !csv.read_record(&mut record).map_err(|e| broken(&[], e))? {
        return Err(ReadingsError::Empty { file: name.to_owned() });
    }
    let header: Vec<String> = record.iter().map(|f| f.trim_start_matches('\u{feff}').trim().to_owned()).collect();

    let mut sample = Vec::new();
    while sample.len() < SAMPLE && csv.read_record(&mut record).map_err(|e| broken(&header, e))? {
        sample.push(record.clone());
    }
    let needs_time = window.is_some();
    let resolver = Resolver { file: name, header: &header, columns, keys, fixed, needs_time };
    let mut splitter = Splitter::new(resolver.resolve(&sample)?, keys, fixed, sensors, window);
    for record in &sample {
        splitter.take(record);
    }
    while csv.read_record(&mut record).map_err(|e| broken(&header, e))? {
        splitter.take(&record);
    }
    splitter.finish(name)
}

/// Gives each row to its sensor.
struct Splitter<'a> {
    layout: Layout,
    window: Option<TimeRange>,
    /// Every key: its name, its column, and the value that it has in the whole file.
    keys: Vec<(&'a str, Option<usize>, Option<&'a str>)>,
    /// Where the texts of a sensor's keys lead, in `found`.
    places: HashMap<String, usize>,
    found: Vec<(SensorKeys, SensorReadings)>,
    /// Whether sensors that nobody named are kept.
    open: bool,
    /// The texts of a row's keys, reused.
    lookup: String,
    times_read: bool,
    first_bad_time: Option<(u64, String)>,
}

impl<'a> Splitter<'a> {
    fn new(
        layout: Layout,
        keys: &'a [String],
        fixed: &'a SensorKeys,
        sensors: Option<&BTreeSet<SensorKeys>>,
        window: Option<TimeRange>,
    ) -> Self {
        let keys: Vec<_> =
            keys.iter().map(|k| (k.as_str(), layout.keys.get(k).map(|c| c.index), fixed.get(k))).collect();
        let mut splitter = Self {
            layout,
            window,
            keys,
            places: HashMap::new(),
            found: Vec::new(),
            open: sensors.is_none(),
            lookup: String::new(),
            times_read: false,
            first_bad_time: None,
        };
        for sensor in sensors.into_iter().flatten() {
            let mut lookup = String::new();
            for (name, ..) in &splitter.keys {
                extend(&mut lookup, sensor.get(name).unwrap_or_default());
            }
            splitter.places.insert(lookup, splitter.found.len());
            splitter.found.push((sensor.clone(), SensorReadings::default()));
        }
        splitter
    }

    fn take(&mut self, record: &StringRecord) {
        let Some(place) = self.place(record) else { return };
        let mut good = true;
        let text = self.layout.time.as_ref().and_then(|c| record.get(c.index)).unwrap_or_default();
        if let Some(window) = self.window {
            match time::parse(text) {
                Some(at) => {
                    self.times_read = true;
                    if !window.contains(at) {
                        self.found[place].1.outside += 1;
                        return;
                    }
                }
                None => {
                    good = false;
                    if self.first_bad_time.is_none() {
                        let line = record.position().map_or(0, csv::Position::line);
                        self.first_bad_time = Some((line, text.to_owned()));
                    }
                }
            }
        }
        let readings = &mut self.found[place].1;
        let before = readings.values.len();
        readings.rows += 1;
        for column in &self.layout.values {
            match record.get(column.index).and_then(|f| f.trim().parse::<f64>().ok()) {
                Some(value) if value.is_finite() => readings.values.push(value),
                _ => good = false,
            }
        }
        if good {
            readings.times.push(text);
            for column in &self.layout.values {
                readings.texts.push(record.get(column.index).unwrap_or_default().trim());
            }
        } else {
            readings.values.truncate(before);
            readings.bad_rows += 1;
        }
    }

    /// Where the row's sensor is; none if it is not wanted.
    fn place(&mut self, record: &StringRecord) -> Option<usize> {
        self.lookup.clear();
        for (_, column, fixed) in &self.keys {
            let value = column.and_then(|c| record.get(c)).map(str::trim).or(*fixed).unwrap_or_default();
            if fixed.is_some_and(|f| f != value) {
                return None;
            }
            extend(&mut self.lookup, value);
        }
        if let Some(place) = self.places.get(&self.lookup) {
            return Some(*place);
        }
        if !self.open {
            return None;
        }
        let value = |column: &Option<usize>, fixed: &Option<&str>| {
            column.and_then(|c| record.get(c)).map(str::trim).or(*fixed).unwrap_or_default().to_owned()
        };
        let sensor = self.keys.iter().map(|(name, column, fixed)| (*name, value(column, fixed))).collect();
        let place = self.found.len();
        self.found.push((sensor, SensorReadings::default()));
        self.places.insert(self.lookup.clone(), place);
        Some(place)
    }

    fn finish(self, file: &str) -> Result<Readings, ReadingsError> {
        if let (Some((line, text)), false, Some(column)) = (self.first_bad_time, self.times_read, &self.layout.time) {
            return Err(ReadingsError::Time { file: file.to_owned(), line, column: column.name.clone(), text });
        }
        Ok(Readings { layout: self.layout, sensors: self.found.into_iter().collect() })
    }
}

/// Adds a key's text in such a way that no two lists of texts look the same.
fn extend(lookup: &mut String, text: &str) {
    use std::fmt::Write as _;
    // Writing to a String cannot fail.
    let _ = write!(lookup, "{}:{text}", text.len());
}
