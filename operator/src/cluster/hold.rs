//! A ScoringCluster is held while its pool has nodes: whoever deletes it gets rid of the nodes too, once no pod of a run is
//! on them.

use crds::{ScoringCluster, names};
use jiff::{SignedDuration, Timestamp};
use kube::Api;
use planner::pool::PoolView;

use super::act::MANAGER;
use super::memory::Memory;
use super::reconcile::about;
use super::trouble::{Asked, Trouble};
use crate::aks::Kind;
use crate::finalizer;
use crate::{Ctx, Error};

/// How long a cluster that is being deleted is held while Azure does nothing of what it is asked.
const GIVE_UP: SignedDuration = SignedDuration::from_mins(10);

/// When somebody deleted the cluster.
#[must_use]
pub(super) fn deleted(cluster: &ScoringCluster) -> Option<Timestamp> {
    cluster.metadata.deletion_timestamp.as_ref().map(|time| time.0)
}

/// Whether the cluster is held. The cache may be behind what was written a moment ago.
#[must_use]
pub(super) fn is_held(cluster: &ScoringCluster, memory: &Memory) -> bool {
    match &memory.held {
        Some((version, held)) if *version == cluster.metadata.resource_version => *held,
        _ => finalizer::is_held(cluster, names::NODES_FINALIZER),
    }
}

/// Holds the cluster, or lets it go, where that is news.
///
/// # Errors
/// When the API server refuses or is not reached, or the cluster was changed, or deleted, since it was seen.
pub(super) async fn set(cluster: &ScoringCluster, ctx: &Ctx, memory: &mut Memory, hold: bool) -> Result<(), Error> {
    if is_held(cluster, memory) == hold {
        return Ok(());
    }
    let api: Api<ScoringCluster> = Api::all(ctx.client.clone());
    finalizer::set(&api, MANAGER, cluster, names::NODES_FINALIZER, hold).await?;
    memory.held = Some((cluster.metadata.resource_version.clone(), hold));
    Ok(())
}

/// Lets a deleted cluster go, and says what becomes of its pool: nothing is left of it, or why it is left as it is.
///
/// # Errors
/// As [`set`].
pub(super) async fn release(
    cluster: &ScoringCluster,
    ctx: &Ctx,
    memory: &mut Memory,
    left: Option<&str>,
) -> Result<(), Error> {
    set(cluster, ctx, memory, false).await?;
    let pool = cluster.spec.node_pool.aks().map_or("", |pool| &pool.agent_pool);
    match left {
        None => {
            let note = format!("agent pool {pool} has no nodes any more");
            ctx.events.normal(&about(cluster), "PoolEmptied", "Release", &note).await;
        }
        Some(why) => {
            let note = format!("agent pool {pool} is left as it is, with any nodes that it has: {why}");
            ctx.events.warning(&about(cluster), "PoolLeft", "Release", &note).await;
        }
    }
    Ok(())
}

/// Why a deleted cluster is not held any longer although its pool may have nodes.
#[must_use]
pub(super) fn give_up(deleted: Timestamp, trouble: Option<&Trouble>, now: Timestamp) -> Option<String> {
    let trouble = trouble?;
    let in_vain = now.duration_since(trouble.since.max(deleted));
    match trouble.kind {
        // There is nothing to hold for; but it may have been away only until just before the deletion.
        Kind::NotFound if trouble.asked == Asked::Pool && trouble.last >= deleted => Some(trouble.message.clone()),
        Kind::Busy | Kind::Changed | Kind::Preempted | Kind::Throttled => None,
        _ if in_vain >= GIVE_UP => {
            Some(format!("Azure has refused for {} minutes: {}", in_vain.as_mins(), trouble.message))
        }
        _ => None,
    }
}

/// Whether the pool has no machine, and none on its way.
#[must_use]
pub(super) fn is_empty(view: &PoolView) -> bool {
    view.count == 0 && !view.running && view.machines.iter().all(|machine| !machine.listed)
}

#[cfg(test)]
mod tests;
