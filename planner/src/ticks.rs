//! When a schedule is due, and what becomes of each tick.

mod due;
mod jitter;
mod start;

pub use due::{CatchUp, Due, Miss, ScheduleView, due, passed};
pub use jitter::jitter;
pub use spec::ticks::{TickError, Ticks};
pub use start::{Concurrency, Start, start};

use jiff::Timestamp;

/// The name of a tick's run: the same for every process that ever looks at this tick.
#[must_use]
pub fn run_name(schedule: &str, tick: Timestamp) -> String {
    format!("{schedule}-{}", tick.as_second().div_euclid(60))
}

#[cfg(test)]
mod tests;
