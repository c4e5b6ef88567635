//! Why a file of readings could not be read: what, where, and what to do.

use std::io;
use std::path::PathBuf;

use super::RowAt;

/// Why a file of readings could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadingsError {
    /// The file has neither columns nor rows.
    #[error(
        "{file}: the file is empty; it needs a header line such as TS,Device,Tag,Value, and data rows (of JSON, objects)"
    )]
    Empty {
        /// The file.
        file: String,
    },
    /// Not one row of JSON is an object.
    #[error(
        "{file}: line {line}: {why}; no other row is one either: an object that goes over several lines must stand in an \
         array, and a CSV is read as such where its name or data.format says so (--input-format csv)"
    )]
    NoObjects {
        /// The file.
        file: String,
        /// The first row's line, from 1.
        line: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The header lacks a column.
    #[error("{file}: no column {wanted} for {role}; its columns are {}; {hint}", if .header.is_empty() { "none" } else { .header })]
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
    #[error("{file}: {count} columns are named {wanted}; rename all but one")]
    ColumnAmbiguous {
        /// The file.
        file: String,
        /// The name.
        wanted: String,
        /// How many there are.
        count: usize,
    },
    /// A file has other columns than the first one.
    #[error(
        "{file} {what}, while {first} is otherwise; files that are read as one must have the same columns of values and \
         times: name them with data.columns, or correct data.path"
    )]
    Differs {
        /// The file.
        file: String,
        /// The first file.
        first: String,
        /// What is different about the file.
        what: String,
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
        "{file}: {at}: column {column}: {text:?} is no time (nor is any other row's); \
         write 2018-08-28 23:00:05[.000], RFC 3339 or seconds since 1970, or say how times are written with data.timeFormat"
    )]
    Time {
        /// The file.
        file: String,
        /// The first such row.
        at: RowAt,
        /// The column.
        column: String,
        /// The field.
        text: String,
    },
    /// The file is UTF-16.
    #[error("{file}: the file is UTF-16; save it as UTF-8")]
    Utf16 {
        /// The file.
        file: String,
    },
    /// A Parquet file is wrong.
    #[error("{file}: the Parquet file is damaged ({what}); write it again")]
    ParquetDamaged {
        /// The file, and the column.
        file: String,
        /// What was found.
        what: String,
    },
    /// The first row of a CSV is a reading.
    #[error(
        "{file}: line {line}: the first row is no header, but a reading: {row}; say what the columns are called with \
         data.names (--names TS,Value), or write a header"
    )]
    NoHeader {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The row.
        row: String,
    },
    /// A file may be right, but is not read.
    #[error("{file}: {what}")]
    Unsupported {
        /// The file, and the column of a Parquet.
        file: String,
        /// Why, and what to do.
        what: String,
    },
    /// There is no room for a copy of the file.
    #[error(
        "{file}: Parquet is read from a copy, which {} cannot take ({source}); mount a volume there that has room for \
         the file, or name another folder with TMPDIR",
        .folder.display()
    )]
    NoTemporarySpace {
        /// The file.
        file: String,
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Compressed data ends too early.
    #[error("{file}: the compressed data ends in the middle; was the file written whole? Write it again")]
    Truncated {
        /// The file.
        file: String,
    },
    /// Compressed data is wrong.
    #[error("{file}: the compressed data is damaged ({what}); write the file again")]
    Damaged {
        /// The file.
        file: String,
        /// What was found.
        what: String,
    },
    /// The bytes could not be had.
    #[error("{file}: cannot read it: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
}

impl ReadingsError {
    /// `DataInvalid`, `DataUnreadable`, `DataUnsupported`, `NoTemporarySpace`, `ColumnMissing` or
    /// `ColumnAmbiguous`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty { .. }
            | Self::NoObjects { .. }
            | Self::RowTooLong { .. }
            | Self::QuoteOpen { .. }
            | Self::NotUtf8 { .. }
            | Self::Utf16 { .. }
            | Self::NoHeader { .. }
            | Self::Time { .. }
            | Self::Truncated { .. }
            | Self::Damaged { .. }
            | Self::ParquetDamaged { .. } => "DataInvalid",
            Self::Unsupported { .. } => "DataUnsupported",
            Self::NoTemporarySpace { .. } => "NoTemporarySpace",
            Self::ColumnMissing { .. } | Self::Differs { .. } => "ColumnMissing",
            Self::ColumnAmbiguous { .. } => "ColumnAmbiguous",
            Self::Unreadable { .. } => "DataUnreadable",
        }
    }

    /// What reading or decompressing a file met.
    pub(super) fn of_io(file: &str, source: io::Error) -> Self {
        let file = file.to_owned();
        match source.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated { file },
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Self::Damaged { file, what: source.to_string() }
            }
            io::ErrorKind::Unsupported => Self::Unsupported { file, what: source.to_string() },
            _ => Self::Unreadable { file, source },
        }
    }
}
