//! Why a file of readings could not be read: what, where, and what to do.

/// Why a file of readings could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadingsError {
    /// The file has no header.
    #[error("{file}: the file is empty; it needs a header line such as TS,Device,Tag,Value, and data rows")]
    Empty {
        /// The file.
        file: String,
    },
    /// The header lacks a column.
    #[error("{file}: line 1: no column {wanted} for {role}; the header has {header}; {hint}")]
    ColumnMissing {
        /// The file.
        file: String,
        /// The column or columns sought.
        wanted: String,
        /// What it is for.
        role: String,
        /// The columns there are.
        header: String,
        /// How to name the right one.
        hint: String,
    },
    /// The header has a column twice.
    #[error("{file}: line 1: {count} columns are named {wanted}; rename all but one")]
    ColumnAmbiguous {
        /// The file.
        file: String,
        /// The name.
        wanted: String,
        /// How many there are.
        count: usize,
    },
    /// A row has more or fewer fields than the header.
    #[error(
        "{file}: line {line}: the row has {found} field(s), the header {expected}; the file may be cut short or lack quotes"
    )]
    RowLength {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// Fields of the header.
        expected: u64,
        /// Fields of the row.
        found: u64,
    },
    /// A field is not UTF-8.
    #[error("{file}: line {line}: {column} is not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The column.
        column: String,
    },
    /// No row has a time that can be read, although there is a window.
    #[error(
        "{file}: line {line}: column {column}: {text:?} is no time (nor is any other row's); \
         write 2018-08-28 23:00:05[.000], which is UTC, or RFC 3339"
    )]
    Time {
        /// The file.
        file: String,
        /// The first such line, from 1.
        line: u64,
        /// The column.
        column: String,
        /// The field.
        text: String,
    },
    /// The bytes could not be had.
    #[error("{file}: cannot read it: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
}

impl ReadingsError {
    /// `DataInvalid`, `DataUnreadable`, `ColumnMissing` or `ColumnAmbiguous`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty { .. } | Self::RowLength { .. } | Self::NotUtf8 { .. } | Self::Time { .. } => "DataInvalid",
            Self::ColumnMissing { .. } => "ColumnMissing",
            Self::ColumnAmbiguous { .. } => "ColumnAmbiguous",
            Self::Unreadable { .. } => "DataUnreadable",
        }
    }

    /// As this crate says what the CSV reader met.
    pub(super) fn from_csv(file: &str, header: &[String], error: csv::Error) -> Self {
        let file = file.to_owned();
        let line = error.position().map_or(1, csv::Position::line);
        match error.into_kind() {
            csv::ErrorKind::Io(source) => Self::Unreadable { file, source },
            csv::ErrorKind::UnequalLengths { expected_len: expected, len: found, .. } => {
                Self::RowLength { file, line, expected, found }
            }
            csv::ErrorKind::Utf8 { err, .. } => {
                let column = header.get(err.field());
                let column = column.map_or_else(|| format!("field {}", err.field() + 1), |c| format!("column {c}"));
                Self::NotUtf8 { file, line, column }
            }
            other => Self::Unreadable { file, source: std::io::Error::other(format!("{other:?}")) },
        }
    }
}
