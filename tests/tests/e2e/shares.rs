//! Two runs and few slots; and a pause while they are at work.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::cluster::{Shared, tell, until};
use crate::inputs::sensors;
use crate::manifests;
use crate::pods::{is_held, phase};
use crate::whole::Ended;

const NAMESPACE: &str = "e2e-shares";
const EARLY: &str = "early";
const LATE: &str = "late";
/// On three nodes with two pods each.
const SLOTS: usize = 6;

/// The pods of a run's items that are there.
#[derive(Clone, Debug, Default)]
struct Pods {
    /// Waiting for a slot. Kubernetes makes more as these go.
    held: usize,
    /// By name: let go, and not ended.
    going: Vec<String>,
    /// By name: all that were ever let go.
    let_go: Vec<String>,
}

impl Pods {
    /// How many items have not begun.
    fn waiting(&self) -> usize {
        sensors().len() - self.let_go.len()
    }

    async fn of(cluster: &Shared, run: &str) -> Result<Self> {
        let api: Api<Pod> = Api::namespaced(cluster.client.clone(), NAMESPACE);
        let labels = format!("{}={run},{}=item", crds::names::RUN, crds::names::ROLE);
        let mut pods = Self::default();
        for pod in api.list(&ListParams::default().labels(&labels)).await? {
            ensure!(phase(&pod) != "Failed", "a pod of {run} was killed: {:?}", pod.status);
            match is_held(&pod) {
                true => pods.held += 1,
                false => pods.let_go.push(pod.name_any()),
            }
            if pods.let_go.last() == Some(&pod.name_any()) && phase(&pod) != "Succeeded" {
                pods.going.push(pod.name_any());
            }
        }
        Ok(pods)
    }
}

async fn both(cluster: &Shared) -> Result<(Pods, Pods)> {
    Ok((Pods::of(cluster, EARLY).await?, Pods::of(cluster, LATE).await?))
}

/// Looks again and again until it is so. What must never be ends it at once.
async fn watch(cluster: &Shared, what: &str, seconds: u64, is_so: impl Fn(&Pods, &Pods) -> Result<bool>) -> Result<()> {
    let look = async || {
        let (early, late) = both(cluster).await?;
        let pods = early.going.len() + late.going.len();
        let looked = match pods <= SLOTS {
            true => is_so(&early, &late),
            false => Err(anyhow::anyhow!("{pods} pods for {SLOTS} slots")),
        };
        Ok(match looked.with_context(|| format!("{early:?} {late:?}")) {
            Ok(so) => so.then_some(Ok(())),
            Err(error) => Some(Err(error)),
        })
    };
    until(what, seconds, look).await?
}

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    let mut pool = cluster.pool("3s");
    pool["spec"]["nodeCapacity"] = json!({"pods": "2"});
    // A thousandth of it for each second.
    pool["spec"]["price"] = json!({"nodeHour": "3.6", "currency": "EUR"});
    cluster.apply(&pool).await?;
    for name in [EARLY, LATE] {
        let mut schedule = cluster.schedule(NAMESPACE, name, "0 0 1 1 *");
        schedule["spec"]["scorer"]["resources"] = manifests::slow();
        cluster.apply(&schedule).await?;
    }
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(NAMESPACE, EARLY, EARLY)).await?;
    watch(&cluster, "the first run to have all slots", 120, |early, _| {
        Ok(early.going.len() == SLOTS && early.waiting() > 0)
    })
    .await?;
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(NAMESPACE, LATE, LATE)).await?;
    watch(&cluster, "the second run's pods", 60, |_, late| Ok(late.held + late.let_go.len() > 0)).await?;
    let came = Instant::now();
    watch(&cluster, "both runs to have the same", 60, |early, late| {
        ensure!(early.waiting() > 0 && late.waiting() > 0, "one had no more to start");
        Ok(early.going.len() == SLOTS / 2 && late.going.len() == SLOTS / 2)
    })
    .await?;
    tell(&format!("shares were reached {:.1} s after the second run's pods came", came.elapsed().as_secs_f64()));
    pause(&cluster, &mut pool).await?;
    watch(&cluster, "one run to have started all", 120, |early, late| {
        let most = early.going.len().max(late.going.len());
        let all_started = early.waiting() == 0 || late.waiting() == 0;
        ensure!(all_started || most <= SLOTS / 2 + 1, "one has {most} of {SLOTS} slots");
        Ok(all_started)
    })
    .await?;
    for name in [EARLY, LATE] {
        let ended = cluster.complete(NAMESPACE, name, &sensors()).await?;
        ensure!(ended.record.pod_ends.len() == sensors().len(), "{:?}", ended.record.pod_ends);
        costs(&ended)?;
    }
    cluster.delete_namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    cluster.pool_is_empty().await
}

/// Two nodes or three were the run's for some time; status and record say the same of it.
fn costs(ended: &Ended) -> Result<()> {
    let (status, totals) = (ended.run.status.clone().unwrap_or_default(), &ended.record.totals);
    let seconds = status.node_seconds.context("no node-seconds are told")?;
    ensure!(status.node_seconds_final && (5..300).contains(&seconds), "{status:?}");
    ensure!((totals.node_seconds, &totals.cost) == (status.node_seconds, &status.cost), "{totals:?} {status:?}");
    // Seconds are told without their fractions.
    let cost = status.cost.context("no cost is told")?;
    ensure!(cost.millionths() / 1_000 == seconds, "{cost} EUR for {seconds} s");
    tell(&format!("{}: {seconds} node-seconds, {cost} EUR", ended.record.run));
    Ok(())
}

/// Pauses the cluster: what is at work ends, nothing new starts. Then lets it go on.
async fn pause(cluster: &Shared, pool: &mut Value) -> Result<()> {
    pool["spec"]["paused"] = true.into();
    cluster.apply(pool).await?;
    let generation = [
        "get",
        "scoringcluster",
        cluster.scoring_cluster,
        "-o",
        "jsonpath={.metadata.generation} {.status.observedGeneration}",
    ];
    until("the pause to be seen", 10, async || {
        let told = cluster.kubectl(&generation).await?;
        Ok(told.split_once(' ').is_some_and(|(asked, seen)| asked == seen).then_some(()))
    })
    .await?;
    let before = both(cluster).await?;
    let waiting = (before.0.waiting(), before.1.waiting());
    ensure!(waiting.0 > 0 && waiting.1 > 0, "nothing was left to start: {before:?}");
    watch(cluster, "what is at work to end", 60, |early, late| {
        ensure!(
            (&early.let_go, &late.let_go) == (&before.0.let_go, &before.1.let_go),
            "pods started: {before:?} before"
        );
        Ok(early.going.is_empty() && late.going.is_empty())
    })
    .await?;
    pool["spec"]["paused"] = false.into();
    cluster.apply(pool).await?;
    let resumed = Instant::now();
    watch(cluster, "pods to start again", 60, |early, _| Ok(early.let_go.len() > before.0.let_go.len())).await?;
    let took = resumed.elapsed().as_secs_f64();
    tell(&format!("paused while {} and {} pods waited; they went on after {took:.1} s", waiting.0, waiting.1));
    Ok(())
}
