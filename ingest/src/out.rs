//! Where windows, dead letters and raw events go: files in the store, and a table. `docs/ingest-outputs.md` says what is in them.
//!
//! What is written has a name that follows from the log alone, and windows have bytes that do, so whoever reads it again writes the
//! same over it.

mod finished;
pub mod layout;
pub mod letters;
pub mod lines;
mod shares;
mod sink;
mod table;

mod csv;
mod json;
mod parquet;
mod parts;

use crate::config::Aggregate;
use crate::event;
use crate::window::{Row, Slice, Stats};

pub use finished::Finished;
pub use layout::{EncodeError, Layout};
pub use letters::{Letter, Letters, Reason};
pub use lines::{Chunk, Raw, Record};
pub use shares::Shares;
pub use sink::{Sink, SinkError, Written};
pub use table::Table;

/// What is written together, of one partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Windows.
    pub windows: Windows,
    /// Events that count in no window.
    pub letters: Option<Chunk>,
    /// Events as they were received.
    pub raw: Option<Chunk>,
}

/// Windows of a partition that get no more events from it.
#[derive(Clone, Debug, PartialEq)]
pub enum Windows {
    /// They are whole.
    Finished(Vec<Slice>),
    /// Other partitions have theirs of them.
    Shares(Vec<Slice<Stats>>),
}

impl Default for Windows {
    fn default() -> Self {
        Self::Finished(Vec::new())
    }
}

impl Windows {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Finished(slices) => slices.is_empty(),
            Self::Shares(slices) => slices.is_empty(),
        }
    }
}

/// The columns of windows, but for their time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns {
    keys: Vec<String>,
    aggregates: Vec<Aggregate>,
}

/// A value of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// How many.
    Count(i64),
    /// A finite number.
    Number(f64),
    /// There is none.
    None,
}

impl Columns {
    pub(crate) fn new(config: &crate::config::Config) -> Self {
        Self { keys: config.keys().to_vec(), aggregates: config.aggregates() }
    }

    /// A row's values of the keys: one for each, whatever the row has.
    pub(crate) fn keys<'a>(&self, row: &'a Row) -> impl Iterator<Item = &'a str> {
        event::keys(&row.sensor).chain(std::iter::repeat("")).take(self.keys.len())
    }

    /// A row's aggregates: one for each, whatever the row has.
    pub(crate) fn values(&self, row: &Row) -> impl Iterator<Item = Value> {
        let values = row.values.iter().copied().chain(std::iter::repeat(f64::NAN));
        self.aggregates.iter().zip(values).map(|(aggregate, value)| match aggregate {
            _ if !value.is_finite() => Value::None,
            Aggregate::Count => Value::Count(value as i64),
            _ => Value::Number(value),
        })
    }
}

#[cfg(test)]
pub(crate) mod testing;
