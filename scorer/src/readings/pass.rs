//! One pass over the files of a data path: each row goes to its sensor, a block at a time.

use std::collections::BTreeSet;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;

use spec::work::Columns;
use spec::{SensorKeys, TimeRange};

use super::file::Origin;
use super::layout::Resolver;
use super::names::Names;
use super::record::OwnedRecord;
use super::source::{self, Encoding, Opened};
use super::splitter::Splitter;
use super::{Layout, ReadingsError, Rows, Table, Totals};
use crate::shown;

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
    /// Files that do not tell which columns are numbers; they wait for one that does.
    waiting: Vec<Waiting>,
    /// What is wrong with the first file that has no columns, if none has any.
    empty: Option<ReadingsError>,
    /// What is to be said of the columns.
    notes: Vec<String>,
    splitter: Splitter,
}

/// A short file as a whole.
struct Waiting {
    number: usize,
    header: Vec<String>,
    rows: Vec<OwnedRecord>,
}

impl Pass {
    /// Begins a pass over files of these names.
    #[must_use]
    pub fn new(wanted: Wanted, names: Vec<String>, limits: Limits) -> Self {
        let splitter = Splitter::new(&wanted, names.len() > 1, limits);
        Self { wanted, names, first: None, next: 0, waiting: Vec::new(), empty: None, notes: Vec::new(), splitter }
    }

    /// Reads the next file, or passes over it if it is empty.
    ///
    /// # Errors
    /// When the file is broken, or a column is missing; the message says where.
    pub fn file(&mut self, input: impl Read, sink: &mut dyn Sink) -> Result<ControlFlow<()>, ReadingsError> {
        let name = self.name(self.next);
        match source::open(&name, input, &self.wanted.encoding) {
            Err(error @ ReadingsError::Empty { .. }) => {
                self.next += 1;
                self.empty.get_or_insert(error);
                Ok(ControlFlow::Continue(()))
            }
            opened => self.opened(&name, opened?, sink),
        }
    }

    /// Reads the rows of a database, which are one file.
    ///
    /// # Errors
    /// When a column is missing, or cannot be read; the message says which.
    pub fn table(&mut self, table: Table, sink: &mut dyn Sink) -> Result<ControlFlow<()>, ReadingsError> {
        self.opened(&self.name(self.next), Opened::of(table.names(), table)?, sink)
    }

