//! One pass over the files of a data path: each row goes to its sensor, a block at a time.

use std::collections::BTreeSet;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;

use spec::work::Columns;
use spec::{SensorKeys, TimeRange};

use super::layout::Resolver;
use super::source::{self, Encoding};
use super::splitter::Splitter;
use super::{Layout, ReadingsError, Rows, Totals};

/// Which readings are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// How the files are written.
    pub encoding: Encoding,
    /// Which column is what.
    pub columns: Columns,
    /// The names of the sensors' keys.
    pub keys: Vec<String>,
    /// Keys that have one value in all files.
    pub fixed: SensorKeys,
    /// The sensors; `None`: every sensor found.
    pub sensors: Option<BTreeSet<SensorKeys>>,
    /// The span of time; `None`: every row.
    pub window: Option<TimeRange>,
    /// Whether the first time that cannot be read is to be told where there is no window, too.
    pub instants: bool,
}

/// How many bytes of rows a pass holds back before it gives them away.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one sensor.
    pub block: usize,
    /// Of all sensors; the largest blocks go first.
    pub open: usize,
}

/// What is known of the files before their rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    /// Which column is what. Later files may have their columns in other places.
    pub layout: Layout,
    /// Whether its values were said, and not inferred.
    pub values_said: bool,
    /// The files' names, in the order in which they are read.
    pub files: Vec<String>,
}

/// Where the rows of a pass go.
pub trait Sink {
    /// Told once, before any rows.
    fn begin(&mut self, head: &Arc<Head>);

    /// The next rows of a sensor, in the order of the files. `sensor` is its number: its place in the set of wanted
    /// sensors, or in the order in which sensors were found. `Break` ends the pass.
    fn rows(&mut self, sensor: usize, rows: Rows) -> ControlFlow<()>;
}

/// One pass over the files of a data path, which are read one after the other as if they were one:
///
/// ```text
/// let mut pass = Pass::new(wanted, names, limits);      // the names of all files, for messages
/// for input in inputs {                                 // in the order of the names
///     if pass.file(input, &mut sink)?.is_break() { … }  // the sink has had enough
/// }
/// let totals = pass.end(&mut sink)?;                    // what only the end tells
/// ```
///
/// Keys are matched to columns by `columns.keys`, else by name, case-insensitively. A key without a column is allowed
/// only where `fixed` gives its value: the files are then one sensor's own. Each file has its own header; all must have
/// the value columns of the first one, by name, and a column of times where that has one. A sensor without a row in the
/// window is not an error here; it has `rows` 0.
///
/// Rows come to the sink with values that are missing or wrong: [`Rows::usable`] leaves those out that a model cannot
/// use.
pub struct Pass {
    wanted: Wanted,
    names: Vec<String>,
    /// The first file's columns, and its header.
    first: Option<(Arc<Head>, Vec<String>)>,
    next: usize,
    splitter: Splitter,
}

impl Pass {
    /// Begins a pass over files of these names.
    #[must_use]
    pub fn new(wanted: Wanted, names: Vec<String>, limits: Limits) -> Self {
        let splitter = Splitter::new(&wanted, names.len() > 1, limits);
        Self { wanted, names, first: None, next: 0, splitter }
    }

    /// Reads the next file.
    ///
    /// # Errors
    /// When the file is empty or broken, or a column is missing; the message says where.
    pub fn file(&mut self, input: impl Read, sink: &mut dyn Sink) -> Result<ControlFlow<()>, ReadingsError> {
        let name = self.names.get(self.next).cloned().unwrap_or_default();
        let mut opened = source::open(&name, input, &self.wanted.encoding)?;
        let layout = match &self.first {
            None => {
                let layout = self.resolver(&name, &opened.header, &self.wanted.columns).resolve(&opened.sample)?;
                let values_said = !self.wanted.columns.value.is_empty();
                let head = Arc::new(Head { layout: layout.clone(), values_said, files: self.names.clone() });
                sink.begin(&head);
                self.first = Some((head, opened.header.clone()));
                layout
            }
            Some((head, header)) if *header == opened.header => head.layout.clone(),
            Some((head, _)) => self.resolve_like(head, &name, &opened)?,
        };
        opened.rest.keep(&layout.indices());
        self.splitter.open(&name, self.next, layout, opened.header.len(), &*opened.rest);
        self.next += 1;
        for record in opened.sample.iter().filter(|_| !opened.sample_comes_again) {
            if self.splitter.take(record.as_record(), sink).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        while let Some(record) = opened.rest.next()? {
            if self.splitter.take(record, sink).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Gives the last rows away and says what only the end tells.
    ///
    /// # Errors
    /// When there is a window and not one time in all files that can be read.
    pub fn end(self, sink: &mut dyn Sink) -> Result<Totals, ReadingsError> {
        self.splitter.end(sink)
    }

    fn resolver<'a>(&'a self, file: &'a str, header: &'a [String], columns: &'a Columns) -> Resolver<'a> {
        let Wanted { encoding, keys, fixed, window, .. } = &self.wanted;
        Resolver { file, header, columns, keys, fixed, needs_time: window.is_some(), times: &encoding.times }
    }

    /// The columns of a file that is not the first: the values are those of the first one's names.
    fn resolve_like(&self, head: &Head, name: &str, opened: &source::Opened<'_>) -> Result<Layout, ReadingsError> {
        let value = head.layout.values.iter().map(|c| c.name.clone()).collect();
        let columns = Columns { value, ..self.wanted.columns.clone() };
        let differs = |what: String| ReadingsError::Differs {
            file: name.to_owned(),
            first: head.files.first().cloned().unwrap_or_default(),
            what,
        };
        let layout = self.resolver(name, &opened.header, &columns).resolve(&opened.sample);
        let layout = layout.map_err(|error| match error {
            ReadingsError::ColumnMissing { wanted, role, .. } if role == super::layout::VALUE => {
                differs(format!("has no column {wanted}; its header is {}", opened.header.join(", ")))
            }
            other => other,
        })?;
        match (&layout.time, &head.layout.time) {
            (None, Some(time)) => Err(differs(format!("has no column of times, such as {}", time.name))),
            (Some(time), None) => Err(differs(format!("has a column of times, {}", time.name))),
            _ => Ok(layout),
        }
    }
}

#[cfg(test)]
mod tests;
