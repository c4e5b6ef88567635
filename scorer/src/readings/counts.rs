//! What was counted while reading, and what is to be said of it.

use std::fmt;

use spec::{Limit, SensorKeys};

/// What a pass over files found, told at its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// The sensors, in the order of their numbers. Where they were asked for exactly those, so that one without any row
    /// is there.
    pub sensors: Vec<(SensorKeys, Counts)>,
    /// Rows of which it cannot be told whose they are.
    pub unplaced: Unplaced,
    /// What is to be said of the columns, whatever the sensor.
    pub notes: Vec<String>,
}

/// One sensor's rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Data rows of this sensor in the window, bad ones included.
    pub rows: u64,
    /// Rows among them that cannot be used; they are kept nowhere else. A pass counts those that are not whole or have,
    /// where there is a window, no time; those with a bad value are counted where [`Rows::usable`](super::Rows::usable)
    /// leaves them out.
    pub bad_rows: u64,
    /// Rows of this sensor outside the window. With `rows` 0 and this 0, the files do not know the sensor.
    pub outside: u64,
    /// The first bad row.
    pub first_bad: Option<BadRow>,
    /// The first time that cannot be read, where that was asked for; the row is none the worse for it.
    pub unread_time: Option<String>,
    /// Rows in the window with a local time that comes twice or never, where clocks change.
    pub unclear: u64,
    /// The same outside the window.
    pub unclear_outside: u64,
}

/// Rows of which it cannot be told whose they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unplaced {
    /// How many.
    pub rows: u64,
    /// The first of them.
    pub first: Option<BadRow>,
}

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// The file's name, where there are several.
    pub file: Option<String>,
    /// The file's place among them, from 0.
    pub number: u32,
    /// Its place in the file.
    pub at: RowAt,
    /// What is wrong with it.
    pub why: String,
}

/// Where a row is in its file, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowAt {
    /// The line on which it starts.
    Line(u64),
    /// Which row it is, in a format without lines.
    Row(u64),
}

impl fmt::Display for RowAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => write!(f, "row {row}"),
        }
    }
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}: ")?;
        }
        write!(f, "{}: {}", self.at, self.why)
    }
}

impl Counts {
    /// Counts more bad rows, of which this is the first.
    pub fn add_bad(&mut self, rows: u64, first: Option<BadRow>) {
        self.bad_rows += rows;
        let place = |bad: &BadRow| (bad.number, bad.at);
        self.first_bad = self.first_bad.take().into_iter().chain(first).min_by_key(place);
    }

    /// Why there are too many bad rows to be scored, if there are. Rows that may be any sensor's count as its own.
    #[must_use]
    pub fn too_many_bad(&self, unplaced: &Unplaced, most: Limit) -> Option<String> {
        let (bad, all) = (self.bad_rows + unplaced.rows, self.rows + unplaced.rows);
        let first = self.first_bad.as_ref().or(unplaced.first.as_ref())?;
        let more = !most.allows(bad, all);
        more.then(|| format!("{bad} of {all} rows are bad, more than maxBadRows ({most}); the first is {first}"))
    }

    /// Why there is nothing to score, where all rows are bad.
    #[must_use]
    pub fn all_bad(&self) -> Option<String> {
        let Self { rows, bad_rows, first_bad, .. } = self;
        let first = first_bad.as_ref().map(|bad| format!("; the first is {bad}")).unwrap_or_default();
        (rows == bad_rows && *rows > 0).then(|| format!("none of its {rows} rows is good{first}"))
    }

    /// What the user of the sensor's predictions should know of the rows.
    #[must_use]
    pub fn warnings(&self, totals: &Totals) -> Vec<String> {
        let Totals { unplaced, notes, .. } = totals;
        let mut warnings = notes.clone();
        if self.unclear > 0 {
            warnings.push(format!(
                "{} rows have a local time that comes twice, or never, where clocks change: it was taken for the first one, \
                 or for an hour later; write times in UTC or with their offset",
                self.unclear
            ));
        }
        if let Some(first) = &self.first_bad {
            let Self { rows, bad_rows, .. } = self;
            warnings.push(format!("{bad_rows} of {rows} rows are bad and were left out; the first is {first}"));
        }
        if let Some(first) = &unplaced.first {
            let rows = unplaced.rows;
            warnings.push(format!("{rows} rows of the file have no keys that can be told; the first is {first}"));
        }
        warnings
    }
}
