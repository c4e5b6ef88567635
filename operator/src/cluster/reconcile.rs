//! One look at a cluster: observe, decide, act, report.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crds::cluster::ScaleDownPolicy;
use crds::{ScoringCluster, names};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::controller::Action;
use kube::{Api, Resource};
use planner::capacity::Resources;
use planner::need::Unplaced;
use planner::pool::{LATER, PoolDecision, PoolView, SOON, Wait};
use planner::slots::{Grants, Room, grant};
use planner::warmth::{Horizons, Policy, Prewarm, Waiting};

use super::act::MANAGER;
use super::at_hand::AtHand;
use super::foresight::Foresight;
use super::memory::Memory;
use super::metrics::Decision;
use super::report::{self, Refusal, Report};
use super::work::{self, Work};
use super::{PoolNodes, Shared, capacity, claim, cost, deallocated, external, give, hold, machines, pods, step};
use crate::aks::AgentPool;
use crate::context::{label, name_of};
use crate::{Ctx, Error};

/// How long an idle node stays where nothing is said.
const IDLE_AFTER: SignedDuration = SignedDuration::from_secs(60);
/// How long counts that changed wait, so that one write tells several changes.
pub(super) const GATHER: SignedDuration = SignedDuration::from_secs(5);
/// The key under which it is remembered that people were told why a pool is not touched.
const REFUSED: &str = "Refused";

/// What one look has seen of a cluster, of everything but the pool.
pub(super) struct Scene {
    /// The nodes of the pool.
    pub(super) nodes: Vec<Arc<Node>>,
    /// The pods of runs that are on a node, or may come onto one; of those that have ended, the ones whose end is yet to be taken
    /// down or reckoned.
    pub(super) pods: Vec<Arc<Pod>>,
    /// The runs.
    pub(super) work: Vec<Work>,
    /// What a node has, as learned.
    pub(super) learned: Option<Resources>,
    /// What a node has, said or learned, if known.
    pub(super) capacity: Option<Resources>,
    /// Who gets how many slots.
    pub(super) grants: Grants,
    /// The hosts that the pods of a run that are let go now are to keep off.
    pub(super) off: BTreeMap<String, Vec<String>>,
    /// What is known of work to come, where the cluster looks ahead.
    pub(super) foresight: Foresight,
}

impl Scene {
    /// Pods with a slot and without a node.
    pub(super) fn unplaced(&self) -> Vec<Waiting> {
        let unplaced = self.work.iter().map(|work| {
            let slots = self.grants.slots.get(&work.demand.run).copied().unwrap_or_default();
            let pods = Unplaced { request: work.demand.request.clone(), pods: work.demand.unplaced(slots) };
            Waiting { lasts: self.foresight.lasts(&work.demand.run), pods }
        });
        unplaced.filter(|work| work.pods.pods > 0).collect()
    }
}

