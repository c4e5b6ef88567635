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
    /// A row is too long to be one.
    #[error(
        "{file}: line {line}: the row is longer than {limit} bytes; is it text with line ends, and every quote closed?"
    )]
    RowTooLong {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The most bytes of a row.
        limit: usize,
    },
    /// The file ends within quotes.
    #[error("{file}: line {line}: a quote is never closed; double the quotes inside of quoted fields")]
    QuoteOpen {
        /// The file.
        file: String,
        /// The line on which the row starts, from 1.
        line: u64,
    },
    /// A name in the header is not UTF-8.
    #[error("{file}: line {line}: field {} is not UTF-8; save the file as UTF-8", .index + 1)]
    NotUtf8 {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The field, from 0.
        index: usize,
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
            Self::Empty { .. }
            | Self::RowTooLong { .. }
            | Self::QuoteOpen { .. }
            | Self::NotUtf8 { .. }
            | Self::Time { .. } => "DataInvalid",
            Self::ColumnMissing { .. } => "ColumnMissing",
            Self::ColumnAmbiguous { .. } => "ColumnAmbiguous",
            Self::Unreadable { .. } => "DataUnreadable",
        }
    }
}
