//! Readings: CSV files, read once and split by sensor.

mod error;
mod layout;
mod read;
mod time;

use std::collections::BTreeMap;

use spec::SensorKeys;
use spec::work::Columns;

pub use error::ReadingsError;
pub use read::read_csv;

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
}

/// One sensor's readings, in the file's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SensorReadings {
    /// Data rows of this sensor in the window, bad ones included.
    pub rows: u64,
    /// Rows among them without a usable value (or, where there is a window, time); they are kept nowhere else.
    pub bad_rows: u64,
    /// Rows of this sensor outside the window. With `rows` 0 and this 0, the file does not know the sensor.
    pub outside: u64,
    times: Texts,
    texts: Texts,
    values: Vec<f64>,
}

impl SensorReadings {
    /// The values of the good rows, one row after the other.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The time of a good row as it stands in the file; empty without a column for it.
    #[must_use]
    pub fn time(&self, row: usize) -> &str {
        self.times.get(row)
    }

    /// The values of a good row as they stand in the file.
    pub(crate) fn value_texts(&self, row: usize, width: usize) -> impl Iterator<Item = &str> {
        (row * width..(row + 1) * width).map(|at| self.texts.get(at))
    }
}

/// Many short texts in one allocation.
#[derive(Clone, Debug, Default, PartialEq)]
struct Texts {
    text: String,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    fn get(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends.get(at - 1).copied().unwrap_or_default() };
        let end = self.ends.get(at).copied().unwrap_or(start);
        self.text.get(start..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
