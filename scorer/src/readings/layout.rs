//! Which column is what: what the user says, else what the header's names and the first rows tell.

use std::collections::{BTreeMap, BTreeSet};

use spec::work::Columns;
use spec::{SensorKeys, number};

use super::csv::DELIMITERS;
use super::names::{Named, Names};
use super::record::OwnedRecord;
use super::{Column, Layout, ReadingsError, TimeParser};
use crate::shown;

/// Names that a time column may have, without regard to case.
const TIME_NAMES: [&str; 5] = ["ts", "time", "timestamp", "datetime", "date"];

/// The most columns of which it is said that they have some numbers.
const MOST_NOTES: usize = 10;

/// What a column of values is for, as messages say it.
pub(super) const VALUE: &str = "a value";

/// The header of a file, and what is asked of it.
pub(super) struct Resolver<'a> {
    pub(super) file: &'a str,
    pub(super) header: Names<'a>,
    pub(super) columns: &'a Columns,
    pub(super) keys: &'a [String],
    pub(super) fixed: &'a SensorKeys,
    pub(super) needs_time: bool,
    pub(super) times: &'a TimeParser,
}

impl Resolver<'_> {
    /// The layout, and what the user should know of it; `sample` are the first data rows, from which it is told which
    /// columns are numbers.
    pub(super) fn resolve(&self, sample: &[&OwnedRecord]) -> Result<(Layout, Vec<String>), ReadingsError> {
        let keys = self.keys()?;
        let time = self.time(&keys)?;
        let mut notes = Vec::new();
        let values = if self.columns.value.is_empty() {
            let (values, texts) = self.infer_values(sample, &keys, time.as_ref())?;
            notes = texts;
            values
        } else {
            let named = self.columns.value.iter().map(|name| {
                self.find(name)?.ok_or_else(|| self.missing(quoted(name), VALUE, "columns.value (--columns value=…)"))
            });
            named.collect::<Result<_, _>>()?
        };
        Ok((Layout { time, keys, values, times: self.times.clone() }, notes))
    }

    /// Whether more rows would tell nothing new: what could be a value is one, or that was said.
    pub(super) fn is_decided(&self, sample: &[&OwnedRecord]) -> bool {
        if !self.columns.value.is_empty() {
            return true;
        }
        let Ok(keys) = self.keys() else { return true };
        let Ok(time) = self.time(&keys) else { return true };
        self.others(&keys, time.as_ref()).into_iter().all(|index| Seen::of(index, sample).is_numeric())
    }

    fn keys(&self) -> Result<BTreeMap<String, Column>, ReadingsError> {
        let mut found = BTreeMap::new();
        for key in self.keys {
            let said = self.columns.keys.get(key);
            match self.find(said.unwrap_or(key))? {
                Some(column) => {
                    found.insert(key.clone(), column);
                }
                None if said.is_none() && self.fixed.get(key).is_some() => {}
                None => {
                    let wanted = quoted(said.unwrap_or(key));
                    let hint = format!("columns.keys: {{{key}: COLUMN}} (--columns {key}=COLUMN)");
                    return Err(self.missing(wanted, &format!("the key {key:?}"), &hint));
                }
            }
        }
        Ok(found)
    }

    fn time(&self, keys: &BTreeMap<String, Column>) -> Result<Option<Column>, ReadingsError> {
        const HINT: &str = "columns.time (--columns time=…)";
        if let Some(name) = &self.columns.time {
            let column = self.find(name)?;
            return column.map(Some).ok_or_else(|| self.missing(quoted(name), "the time", HINT));
        }
        let is_key = |index| keys.values().any(|c| c.index == index);
        let is_time = |name: &str| TIME_NAMES.iter().any(|t| name.eq_ignore_ascii_case(t));
        let found = self.header.all.iter().enumerate().find(|(i, name)| is_time(name) && !is_key(*i));
        match found {
            Some((_, name)) => self.find(name),
            None if self.needs_time => {
                Err(self.missing(TIME_NAMES.join(", "), "the time, which the window needs", HINT))
            }
            None => Ok(None),
        }
    }

    /// The columns that may be values: neither key nor time, nor the row numbers that pandas writes.
    fn others(&self, keys: &BTreeMap<String, Column>, time: Option<&Column>) -> Vec<usize> {
        let taken: BTreeSet<usize> = keys.values().chain(time).map(|c| c.index).collect();
        let others = self.header.all.iter().enumerate().filter(|(i, name)| !taken.contains(i) && !is_index(*i, name));
        others.map(|(index, _)| index).collect()
    }

    /// Every other column of which most fields in the sample are numbers; without rows, every other column. And what is
    /// to be said of those that have some.
    fn infer_values(
        &self,
        sample: &[&OwnedRecord],
        keys: &BTreeMap<String, Column>,
        time: Option<&Column>,
    ) -> Result<(Vec<Column>, Vec<String>), ReadingsError> {
        const SAY: &str = "columns.value (--columns value=…)";
        let others = self.others(keys, time);
        let (mut values, mut notes, mut mixed) = (Vec::new(), Vec::new(), 0);
        for index in &others {
            let (seen, name) = (Seen::of(*index, sample), &self.header.all[*index]);
            // A lone column without any text is taken: its rows are bad ones, which is better said than guessed around.
            if seen.is_numeric() || (seen.texts == 0 && (others.len() == 1 || sample.is_empty())) {
                values.push(Column { index: *index, name: name.clone() });
            } else if seen.numbers > 0 {
                mixed += 1;
                if mixed <= MOST_NOTES {
                    let (Seen { numbers, texts, .. }, name) = (seen, shown::name(name));
                    notes.push(format!(
                        "column {name} is taken for text: of its first values {numbers} are numbers and {texts} are not; \
                         if it is a value, name all values with {SAY}"
                    ));
                }
            }
        }
        if mixed > MOST_NOTES {
            notes.push(format!("{} more such columns are taken for text", mixed - MOST_NOTES));
        }
        if values.is_empty() {
            let comma =
                others.iter().find_map(|index| Some((&self.header.all[*index], Seen::of(*index, sample).comma?)));
            let hint = comma.map_or_else(
                || SAY.to_owned(),
                |(name, text)| {
                    let (name, text) = (shown::name(name), shown::name(&text));
                    format!("{SAY}; column {name} has decimal commas, such as {text}, which are not read: write points")
                },
            );
            return Err(self.missing("of numbers".to_owned(), "the value", &hint));
        }
        Ok((values, notes))
    }

    /// A column by its name: as written, else without regard to case.
    fn find(&self, wanted: &str) -> Result<Option<Column>, ReadingsError> {
        match self.header.find(wanted) {
            None => Ok(None),
            Some(Named { first, count: 1 }) => Ok(Some(Column { index: first, name: self.header.all[first].clone() })),
            Some(Named { count, .. }) => {
                Err(ReadingsError::ColumnAmbiguous { file: self.file.to_owned(), wanted: quoted(wanted), count })
            }
        }
    }

    fn missing(&self, wanted: String, role: &str, field: &str) -> ReadingsError {
        // A name with a delimiter in it may be several, of a header that was divided at another one.
        let divided = self.header.all.iter().any(|name| name.bytes().any(|byte| DELIMITERS.contains(&byte)));
        let otherwise = match divided {
            true => ", or, if the columns are divided otherwise, the delimiter with data.delimiter (--delimiter)",
            false => "",
        };
        ReadingsError::ColumnMissing {
            file: self.file.to_owned(),
            wanted,
            role: role.to_owned(),
            header: shown::names(self.header.all),
            hint: format!("say which it is with {field}{otherwise}"),
        }
    }
}

