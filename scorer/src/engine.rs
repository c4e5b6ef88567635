//! Model bytes and readings in, predictions out. The steps of a run are built on these functions alone.
//!
//! - [`Model::from_bytes`] reads a model without executing anything in it.
//! - [`Pass`] reads files of readings once and splits them by sensor, a block of rows at a time; [`read`] reads them whole.
//! - [`Scorer`] gives one sensor's predictions, and [`SensorFile`] or [`Encoder`] make a file of them.
//!
//! Every error has a `reason()`: a category from a short, fixed list, for outcomes and metrics.

pub use crate::model::{Model, ModelError};
pub use crate::predictions::{Block, Encoder, Header, PredictionsError, ScoreError, Scored, Scorer, SensorFile, Tally};
pub use crate::readings::{
    BadRow, Counts, Encoding, Head, Layout, Limits, Pass, Readings, ReadingsError, Rows, Selection, SensorReadings,
    Sink, Table, TimeParser, Totals, Unplaced, Usable, Wanted, read, read_csv,
};
