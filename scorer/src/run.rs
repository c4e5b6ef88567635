//! A whole run in this process: plan, items and archive in a row, by the very functions that the pods run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Serialize;
use spec::SensorKeys;
use spec::report::{ArchiveReport, ItemReport};
use spec::request::PodEnds;
use store::manifest::MAX_SHARD_BYTES;
use store::{Credentials, ManifestIndex, PodUid, Record, Shard};
use tokio::sync::watch;

use crate::archive::archive;
use crate::context::{Context, StepError};
use crate::item::{self, DataFiles, Pod};
use crate::plan::plan;
use crate::stop::{unless_told, unless_told_again};

/// How a run goes on.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// It was planned.
    Planned {
        /// Sensors to score.
        sensors: u32,
        /// Items they are divided into.
        items: u32,
    },
    /// An item ended.
    Item {
        /// Its sensors that are done: succeeded and failed.
        succeeded: u32,
        /// Its sensors that failed.
        failed: u32,
    },
    /// All items ended; the record is being written.
    Archiving,
}

/// How to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Items under way at once.
    pub at_once: usize,
    /// How often an item is tried again.
    pub retries: u32,
}

/// What a run did.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The run's name.
    pub run: String,
    /// The URI below which the predictions are.
    pub predictions: String,
    /// How long it took.
    pub seconds: f64,
    /// Requests to the store.
    pub store_requests: u64,
    /// Whether it was told to stop before all items had ended.
    pub stopped: bool,
    /// Counts, URIs and first failures.
    #[serde(flatten)]
    pub report: ArchiveReport,
}

/// Runs a whole run and tells how it goes on. When `stop` becomes true while it scores, what was done is archived; told
/// again, or while it plans or archives, it ends at once.
///
/// # Errors
/// When it cannot be planned or archived, or ended at once.
pub async fn run(
    context: &Context,
    credentials: &Credentials,
    options: Options,
    mut stop: watch::Receiver<bool>,
    progress: Arc<dyn Fn(Progress) + Send + Sync>,
) -> Result<(Record, Summary), StepError> {
    let started = (context.clock)();
    let planning = async {
        let manifest = plan(context).await?;
        let sensors = all_sensors(context, &manifest).await?;
        Ok((manifest, sensors))
    };
    let (manifest, sensors) = unless_told(&mut stop, "planning", planning).await?;
    progress(Progress::Planned { sensors: manifest.sensors, items: manifest.items });
    let worker = Worker {
        data: Arc::new(DataFiles::of(&context.request.work.data, sensors, options.at_once)),
        next: Arc::new(AtomicU32::new(0)),
        items: manifest.items,
        retries: options.retries,
        stop: stop.clone(),
        progress: Arc::clone(&progress),
    };
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..options.at_once.clamp(1, manifest.items.max(1) as usize) {
        // A store of its own, so that each attempt's requests can be told apart.
        let own = Context::open(context.request.clone(), credentials, context.clock.clone())?;
        workers.spawn(worker.clone().work(Context {
            running: context.running.clone(),
            databases: context.databases.clone(),
            ..own
        }));
    }
    let scoring = async {
        while let Some(ended) = workers.join_next().await {
            ended.map_err(|e| StepError::Request(format!("a worker broke off: {e}")))??;
        }
        Ok(())
    };
    unless_told_again(&stop, "scoring", scoring).await?;
    let stopped = *stop.borrow_and_update();
    progress(Progress::Archiving);
    let ends = PodEnds::default();
    let (record, report) = unless_told(&mut stop, "archiving", archive(context, &ends)).await?;
    let summary = Summary {
        run: context.request.run.clone(),
        predictions: record.predictions.clone(),
        seconds: (context.clock)().duration_since(started).as_secs_f64(),
        store_requests: record.store_requests.total,
        stopped,
        report,
    };
    Ok((record, summary))
}

async fn all_sensors(context: &Context, manifest: &ManifestIndex) -> Result<BTreeSet<SensorKeys>, StepError> {
    let mut sensors = BTreeSet::new();
    for number in 0..manifest.shards {
        let shard: Shard = context.store.get_json(&context.paths.shard(number), "manifest", MAX_SHARD_BYTES).await?;
        sensors.extend(shard.items.into_iter().flat_map(|i| i.sensors).map(|s| s.sensor));
    }
    Ok(sensors)
}

/// Takes the items one after the other, beside others of its kind.
#[derive(Clone)]
struct Worker {
    data: Arc<DataFiles>,
    next: Arc<AtomicU32>,
    items: u32,
    retries: u32,
    stop: watch::Receiver<bool>,
    progress: Arc<dyn Fn(Progress) + Send + Sync>,
}

impl Worker {
    async fn work(self, context: Context) -> Result<(), StepError> {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= self.items || *self.stop.borrow() {
                return Ok(());
            }
            let report = self.item(&context, index).await?;
            (self.progress)(Progress::Item { succeeded: report.succeeded, failed: report.failed + report.retry });
        }
    }

    async fn item(&self, context: &Context, index: u32) -> Result<ItemReport, StepError> {
        let mut attempt = 0;
        loop {
            let uid = PodUid::parse(&format!("{}-{attempt}", context.request.run_uid))?;
            let pod = Pod { uid, node: String::new(), image: String::new() };
            let report = item::run(context, index, &pod, Some(&self.data), self.stop.clone()).await?;
            if report.retry == 0 || attempt >= self.retries || *self.stop.borrow() {
                return Ok(report);
            }
            attempt += 1;
        }
    }
}

#[cfg(test)]
mod tests;
