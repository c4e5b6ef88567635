//! Readings: files of CSV, JSON or Parquet, or rows of a database, read once and split by sensor, a block of rows at a time. What
//! is wrong with them is told, row by row.

mod counts;
mod csv;
mod error;
mod file;
mod gzip;
mod json;
mod layout;
mod lines;
mod names;
mod packed;
mod parquet;
mod pass;
mod read;
mod record;
mod rows;
mod source;
mod splitter;
mod table;
mod zstd;

use std::collections::{BTreeMap, BTreeSet};

use spec::work::Columns;

pub use counts::{BadRow, Counts, RowAt, Totals, Unplaced};
pub use error::ReadingsError;
pub(crate) use names::{Named, by_name};
pub use pass::{Head, Limits, Pass, Sink, Wanted};
pub use read::{Readings, SensorReadings, read, read_csv};
pub use rows::{Rows, Selection, Usable};
pub use source::Encoding;
pub use spec::time::TimeParser;
pub use table::Table;

/// A column of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its place in the file, from 0.
    pub index: usize,
    /// Its name in the header.
    pub name: String,
}

/// Which column is what, as said or inferred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The reading's time; absent only where the file has no such column and nobody asked for one.
    pub time: Option<Column>,
    /// Each key's column. A key whose value is fixed for the whole file may have none.
    pub keys: BTreeMap<String, Column>,
    /// The model's features, in its order.
    pub values: Vec<Column>,
    /// How times are written.
    pub times: TimeParser,
}

impl Layout {
    /// The places of all its columns.
    fn indices(&self) -> BTreeSet<usize> {
        self.keys.values().chain(&self.time).chain(&self.values).map(|column| column.index).collect()
    }

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

#[cfg(test)]
mod tests;