/// One look at a cluster.
pub(super) async fn reconcile(cluster: &ScoringCluster, ctx: &Ctx, shared: &Shared) -> Result<Action, Error> {
    let memory = shared.memory(cluster, ctx);
    let mut memory = memory.lock().await;
    memory.edited(cluster.metadata.generation);
    memory.cost.open(cluster, ctx.now());
    let deleted = hold::deleted(cluster);
    if deleted.is_some() && !hold::is_held(cluster, &memory) {
        return Ok(Action::await_change());
    }

    let all = ctx.caches.clusters.all();
    if let Some(refusal) = claim::refusal(cluster, all.iter().filter_map(|guard| guard.0.as_ref().ok())) {
        return refused(cluster, ctx, &mut memory, refusal).await;
    }
    if cluster.spec.node_pool.aks().is_none() {
        return external::reconcile(cluster, ctx, &mut memory).await;
    }
    if let Err((asked, error)) = shared.provider.observe(ctx, cluster, &mut memory, false).await {
        step::failed(cluster, ctx, shared, &mut memory, asked, &error).await;
    }
    if let Some(why) = deleted.and_then(|at| hold::give_up(at, memory.trouble(), ctx.now())) {
        hold::release(cluster, ctx, &mut memory, Some(&why)).await?;
        return Ok(Action::await_change());
    }
    if let Some(refusal) = memory.pool.as_ref().and_then(|(pool, _)| refusal_of(pool, cluster)) {
        return refused(cluster, ctx, &mut memory, refusal).await;
    }
    memory.told.remove(REFUSED);
    if deleted.is_none() && memory.has_machines() {
        hold::set(cluster, ctx, &mut memory, true).await?;
    }

    let learned = capacity::learn(cluster, ctx, &mut memory).await?;
    let began = Instant::now();
    let scene = look(cluster, ctx, learned, Whose::Ours, &mut memory)?;
    ctx.metrics.pools.decided(name_of(cluster), Decision::Slots, began.elapsed());
    let given = give::to_runs(ctx, &scene, memory.pool.is_some(), &mut memory).await;
    let decided = step::take(cluster, ctx, shared, &mut memory, &scene).await?;
    if decided.as_ref().is_some_and(|(_, decision)| wants_nothing(decision)) {
        memory.unneeded(ctx.now());
    }
    let at_rest = |decision: &PoolDecision| decision.action.is_none() && decision.desired == 0;
    if decided.as_ref().is_some_and(|(view, decision)| hold::is_empty(view) && at_rest(decision)) {
        if deleted.is_none() {
            hold::set(cluster, ctx, &mut memory, false).await?;
        } else if nothing_came(cluster, ctx, shared, &mut memory, &scene).await {
            hold::release(cluster, ctx, &mut memory, None).await?;
            return Ok(Action::await_change());
        }
    }
    let reckoned = match &decided {
        Some((view, _)) => cost::reckon(cluster, ctx, &mut memory, &scene, view).await,
        None => Ok(()),
    };
    cost::tell_budget(cluster, ctx, &mut memory).await;
    memory.active = decided.as_ref().is_some_and(|(_, decision)| decision.requeue <= SOON);
    let report = Report {
        cluster,
        memory: &memory,
        pool: decided.as_ref().map(|(view, decision)| (view, decision)),
        grants: &scene.grants,
        next: scene.foresight.next.as_ref(),
        learned: scene.learned.as_ref(),
        refusal: None,
        now: ctx.now(),
    };
    let wanted = report::status(&report);
    ctx.metrics.pools.seen(name_of(cluster), &wanted);
    let gathered = write(cluster, ctx, &mut memory, &wanted).await?;
    given.and(reckoned)?;
    let next = decided.map_or(SOON, |(_, decision)| decision.requeue).min(LATER);
    let next = if gathered { next } else { next.min(GATHER) };
    Ok(Action::requeue(Duration::try_from(next).unwrap_or(Duration::from_secs(2))))
}

/// Whether the pool is empty at this very moment: after the release nobody looks at it again.
async fn nothing_came(
    cluster: &ScoringCluster,
    ctx: &Ctx,
    shared: &Shared,
    memory: &mut Memory,
    scene: &Scene,
) -> bool {
    match shared.provider.observe(ctx, cluster, memory, true).await {
        Ok(whole) => whole && view(cluster, ctx, memory, scene).is_some_and(|view| hold::is_empty(&view)),
        Err((asked, error)) => {
            step::failed(cluster, ctx, shared, memory, asked, &error).await;
            false
        }
    }
}

/// Whether there is no operation that trouble could stand in the way of.
fn wants_nothing(decision: &PoolDecision) -> bool {
    decision.action.is_none() && matches!(decision.wait, None | Some(Wait::Idle))
}

/// Who adds nodes and takes them away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// This operator.
    Ours,
    /// Somebody else, who does so when pods wait for a node.
    Theirs,
    /// Somebody else, by mistake: the pool is refused, and what has slots is brought to its end.
    Refused,
}

