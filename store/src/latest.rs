//! What a run's predictions are: `_SUCCESS` of each run, and `latest.json` of the latest.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use spec::TimeRange;
use spec::work::{PredictionFormat, PredictionLayout};

/// The version of this form.
pub const VERSION: u32 = 1;
/// The most bytes of one.
pub const MAX_BYTES: u64 = 64 * 1024;

/// A run whose predictions are all written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Success {
    /// The version of this form.
    pub version: u32,
    /// The schedule's namespace.
    pub namespace: String,
    /// The schedule's name.
    pub schedule: String,
    /// The run's name.
    pub run: String,
    /// The time at which the schedule was due.
    pub tick: Timestamp,
    /// The readings that were scored; absent: every row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<TimeRange>,
    /// What the files of predictions match, as a URI in which `*` stands for any text without `/`.
    pub predictions: String,
    /// How they lie.
    pub layout: PredictionLayout,
    /// What they are.
    pub format: PredictionFormat,
    /// The record's URI.
    pub record: String,
    /// Sensors of the run.
    pub sensors: u32,
    /// Those with predictions.
    pub succeeded: u32,
    /// Those without: each failed for a reason of its own, which the record tells.
    pub failed: u32,
    /// Seconds that a sensor took of its pod's time, as the attempts tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_per_sensor: Option<f64>,
    /// Rows scored.
    pub rows: u64,
    /// Anomalies among them.
    pub anomalies: u64,
}

impl Success {
    /// Whether this run is as late as another one, by the readings that they scored.
    #[must_use]
    pub fn follows(&self, other: &Self) -> bool {
        let up_to = |run: &Self| (run.window.map_or(run.tick, |w| w.end), run.tick);
        up_to(self) >= up_to(other)
    }
}
