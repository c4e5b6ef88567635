//! The rows of Parquet: a copy in a temporary file, read a few rows at a time, and only the columns that are asked for.
//!
//! The `parquet` crate trusts what a file says of itself: it reserves memory for what is claimed, and panics where
//! claims do not fit together. So what it is given is looked at first ([`thrift`], [`pages`]), and a panic that is left
//! becomes an error.

mod column;
mod delta;
mod field;
mod file;
mod pages;
mod thrift;
mod unpack;

use std::collections::BTreeSet;
use std::io::Read;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};

use column::ColumnRows;
use field::{Field, Kind};
use file::Spooled;

use super::ReadingsError;
use super::lines::MAX_ROW;
use super::record::{OwnedRecord, Record, Records};

/// Rows that are read at once.
const BATCH: usize = 128;
/// The most bytes of text that these may come to.
const MAX_BATCH: usize = 64 << 20;
/// What Parquet begins and ends with.
const MAGIC: &[u8] = b"PAR1";

/// Whether a file that begins so is Parquet; the first page's header follows, which begins with no letter of a CSV.
pub(super) fn is_parquet(start: &[u8]) -> bool {
    start
        .strip_prefix(MAGIC)
        .is_some_and(|rest| !rest.first().is_some_and(|b| b.is_ascii_graphic() || b" \t\r\n".contains(b)))
}

