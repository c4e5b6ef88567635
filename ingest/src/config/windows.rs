//! What is made of events.

use serde::{Deserialize, Serialize};
use spec::Span;

use super::Aggregate;

/// Tumbling windows of event time, per sensor. By default as the reference's job: the average of 5 seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Windows {
    /// How long a window is; windows begin at multiples of it since 1970. At most 1h, and a divisor of it.
    pub length: Span,
    /// What is made of a window's values.
    pub aggregates: Vec<Aggregate>,
    /// How much later than the latest event of its partition an event may be: the watermark is behind that one by so much.
    pub allowed_lateness: Span,
    /// After how long without events a partition's watermark goes on with the clock.
    pub idle_after: Span,
    /// Whose events a window is made of.
    pub over: Over,
}

/// Whose events a window is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Over {
    /// Those of one partition: all of a sensor's events are in the same one.
    #[default]
    Partition,
    /// Those of all partitions: a sensor's events are in any.
    Topic,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            length: Span::from_secs(5),
            aggregates: vec![Aggregate::Avg],
            allowed_lateness: Span::from_secs(60),
            idle_after: Span::from_secs(60),
            over: Over::Partition,
        }
    }
}
