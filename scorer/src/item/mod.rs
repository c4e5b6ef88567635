//! One item of a run: its sensors scored, each on its own, with predictions, logs and outcomes.

mod data;
mod files;
mod ledger;
mod sensor;
mod shared;

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use spec::SensorKeys;
use spec::report::{ItemReport, MAX_FAILURES};
use store::manifest::MAX_SHARD_BYTES;
use store::outcome::{self, Attempted};
use store::{Item, Outcome, PlannedSensor, PodUid, Shard, Status};
use tokio::sync::watch;

pub use data::DataFiles;
use ledger::Ledger;
use sensor::SensorJob;
pub(crate) use sensor::outcome as empty_outcome;

use crate::context::{Context, StepError};

/// Sensors under way at once: one is scored while the models and predictions of others travel.
const AT_ONCE: usize = 4;
/// Up to so many sensors, their logs start before the data is read; else each when its turn comes.
const LOGS_AT_ONCE: usize = 8;

/// Who works on an item: names the attempt.
#[derive(Clone, Debug)]
pub struct Pod {
    /// The pod's UID.
    pub uid: PodUid,
    /// The node's name.
    pub node: String,
}

/// Reads an item of the manifest.
///
/// # Errors
/// When there is no such item, or the store fails.
pub async fn read(context: &Context, index: u32) -> Result<Item, StepError> {
    let manifest = context.manifest().await?;
    let shard = manifest.shard_of(index).ok_or_else(|| {
        StepError::Request(format!("there is no item {index}: the manifest has {} items, from 0", manifest.items))
    })?;
    let path = context.paths.shard(shard);
    let none = |why: &str| StepError::NoManifest { uri: context.store.uri(&path), why: why.to_owned() };
    let shard: Shard = context.store.get_json(&path, "manifest", MAX_SHARD_BYTES).await?;
    if shard.run_uid != context.request.run_uid {
        return Err(none("the manifest is of another run"));
    }
    shard.items.into_iter().find(|i| i.index == index).ok_or_else(|| none("the shard lacks the item"))
}

/// Works on an item until all its sensors are done or `stop` becomes true; what was done is in the store then. `data`
/// may hold the files of more sensors than the item's; none: those of the item.
///
/// # Errors
/// When the item or earlier outcomes cannot be read, or the outcomes cannot be written. A sensor that fails is no
/// error: it fails alone, and the report counts it.
pub async fn run(
    context: &Context,
    index: u32,
    pod: &Pod,
    data: Option<&DataFiles>,
    mut stop: watch::Receiver<bool>,
) -> Result<ItemReport, StepError> {
    let before = context.store.requests();
    let item = read(context, index).await?;
    let earlier = earlier_outcomes(context, index).await?;
    let mut done: BTreeMap<&SensorKeys, &Outcome> = BTreeMap::new();
    for outcome in earlier.iter().flat_map(|a| &a.outcomes).filter(|o| o.status.is_final()) {
        let kept = done.entry(&outcome.sensor).or_insert(outcome);
        if outcome.status == Status::Succeeded {
            *kept = outcome;
        }
    }
    if item.sensors.iter().all(|s| done.contains_key(&s.sensor)) {
        return Ok(report(index, done.into_values()));
    }
    // Where sensors share a file it is made anew, with those that are in it.
    let shared = context.request.work.predictions.layout.is_shared();
    let in_file = |sensor: &SensorKeys| shared && done.get(sensor).is_some_and(|o| o.status == Status::Succeeded);
    let pending: Vec<&PlannedSensor> =
        item.sensors.iter().filter(|s| !done.contains_key(&s.sensor) || in_file(&s.sensor)).collect();
    let in_file: BTreeSet<&SensorKeys> = pending.iter().map(|s| &s.sensor).filter(|s| in_file(s)).collect();
    let own;
    let data = match data {
        Some(data) => data,
        None => {
            own = DataFiles::of(&context.request.work.data, pending.iter().map(|s| s.sensor.clone()).collect(), 1);
            &own
        }
    };
    data.want(pending.iter().map(|s| &s.sensor));
    let ledger = Ledger::start(context, index, pod, before);
    ledger.keep(earlier.iter().flat_map(|a| &a.outcomes));
    let finished = {
        let work = work_on(context, &pending, &in_file, data, &ledger);
        tokio::pin!(work);
        tokio::select! {
            () = &mut work => true,
            () = stopped(&mut stop) => false,
        }
    };
    if !finished {
        ledger.stop(pending.iter().map(|s| &s.sensor)).await;
    }
    let ended = ledger.end().await?;
    for outcome in &ended {
        // What is final stays so.
        if outcome.status.is_final() || !done.contains_key(&outcome.sensor) {
            done.insert(&outcome.sensor, outcome);
        }
    }
    Ok(report(index, done.into_values()))
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could stop the work.
        std::future::pending::<()>().await;
    }
}

async fn work_on(
    context: &Context,
    pending: &[&PlannedSensor],
    in_file: &BTreeSet<&SensorKeys>,
    data: &DataFiles,
    ledger: &Ledger,
) {
    let eager = pending.len() <= LOGS_AT_ONCE;
    let jobs: Vec<SensorJob> = pending.iter().map(|planned| SensorJob::new(context, planned, ledger, eager)).collect();
    if context.request.work.predictions.layout.is_shared()
        && let Some(first) = pending.first()
    {
        let path = context.paths.prediction(ledger.index, &first.sensor);
        return shared::work_on(context, &path, jobs, in_file, data, ledger).await;
    }
    futures::stream::iter(jobs)
        .for_each_concurrent(AT_ONCE, |job| async move {
            let outcome = job.run(context, data, ledger).await;
            ledger.add(outcome).await;
        })
        .await;
}

/// What earlier attempts at the item left, this one's own included where its container was started again.
async fn earlier_outcomes(context: &Context, index: u32) -> Result<Vec<Attempted>, StepError> {
    let mut earlier = Vec::new();
    for file in context.store.list(&context.paths.item_outcomes(index), 1_000).await? {
        let bytes = context.store.get(&file.path, outcome::MAX_BYTES).await?;
        match Attempted::from_ndjson(&bytes) {
            Ok(attempted) if attempted.run_uid == context.request.run_uid => earlier.push(attempted),
            Ok(_) => {}
            Err(error) => tracing::warn!(path = file.path, %error, "outcomes that cannot be read are ignored"),
        }
    }
    Ok(earlier)
}

/// Counts what became of an item's sensors.
fn report<'a>(index: u32, outcomes: impl Iterator<Item = &'a Outcome>) -> ItemReport {
    let mut report = ItemReport { index, ..ItemReport::default() };
    for outcome in outcomes {
        match outcome.status {
            Status::Succeeded => report.succeeded += 1,
            Status::Failed => report.failed += 1,
            Status::Retry => report.retry += 1,
        }
        if outcome.status != Status::Succeeded && report.failures.len() < MAX_FAILURES {
            report.failures.push(outcome.to_failure());
        }
    }
    report
}
