//! Pools whose nodes are somebody else's: fixed ones, or those of cluster-autoscaler or Karpenter.
//!
//! Azure is never asked for anything, and nothing is done to a node. Runs get slots, whoever scales the pool sees pods that
//! wait, and before a tick placeholder pods hold the nodes that it is going to need.

mod placeholders;
mod report;
mod rooms;

use std::sync::Arc;
use std::time::Duration;

use crds::ScoringCluster;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::controller::Action;
use planner::capacity::Resources;
use planner::pool::{BackOff, Held, LATER, PoolDecision, PoolView, held};
use planner::warmth::Policy;

use super::at_hand::AtHand;
use super::memory::Memory;
use super::reconcile::{self, Scene, Whose};
use super::report::Report;
use super::{capacity, cost, give, hold, machines, pods};
use crate::context::name_of;
use crate::{Ctx, Error};

pub(super) use report::conditions;

/// How soon to look again while pods wait or placeholders are there: nobody tells of strangers that come and go.
const AWHILE: SignedDuration = SignedDuration::from_secs(5);

/// What is remembered of a pool of somebody else's nodes.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// What others take of its nodes.
    pub(super) strangers: rooms::Strangers,
    /// How many placeholders there were; `None`: not looked yet.
    placeholders: Option<u32>,
    /// Why there are none although there should be.
    refused: Option<String>,
    /// Since when work waits and there is no node.
    without_nodes: Option<Timestamp>,
}

/// One look at such a cluster.
pub(super) async fn reconcile(cluster: &ScoringCluster, ctx: &Ctx, memory: &mut Memory) -> Result<Action, Error> {
    let learned = capacity::learn(cluster, ctx, memory).await?;
    rooms::look(cluster, ctx, &mut memory.external.strangers).await?;
    let scene = reconcile::look(cluster, ctx, learned, Whose::Theirs, memory)?;
    let view = view(cluster, ctx, memory, &scene);
    let wanted = held(&view);
    // Placeholders go before slots are given, so that pods find the room that these have held.
    placeholders::keep(cluster, ctx, memory, &scene, wanted.held).await;
    let given = give::to_runs(ctx, &scene, true, memory).await;
    // Held pods of a cluster that is gone would be let go by nobody.
    let at_work = scene.grants.slots.values().any(|slots| *slots > 0);
    if hold::deleted(cluster).is_none() || !at_work {
        hold::set(cluster, ctx, memory, at_work).await?;
    }
    if hold::deleted(cluster).is_some() && !at_work {
        return Ok(Action::await_change());
    }
    let nobody = view.machines.is_empty() && (scene.grants.waiting > 0 || !view.work.is_empty());
    memory.external.without_nodes = nobody.then(|| memory.external.without_nodes.unwrap_or(view.now));
    let decision = decision(&view, &wanted);
    let reckoned = cost::reckon(cluster, ctx, memory, &scene, &view).await;
    cost::tell_budget(cluster, ctx, memory).await;
    let report = Report {
        cluster,
        memory,
        pool: Some((&view, &decision)),
        grants: &scene.grants,
        next: scene.foresight.next.as_ref(),
        learned: scene.learned.as_ref(),
        refusal: None,
        now: view.now,
    };
    let status = super::report::status(&report);
    ctx.metrics.pools.seen(name_of(cluster), &status);
    let gathered = reconcile::write(cluster, ctx, memory, &status).await?;
    given.and(reckoned)?;
    let next = if gathered { decision.requeue } else { decision.requeue.min(reconcile::GATHER) };
    Ok(Action::requeue(Duration::try_from(next).unwrap_or(Duration::from_secs(5))))
}

/// What is wanted, as status and metrics tell it. Nothing is done to the nodes.
fn decision(view: &PoolView, wanted: &Held) -> PoolDecision {
    let waits = !view.work.is_empty() || wanted.held > 0;
    let requeue = if waits { AWHILE } else { LATER };
    let requeue = wanted.next.map_or(requeue, |next| next.clamp(SignedDuration::from_secs(1), requeue));
    PoolDecision { desired: wanted.needed + wanted.held, action: None, wait: None, requeue, next: wanted.next }
}

/// The room on these nodes for pods that start. Placeholders give way, and are none of it. Of more nodes than may be used, no
/// pod can be kept to some: then as much counts as would be free on the roomiest, if all pods were on those.
pub(super) fn at_hand(
    cluster: &ScoringCluster,
    kept: &Kept,
    nodes: &[Arc<Node>],
    pods: &[Arc<Pod>],
    capacity: Option<&Resources>,
) -> AtHand {
    let rooms = rooms::Rooms::of(cluster, &kept.strangers, capacity);
    let (items, room) = (items(pods), |node: &Node| rooms.room(node));
    let at_hand = AtHand::of(nodes, &items, room);
    let most = usize::try_from(cluster.spec.max_nodes).unwrap_or(usize::MAX);
    if at_hand.free.len() <= most {
        return at_hand;
    }
    let placed = items.iter().filter(|pod| pods::node_of(pod).is_some() && !pods::has_ended(pod));
    let overflow = placed.map(|pod| pod.spec.as_ref().map(pods::request).unwrap_or_default()).collect();
    AtHand { free: rooms::roomiest(AtHand::of(nodes, &[], room).free, most), overflow, ..AtHand::default() }
}

fn items(pods: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
    pods.iter().filter(|pod| pods::is_item(pod)).cloned().collect()
}

/// The pool as the planner sees it: all nodes are there, and none is to go.
fn view(cluster: &ScoringCluster, ctx: &Ctx, memory: &mut Memory, scene: &Scene) -> PoolView {
    let closing = hold::deleted(cluster).is_some();
    let items = items(&scene.pods);
    let rooms = rooms::Rooms::of(cluster, &memory.external.strangers, scene.capacity.as_ref());
    memory.machines.listed = scene.nodes.iter().map(|node| name_of(&**node).to_owned()).collect();
    let room = |node: &Node| rooms.room(node);
    let machines = machines::of_pool(ctx, &scene.nodes, &items, &room, false, &scene.foresight, &mut memory.machines);
    // No node goes for having been idle.
    memory.machines.idle_since.clear();
    let spec = &cluster.spec;
    PoolView {
        now: ctx.now(),
        min: 0,
        max: spec.max_nodes,
        paused: memory.cost.paused(cluster, ctx.now()) || closing,
        policy: Policy::Never,
        prewarm: reconcile::prewarm(spec.prewarm()),
        measured: memory.machines.timing.provisioning.measured(),
        expected: scene.foresight.coming.iter().map(|(_, expected)| expected.clone()).collect(),
        count: u32::try_from(machines.len()).unwrap_or(u32::MAX),
        running: false,
        tainted: true,
        machines,
        capacity: scene.capacity.clone(),
        work: scene.unplaced(),
        puts: memory.puts,
        back_off: BackOff::default(),
    }
}