/// The rows of a Parquet file.
pub(super) struct ParquetRecords {
    name: String,
    file: Spooled,
    metadata: ParquetMetaData,
    fields: Vec<Field>,
    /// Which fields are asked for.
    wanted: Vec<usize>,
    /// The next row group.
    group: usize,
    /// Rows of the one before that are not read yet.
    left: usize,
    /// Its columns that are asked for; each has the rows of the batch.
    open: Vec<(usize, ColumnRows)>,
    /// Rows of the batch, and the next one of them.
    batch: usize,
    at: usize,
    /// The row before the next one, from 1.
    row: u64,
    /// Bytes that all columns hold.
    held: Arc<AtomicUsize>,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl ParquetRecords {
    /// Copies the file, and reads what it says of itself.
    pub(super) fn new(name: &str, input: impl Read) -> Result<Self, ReadingsError> {
        let file = Spooled::copy(name, input)?;
        let metadata = guarded(|| file.metadata()).map_err(|e| of_parquet(name, "", &e))?;
        let fields = Field::all(metadata.file_metadata().schema_descr());
        Ok(Self {
            name: name.to_owned(),
            file,
            metadata,
            wanted: (0..fields.len()).collect(),
            fields,
            group: 0,
            left: 0,
            open: Vec::new(),
            batch: 0,
            at: 0,
            row: 0,
            held: Arc::default(),
            text: Vec::new(),
            ends: Vec::new(),
        })
    }

    /// The names of the columns. One of other columns has its own name.
    pub(super) fn names(&self) -> Vec<String> {
        self.fields.iter().map(|field| field.name.clone()).collect()
    }

    /// The first rows, at most so many, which are read again later: a column at a time, so that a file of many columns
    /// does not take more memory here than one of few.
    pub(super) fn sample(&self, most: usize) -> Result<Vec<OwnedRecord>, ReadingsError> {
        let Some(first) = self.metadata.row_groups().iter().find(|group| group.num_rows() > 0) else {
            return Ok(Vec::new());
        };
        let rows = most.min(BATCH).min(rows_of(first));
        let mut texts = vec![Vec::new(); rows];
        let mut ends = vec![Vec::with_capacity(self.fields.len()); rows];
        for field in &self.fields {
            let column = match field.leaf {
                Some(_) => Some(self.column(field, first, rows)?),
                None => None,
            };
            for (row, (text, ends)) in texts.iter_mut().zip(&mut ends).enumerate() {
                text.extend_from_slice(column.as_ref().map_or(&[], |column| column.get(row)));
                ends.push(text.len());
            }
        }
        let rows = texts.iter().zip(&ends).zip(1..);
        Ok(rows
            .map(|((text, ends), line)| Record { text, ends, gap: 0, line, broken: None, absent: &[] }.to_owned())
            .collect())
    }

    /// A column of a row group with its first rows.
    fn column(&self, field: &Field, group: &RowGroupMetaData, rows: usize) -> Result<ColumnRows, ReadingsError> {
        let read = || {
            let mut column = ColumnRows::open(&self.file, group, field, &self.held)?;
            column.fill(rows)?;
            Ok(column)
        };
        guarded(read).map_err(|error| of_parquet(&self.name, &field.name, &error))
    }

    /// Reads the next rows; whether there are any.
    fn fill(&mut self) -> Result<bool, ReadingsError> {
        while self.left == 0 {
            let Some(group) = self.metadata.row_groups().get(self.group) else { return Ok(false) };
            self.group += 1;
            self.left = rows_of(group);
            // Before the next columns are opened: their pages count together.
            self.open.clear();
            if self.left > 0 {
                let rows = BATCH.min(self.left);
                for at in &self.wanted {
                    let Some(field) = self.fields.get(*at) else { continue };
                    if let Kind::Other(why) = field.kind {
                        let what =
                            format!("{why}, which is not read; take another column, or write it as a number or text");
                        return Err(of_parquet(&self.name, &field.name, &ParquetError::NYI(what)));
                    }
                    self.open.push((*at, self.column(field, group, rows)?));
                }
                return self.filled(rows);
            }
        }
        let rows = BATCH.min(self.left);
        for (at, column) in &mut self.open {
            let name = self.fields.get(*at).map_or("", |field| field.name.as_str());
            guarded(|| column.fill(rows)).map_err(|error| of_parquet(&self.name, name, &error))?;
        }
        self.filled(rows)
    }

    fn filled(&mut self, rows: usize) -> Result<bool, ReadingsError> {
        (self.at, self.batch) = (0, rows);
        self.left -= rows;
        Ok(true)
    }
}

impl Records for ParquetRecords {
    fn next(&mut self) -> Result<Option<Record<'_>>, ReadingsError> {
        if self.at == self.batch && !self.fill()? {
            return Ok(None);
        }
        self.text.clear();
        self.ends.clear();
        for (at, column) in &self.open {
            // What is not asked for is empty.
            self.ends.resize(*at, self.text.len());
            self.text.extend_from_slice(column.get(self.at));
            self.ends.push(self.text.len());
        }
        self.ends.resize(self.fields.len(), self.text.len());
        self.at += 1;
        self.row += 1;
        Ok(Some(Record { text: &self.text, ends: &self.ends, gap: 0, line: self.row, broken: None, absent: &[] }))
    }

    fn keep(&mut self, columns: &BTreeSet<usize>) {
        self.wanted = columns.iter().copied().collect();
    }

    fn has_instants(&self, column: usize) -> bool {
        self.fields.get(column).is_some_and(Field::is_instant)
    }

    fn has_lines(&self) -> bool {
        false
    }
}

fn rows_of(group: &RowGroupMetaData) -> usize {
    usize::try_from(group.num_rows()).unwrap_or(0)
}

/// Makes an error of a panic: the crate has not foreseen the file.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    let panicked = |_| Err(ParquetError::General("its parts do not fit together".to_owned()));
    std::panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(panicked)
}

/// What is wrong with a file; `place` is a column, or nothing.
fn of_parquet(file: &str, place: &str, error: &ParquetError) -> ReadingsError {
    let file = if place.is_empty() { file.to_owned() } else { format!("{file}: column {place}") };
    match error {
        ParquetError::NYI(what) => ReadingsError::Unsupported { file, what: what.clone() },
        ParquetError::General(what) | ParquetError::EOF(what) => {
            ReadingsError::ParquetDamaged { file, what: what.clone() }
        }
        other => ReadingsError::ParquetDamaged { file, what: other.to_string() },
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
