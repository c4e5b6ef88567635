//! Which column is what: what the user says, else what the header's names and the first rows tell.

use std::collections::{BTreeMap, BTreeSet};

use spec::SensorKeys;
use spec::work::Columns;

use super::record::OwnedRecord;
use super::{Column, Layout, ReadingsError, TimeParser, number};

/// Names that a time column may have, without regard to case.
const TIME_NAMES: [&str; 5] = ["ts", "time", "timestamp", "datetime", "date"];

/// What a column of values is for, as messages say it.
pub(super) const VALUE: &str = "a value";

/// The header of a file, and what is asked of it.
pub(super) struct Resolver<'a> {
    pub(super) file: &'a str,
    pub(super) header: &'a [String],
    pub(super) columns: &'a Columns,
    pub(super) keys: &'a [String],
    pub(super) fixed: &'a SensorKeys,
    pub(super) needs_time: bool,
    pub(super) times: &'a TimeParser,
}

impl Resolver<'_> {
    /// The layout; `sample` are the first data rows, from which it is told which columns are numbers.
    pub(super) fn resolve(&self, sample: &[OwnedRecord]) -> Result<Layout, ReadingsError> {
        let keys = self.keys()?;
        let time = self.time(&keys)?;
        let values = if self.columns.value.is_empty() {
            self.infer_values(sample, &keys, time.as_ref())?
        } else {
            let named = self.columns.value.iter().map(|name| {
                self.find(name)?
                    .ok_or_else(|| self.missing(format!("{name:?}"), VALUE, "columns.value (--columns value=…)"))
            });
            named.collect::<Result<_, _>>()?
        };
        Ok(Layout { time, keys, values, times: self.times.clone() })
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
                    let wanted = format!("{:?}", said.unwrap_or(key));
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
            return column.map(Some).ok_or_else(|| self.missing(format!("{name:?}"), "the time", HINT));
        }
        let is_key = |index| keys.values().any(|c| c.index == index);
        let is_time = |name: &str| TIME_NAMES.iter().any(|t| name.eq_ignore_ascii_case(t));
        let found = self.header.iter().enumerate().find(|(i, name)| is_time(name) && !is_key(*i));
        match found {
            Some((index, name)) => Ok(Some(Column { index, name: name.clone() })),
            None if self.needs_time => {
                Err(self.missing(TIME_NAMES.join(", "), "the time, which the window needs", HINT))
            }
            None => Ok(None),
        }
    }

    /// Every other column of which most fields in the sample are numbers; without rows, every other column.
    fn infer_values(
        &self,
        sample: &[OwnedRecord],
        keys: &BTreeMap<String, Column>,
        time: Option<&Column>,
    ) -> Result<Vec<Column>, ReadingsError> {
        let taken: BTreeSet<usize> = keys.values().chain(time).map(|c| c.index).collect();
        let others: Vec<usize> = (0..self.header.len()).filter(|i| !taken.contains(i)).collect();
        let is_numeric = |index: &usize| {
            let fields = sample.iter().filter_map(|r| r.as_record().trimmed(*index));
            let fields: Vec<&[u8]> = fields.filter(|f| number::is_number(f) || !number::is_missing(f)).collect();
            let numbers = fields.iter().filter(|f| number::is_number(f)).count();
            // A lone column without any text is taken: its rows are bad ones, which is better said than guessed around.
            numbers * 2 > fields.len() || (fields.is_empty() && (others.len() == 1 || sample.is_empty()))
        };
        let values: Vec<Column> = others
            .iter()
            .filter(|i| is_numeric(i))
            .map(|i| Column { index: *i, name: self.header[*i].clone() })
            .collect();
        if values.is_empty() {
            return Err(self.missing("of numbers".to_owned(), "the value", "columns.value (--columns value=…)"));
        }
        Ok(values)
    }

    /// A column by its name: as written, else without regard to case.
    fn find(&self, wanted: &str) -> Result<Option<Column>, ReadingsError> {
        let matching = |same: &dyn Fn(&str) -> bool| -> Vec<usize> {
            self.header.iter().enumerate().filter(|(_, name)| same(name)).map(|(i, _)| i).collect()
        };
        let mut found = matching(&|name| name == wanted);
        if found.is_empty() {
            let wanted = wanted.to_lowercase();
            found = matching(&|name| name.to_lowercase() == wanted);
        }
        match *found.as_slice() {
            [] => Ok(None),
            [index] => Ok(Some(Column { index, name: self.header[index].clone() })),
            _ => Err(ReadingsError::ColumnAmbiguous {
                file: self.file.to_owned(),
                wanted: format!("{wanted:?}"),
                count: found.len(),
            }),
        }
    }

    fn missing(&self, wanted: String, role: &str, field: &str) -> ReadingsError {
        ReadingsError::ColumnMissing {
            file: self.file.to_owned(),
            wanted,
            role: role.to_owned(),
            header: self.header.join(", "),
            hint: format!("say which it is with {field}"),
        }
    }
}
