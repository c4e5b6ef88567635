//! One row of a file, whatever the format: its fields as texts.

use std::collections::BTreeSet;

use super::ReadingsError;

/// One row: its fields, side by side in one text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) text: &'a [u8],
    /// Where each field ends.
    pub(super) ends: &'a [usize],
    /// Bytes between two fields.
    pub(super) gap: usize,
    /// The line on which it starts, from 1; of a format without lines, the row.
    pub(super) line: u64,
    /// Why it is no row at all.
    pub(super) broken: Option<&'static str>,
}

impl<'a> Record<'a> {
    /// How many fields it has.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A field, with what stands around it.
    pub(super) fn get(&self, index: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends.get(index - 1)? + self.gap };
        self.text.get(start..end)
    }

    /// A field without the white space around it.
    pub(super) fn trimmed(&self, index: usize) -> Option<&'a [u8]> {
        Some(self.get(index)?.trim_ascii())
    }

    pub(super) fn to_owned(self) -> OwnedRecord {
        OwnedRecord {
            text: self.text.to_vec(),
            ends: self.ends.to_vec(),
            gap: self.gap,
            line: self.line,
            broken: self.broken,
        }
    }
}

/// A row that is kept.
#[derive(Clone, Debug)]
pub(super) struct OwnedRecord {
    text: Vec<u8>,
    ends: Vec<usize>,
    gap: usize,
    line: u64,
    broken: Option<&'static str>,
}

impl OwnedRecord {
    pub(super) fn as_record(&self) -> Record<'_> {
        Record { text: &self.text, ends: &self.ends, gap: self.gap, line: self.line, broken: self.broken }
    }
}

/// The rows of a file, one after the other.
pub(super) trait Records {
    /// The next row; none at the end.
    fn next(&mut self) -> Result<Option<Record<'_>>, ReadingsError>;

    /// Says which columns are asked for; the fields of others may be empty from now on.
    fn keep(&mut self, _columns: &BTreeSet<usize>) {}

    /// Whether a column holds instants; they come as RFC 3339, however times are said to be written.
    fn has_instants(&self, _column: usize) -> bool {
        false
    }

    /// Whether rows are told by their lines, not by their number.
    fn has_lines(&self) -> bool {
        true
    }
}
