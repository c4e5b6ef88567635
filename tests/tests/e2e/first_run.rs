//! The main job: a tick comes, nodes come, every sensor is scored, nodes go.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::Status;

use crate::cluster::{Cluster, Shared, tell};
use crate::inputs::sensors;
use crate::manifests;
use crate::whole::{Ended, same_files};

const NAMESPACE: &str = "e2e";
const SCHEDULE: &str = "readings";

/// What three tests look at.
pub(crate) struct FirstRun {
    schedule: Value,
    ended: Ended,
    nodes_before: usize,
    made: BTreeSet<String>,
    peak: usize,
    deleted: Vec<String>,
    lowered: Vec<String>,
}

async fn first_run(cluster: &Cluster) -> Result<&FirstRun> {
    cluster.first_run.get_or_try_init(|| FirstRun::run(cluster)).await
}

impl FirstRun {
    async fn run(cluster: &Cluster) -> Result<Self> {
        cluster.inputs().await?;
        cluster.namespace(NAMESPACE).await?;
        let since = cluster.pool_changes(0).await?.last;
        let nodes_before = cluster.pool_nodes().await?;
        cluster.apply(&cluster.pool("3s")).await?;
        let tick = manifests::next_minute(Timestamp::now() + Duration::from_secs(15));
        let cron = manifests::once_at(tick);
        let mut schedule = cluster.schedule(NAMESPACE, SCHEDULE, &cron);
        schedule["spec"]["window"] = json!({"length": "1h", "delay": "1m"});
        cluster.apply(&schedule).await?;
        tell(&format!("the schedule is due at {tick}"));
        let name = cluster.run_of(NAMESPACE, SCHEDULE, 150).await?;
        ensure!(name == format!("{SCHEDULE}-{}", tick.as_second() / 60), "the run of {tick} is called {name}");
        let ended = cluster.complete(NAMESPACE, &name, &sensors()).await?;
        ensure!(ended.tick == tick, "the run is of {}", ended.tick);
        cluster.happened_once(NAMESPACE, &ended).await?;
        cluster.pool_is_empty().await?;
        let changes = cluster.pool_changes(since).await?;
        let seen = cluster.observer.seen();
        tell(&format!("{name}: at most {} nodes at once: {:?}", seen.peak, seen.nodes));
        Ok(Self {
            schedule,
            ended,
            nodes_before,
            made: seen.nodes,
            peak: seen.peak,
            deleted: changes.deleted,
            lowered: changes.lowered,
        })
    }
}

/// Zero -> N -> zero.
pub(crate) async fn pool(cluster: Shared) -> Result<()> {
    let first = first_run(&cluster).await?;
    ensure!(first.nodes_before == 0, "{} nodes before the tick", first.nodes_before);
    // Twelve pods of 500m on nodes of two CPUs: more than two nodes' worth, and the pool may have three.
    ensure!((2..=3).contains(&first.peak), "at most {} nodes at once", first.peak);
    ensure!(first.lowered.is_empty(), "the count was lowered, so Azure chose the victims: {:?}", first.lowered);
    let deleted: BTreeSet<_> = first.deleted.iter().cloned().collect();
    ensure!(deleted == first.made, "made {:?}, deleted by name {deleted:?}", first.made);
    Ok(())
}

/// The pods wrote what one process writes.
pub(crate) async fn predictions(cluster: Shared) -> Result<()> {
    let first = first_run(&cluster).await?;
    let expected = cluster.inputs().await?.scorer_run(&first.schedule, first.ended.tick).await?;
    ensure!(expected.len() == sensors().len(), "{} files of scorer run", expected.len());
    same_files(&first.ended.predictions, &expected)
}

/// Record and logs.
pub(crate) async fn record(cluster: Shared) -> Result<()> {
    let first = first_run(&cluster).await?;
    let record = &first.ended.record;
    let status = first.ended.run.status.clone().unwrap_or_default();
    let scored: u64 = record.outcomes.iter().map(|outcome| outcome.scored).sum();
    ensure!(scored == record.totals.scored && status.rows == Some(scored), "{scored} rows: {:?}", record.totals);
    let lines: usize =
        first.ended.predictions.values().map(|csv| csv.iter().filter(|b| **b == b'\n').count() - 1).sum();
    ensure!(scored == lines as u64, "{scored} rows scored, {lines} predictions written");
    ensure!(status.anomalies == Some(record.totals.anomalies), "anomalies: {:?}", status.anomalies);
    let uris = status.uris.context("the run does not say where things are")?;
    let at = |uri: &Option<String>| uri.clone().unwrap_or_default();
    ensure!(at(&uris.record).ends_with("/record.json"), "record at {:?}", uris.record);
    ensure!(at(&uris.logs).contains("logs/"), "logs at {:?}", uris.logs);
    for outcome in &record.outcomes {
        let sensor = &outcome.sensor;
        ensure!(outcome.status == Status::Succeeded, "{sensor}: {outcome:?}");
        ensure!(outcome.rows > 0 && outcome.model_hash.is_some() && !outcome.node.is_empty(), "{sensor}: {outcome:?}");
        let pod = record.pod_ends.iter().find(|end| end.uid == outcome.pod_uid);
        let pod = pod.with_context(|| format!("{sensor}: no pod {} among the pod ends", outcome.pod_uid))?;
        ensure!(pod.exit_code == Some(0) && pod.node == outcome.node, "{sensor}: {pod:?}");
        let name = format!("/{}.{}.log", sensor.slug(), outcome.pod_uid);
        let log = first.ended.logs.iter().find(|(path, _)| path.ends_with(&name));
        let (_, log) = log.with_context(|| format!("{sensor}: no log {name} in {:?}", first.ended.logs.keys()))?;
        let log = String::from_utf8_lossy(log);
        let last = log.lines().last().unwrap_or_default();
        ensure!(last.contains("whole job"), "{sensor}: the log ends with {last:?}, not with how long the job took");
    }
    ensure!(first.ended.logs.len() == record.outcomes.len(), "logs: {:?}", first.ended.logs.keys());
    Ok(())
}
