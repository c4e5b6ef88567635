//! Which rows and columns of a file: `--where` and `--columns`, shared by commands.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use spec::SensorKeys;
use spec::work::Columns;

use crate::engine::Wanted;
use crate::readings::ReadingsError;

/// Why rows could not be selected.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// `--columns` names something that no column can be.
    #[error("--columns {0}=…: write time=…, value=…, or a name that is in --where too")]
    Unknown(String),
}

/// `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair(String, String);

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
}

impl Select {
    /// The sensor that `--where` names.
    #[must_use]
    pub fn sensor(&self) -> SensorKeys {
        self.keys.iter().map(|Pair(name, value)| (name.to_lowercase(), value.clone())).collect()
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

    /// The selected rows of files, which are one sensor's.
    ///
    /// # Errors
    /// When `--columns` names what there is not.
    pub fn wanted(&self) -> Result<Wanted, SelectError> {
        let (sensor, columns) = (self.sensor(), self.columns());
        let keys: Vec<String> = sensor.0.keys().cloned().collect();
        if let Some(what) = columns.keys.keys().find(|k| !keys.contains(k)) {
            return Err(SelectError::Unknown(what.clone()));
        }
        Ok(Wanted { columns, keys, sensors: Some(BTreeSet::from([sensor])), ..Wanted::default() })
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
