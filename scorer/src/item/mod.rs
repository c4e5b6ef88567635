//! One item of a run: its sensors scored, each on its own, with predictions, logs and outcomes.

mod challenger;
mod command;
mod data;
mod files;
pub(crate) mod header;
mod job;
mod ledger;
mod model;
mod order;
mod query;
mod sensor;
mod shared;
mod table;
mod training;

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use spec::report::{Failure, ItemReport, MAX_FAILURES, is_of_store};
use spec::{SensorKeys, Task};
use store::manifest::MAX_SHARD_BYTES;
use store::outcome::{self, Attempted};
use store::{Item, Outcome, PlannedSensor, PodUid, Shard, Status};
use tokio::sync::watch;

pub use command::{Echo, Running};
pub use data::DataFiles;
pub(crate) use files::files_of;
use job::SensorJob;
pub(crate) use job::outcome as empty_outcome;
use ledger::Ledger;
use order::Order;
pub(crate) use query::ask;
pub(crate) use table::ensure as ensure_table;

use crate::context::{Context, StepError};
use crate::feed::Budget;
use crate::problem::Problem;
use crate::stop::stopped;

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
    /// The image that it runs.
    pub image: String,
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
    let shared = context.request.work.shares_files();
    let in_file = |sensor: &SensorKeys| shared && done.get(sensor).is_some_and(|o| o.status == Status::Succeeded);
    let pending: Vec<&PlannedSensor> =
        item.sensors.iter().filter(|s| !done.contains_key(&s.sensor) || in_file(&s.sensor)).collect();
    let in_file: BTreeSet<&SensorKeys> = pending.iter().map(|s| &s.sensor).filter(|s| in_file(s)).collect();
    let own;
    let data = match data {
        Some(data) => data,
        None => {
            let sensors = pending.iter().map(|s| s.sensor.clone()).collect();
            own = match &context.request.work.command {
                Some(_) => DataFiles::with_budget(&context.request.work.data, sensors, Budget::small),
                None => DataFiles::of(&context.request.work.data, sensors, 1),
            };
            &own
        }
    };
    data.want(pending.iter().map(|s| &s.sensor));
    let ledger = Ledger::start(context, index, pod, before);
    ledger.keep(earlier.iter().flat_map(|a| &a.outcomes));
    let work = Work { context, pending: &pending, in_file: &in_file, data, ledger: &ledger };
    let working = async {
        let ended = work.work(Order::after(&earlier, &pending), &mut stop).await;
        ledger.close();
        ended
    };
    let (ended, ()) = tokio::join!(working, ledger.keep_written());
    let all = || pending.iter().map(|s| &s.sensor);
    match ended {
        Ok(()) if *stop.borrow() => ledger.leave(all(), ("Stopped", "the pod was told to stop (SIGTERM)")).await,
        Ok(()) => {
            // Those that were not begun.
            if let Some(why) = context.was_away() {
                ledger.leave(all(), why).await;
            }
        }
        Err(problem) => ledger.leave(all(), (&problem.reason, &problem.message)).await,
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

/// The sensors of an item that are worked on, and what that takes.
struct Work<'a> {
    context: &'a Context,
    pending: &'a [&'a PlannedSensor],
    /// Those of them that an earlier attempt left in the file that all share.
    in_file: &'a BTreeSet<&'a SensorKeys>,
    data: &'a DataFiles,
    ledger: &'a Ledger,
}

impl Work<'_> {
    /// Works on all sensors, in an order if there is one, until done or told to stop; an error is why those that are left
    /// cannot be worked on.
    async fn work(&self, order: Option<Order<'_>>, stop: &mut watch::Receiver<bool>) -> Result<(), Problem> {
        let work = &self.context.request.work;
        // One run of a command for all sensors cannot be divided, and of one sensor there is nothing to divide.
        let divisible = self.pending.len() > 1 && !work.command.as_ref().is_some_and(|command| command.per_item);
        let Some(order) = order.filter(|_| divisible) else {
            if divisible {
                // Else one that dies soon is not known of.
                self.announce(&[]).await?;
            }
            return self.step(self.pending, false, stop).await;
        };
        if work.shares_files() {
            for file in order.files(self.pending, |sensor| self.in_file.contains(sensor)) {
                self.data.want(file.iter().map(|planned| &planned.sensor));
                self.step(&file, true, stop).await?;
            }
            return Ok(());
        }
        for step in order.steps() {
            if *stop.borrow() {
                break;
            }
            self.announce(step).await?;
            self.step(step, true, stop).await?;
        }
        Ok(())
    }

    async fn announce(&self, step: &[&PlannedSensor]) -> Result<(), Problem> {
        let announced = self.ledger.announce(step.iter().map(|planned| &planned.sensor)).await;
        announced.map_err(|error| Problem::again(error.reason(), error.to_string()))
    }

    /// Works on some sensors until they are done or it is told to stop.
    async fn step(
        &self,
        sensors: &[&PlannedSensor],
        one_by_one: bool,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Problem> {
        let Self { context, in_file, data, ledger, .. } = *self;
        let command = context.request.work.command.as_ref();
        // A command's sensors wait for their turn, and what has not begun has no log.
        let eager = sensors.len() <= LOGS_AT_ONCE && command.is_none() && !one_by_one;
        let jobs: Vec<SensorJob> =
            sensors.iter().map(|planned| SensorJob::new(context, planned, ledger, eager)).collect();
        if let Some(command) = command {
            return Box::pin(command::work_on(context, command, jobs, data, ledger, stop.clone())).await;
        }
        let working = async {
            if context.request.work.shares_files() {
                let mut in_file: BTreeSet<SensorKeys> = in_file.iter().map(|sensor| (*sensor).clone()).collect();
                in_file.extend(ledger.succeeded());
                shared::work_on(context, jobs, &in_file, data, ledger, one_by_one).await;
            } else {
                Box::pin(each(context, jobs, data, ledger)).await;
            }
        };
        tokio::select! {
            () = working => {}
            () = stopped(stop) => {}
        }
        Ok(())
    }
}

/// Works on some sensors that have nothing to do with each other.
async fn each(context: &Context, jobs: Vec<SensorJob>, data: &DataFiles, ledger: &Ledger) {
    futures::stream::iter(jobs)
        .for_each_concurrent(AT_ONCE, |job| async move {
            if context.is_away() {
                return;
            }
            let outcome = match context.request.work.task {
                Task::Score => job.run(context, data, ledger).await,
                Task::Train => job.train(context, data, ledger).await,
            };
            ledger.add(outcome);
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
        if outcome.status == Status::Retry
            && report.store.is_none()
            && let (Some(reason), Some(message)) = (&outcome.reason, &outcome.message)
            && is_of_store(reason)
        {
            report.store = Some(Failure { reason: reason.clone(), message: message.clone() });
        }
    }
    report
}
