//! When a window's readings are all there: what a run waits for before it is planned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DataPath, Span, TimeRange};

/// When a window's readings are complete, and what becomes of a run if they are not in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Complete {
    /// A folder of the store in which a stream job tells how far each partition is, as `{partition}.json`: the readings are
    /// complete once all partitions have told that they are past the window's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub watermark: Option<String>,
    /// A file that is written once the readings beside it are, such as `data/{yyyy}/{MM}/{dd}/{HH}/_SUCCESS`: the readings
    /// are complete once it is there for each of the window's hours (or minutes, days, …).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<DataPath>,
    /// How long a run waits for them, counted from when it was made; shorter than its `deadline`. Default `10m`.
    #[serde(default = "ten_minutes")]
    pub wait_up_to: Span,
    /// What becomes of the run if they are not complete by then. `Score` (default): what is there is scored, with the warning
    /// `DataIncomplete`. `Fail`: the run is Failed.
    #[serde(default)]
    pub on_timeout: OnTimeout,
}

/// What becomes of a run whose readings are not complete in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnTimeout {
    /// What is there is scored.
    #[default]
    Score,
    /// The run is Failed.
    Fail,
}

/// The reason of a run that was not, or not in time, given complete readings.
pub const DATA_INCOMPLETE: &str = "DataIncomplete";

fn ten_minutes() -> Span {
    Span::from_secs(600)
}

impl Complete {
    /// What a window's readings wait for, as a sentence goes on: "waits for …".
    #[must_use]
    pub fn awaited(&self, window: Option<TimeRange>) -> String {
        match (&self.watermark, &self.marker, window) {
            (Some(folder), _, Some(TimeRange { end, .. })) => format!("the watermarks in {folder} to reach {end}"),
            (Some(folder), _, None) => format!("the watermarks in {folder}"),
            (None, Some(marker), Some(TimeRange { start, end })) if marker.finest().is_some() => {
                format!("{marker} of the readings from {start} up to {end}")
            }
            (None, Some(marker), _) => marker.to_string(),
            (None, None, _) => "the readings".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(json: &str) -> Complete {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_run_waits_ten_minutes_and_then_scores_unless_it_is_said_otherwise() {
        let complete = complete(r#"{"watermark": "data/_watermarks"}"#);
        assert_eq!((complete.wait_up_to.as_secs(), complete.on_timeout), (600, OnTimeout::Score));
    }

    #[test]
    fn what_is_waited_for_is_told_with_the_readings_that_it_is_for() {
        let window =
            TimeRange { start: "2026-01-01T00:00:00Z".parse().unwrap(), end: "2026-01-01T01:00:00Z".parse().unwrap() };
        assert_eq!(
            complete(r#"{"watermark": "data/_watermarks"}"#).awaited(Some(window)),
            "the watermarks in data/_watermarks to reach 2026-01-01T01:00:00Z"
        );
        assert_eq!(
            complete(r#"{"marker": "data/{yyyy}/_SUCCESS"}"#).awaited(Some(window)),
            "data/{yyyy}/_SUCCESS of the readings from 2026-01-01T00:00:00Z up to 2026-01-01T01:00:00Z"
        );
        assert_eq!(complete(r#"{"marker": "data/_READY"}"#).awaited(None), "data/_READY");
    }
}
