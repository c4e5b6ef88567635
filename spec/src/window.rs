//! The half-open span of readings that a tick scores.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Span;
use crate::ticks::Ticks;

/// Which readings a tick scores. They follow from the tick and the schedule alone: a run that starts late, or again, scores
/// the same ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// How long the window is, such as `1h`: from `tick - delay - length` up to, not including, `tick - delay`. Absent: since
    /// the tick before, so that windows leave no gap and do not overlap, whatever the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<Span>,
    /// How long before the tick the window ends, so that late readings are there. Default `0s`.
    #[serde(default)]
    pub delay: Span,
}

/// Why a tick has no window.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// It reaches from tick to tick, and there are none.
    #[error("a window without length reaches from tick to tick; give the schedule, or window.length")]
    NoSchedule,
    /// There is no tick before.
    #[error("the schedule has no two ticks up to {0}; give window.length")]
    NoTickBefore(Timestamp),
    /// It is outside of the years that timestamps can hold.
    #[error("{0}")]
    Time(#[from] jiff::Error),
}

impl Window {
    /// The window of a tick. Of another time, such as that of a run made by hand: without a length, the window of the last
    /// tick up to then, which is the latest whole one.
    ///
    /// # Errors
    /// When it has no length and there are no ticks, or the result is outside the years that timestamps can hold.
    pub fn at(&self, tick: Timestamp, ticks: Option<&Ticks>) -> Result<TimeRange, WindowError> {
        let (start, end) = match self.length {
            Some(length) => (tick.checked_sub(length.to_signed())?, tick),
            None => {
                let ticks = ticks.ok_or(WindowError::NoSchedule)?;
                let none = || WindowError::NoTickBefore(tick);
                let end = ticks.before_or_at(tick).ok_or_else(none)?;
                (ticks.before(end).ok_or_else(none)?, end)
            }
        };
        let delay = self.delay.to_signed();
        Ok(TimeRange { start: start.checked_sub(delay)?, end: end.checked_sub(delay)? })
    }
}

/// A half-open span of time: `start` is in it, `end` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimeRange {
    /// The first instant in the range (RFC 3339).
    pub start: Timestamp,
    /// The first instant after the range (RFC 3339).
    pub end: Timestamp,
}

impl TimeRange {
    /// Whether an instant lies in it.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

#[cfg(test)]
mod tests;
