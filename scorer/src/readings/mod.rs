//! Readings: CSV files, read once and split by sensor.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use spec::work::Columns;
use spec::{SensorKeys, TimeRange};

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
    /// Each key's column.
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
    /// Rows among them without a usable time or value.
    pub bad_rows: u64,
    /// Rows of this sensor outside the window. With `rows` 0 and this 0, the file does not know the sensor.
    pub outside: u64,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadingsError {
    /// The file has no header.
    #[error("{file}: the file is empty; it needs a header line and data rows")]
    Empty {
        /// The file.
        file: String,
    },
}

impl ReadingsError {
    /// `DataInvalid`, `DataUnreadable` or `ColumnMissing`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "DataInvalid",
        }
    }
}

/// Reads a CSV once and keeps what belongs to `sensors` (`None`: every sensor found) and lies in `window`.
///
/// Keys are matched to columns by `columns.keys`, else by name, case-insensitively. A key without a column is allowed
/// only where `fixed` gives its value: the file is then one sensor's own.
///
/// # Errors
/// When the file is empty or broken, or a column is missing; the message says where.
pub fn read_csv(
    name: &str,
    _input: impl Read,
    _columns: &Columns,
    _keys: &[String],
    _fixed: &SensorKeys,
    _sensors: Option<&BTreeSet<SensorKeys>>,
    _window: Option<TimeRange>,
) -> Result<Readings, ReadingsError> {
    Err(ReadingsError::Empty { file: name.to_owned() })
}