/// Reads what the caches know of the cluster.
pub(super) fn look(
    cluster: &ScoringCluster,
    ctx: &Ctx,
    learned: Option<Resources>,
    whose: Whose,
    memory: &mut Memory,
) -> Result<Scene, Error> {
    let name = name_of(cluster);
    let pool = PoolNodes::of(cluster);
    let nodes: Vec<Arc<Node>> = ctx.caches.nodes.all().into_iter().filter(|node| pool.have(node)).collect();
    let names: HashSet<&str> = nodes.iter().map(|node| name_of(&**node)).collect();
    let on_pool = |pod: &Pod| pods::node_of(pod).is_some_and(|on| names.contains(on));
    let is_ours = |pod: &Pod| label(pod, names::POOL) == Some(name) || on_pool(pod);
    let pods = ctx.caches.run_pods.unsettled(&mut memory.unsettled, is_ours);
    memory.still_held(&pods);
    let work = work::of_cluster(ctx, cluster, &pods, &memory.let_go, &mut memory.lacking);
    let demands: Vec<_> = work.iter().map(|work| work.demand.clone()).collect();
    let requests = demands.iter().map(|demand| demand.request.clone());
    let learned = match memory.is_new {
        true => learned.map(|learned| capacity::with_devices(learned, requests)),
        false => learned,
    };
    let capacity = capacity::capacity(cluster, learned.clone());
    let (paused, closing) = (memory.cost.paused(cluster, ctx.now()), hold::deleted(cluster).is_some());
    let aks = cluster.spec.node_pool.aks().is_some();
    let at_hand = match aks {
        true => AtHand::of(&nodes, &pods, |_| capacity.clone().unwrap_or_default()),
        false => external::at_hand(cluster, &memory.external, &nodes, &pods, capacity.as_ref()),
    };
    let room = Room {
        capacity: capacity.clone(),
        max_nodes: cluster.spec.max_nodes.saturating_sub(at_hand.stuck),
        nodes: at_hand.free,
        runs_on: at_hand.runs_on,
        overflow: at_hand.overflow,
        starts_on_room: whose == Whose::Ours,
        paused,
        // While AKS has told nothing yet, runs have what they have, as well. A pause stops that, too.
        closing: closing || !paused && (whose == Whose::Refused || whose == Whose::Ours && memory.pool.is_none()),
    };
    let grants = grant(&demands, &room);
    let hosts = |off: &Vec<usize>| off.iter().filter_map(|at| at_hand.hosts.get(*at).cloned()).collect();
    let off = grants.off.iter().map(|(run, off)| (run.clone(), hosts(off))).collect();
    let mut foresight = match ahead(cluster, ctx, memory) {
        Some(horizons) => Foresight::of(ctx, cluster, capacity.as_ref(), horizons.longest()),
        None => Foresight::default(),
    };
    let all = |run: &str, remaining: u32| grants.slots.get(run).is_some_and(|slots| *slots >= remaining);
    let refilled = demands.iter().filter(|demand| !all(&demand.run, demand.remaining));
    foresight.refilled(refilled.map(|demand| demand.run.as_str()));
    Ok(Scene { nodes, pods, work, learned, capacity, grants, off, foresight })
}

/// How far ahead a cluster looks, if it does. One that is being deleted does not.
fn ahead(cluster: &ScoringCluster, ctx: &Ctx, memory: &Memory) -> Option<Horizons> {
    let spec = &cluster.spec;
    let looks = spec.prewarm() != crds::Prewarm::Off || spec.scale_down.policy() == ScaleDownPolicy::BreakEven;
    let measured = memory.machines.timing.provisioning.measured();
    let horizons = || Horizons::of(prewarm(cluster.spec.prewarm()), &measured, &memory.puts, ctx.now());
    (looks && hold::deleted(cluster).is_none()).then(horizons)
}

/// As the planner has it.
pub(crate) fn prewarm(asked: crds::Prewarm) -> Prewarm {
    match asked {
        crds::Prewarm::Auto => Prewarm::Auto,
        crds::Prewarm::Off => Prewarm::Off,
        crds::Prewarm::Lead(lead) => Prewarm::Lead(lead.to_signed()),
    }
}

/// The pool as the planner sees it.
pub(super) fn view(cluster: &ScoringCluster, ctx: &Ctx, memory: &mut Memory, scene: &Scene) -> Option<PoolView> {
    let now = ctx.now();
    let (agent_pool, _) = memory.pool.clone()?;
    memory.listed.as_ref()?;
    memory.age(now, agent_pool.is_running());
    let capacity = scene.capacity.clone();
    let empty = capacity.clone().unwrap_or_default();
    let (foresight, running) = (&scene.foresight, agent_pool.is_running());
    // Those that were to be started and were not to be had are as they were.
    let count = match memory.back_off.growth.is_some_and(|at| now < at) {
        true => agent_pool.count().min(u32::try_from(memory.machines.running()).unwrap_or(u32::MAX)),
        false => agent_pool.count(),
    };
    let stopped = || deallocated::of_pool(&scene.nodes, &scene.pods, &memory.machines, count, now);
    memory.machines.deallocated = agent_pool.deallocates().then(stopped);
    let machines =
        machines::of_pool(ctx, &scene.nodes, &scene.pods, &|_| empty.clone(), running, foresight, &mut memory.machines);
    let spec = &cluster.spec;
    let after = || spec.scale_down.after.map_or(IDLE_AFTER, spec::Span::to_signed);
    // Of a cluster that is being deleted, nodes only go: at once when they are idle, and all of them.
    let closing = hold::deleted(cluster).is_some();
    let policy = match spec.scale_down.policy() {
        _ if closing => Policy::After(SignedDuration::ZERO),
        ScaleDownPolicy::Never => Policy::Never,
        ScaleDownPolicy::BreakEven => Policy::BreakEven,
        ScaleDownPolicy::After => Policy::After(after()),
    };
    Some(PoolView {
        now,
        min: if closing { 0 } else { spec.min_nodes },
        max: spec.max_nodes,
        paused: memory.cost.paused(cluster, now) || closing,
        policy,
        prewarm: if closing { Prewarm::Off } else { prewarm(spec.prewarm()) },
        measured: memory.machines.timing.provisioning.measured(),
        expected: foresight.coming.iter().map(|(_, expected)| expected.clone()).collect(),
        count: agent_pool.count(),
        running: agent_pool.is_running(),
        tainted: closing || agent_pool.has_taint(&taint(cluster)),
        machines,
        capacity,
        work: scene.unplaced(),
        puts: memory.puts,
        back_off: memory.back_off,
    })
}

