//! A budget that is spent in the middle of a run, while the operator dies, and raised.

use anyhow::{Context, Result, ensure};
use crds::ScoringCluster;
use crds::cost::PoolCost;
use kube::Api;
use serde_json::{Value, json};

use crate::cluster::{Shared, tell, until};
use crate::failover::kill_leader;
use crate::inputs::sensors;
use crate::manifests;

const NAMESPACE: &str = "e2e-budget";
const RUN: &str = "dear";
/// Pods of the one node.
const EACH: usize = 2;
/// Node-seconds after which the budget is spent: of the node's first items, not of all.
const SECONDS: u64 = 12;
/// A run and a pool are told in whole seconds, and a restart may cost each a fraction of one.
const ROUNDED: u64 = 3;

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.inputs().await?;
    cluster.namespace(NAMESPACE).await?;
    let mut pool = cluster.pool("3s");
    pool["spec"]["nodeCapacity"] = json!({"pods": EACH.to_string()});
    pool["spec"]["maxNodes"] = json!(1);
    pool["spec"]["price"] = json!({"nodeHour": 3600, "currency": "s"});
    cluster.apply(&pool).await?;
    let before = cost(&cluster).await?;
    let spent = before.as_ref().map_or(0, |cost| cost.node_seconds);
    budget(&cluster, &mut pool, spent + SECONDS).await?;
    let mut schedule = cluster.schedule(NAMESPACE, RUN, "0 0 1 1 *");
    schedule["spec"]["scorer"]["resources"] = manifests::slow();
    cluster.apply(&schedule).await?;
    cluster.kubectl_with(&["create", "-f", "-"], &manifests::run_now(NAMESPACE, RUN, RUN)).await?;

    until("the budget to be spent", 120, async || Ok(is_spent(&cluster).await?.then_some(()))).await?;
    kill_leader(&cluster).await?;
    // Nothing is killed: what is at work ends, and then the node goes.
    cluster.pool_is_empty().await?;
    ensure!(is_spent(&cluster).await?, "the next leader does not say that the budget is spent");
    let paused = cost(&cluster).await?.context("no cost is told")?;
    let items = cluster.observer.seen().pods_of(NAMESPACE, RUN).into_iter().filter(|pod| pod.role == "item");
    let begun = items.filter(|pod| !["", "Pending"].contains(&&*pod.phase)).count();
    ensure!((1..sensors().len()).contains(&begun), "{begun} of {} items began", sensors().len());
    tell(&format!("paused after {} node-seconds with {begun} items begun", paused.node_seconds - spent));

    budget(&cluster, &mut pool, spent + 100_000).await?;
    let ended = cluster.complete(NAMESPACE, RUN, &sensors()).await?;
    ensure!(ended.record.pod_ends.len() == sensors().len(), "{:?}", ended.record.pod_ends);
    ensure!(!is_spent(&cluster).await?, "the budget is raised and still called spent");
    cluster.pool_is_empty().await?;
    adds_up(&cluster, before, ended.run.status.and_then(|status| status.node_seconds)).await?;
    cluster.delete_namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await
}

/// What the run took and what was idle meanwhile is what the pool took, whoever led.
async fn adds_up(cluster: &Shared, before: Option<PoolCost>, run: Option<u64>) -> Result<()> {
    let run = run.context("no node-seconds are told of the run")?;
    let was = before.map_or((0, 0), |cost| (cost.node_seconds, cost.idle_node_seconds));
    until("the pool's cost to be that of its run and of idle nodes", 30, async || {
        let Some(cost) = cost(cluster).await? else { return Ok(None) };
        let (all, idle) = (cost.node_seconds - was.0, cost.idle_node_seconds - was.1);
        let is_so = all.abs_diff(run + idle) <= ROUNDED;
        if is_so {
            tell(&format!("{all} node-seconds: {run} of the run, {idle} idle"));
        }
        Ok(is_so.then_some(()))
    })
    .await
}

/// Sets the budget for this month, in node-seconds.
async fn budget(cluster: &Shared, pool: &mut Value, seconds: u64) -> Result<()> {
    pool["spec"]["budget"] = json!({"month": seconds, "onExceed": "Pause"});
    cluster.apply(pool).await
}

async fn scoring_cluster(cluster: &Shared) -> Result<ScoringCluster> {
    Ok(Api::all(cluster.client.clone()).get(cluster.scoring_cluster).await?)
}

async fn cost(cluster: &Shared) -> Result<Option<PoolCost>> {
    Ok(scoring_cluster(cluster).await?.status.and_then(|status| status.cost))
}

async fn is_spent(cluster: &Shared) -> Result<bool> {
    let conditions = scoring_cluster(cluster).await?.status.map(|status| status.conditions).unwrap_or_default();
    Ok(conditions.iter().any(|condition| {
        (&*condition.type_, &*condition.status, &*condition.reason) == ("Degraded", "True", "BudgetExceeded")
    }))
}
