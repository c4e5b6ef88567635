//! How many sensors one pod scores.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ends::MAX_ENDS;
use crate::int_or_text;

/// The most sensors of a pod.
pub const MOST: u32 = 10_000;
/// What a pod takes beside its work, in seconds: to be made, placed and started.
pub const POD_START: u32 = 2;
/// How much longer than that a pod is to work, at least: nine tenths of its time are work.
const WORTH: f64 = 9.0;
/// What a sensor takes where no run has told yet, in seconds.
const ASSUMED: f64 = 1.0;
/// The most items of a run by itself: with two retries of each, the ends of all pods can be written down.
const MAX_ITEMS: u32 = MAX_ENDS / 3;

/// How sensors are put into pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Packing {
    /// Sensors of one item: a number from 1 (default) to 10,000, or `Auto`: so many that the work outweighs the start of the
    /// pod, by the seconds per sensor of the latest run, and so few that all slots of the pool are busy.
    pub sensors_per_pod: PerPod,
}

/// Sensors of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerPod {
    /// So many.
    Number(u32),
    /// As many as suit the work and the pool.
    Auto,
}

/// What is known when a run is planned that packs by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Known {
    /// Pods that the pool has room for at a time, where all of it is there.
    pub slots: Option<u32>,
    /// Seconds that a sensor took of its pod's time, in an earlier run.
    pub seconds_per_sensor: Option<f64>,
}

impl PerPod {
    /// Sensors of each item of a run of so many, from 1.
    #[must_use]
    pub fn of(self, sensors: u32, known: Known) -> u32 {
        match self {
            Self::Number(number) => number.max(1),
            Self::Auto => auto(sensors, known),
        }
    }
}

/// In as few waves as items of that size take, all waves full: every slot is busy to the end.
fn auto(sensors: u32, known: Known) -> u32 {
    let seconds = known.seconds_per_sensor.filter(|s| s.is_finite() && *s > 0.0).unwrap_or(ASSUMED);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within these bounds")]
    let enough = (WORTH * f64::from(POD_START) / seconds).ceil().clamp(1.0, f64::from(MOST)) as u32;
    let slots = known.slots.unwrap_or(1).max(1);
    let waves = sensors.div_ceil(slots.saturating_mul(enough)).max(1);
    let full = sensors.div_ceil(waves.saturating_mul(slots));
    full.max(sensors.div_ceil(MAX_ITEMS)).clamp(1, MOST)
}

impl Default for PerPod {
    fn default() -> Self {
        Self::Number(1)
    }
}

/// Why a text is no [`PerPod`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is neither a number of sensors from 1 to 10000, nor Auto")]
pub struct PerPodError(String);

impl FromStr for PerPod {
    type Err = PerPodError;

    fn from_str(text: &str) -> Result<Self, PerPodError> {
        let number = || text.parse().ok().filter(|n| (1..=MOST).contains(n)).map(Self::Number);
        let auto = (text == "Auto").then_some(Self::Auto);
        auto.or_else(number).ok_or_else(|| PerPodError(text.to_owned()))
    }
}

impl fmt::Display for PerPod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Auto => f.write_str("Auto"),
        }
    }
}

impl Serialize for PerPod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u32(*number),
            Self::Auto => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for PerPod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        int_or_text::deserialize(deserializer, "a number of sensors from 1 to 10000, or Auto")
    }
}

impl JsonSchema for PerPod {
    fn schema_name() -> Cow<'static, str> {
        "PerPod".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        int_or_text::schema(
            "string(self).matches('^([1-9][0-9]{0,3}|10000|Auto)$')",
            "it must be a number from 1 to 10000, or Auto",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn auto_of(sensors: u32, slots: u32, seconds: f64) -> u32 {
        PerPod::Auto.of(sensors, Known { slots: Some(slots), seconds_per_sensor: Some(seconds) })
    }

    #[test]
    fn a_number_or_auto_is_read_and_written_as_it_stands() {
        for (json, per_pod) in
            [("1", PerPod::Number(1)), ("\"10000\"", PerPod::Number(MOST)), ("\"Auto\"", PerPod::Auto)]
        {
            assert_eq!(serde_json::from_str::<PerPod>(json).unwrap(), per_pod);
        }
        for json in ["0", "10001", "-1", "\"auto\"", "1.5", "null"] {
            let error = serde_json::from_str::<PerPod>(json).unwrap_err().to_string();
            assert!(error.contains("from 1 to 10000") && error.contains("Auto"), "{error}");
        }
        assert_eq!(serde_json::to_string(&[PerPod::Number(7), PerPod::Auto]).unwrap(), "[7,\"Auto\"]");
    }

    #[test]
    fn short_work_is_put_into_as_many_pods_as_there_are_slots() {
        assert_eq!(auto_of(10_000, 24, 0.01), 417);
        assert_eq!(auto_of(24, 100, 0.01), 1);
    }

    #[test]
    fn long_work_has_pods_that_are_just_worth_their_start_and_full_waves_of_them() {
        // 18 s of work to a pod would be 18 sensors: 1,000 of them are six waves of ten pods, each of 17.
        assert_eq!(auto_of(1_000, 10, 1.0), 17);
        assert_eq!(auto_of(1_000, 10, 60.0), 1);
    }

    #[test]
    fn of_what_nobody_knows_yet_a_second_is_assumed_and_one_pod_at_a_time() {
        assert_eq!(PerPod::Auto.of(1_000, Known::default()), 18);
        let nonsense = |seconds| PerPod::Auto.of(1_000, Known { slots: None, seconds_per_sensor: Some(seconds) });
        assert_eq!([nonsense(0.0), nonsense(-1.0), nonsense(f64::NAN), nonsense(f64::INFINITY)], [18; 4]);
    }

    proptest! {
        #[test]
        fn no_slot_is_idle_in_the_last_wave_for_want_of_smaller_items(
            sensors in 1u32..200_000, slots in 1u32..5_000, milli in 1u32..100_000,
        ) {
            let per_pod = auto_of(sensors, slots, f64::from(milli) / 1_000.0);
            prop_assert!((1..=MOST).contains(&per_pod));
            let items = sensors.div_ceil(per_pod);
            prop_assert!(items <= MAX_ITEMS);
            // One sensor fewer in each would need another wave, or more items than a run may have.
            if per_pod > 1 {
                let smaller = sensors.div_ceil(per_pod - 1);
                prop_assert!(smaller > MAX_ITEMS || smaller.div_ceil(slots) > items.div_ceil(slots));
            }
        }
    }
}