/// The taint that keeps strangers off the pool's nodes.
pub(super) fn taint(cluster: &ScoringCluster) -> String {
    format!("{}={}:NoSchedule", names::POOL, name_of(cluster))
}

/// Why an agent pool cannot be used, if so.
fn refusal_of(pool: &AgentPool, cluster: &ScoringCluster) -> Option<Refusal> {
    let name = &cluster.spec.node_pool.aks()?.agent_pool;
    let (reason, message) = if pool.is_system() {
        (
            "SystemPool",
            format!("agent pool {name} is of mode System and runs the cluster's own pods; name one of mode User"),
        )
    } else if pool.is_autoscaled() {
        let advice = "turn it off: az aks nodepool update --disable-cluster-autoscaler";
        ("PoolAutoscalerEnabled", format!("AKS itself scales agent pool {name}; {advice}"))
    } else if pool.is_of_virtual_machines() {
        (
            "PoolTypeUnsupported",
            format!("agent pool {name} is of type VirtualMachines; name one of type VirtualMachineScaleSets"),
        )
    } else if pool.is_stopped() {
        ("PoolStopped", format!("agent pool {name} is stopped; start it: az aks nodepool start"))
    } else {
        return None;
    };
    Some(Refusal { reason, message })
}

async fn refused(cluster: &ScoringCluster, ctx: &Ctx, memory: &mut Memory, refusal: Refusal) -> Result<Action, Error> {
    if hold::deleted(cluster).is_some() {
        hold::release(cluster, ctx, memory, Some(&refusal.message)).await?;
        return Ok(Action::await_change());
    }
    step::tell(cluster, ctx, memory, true, REFUSED, refusal.reason, &refusal.message).await;
    memory.active = false;
    memory.cost.skip(ctx.now());
    // No run gets more slots. The pods of those that have some wait for nobody who will not look at them.
    let learned = capacity::known(cluster, memory.vm_size().as_deref());
    let scene = look(cluster, ctx, learned, Whose::Refused, memory)?;
    let given = give::to_runs(ctx, &scene, true, memory).await;
    let report = Report {
        cluster,
        memory,
        pool: None,
        grants: &scene.grants,
        next: None,
        learned: scene.learned.as_ref(),
        refusal: Some(&refusal),
        now: ctx.now(),
    };
    let wanted = report::status(&report);
    write(cluster, ctx, memory, &wanted).await?;
    given?;
    Ok(Action::requeue(Duration::from_secs(30)))
}

/// Writes the status when it has changed; mere counts only now and then. Returns false when something is still to write.
pub(super) async fn write(
    cluster: &ScoringCluster,
    ctx: &Ctx,
    memory: &mut Memory,
    wanted: &crds::ScoringClusterStatus,
) -> Result<bool, Error> {
    let now = ctx.now();
    let before = cluster.status.as_ref();
    let recent = memory.written.is_some_and(|at| now.duration_since(at) < GATHER);
    if before != Some(wanted) && recent && !report::is_urgent(memory.status.as_ref().or(before), wanted) {
        return Ok(false);
    }
    // The cache may be behind what was written a moment ago.
    if memory.status.as_ref() == Some(wanted) && recent {
        return Ok(true);
    }
    let api: Api<ScoringCluster> = Api::all(ctx.client.clone());
    if MANAGER.status(&api, cluster, before, wanted).await? {
        memory.written = Some(now);
        memory.status = Some(wanted.clone());
    }
    Ok(true)
}

/// What events are about.
pub(super) fn about(cluster: &ScoringCluster) -> k8s_openapi::api::core::v1::ObjectReference {
    cluster.object_ref(&())
}
