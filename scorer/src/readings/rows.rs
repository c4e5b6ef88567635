//! Rows of a sensor, side by side in a few allocations.

use spec::number;

use super::{BadRow, Head, Layout, RowAt};
use crate::shown;

/// Rows of one sensor, in the files' order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    pub(super) times: Texts,
    pub(super) texts: Texts,
    pub(super) values: Vec<f64>,
    pub(super) count: usize,
    /// Rows that have a value which is no finite number, and the file and place of each.
    pub(super) marked: Vec<Marked>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Marked {
    pub(super) row: usize,
    pub(super) file: u32,
    pub(super) at: RowAt,
    /// The first of its values that the row does not have at all.
    pub(super) absent: Option<u32>,
}

/// What a model takes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Its features: their places among the values of the layout.
    pub columns: Vec<usize>,
    /// Whether a value may be missing.
    pub missing: bool,
}

impl Selection {
    /// All values of a layout, none of which may be missing.
    #[must_use]
    pub fn all(layout: &Layout) -> Self {
        Self { columns: (0..layout.values.len()).collect(), missing: false }
    }
}

/// Rows that a model can use, with the values that it takes, and what was left out for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Usable {
    /// The rows.
    pub rows: Rows,
    /// How many were left out.
    pub bad_rows: u64,
    /// The first of those.
    pub first_bad: Option<BadRow>,
}

impl Rows {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values, one row after the other. NaN is a missing one; an infinity stands for what is no finite number.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// A row's time as it stands in the file; empty without a column for it.
    #[must_use]
    pub fn time(&self, row: usize) -> &str {
        self.times.get(row)
    }

    /// A row's values as they stand in the file.
    pub(crate) fn value_texts(&self, row: usize, width: usize) -> impl Iterator<Item = &str> {
        (row * width..(row + 1) * width).map(|at| self.texts.get(at))
    }

    /// Bytes that they take in memory, with what is set aside for more.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.times.bytes()
            + self.texts.bytes()
            + self.values.capacity() * size_of::<f64>()
            + self.marked.capacity() * size_of::<Marked>()
    }

    /// Adds the next value of a row that is not yet whole.
    pub(super) fn push_value(&mut self, value: f64, text: &str) {
        self.values.push(value);
        self.texts.push(text);
    }

    /// Adds values of a row that is not yet whole, whose texts stand side by side in `texts` with a byte between two of
    /// them: in one piece, which is faster. `ends`: where each text ends.
    pub(super) fn push_texts(&mut self, texts: &str, ends: impl Iterator<Item = usize>) {
        let start = self.texts.text.len() + Texts::GAP.len_utf8();
        self.texts.text.push(Texts::GAP);
        self.texts.text.push_str(texts);
        self.texts.ends.extend(ends.map(|end| start + end));
    }

    /// Ends a row. `bad`: the file and place of one that has a value which is no finite number, and the first value that
    /// is absent.
    pub(super) fn push_time(&mut self, time: &str, bad: Option<(u32, RowAt, Option<u32>)>) {
        self.times.push(time);
        self.marked.extend(bad.map(|(file, at, absent)| Marked { row: self.count, file, at, absent }));
        self.count += 1;
    }

    /// Adds rows behind these.
    pub fn append(&mut self, more: &Self) {
        self.marked.extend(more.marked.iter().map(|m| Marked { row: m.row + self.count, ..*m }));
        self.times.append(&more.times);
        self.texts.append(&more.texts);
        self.values.extend_from_slice(&more.values);
        self.count += more.count;
    }

    /// How many rows [`Rows::usable`] would leave out, and the first of them.
    #[must_use]
    pub fn unusable(&self, head: &Head, selection: &Selection) -> (u64, Option<BadRow>) {
        let mut bad = self.marked.iter().filter_map(|marked| Some((marked, self.bad_value(head, selection, *marked)?)));
        let first = bad.next().map(|(marked, column)| self.explain(head, *marked, column));
        (bad.count() as u64 + u64::from(first.is_some()), first)
    }

    /// Leaves out the rows and values that a model cannot use.
    #[must_use]
    pub fn usable(self, head: &Head, selection: &Selection) -> Usable {
        let (bad_rows, first_bad) = self.unusable(head, selection);
        let width = head.layout.values.len();
        if bad_rows == 0 && selection.columns.iter().copied().eq(0..width) {
            return Usable { rows: self, bad_rows, first_bad };
        }
        let mut rows = Self::default();
        let mut marked = self.marked.iter().peekable();
        for row in 0..self.count {
            let marked = marked.next_if(|m| m.row == row);
            if marked.is_some_and(|m| self.bad_value(head, selection, *m).is_some()) {
                continue;
            }
            for at in selection.columns.iter().map(|column| row * width + column) {
                rows.push_value(self.values.get(at).copied().unwrap_or(f64::NAN), self.texts.get(at));
            }
            rows.push_time(self.time(row), marked.map(|m| (m.file, m.at, None)));
        }
        Usable { rows, bad_rows, first_bad }
    }

    /// The first column of a row whose value a model cannot use.
    fn bad_value(&self, head: &Head, selection: &Selection, Marked { row, .. }: Marked) -> Option<usize> {
        let start = row * head.layout.values.len();
        selection.columns.iter().copied().find(|column| match self.values.get(start + column) {
            Some(value) if value.is_nan() => !selection.missing,
            value => value.is_none_or(|value| value.is_infinite()),
        })
    }

    fn explain(&self, head: &Head, Marked { row, file, at, absent }: Marked, column: usize) -> BadRow {
        let text = self.texts.get(row * head.layout.values.len() + column);
        let name = head.layout.values.get(column).map(|c| c.name.as_str()).unwrap_or_default();
        let what = match text.as_bytes() {
            text if number::is_number(text) => "no finite number",
            text if number::has_comma(text) => "no number; write a point for the comma",
            _ => "no number",
        };
        let why = match absent {
            Some(absent) if usize::try_from(absent) == Ok(column) => no_field(name),
            _ => format!("column {}: {text:?} is {what}", shown::name(name)),
        };
        let several = head.files.len() > 1;
        let file_name = usize::try_from(file).ok().and_then(|file| head.files.get(file)).filter(|_| several);
        BadRow { file: file_name.cloned(), number: file, at, why }
    }
}

/// What is said of a row that names its fields and has not this one.
pub(super) fn no_field(name: &str) -> String {
    format!("it has no field {}", shown::name(name))
}

/// Many short texts in one allocation, a byte before each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Texts {
    pub(super) text: String,
    pub(super) ends: Vec<usize>,
}

impl Texts {
    /// Before each text stands a byte, whichever: so texts with a delimiter between two of them are copied in one piece.
    const GAP: char = ',';

    fn push(&mut self, text: &str) {
        self.text.push(Self::GAP);
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    fn append(&mut self, more: &Self) {
        let start = self.text.len();
        self.text.push_str(&more.text);
        self.ends.extend(more.ends.iter().map(|end| start + end));
    }

    fn bytes(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    fn get(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends.get(at - 1).copied().unwrap_or_default() };
        let end = self.ends.get(at).copied().unwrap_or(start);
        self.text.get(start + Self::GAP.len_utf8()..end).unwrap_or_default()
    }
}
