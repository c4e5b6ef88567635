//! Model bytes and readings in, predictions out. The steps of a run are built on these functions alone.
//!
//! - [`Model::from_bytes`] reads a model without executing anything in it.
//! - [`read`] reads a file of readings once and splits it by sensor.
//! - [`score`] gives one sensor's predictions, and [`Encoder`] makes a file of them.
//!
//! Every error has a `reason()`: a category from a short, fixed list, for outcomes and metrics.

pub use crate::model::{Model, ModelError};
pub use crate::predictions::{Block, Encoder, Header, PredictionsError, ScoreError, Scored, score};
pub use crate::readings::{
    BadRow, Counts, Encoding, Head, Layout, Limits, Pass, Readings, ReadingsError, Rows, SensorReadings, Sink,
    TimeParser, Totals, Unplaced, Usable, Wanted, read, read_csv,
};
