//! One row of a file, whatever the format: its fields as texts.

use std::collections::BTreeSet;
use std::ops::Range;

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
    /// Which fields it does not have, where rows name theirs; behind its end, it has them.
    pub(super) absent: &'a [bool],
}

impl<'a> Record<'a> {
    /// How many fields it has.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where a field is in the text, with what stands around it.
    pub(super) fn range(&self, index: usize) -> Option<Range<usize>> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends.get(index - 1)? + self.gap };
        Some(start..end)
    }

    /// A field, with what stands around it.
    pub(super) fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.text.get(self.range(index)?)
    }

    /// A field without the white space around it.
    pub(super) fn trimmed(&self, index: usize) -> Option<&'a [u8]> {
        Some(self.get(index)?.trim_ascii())
    }

    /// Whether nothing is in it.
    pub(super) fn is_blank(&self) -> bool {
        self.broken.is_none() && self.text.trim_ascii().is_empty()
    }

    /// Whether it does not have a field that it could have.
    pub(super) fn lacks(&self, index: usize) -> bool {
        self.absent.get(index).is_some_and(|absent| *absent)
    }

    pub(super) fn to_owned(self) -> OwnedRecord {
        OwnedRecord {
            text: self.text.to_vec(),
            ends: self.ends.to_vec(),
            gap: self.gap,
            line: self.line,
            broken: self.broken,
            absent: self.absent.to_vec(),
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
    absent: Vec<bool>,
}

impl OwnedRecord {
    pub(super) fn as_record(&self) -> Record<'_> {
        let Self { text, ends, gap, line, broken, absent } = self;
        Record { text, ends, gap: *gap, line: *line, broken: *broken, absent }
    }

    /// Bytes that it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.len() + self.ends.len() * size_of::<usize>() + self.absent.len()
    }

    /// Gives it the fields that rows behind it were the first to have.
    pub(super) fn widen(&mut self, width: usize) {
        self.ends.resize(width.max(self.ends.len()), self.text.len());
        self.absent.resize(self.ends.len(), true);
    }
}

/// The rows of a file, one after the other.
pub(super) trait Records {
    /// The next row; none at the end.
    fn next(&mut self) -> Result<Option<Record<'_>>, ReadingsError>;

    /// The names of the columns so far, where each row names its own; those of rows behind are ignored from now on if
    /// `last`.
    fn names(&mut self, _last: bool) -> Option<&[String]> {
        None
    }

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