    fn opened(
        &mut self,
        name: &str,
        mut opened: Opened<'_>,
        sink: &mut dyn Sink,
    ) -> Result<ControlFlow<()>, ReadingsError> {
        let number = self.next;
        self.next += 1;
        if let Some((row, error)) = opened.cut_short(name) {
            // It says nothing of columns; but an array that still grows is no reason to read no other file.
            self.empty.get_or_insert(error);
            self.splitter.open(name, Layout::default(), &Origin { number, width: 0, instants: false, has_lines: true });
            return Ok(self.splitter.take(row.as_record(), sink));
        }
        if self.first.is_none() {
            let waiting = self.waiting.iter().flat_map(|file| &file.rows).collect::<Vec<_>>();
            let room = source::Room::beside(&waiting);
            while !self.is_decided(name, &opened) && opened.sample_more(&room)? {}
            let undecided = opened.is_whole() && !self.is_decided(name, &opened) && room.has_some(&opened.sample);
            opened.close(name)?;
            let alike = self.waiting.first().is_none_or(|first| first.header == opened.header);
            if undecided && alike && self.next < self.names.len() {
                self.waiting.push(Waiting { number, header: opened.header, rows: opened.sample });
                return Ok(ControlFlow::Continue(()));
            }
            if self.begin(Some(&opened), sink)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        opened.close(name)?;
        let layout = match &self.first {
            Some((head, header)) if *header == opened.header => head.layout.clone(),
            Some((head, _)) => self.resolve_like(head, name, &opened)?,
            None => return Ok(ControlFlow::Continue(())),
        };
        opened.rest.keep(&layout.indices());
        let instants = layout.time.as_ref().is_some_and(|time| opened.rest.has_instants(time.index));
        let origin = Origin { number, width: opened.header.len(), instants, has_lines: opened.rest.has_lines() };
        self.splitter.open(name, layout, &origin);
        let sample = opened.sample.iter().filter(|_| !opened.sample_comes_again);
        if self.take(sample, sink).is_break() {
            return Ok(ControlFlow::Break(()));
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
    /// When all files are empty, or there is a window and not one time in them that can be read.
    pub fn end(mut self, sink: &mut dyn Sink) -> Result<Totals, ReadingsError> {
        if let (None, [], Some(error)) = (&self.first, self.waiting.as_slice(), self.empty.take()) {
            return Err(error);
        }
        if self.first.is_none() && !self.waiting.is_empty() {
            // What the sink has had enough of ends here all the same.
            let _ = self.begin(None, sink)?;
        }
        let totals = self.splitter.end(sink)?;
        Ok(Totals { notes: self.notes, ..totals })
    }

    fn name(&self, number: usize) -> String {
        self.names.get(number).cloned().unwrap_or_default()
    }

    /// The rows from which it is told which columns are numbers: of the files that wait, and of one that is like them.
    fn sample<'a>(&'a self, opened: Option<&'a Opened<'_>>) -> Vec<&'a OwnedRecord> {
        let alike = |opened: &&Opened<'_>| self.waiting.first().is_none_or(|first| first.header == opened.header);
        let rows = opened.filter(alike).into_iter().flat_map(|opened| &opened.sample);
        self.waiting.iter().flat_map(|file| &file.rows).chain(rows).collect()
    }

    fn is_decided(&self, name: &str, opened: &Opened<'_>) -> bool {
        self.resolver(name, &opened.header, &self.wanted.columns).is_decided(&self.sample(Some(opened)))
    }

    /// Settles which column is what, and takes the rows of the files that waited for it.
    fn begin(&mut self, opened: Option<&Opened<'_>>, sink: &mut dyn Sink) -> Result<ControlFlow<()>, ReadingsError> {
        let header = self.waiting.first().map(|file| &file.header).or(opened.map(|opened| &opened.header));
        let header = header.cloned().unwrap_or_default();
        let name = self.name(self.waiting.first().map_or(self.next.saturating_sub(1), |file| file.number));
        let resolver = self.resolver(&name, &header, &self.wanted.columns);
        let (layout, notes) = resolver.resolve(&self.sample(opened))?;
        self.notes = notes;
        let values_said = !self.wanted.columns.value.is_empty();
        let head = Arc::new(Head { layout, values_said, files: self.names.clone() });
        sink.begin(&head);
        self.first = Some((Arc::clone(&head), header));
        for Waiting { number, header, rows } in std::mem::take(&mut self.waiting) {
            let origin = Origin { number, width: header.len(), instants: false, has_lines: true };
            self.splitter.open(&self.name(number), head.layout.clone(), &origin);
            if self.take(rows.iter(), sink).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn take<'a>(&mut self, mut rows: impl Iterator<Item = &'a OwnedRecord>, sink: &mut dyn Sink) -> ControlFlow<()> {
        rows.try_for_each(|row| self.splitter.take(row.as_record(), sink))
    }

    fn resolver<'a>(&'a self, file: &'a str, header: &'a [String], columns: &'a Columns) -> Resolver<'a> {
        let Wanted { encoding, keys, fixed, window, .. } = &self.wanted;
        let header = Names::new(header);
        Resolver { file, header, columns, keys, fixed, needs_time: window.is_some(), times: &encoding.times }
    }

    /// The columns of a file that is not the first: the values are those of the first one's names.
    fn resolve_like(&self, head: &Head, name: &str, opened: &Opened<'_>) -> Result<Layout, ReadingsError> {
        let value = head.layout.values.iter().map(|c| c.name.clone()).collect();
        let columns = Columns { value, ..self.wanted.columns.clone() };
        let differs = |what: String| ReadingsError::Differs {
            file: name.to_owned(),
            first: head.files.first().cloned().unwrap_or_default(),
            what,
        };
        let layout = self.resolver(name, &opened.header, &columns).resolve(&[]).map(|(layout, _)| layout);
        let layout = layout.map_err(|error| match error {
            ReadingsError::ColumnMissing { wanted, role, .. } if role == super::layout::VALUE => {
                differs(format!("has no column {wanted}; its columns are {}", shown::names(&opened.header)))
            }
            other => other,
        })?;
        match (&layout.time, &head.layout.time) {
            (None, Some(time)) => Err(differs(format!("has no column of times, such as {}", shown::name(&time.name)))),
            (Some(time), None) => Err(differs(format!("has a column of times, {}", shown::name(&time.name)))),
            _ => Ok(layout),
        }
    }
}

#[cfg(test)]
mod tests;
