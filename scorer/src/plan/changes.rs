//! Which sensors came and went since the run before.

use std::collections::BTreeSet;

use spec::SensorKeys;
use store::latest::{self, Success};
use store::manifest::MAX_INDEX_BYTES;
use store::{ManifestIndex, PlannedSensor, SensorChanges, StoreError};

use crate::context::{Context, StepError, shards};
use crate::model::sha256;

/// Sensors that are named; the rest are counted.
const NAMED: usize = 100;

/// What tells two lists of sensors apart without reading them.
pub(super) fn hash_of(sensors: &[PlannedSensor]) -> String {
    let names: String = sensors.iter().map(|planned| planned.sensor.slug() + "\n").collect();
    sha256(names.as_bytes())
}

/// The latest run whose predictions are all written, if there is one and it can be read.
pub(super) async fn latest(context: &Context) -> Result<Option<Success>, StepError> {
    match context.store.get_json(&context.paths.latest(), "latest run", latest::MAX_BYTES).await {
        Ok(latest) => Ok(Some(latest)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => passes(error.into()),
    }
}

/// What changed since the latest run; `None` where nothing did. Costs a read, and those of its manifest only where the
/// sensors are others.
pub(super) async fn changes(
    context: &Context,
    latest: &Success,
    sensors: &[PlannedSensor],
    hash: &str,
) -> Result<Option<SensorChanges>, StepError> {
    match since(context, latest, sensors, hash).await {
        Ok(changes) => Ok(changes),
        Err(error) => passes(error),
    }
}

/// That an earlier run's files are gone or are not readable is no reason not to plan.
fn passes<T>(error: StepError) -> Result<Option<T>, StepError> {
    match error {
        StepError::Store(error) if error.is_retryable() => Err(error.into()),
        error => {
            tracing::warn!("what the run before did cannot be told: {error}");
            Ok(None)
        }
    }
}

async fn since(
    context: &Context,
    latest: &Success,
    sensors: &[PlannedSensor],
    hash: &str,
) -> Result<Option<SensorChanges>, StepError> {
    if latest.run == context.request.run {
        return Ok(None);
    }
    let (store, paths) = (&context.store, &context.paths);
    let of = paths.of_run(&latest.run)?;
    let index: ManifestIndex = store.get_json(&of.manifest(), "manifest", MAX_INDEX_BYTES).await?;
    if index.sensors_hash.as_deref() == Some(hash) {
        return Ok(None);
    }
    let shards = shards(store, &of, &index).await?;
    let before: BTreeSet<&SensorKeys> =
        shards.iter().flat_map(|shard| &shard.items).flat_map(|item| &item.sensors).map(|p| &p.sensor).collect();
    let now: BTreeSet<&SensorKeys> = sensors.iter().map(|planned| &planned.sensor).collect();
    let count = |of: &BTreeSet<&SensorKeys>, without: &BTreeSet<&SensorKeys>| {
        u32::try_from(of.difference(without).count()).unwrap_or(u32::MAX)
    };
    let first = |of: &BTreeSet<&SensorKeys>, without: &BTreeSet<&SensorKeys>| {
        of.difference(without).take(NAMED).map(|sensor| (*sensor).clone()).collect()
    };
    Ok(Some(SensorChanges {
        since: latest.run.clone(),
        new: count(&now, &before),
        vanished: count(&before, &now),
        first_new: first(&now, &before),
        first_vanished: first(&before, &now),
    })
    .filter(|changes| changes.new + changes.vanished > 0))
}
