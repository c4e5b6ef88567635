//! The frozen work list of a run: an index and shards, so that a pod reads only its part.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use spec::{SensorKeys, TimeRange};

use crate::RequestCounts;

/// The version of the manifest's form.
pub const VERSION: u32 = 1;
/// The most bytes of an index.
pub const MAX_INDEX_BYTES: u64 = 1024 * 1024;
/// The most bytes of a shard.
pub const MAX_SHARD_BYTES: u64 = 64 * 1024 * 1024;
/// About as many sensors as one shard holds; an item is never split.
const SENSORS_PER_SHARD: u32 = 256;
/// As many items as one Indexed Job with `backoffLimitPerIndex` may have.
pub const MAX_ITEMS: u32 = 100_000;

/// `manifest/index.json`: what a pod must know to find its item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestIndex {
    /// The version of this form.
    pub version: u32,
    /// The run's UID.
    pub run_uid: String,
    /// The time at which the schedule was due.
    pub tick: Timestamp,
    /// The readings to score; absent: every row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<TimeRange>,
    /// Sensors in all items.
    pub sensors: u32,
    /// Items: the completions of the Job.
    pub items: u32,
    /// Items in each shard, but the last, which may have fewer.
    pub items_per_shard: u32,
    /// Shards.
    pub shards: u32,
    /// The SHA-256 of the sensors' names, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensors_hash: Option<String>,
    /// Which sensors came and went since the run before; absent where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<SensorChanges>,
    /// What the readings lacked when the wait for them to be complete was over; absent when they were, or nobody waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
    /// What is to be said of the models and sensors, such as which were left out; the first few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Requests to the store that the planning took.
    #[serde(default)]
    pub store_requests: RequestCounts,
}

/// The sensors that came and went since an earlier run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SensorChanges {
    /// The earlier run: the latest whose predictions were all written.
    pub since: String,
    /// Sensors that it did not have.
    pub new: u32,
    /// Sensors that it had, and that are no more.
    pub vanished: u32,
    /// The first of the new ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_new: Vec<SensorKeys>,
    /// The first of those that vanished.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_vanished: Vec<SensorKeys>,
}

impl ManifestIndex {
    /// The shard that holds an item.
    #[must_use]
    pub fn shard_of(&self, index: u32) -> Option<u32> {
        (index < self.items).then(|| index / self.items_per_shard.max(1))
    }
}

/// `manifest/{shard}.json`: a part of the work list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shard {
    /// The run's UID.
    pub run_uid: String,
    /// The items, in order.
    pub items: Vec<Item>,
}

/// The work of one pod index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// The pod's completion index.
    pub index: u32,
    /// The sensors to score.
    pub sensors: Vec<PlannedSensor>,
}

/// A sensor and the model that was there when the run was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedSensor {
    /// The sensor.
    pub sensor: SensorKeys,
    /// Its model.
    pub model: ModelFile,
    /// The model that it is scored with besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenger: Option<ModelFile>,
    /// Why it fails whatever its model and readings are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl PlannedSensor {
    /// A sensor with its model.
    #[must_use]
    pub fn new(sensor: SensorKeys, model: ModelFile) -> Self {
        Self { sensor, model, challenger: None, refused: None }
    }
}

/// A model's file as it was when the run was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelFile {
    /// Its path in the store.
    pub path: String,
    /// Its version; absent with `size` when there was no such file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Its size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// More items than a run may have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{sensors} sensors with {per_item} per pod make more than {MAX_ITEMS} items; raise packing.sensorsPerPod to at least {least}"
)]
pub struct TooManyItems {
    sensors: usize,
    per_item: u32,
    least: usize,
}

/// How many items there are of how many sensors each, and how they lie in shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Division {
    /// Sensors.
    pub sensors: u32,
    /// Items.
    pub items: u32,
    /// Items in each shard.
    pub items_per_shard: u32,
    /// Shards.
    pub shards: u32,
}

/// Divides sensors, in their order, into items and items into shards.
///
/// # Errors
/// When there would be too many items.
pub fn divide(
    run_uid: &str,
    sensors: Vec<PlannedSensor>,
    sensors_per_item: u32,
) -> Result<(Division, Vec<Shard>), TooManyItems> {
    let per_item = sensors_per_item.max(1);
    let count = sensors.len();
    let too_many = || TooManyItems { sensors: count, per_item, least: count.div_ceil(MAX_ITEMS as usize) };
    let total = u32::try_from(count).map_err(|_| too_many())?;
    let items = total.div_ceil(per_item);
    if items > MAX_ITEMS {
        return Err(too_many());
    }
    let items_per_shard = (SENSORS_PER_SHARD / per_item).max(1);
    let shards = items.div_ceil(items_per_shard);
    let mut rest = sensors.into_iter();
    let list = (0..shards)
        .map(|shard| Shard {
            run_uid: run_uid.to_owned(),
            items: (shard * items_per_shard..((shard + 1) * items_per_shard).min(items))
                .map(|index| Item { index, sensors: rest.by_ref().take(per_item as usize).collect() })
                .collect(),
        })
        .collect();
    Ok((Division { sensors: total, items, items_per_shard, shards }, list))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sensors(count: u32) -> Vec<PlannedSensor> {
        (0..count)
            .map(|n| {
                let sensor = [("device", n.to_string())].into_iter().collect();
                PlannedSensor::new(sensor, ModelFile { path: format!("models/{n}"), etag: None, size: None })
            })
            .collect()
    }

    fn index(division: Division) -> ManifestIndex {
        ManifestIndex {
            version: VERSION,
            run_uid: "u".into(),
            tick: Timestamp::UNIX_EPOCH,
            window: None,
            sensors: division.sensors,
            items: division.items,
            items_per_shard: division.items_per_shard,
            shards: division.shards,
            sensors_hash: None,
            changes: None,
            incomplete: None,
            warnings: Vec::new(),
            store_requests: RequestCounts::default(),
        }
    }

    proptest! {
        #[test]
        fn every_sensor_is_in_exactly_one_item_and_every_item_where_the_index_says(
            count in 0u32..3_000, per_item in 1u32..400,
        ) {
            let (division, shards) = divide("u", sensors(count), per_item).unwrap();
            let index = index(division);
            prop_assert_eq!(shards.len(), index.shards as usize);
            let all: Vec<_> = shards.iter().flat_map(|s| &s.items).flat_map(|i| &i.sensors).cloned().collect();
            prop_assert_eq!(all, sensors(count));
            let mut next = 0;
            for (number, shard) in shards.iter().enumerate() {
                for item in &shard.items {
                    prop_assert_eq!(item.index, next);
                    prop_assert_eq!(index.shard_of(item.index), u32::try_from(number).ok());
                    prop_assert!(!item.sensors.is_empty() && item.sensors.len() <= per_item as usize);
                    next += 1;
                }
            }
            prop_assert_eq!(next, index.items);
            prop_assert_eq!(index.shard_of(index.items), None);
        }
    }

    #[test]
    fn too_many_items_say_how_to_pack_them() {
        let error = divide("u", sensors(MAX_ITEMS + 1), 1).unwrap_err();
        assert!(error.to_string().contains("at least 2"), "{error}");
        assert!(divide("u", sensors(MAX_ITEMS + 1), 2).is_ok());
    }
}
