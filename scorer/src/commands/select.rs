//! Which rows and columns of a file, and how it is written: `--where`, `--columns` and others, shared by commands.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use clap::ValueEnum;
use spec::check::WorkError;
use spec::work::{Columns, DataFormat, DataSource, Delimiter};
use spec::{DataPath, SensorKeys};

use crate::engine::{Encoding, Wanted};
use crate::readings::ReadingsError;

/// Why rows could not be selected.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// `--columns` names something that no column can be.
    #[error("--columns {0}=…: write time=…, value=…, or a name that is in --where too")]
    Unknown(String),
    /// Readings cannot be written as is said.
    #[error("{}: {}", flag(.0.field), .0.message)]
    Written(#[from] WorkError),
    /// No file has such a path.
    #[error("{0} is no path in the store")]
    Path(String),
}

/// The argument for a field of a schedule.
fn flag(field: &str) -> &str {
    match field {
        "data.names" => "--names",
        "data.delimiter" => "--delimiter",
        "data.timeZone" => "--time-zone",
        "data.timeFormat" => "--time-format",
        other => other,
    }
}

/// What readings are written as: `format` of a schedule's `data`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InputFormat {
    /// Fields with a delimiter between them
    Csv,
    /// JSON: one object a line, or an array of objects
    #[value(name = "jsonl")]
    JsonLines,
    /// Apache Parquet
    Parquet,
}

impl From<InputFormat> for DataFormat {
    fn from(format: InputFormat) -> Self {
        match format {
            InputFormat::Csv => Self::Csv,
            InputFormat::JsonLines => Self::JsonLines,
            InputFormat::Parquet => Self::Parquet,
        }
    }
}

/// How readings are written, as a schedule's `data` says it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Written {
    /// The columns of a CSV without a header, in order. Default: its first row has them
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    names: Option<Vec<String>>,
    /// The zone of times that name none, such as Europe/Berlin. Default: UTC
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// How times are written, as for strptime, such as '%d.%m.%Y %H:%M:%S'. Default: RFC 3339, the same without a zone, or
    /// seconds, milli-, micro- or nanoseconds since 1970
    #[arg(long, value_name = "FORMAT")]
    time_format: Option<String>,
    /// What stands between the fields of a CSV. Default: comma, semicolon, tab or |, as the first line has most of
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<String>,
    /// What the readings are written as. Default: told by the file's name, else by its first bytes
    #[arg(long, value_enum)]
    input_format: Option<InputFormat>,
}

impl Written {
    /// The same as a schedule has it.
    fn source(&self, file: &str) -> Result<DataSource, SelectError> {
        let path: DataPath = file.parse().map_err(|_| SelectError::Path(file.to_owned()))?;
        let source = DataSource {
            path: Some(path),
            sql: None,
            complete: None,
            format: self.input_format.map(DataFormat::from),
            delimiter: self.delimiter.clone().map(Delimiter),
            names: self.names.clone(),
            time_zone: self.time_zone.clone(),
            time_format: self.time_format.clone(),
            max_bad_rows: None,
            columns: Columns::default(),
        };
        source.check()?;
        Ok(source)
    }
}

/// `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair(String, String);

impl Pair {
    /// As a sensor's key, whose names are lower case.
    pub(super) fn key(&self) -> (String, String) {
        (self.0.to_lowercase(), self.1.clone())
    }
}

impl std::str::FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
                Ok(Self(name.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err("write NAME=VALUE, such as Device=1".to_owned()),
        }
    }
}

/// Which rows and columns of a file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Select {
    /// The sensor: only rows in which these columns have these values, such as Device=1,Tag=5. Default: every row
    #[arg(long = "where", value_name = "NAME=VALUE,…", value_delimiter = ',')]
    keys: Vec<Pair>,
    /// Which column is what: time=TS, value=Value (several times for several features), or NAME=COLUMN for a name in
    /// --where. Default: inferred from the header and the first rows
    #[arg(long, value_name = "WHAT=COLUMN,…", value_delimiter = ',')]
    columns: Vec<Pair>,
    #[command(flatten)]
    written: Written,
}

impl Select {
    /// The sensor that `--where` names.
    #[must_use]
    pub fn sensor(&self) -> SensorKeys {
        self.keys.iter().map(Pair::key).collect()
    }

    /// The columns that `--columns` names.
    #[must_use]
    pub fn columns(&self) -> Columns {
        let mut columns = Columns::default();
        for Pair(what, column) in &self.columns {
            match what.as_str() {
                "time" => columns.time = Some(column.clone()),
                "value" => columns.value.push(column.clone()),
                _ => {
                    columns.keys.insert(what.to_lowercase(), column.clone());
                }
            }
        }
        columns
    }

    /// How the readings are written.
    ///
    /// # Errors
    /// When they cannot be written so.
    pub fn encoding(&self) -> Result<Encoding, SelectError> {
        // Where they are, the command itself knows.
        Ok(Encoding::of(&self.written.source("readings")?))
    }

    /// The selected rows of files, which are one sensor's.
    ///
    /// # Errors
    /// When `--columns` names what there is not, or the readings cannot be written as is said.
    pub fn wanted(&self) -> Result<Wanted, SelectError> {
        let (sensor, columns) = (self.sensor(), self.columns());
        let keys: Vec<String> = sensor.0.keys().cloned().collect();
        if let Some(what) = columns.keys.keys().find(|k| !keys.contains(k)) {
            return Err(SelectError::Unknown(what.clone()));
        }
        let (encoding, sensors) = (self.encoding()?, Some(BTreeSet::from([sensor])));
        Ok(Wanted { encoding, columns, keys, sensors, ..Wanted::default() })
    }
}

/// Opens a file of readings.
///
/// # Errors
/// When it cannot be.
pub fn open(file: &Path) -> Result<(String, File), ReadingsError> {
    let name = file.display().to_string();
    match File::open(file) {
        Ok(open) => Ok((name, open)),
        Err(source) => Err(ReadingsError::Unreadable { file: name, source }),
    }
}
