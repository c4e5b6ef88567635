//! Nodes that are there when the tick comes, and gone in between.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::cluster::{Shared, tell, until};
use crate::inputs::sensors;
use crate::manifests;
use crate::whole::has;

const NAMESPACE: &str = "e2e-warm";
const SCHEDULE: &str = "foretold";
/// Further apart than letting nodes go and taking others takes, whatever was measured so far.
const APART: SignedDuration = SignedDuration::from_mins(3);

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    let mut pool = cluster.pool("3s");
    pool["spec"]["prewarm"] = "20s".into();
    pool["spec"]["scaleDown"] = json!({"policy": "BreakEven"});
    cluster.apply(&pool).await?;
    let first = manifests::next_minute(Timestamp::now() + Duration::from_secs(15));
    let second = first + APART;
    let part =
        |format: &str| [first, second].map(|at| at.to_zoned(TimeZone::UTC).strftime(format).to_string()).join(",");
    let cron = format!("{} {} {} {} *", part("%-M"), part("%-H"), part("%-d"), part("%-m"));
    cluster.apply(&cluster.schedule(NAMESPACE, SCHEDULE, &cron)).await?;

    ended(&cluster, first, 150).await?;
    cluster.pool_is_empty().await?;
    let since = cluster.pool_changes(0).await?.last;
    let next = ["get", "scoringcluster", cluster.scoring_cluster, "-o", "jsonpath={.status.nextDemand}"];
    let next = until("the next demand to be told", 60, async || {
        Ok(Some(cluster.kubectl(&next).await?).filter(|next| next.contains(&second.to_string())))
    })
    .await?;
    ensure!(next.contains(&format!("\"pods\":{}", sensors().len())), "{next}");
    until("nodes to come", 240, async || Ok((cluster.pool_nodes().await? > 0).then_some(()))).await?;
    let early = second.duration_since(Timestamp::now());
    ensure!(early.is_positive(), "the nodes came {} s after the tick", -early.as_secs());
    let began = ended(&cluster, second, 60).await?.duration_since(second);
    let counts = cluster.pool_changes(since).await?.counts;
    tell(&format!(
        "nodes came {} s before the tick, of which the first item began {} ms after it; asked for: {counts:?}",
        early.as_secs(),
        began.as_millis()
    ));
    ensure!(counts.len() == 1, "more nodes were asked for than were known to be needed: {counts:?}");
    cluster.delete_namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    cluster.pool_is_empty().await
}

/// Waits for the end of a tick's run; gives when its first item began.
async fn ended(cluster: &Shared, tick: Timestamp, seconds: u64) -> Result<Timestamp> {
    let name = format!("{SCHEDULE}-{}", tick.as_second() / 60);
    let runs = cluster.runs(NAMESPACE);
    until(&format!("the run of {tick}"), seconds, async || Ok(runs.get_opt(&name).await?.map(|_| ()))).await?;
    let run = cluster.ended(NAMESPACE, &name).await?;
    ensure!(has(&run, "Complete", "True"), "not Complete: {:?}", run.status);
    let record = cluster.record(NAMESPACE, SCHEDULE, &name).await?;
    let began = record.outcomes.iter().map(|outcome| outcome.started).min();
    began.context("no sensor was scored")
}
