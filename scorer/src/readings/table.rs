//! Rows of a database, as they come from whoever fetches them.

use std::collections::BTreeSet;

use sql::{Batch, Column, Kind};
use tokio::sync::mpsc;

use super::ReadingsError;
use super::record::{Record, Records};
use crate::shown;

/// The rows of a query, for a blocking thread; another task sends them.
pub struct Table {
    name: String,
    columns: Vec<Column>,
    batches: mpsc::Receiver<Batch>,
    batch: Batch,
    at: usize,
    /// The row before the next one, from 1.
    row: u64,
    /// Why a column that is asked for cannot be read.
    unread: Option<String>,
}

impl Table {
    /// `name`: what messages call it.
    #[must_use]
    pub fn new(name: String, columns: Vec<Column>, batches: mpsc::Receiver<Batch>) -> Self {
        Self { name, columns, batches, batch: Batch::default(), at: 0, row: 0, unread: None }
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The names of its columns.
    pub(super) fn names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }
}

impl Records for Table {
    fn next(&mut self) -> Result<Option<Record<'_>>, ReadingsError> {
        while self.at == self.batch.len() {
            let Some(batch) = self.batches.blocking_recv() else { break };
            (self.batch, self.at) = (batch, 0);
        }
        let row = self.batch.row(self.at);
        // Of no rows, any column can be read.
        if let Some(what) = self.unread.take_if(|_| self.row > 0 || row.is_some()) {
            return Err(ReadingsError::Unsupported { file: self.name.clone(), what });
        }
        let Some((text, ends)) = row else { return Ok(None) };
        self.at += 1;
        self.row += 1;
        Ok(Some(Record { text, ends, gap: 0, line: self.row, broken: None, absent: &[] }))
    }

    fn keep(&mut self, columns: &BTreeSet<usize>) {
        let kept = columns.iter().filter_map(|at| self.columns.get(*at));
        self.unread = kept.filter_map(unread).next();
    }

    fn has_instants(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|column| column.kind.is_time())
    }

    fn has_lines(&self) -> bool {
        false
    }
}

/// Why a column is not read, and what to write instead.
fn unread(Column { name, kind }: &Column) -> Option<String> {
    let Kind::Other(of) = kind else { return None };
    let (name, of) = (shown::name(name), shown::name(of));
    Some(format!(
        "column {name} is of the type {of}, which is not read; cast it in the query, as in {name}::double precision or \
         {name}::text, or leave it out"
    ))
}
