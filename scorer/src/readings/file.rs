//! The file under way, and how it puts a row's values beside those of other rows.

use spec::number;

use super::record::Record;
use super::{Column, Layout, Rows};

/// What a file of rows is like, besides its columns.
pub(super) struct Origin {
    /// Its place among the files.
    pub(super) number: usize,
    /// Fields of a whole row.
    pub(super) width: usize,
    /// Whether its times are instants, however times are said to be written.
    pub(super) instants: bool,
    /// Whether its rows are told by their lines.
    pub(super) has_lines: bool,
}

/// The file under way.
#[derive(Default)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) time: Option<Column>,
    values: Vec<Column>,
    /// Whether the values stand side by side, in their order.
    adjacent: bool,
    /// Fields of a whole row.
    pub(super) width: usize,
    /// Whether its rows are told by their lines.
    pub(super) has_lines: bool,
}

impl File {
    pub(super) fn new(name: &str, layout: Layout, origin: &Origin) -> Self {
        let Origin { number, width, has_lines, .. } = *origin;
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let Layout { time, values, .. } = layout;
        let adjacent = values.windows(2).all(|pair| pair[0].index + 1 == pair[1].index);
        Self { name: name.to_owned(), number, time, values, adjacent, width, has_lines }
    }

    /// Adds the values of a row that is not yet whole. Says whether all are finite numbers, and which is the first that is
    /// absent.
    pub(super) fn keep(&self, record: Record<'_>, rows: &mut Rows) -> (bool, Option<u32>) {
        // Looked at as a whole, text is known to be UTF-8 sooner than field by field.
        let whole = std::str::from_utf8(record.text).ok();
        match whole.and_then(|whole| self.keep_plain(record, whole, rows)) {
            Some(all_good) => (all_good, None),
            None => self.keep_each(record, whole, rows),
        }
    }

    /// Keeps the values of a row in one piece, where they stand side by side and nothing else stands around them: the
    /// most usual rows, far faster than each by itself. Says whether all are finite numbers; none if it kept nothing.
    fn keep_plain(&self, record: Record<'_>, whole: &str, rows: &mut Rows) -> Option<bool> {
        let (first, last) = (self.values.first()?.index, self.values.last()?.index);
        if !self.adjacent || record.gap != 1 || !record.absent.is_empty() {
            return None;
        }
        let ends = record.ends.get(first..=last)?;
        let start = record.range(first)?.start;
        let texts = whole.get(start..*ends.last()?)?;
        let kept = rows.values.len();
        let (mut at, mut all_good) = (start, true);
        for end in ends {
            let value = number::parse(record.text.get(at..*end).unwrap_or_default());
            if value.is_infinite() {
                rows.values.truncate(kept);
                return None;
            }
            all_good &= value.is_finite();
            rows.values.push(value);
            at = end + record.gap;
        }
        rows.push_texts(texts, ends.iter().map(|end| end - start));
        Some(all_good)
    }

    /// Keeps the values of a row, with whatever is in them. Says whether all are finite numbers, and which is the first that
    /// is absent.
    fn keep_each(&self, record: Record<'_>, whole: Option<&str>, rows: &mut Rows) -> (bool, Option<u32>) {
        let (mut all_good, mut absent) = (true, None);
        for (number, column) in (0..).zip(&self.values) {
            let text = whole.zip(record.range(column.index)).and_then(|(whole, range)| whole.get(range));
            let bytes = match text {
                Some(text) => text.trim_ascii().as_bytes(),
                None => record.trimmed(column.index).unwrap_or_default(),
            };
            let text = text.map(str::trim_ascii).or_else(|| std::str::from_utf8(bytes).ok());
            let value = number::parse(bytes);
            all_good &= value.is_finite();
            if record.lacks(column.index) {
                absent = absent.or(Some(number));
            }
            match text {
                Some(text) if !value.is_infinite() => rows.push_value(value, text),
                _ => rows.push_value(value, &shown(bytes)),
            }
        }
        (all_good, absent)
    }
}

/// A field as messages show it.
pub(super) fn shown(text: &[u8]) -> String {
    crate::shown::cut(&String::from_utf8_lossy(text))
}
