//! What events become: one row for each sensor and window.

use serde::{Deserialize, Serialize};

use crate::Micros;
use crate::config::Aggregate;

mod merge;
mod open;
mod rules;
mod stats;

pub use merge::Merge;
pub use open::{Open, Origin};
pub use rules::Rules;
pub use stats::Stats;

/// What a sensor's values of one window are: `V` is the aggregates, or what they are made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row<V = Box<[f64]>> {
    /// When the window begins.
    pub start: Micros,
    /// The sensor, as [`crate::event::Event::sensor`] has it.
    pub sensor: Box<[u8]>,
    /// The aggregates, in the order of the configuration. One that there is not (the deviation of one value), or that is beyond any
    /// number, is NaN.
    pub values: V,
}

/// Windows that are written together: a span of time, of one partition or of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice<V = Box<[f64]>> {
    /// When the first of its windows begins; a multiple of `files.every`.
    pub start: Micros,
    /// Its rows, by window and then sensor.
    pub rows: Vec<Row<V>>,
}

impl Slice<Stats> {
    /// Makes the aggregates.
    #[must_use]
    pub fn finish(self, aggregates: &[Aggregate]) -> Slice {
        let row = |Row { start, sensor, values }: Row<Stats>| Row { start, sensor, values: values.values(aggregates) };
        Slice { start: self.start, rows: self.rows.into_iter().map(row).collect() }
    }
}
