//! The numbers by which events are judged, in microseconds.

use spec::Span;

use crate::Micros;
use crate::config::{Aggregate, Config, Duplicates, Over};

/// The numbers by which events are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long a window is.
    pub length: Micros,
    /// How much of time a slice holds: a multiple of `length`.
    pub every: Micros,
    /// How far the watermark is behind the latest event.
    pub lateness: Micros,
    /// By how much an event's time may be ahead of the broker's.
    pub max_ahead: Micros,
    /// After how long without events the watermark goes on with the clock.
    pub idle_after: Micros,
    /// What is made of a window's values.
    pub aggregates: Vec<Aggregate>,
    /// Whether a second event of a sensor for the same time does not count.
    pub drops_duplicates: bool,
    /// Whose events a window is made of.
    pub over: Over,
}

impl Rules {
    /// Those of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let windows = &config.windows;
        Self {
            length: micros(windows.length).max(1),
            every: micros(config.every()).max(1),
            lateness: micros(windows.allowed_lateness),
            max_ahead: micros(config.event.max_ahead),
            idle_after: micros(windows.idle_after),
            aggregates: config.aggregates(),
            drops_duplicates: config.event.duplicates == Duplicates::Drop,
            over: windows.over,
        }
    }

    /// Whether all values of a window are kept until it closes.
    #[must_use]
    pub fn keeps_values(&self) -> bool {
        self.aggregates.iter().any(|aggregate| aggregate.needs_samples())
    }

    /// When the window of a time begins.
    #[must_use]
    pub fn window(&self, time: Micros) -> Micros {
        floor(time, self.length)
    }

    /// When the slice of a time begins.
    #[must_use]
    pub fn slice(&self, time: Micros) -> Micros {
        floor(time, self.every)
    }

    /// What slices are aligned by: a mark of other rules cannot be gone on with.
    #[must_use]
    pub fn alignment(&self) -> String {
        format!("{}s/{}s", self.length / 1_000_000, self.every / 1_000_000)
    }
}

fn micros(span: Span) -> Micros {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX).saturating_mul(1_000_000)
}

fn floor(time: Micros, step: Micros) -> Micros {
    time.saturating_sub(time.rem_euclid(step))
}