fn quoted(name: &str) -> String {
    format!("{:?}", shown::cut(name))
}

/// Whether a column is the row numbers of a DataFrame, as pandas writes them: to a CSV first and without a name.
fn is_index(index: usize, name: &str) -> bool {
    let level = name.strip_prefix("__index_level_").and_then(|rest| rest.strip_suffix("__"));
    (index == 0 && name.is_empty()) || level.is_some_and(|level| level.bytes().all(|b| b.is_ascii_digit()))
}

/// What a column has in some rows, besides missing values.
#[derive(Default)]
struct Seen {
    numbers: usize,
    texts: usize,
    /// The first text that is a number with a comma for its point.
    comma: Option<String>,
}

impl Seen {
    fn of(index: usize, sample: &[&OwnedRecord]) -> Self {
        let mut seen = Self::default();
        for field in sample.iter().filter_map(|row| row.as_record().trimmed(index)) {
            if number::is_number(field) {
                seen.numbers += 1;
            } else if !number::is_missing(field) {
                seen.texts += 1;
                if seen.comma.is_none() && number::has_comma(field) {
                    seen.comma = Some(String::from_utf8_lossy(field).into_owned());
                }
            }
        }
        seen
    }

    fn is_numeric(&self) -> bool {
        self.numbers > self.texts
    }
}
