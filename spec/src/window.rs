//! The half-open span of readings that a tick scores.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Span;

/// Which readings a tick scores: those from `tick - delay - length` up to, not including, `tick - delay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// How long the window is, such as `1h`. With the same length as the schedule's period, windows leave no gap.
    pub length: Span,
    /// How long before the tick the window ends, so that late readings are there. Default `0s`.
    #[serde(default)]
    pub delay: Span,
}

impl Window {
    /// The window of a tick.
    ///
    /// # Errors
    /// When the result is outside the years that timestamps can hold.
    pub fn at(&self, tick: Timestamp) -> Result<TimeRange, jiff::Error> {
        let end = tick.checked_sub(self.delay.to_signed())?;
        Ok(TimeRange { start: end.checked_sub(self.length.to_signed())?, end })
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
