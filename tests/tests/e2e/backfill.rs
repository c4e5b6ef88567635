//! A range of readings, window by window.

use anyhow::{Context, Result, ensure};
use crds::ScoringRun;
use jiff::{SignedDuration, Timestamp, Unit};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::cluster::{Shared, until};
use crate::inputs::sensor;
use crate::manifests;
use crate::whole::{has, without_hidden};

const NAMESPACE: &str = "e2e-backfill";

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let schedule = cluster.schedule(NAMESPACE, "past", "0 0 1 1 *");
    cluster.apply(&manifests::with_sensors(schedule, &[sensor(1, 1), sensor(1, 2)])).await?;
    let start = (Timestamp::now() - SignedDuration::from_mins(40)).round(Unit::Minute)?;

    cluster.apply(&backfill("half-an-hour", start, 25, 2)).await?;
    let run = over(&cluster, "half-an-hour").await?;
    ensure!(has(&run, "Complete", "True"), "not Complete: {:?}", run.status);
    let windows = run.status.and_then(|status| status.windows).context("it counts no windows")?;
    ensure!((windows.total, windows.complete, windows.failed) == (3, 3, 0), "{windows:?}");
    for child in children(&cluster, "half-an-hour").await? {
        let status = child.status.clone().context("a window's run has no status")?;
        let window = status.window.context("a window's run has no window")?;
        let rows = window.end.duration_since(window.start).as_secs() / 5;
        ensure!(status.rows == u64::try_from(2 * rows).ok(), "{window:?} has {:?} rows", status.rows);
    }
    let written = without_hidden(cluster.blobs.below(&format!("predictions/{NAMESPACE}/past")).await?);
    ensure!(written.len() == 2 * 3, "one file for each sensor and window: {:?}", written.keys());

    cluster.apply(&backfill("too-much", start, 40, 1)).await?;
    until("the first window's run", 30, async || Ok(children(&cluster, "too-much").await?.into_iter().next())).await?;
    let cancel = Patch::Merge(json!({"spec": {"cancel": true}}));
    cluster.runs(NAMESPACE).patch("too-much", &PatchParams::default(), &cancel).await?;
    let run = over(&cluster, "too-much").await?;
    let failed = run.status.iter().flat_map(|s| &s.conditions).find(|c| c.type_ == "Failed").context("not Failed")?;
    ensure!(failed.reason == "Cancelled", "{failed:?}");
    ensure!(children(&cluster, "too-much").await?.len() == 1, "it began another window");
    // What a backfill made goes with it.
    for name in ["half-an-hour", "too-much"] {
        cluster.runs(NAMESPACE).delete(name, &kube::api::DeleteParams::default()).await?;
    }
    until("the windows' runs to go", 60, async || {
        let left = cluster.runs(NAMESPACE).list(&ListParams::default()).await?.items;
        Ok(left.is_empty().then_some(()))
    })
    .await?;
    cluster.pool_is_empty().await
}

/// A backfill of so many minutes in steps of ten.
fn backfill(name: &str, start: Timestamp, minutes: i64, at_once: u32) -> Value {
    let end = start + SignedDuration::from_mins(minutes);
    let mut run = manifests::run_now(NAMESPACE, name, "past");
    run["spec"]["backfill"] = json!({"start": start, "end": end, "step": "10m", "maxConcurrent": at_once});
    run
}

async fn over(cluster: &Shared, name: &str) -> Result<ScoringRun> {
    until(&format!("backfill {name} to end"), 240, async || {
        let run = cluster.runs(NAMESPACE).get(name).await?;
        Ok((has(&run, "Complete", "True") || has(&run, "Failed", "True")).then_some(run))
    })
    .await
}

/// The runs of its windows.
async fn children(cluster: &Shared, name: &str) -> Result<Vec<ScoringRun>> {
    let all = cluster.runs(NAMESPACE).list(&ListParams::default()).await?.items;
    let of = |run: &ScoringRun| run.metadata.owner_references.iter().flatten().any(|owner| owner.name == name);
    Ok(all.into_iter().filter(of).collect())
}
