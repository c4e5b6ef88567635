//! How a schedule trains models: `task: Train`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Limit;

/// What a run does with each sensor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Task {
    /// Scores its readings with its model.
    #[default]
    Score,
    /// Trains its model on its readings.
    Train,
}

impl Task {
    /// Whether it is the default.
    #[must_use]
    pub fn is_score(&self) -> bool {
        *self == Self::Score
    }
}

/// How models are trained, and which of them are published. Names are those of scikit-learn's `OneClassSVM` and of
/// `scorer train`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Training {
    /// The share of readings that the fit may leave outside, above 0 and at most 1: well above the share of anomalies
    /// among them. Default 0.1.
    #[serde(default = "nu")]
    pub nu: f64,
    /// The kernel's width, above 0. Absent: 1 / (features x variance), as scikit-learn's `gamma="scale"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gamma: Option<f64>,
    /// How far the boundary is then moved out, from 0 (scikit-learn's boundary) to below 1. Default 0.5.
    #[serde(default = "margin")]
    pub margin: f64,
    /// Readings that a model is fitted to at most, from 10 to 100000; of more, that many at even distances. More make a
    /// model larger and slower to score with. Default 5000.
    #[serde(default = "max_rows")]
    #[schemars(range(min = 10, max = 100_000))]
    pub max_rows: u32,
    /// The share of a sensor's readings, the last by their time, that its model is not fitted to but judged by. From `1%`
    /// to `50%`. Default `20%`.
    #[serde(default = "hold_out")]
    pub hold_out: Limit,
    /// Which new models are published at `model.path`: `IfNoWorse` (default) those that are no worse than the published one
    /// on the readings held back, `Always` all, `Manual` none: `scorer promote` does.
    #[serde(default)]
    pub promote: Promote,
    /// Versions of each sensor's model that are kept, from 1 to 1000; the published one is kept besides. Default 10.
    #[serde(default = "keep_versions")]
    #[schemars(range(min = 1, max = 1000))]
    pub keep_versions: u32,
}

/// Which new models are published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Promote {
    /// Those that are no worse than the published one.
    #[default]
    IfNoWorse,
    /// All.
    Always,
    /// None: a person promotes them.
    Manual,
}

fn nu() -> f64 {
    0.1
}

fn margin() -> f64 {
    0.5
}

fn max_rows() -> u32 {
    5_000
}

fn hold_out() -> Limit {
    Limit::Percent(20)
}

fn keep_versions() -> u32 {
    10
}

impl Default for Training {
    fn default() -> Self {
        Self {
            nu: nu(),
            gamma: None,
            margin: margin(),
            max_rows: max_rows(),
            hold_out: hold_out(),
            promote: Promote::default(),
            keep_versions: keep_versions(),
        }
    }
}

impl Training {
    /// The share of readings that is held back, in percent.
    #[must_use]
    pub fn held_back(&self) -> u8 {
        match self.hold_out {
            Limit::Percent(share) => share,
            Limit::Number(_) => 0,
        }
    }

    /// The first field that cannot be, and why.
    #[must_use]
    pub fn problem(&self) -> Option<(&'static str, String)> {
        let Self { nu, gamma, margin, max_rows, hold_out, keep_versions, .. } = *self;
        let wrong = |field, holds: bool, is: String, must: &str| (!holds).then(|| (field, format!("is {is}; {must}")));
        wrong("training.nu", nu > 0.0 && nu <= 1.0, nu.to_string(), "write a number above 0 and at most 1, such as 0.1")
            .or_else(|| {
                let fits = gamma.is_none_or(|gamma| gamma > 0.0 && gamma.is_finite());
                let is = gamma.unwrap_or_default().to_string();
                wrong("training.gamma", fits, is, "write a number above 0, or leave it out")
            })
            .or_else(|| {
                let must = "write a number from 0 to below 1, such as 0.5";
                wrong("training.margin", (0.0..1.0).contains(&margin), margin.to_string(), must)
            })
            .or_else(|| {
                let fits = (10..=100_000).contains(&max_rows);
                wrong("training.maxRows", fits, max_rows.to_string(), "write a number from 10 to 100000")
            })
            .or_else(|| {
                let fits = (1..=50).contains(&self.held_back());
                wrong("training.holdOut", fits, hold_out.to_string(), "write a share from 1% to 50%, such as 20%")
            })
            .or_else(|| {
                let fits = (1..=1_000).contains(&keep_versions);
                wrong("training.keepVersions", fits, keep_versions.to_string(), "write a number from 1 to 1000")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Training {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(of("{}"), Training::default());
        assert_eq!(Training::default().problem(), None);
        assert_eq!(of(r#"{"holdOut": "5%"}"#).held_back(), 5);
    }

    #[test]
    fn what_cannot_be_names_its_field() {
        for (json, field) in [
            (r#"{"nu": 0}"#, "training.nu"),
            (r#"{"nu": 1.5}"#, "training.nu"),
            (r#"{"gamma": -1}"#, "training.gamma"),
            (r#"{"margin": 1}"#, "training.margin"),
            (r#"{"maxRows": 9}"#, "training.maxRows"),
            (r#"{"holdOut": "51%"}"#, "training.holdOut"),
            (r#"{"holdOut": 20}"#, "training.holdOut"),
            (r#"{"keepVersions": 0}"#, "training.keepVersions"),
        ] {
            assert_eq!(of(json).problem().map(|(field, _)| field), Some(field), "{json}");
        }
    }
}
