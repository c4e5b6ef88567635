//! What events become: one row for each sensor and window.

use crate::Micros;

mod open;
mod rules;
mod stats;

pub use open::{Open, Origin};
pub use rules::Rules;
pub use stats::Stats;

/// What a sensor's values of one window are.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// When the window begins.
    pub start: Micros,
    /// The sensor, as [`crate::event::Event::sensor`] has it.
    pub sensor: Box<[u8]>,
    /// The aggregates, in the order of the configuration. One that there is not (the deviation of one value), or that is beyond any
    /// number, is NaN.
    pub values: Box<[f64]>,
}

/// Windows that are written together: a span of time of one partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// When the first of its windows begins; a multiple of `files.every`.
    pub start: Micros,
    /// Its rows, by window and then sensor.
    pub rows: Vec<Row>,
}
