//! Readings: files of CSV or JSON, read once and split by sensor. What is wrong with them is told, row by row.

mod csv;
mod error;
mod json;
mod layout;
mod lines;
mod number;
mod read;
mod record;
mod rows;
mod source;
mod time;
mod zstd;

use std::collections::BTreeMap;
use std::fmt;

use spec::work::Columns;
use spec::{Limit, SensorKeys};

pub use error::ReadingsError;
pub use read::{Wanted, read, read_csv};
pub use rows::Rows;
pub use source::Encoding;
pub use time::TimeParser;
pub(crate) use time::parse as parse_time;

/// A column of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its place in the file, from 0.
    pub index: usize,
    /// Its name in the header.
    pub name: String,
}

/// Which column is what, as said or inferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The reading's time; absent only where the file has no such column and nobody asked for one.
    pub time: Option<Column>,
    /// Each key's column. A key whose value is fixed for the whole file may have none.
    pub keys: BTreeMap<String, Column>,
    /// The model's features, in its order.
    pub values: Vec<Column>,
}

impl Layout {
    /// The layout as a user would have written it, for the record.
    #[must_use]
    pub fn to_columns(&self) -> Columns {
        Columns {
            time: self.time.as_ref().map(|c| c.name.clone()),
            value: self.values.iter().map(|c| c.name.clone()).collect(),
            keys: self.keys.iter().map(|(key, c)| (key.clone(), c.name.clone())).collect(),
        }
    }
}

/// What a file held, by sensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Readings {
    /// Which column is what.
    pub layout: Layout,
    /// The sensors found; with a given set of sensors exactly those, so that one without any row is there, empty.
    pub sensors: BTreeMap<SensorKeys, SensorReadings>,
    /// Rows of which it cannot be told whose they are.
    pub unplaced: u64,
    /// The first of them.
    pub first_unplaced: Option<BadRow>,
}

impl Readings {
    /// Why a sensor has too many bad rows to be scored, if it has. Rows that may be any sensor's count as its own.
    #[must_use]
    pub fn too_many_bad(&self, sensor: &SensorKeys, most: Limit) -> Option<String> {
        let readings = self.sensors.get(sensor)?;
        let (bad, all) = (readings.bad_rows + self.unplaced, readings.rows + self.unplaced);
        let first = readings.first_bad.as_ref().or(self.first_unplaced.as_ref())?;
        let more = !most.allows(bad, all);
        more.then(|| format!("{bad} of {all} rows are bad, more than maxBadRows ({most}); the first is {first}"))
    }

    /// What the user of one sensor's predictions should know of the rows that were left out.
    #[must_use]
    pub fn warnings(&self, sensor: &SensorKeys) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some((readings, first)) = self.sensors.get(sensor).and_then(|r| Some((r, r.first_bad.as_ref()?))) {
            let SensorReadings { rows, bad_rows, .. } = readings;
            warnings.push(format!("{bad_rows} of {rows} rows are bad and were left out; the first is {first}"));
        }
        if let Some(first) = &self.first_unplaced {
            let rows = self.unplaced;
            warnings.push(format!("{rows} rows of the file have no keys that can be told; the first is {first}"));
        }
        warnings
    }
}

/// One sensor's readings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SensorReadings {
    /// Data rows of this sensor in the window, bad ones included.
    pub rows: u64,
    /// Rows among them without a usable value (or, where there is a window, time); they are kept nowhere else.
    pub bad_rows: u64,
    /// Rows of this sensor outside the window. With `rows` 0 and this 0, the file does not know the sensor.
    pub outside: u64,
    /// The first bad row.
    pub first_bad: Option<BadRow>,
    /// The good rows.
    pub good: Rows,
}

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Its line in the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

#[cfg(test)]
mod tests;
