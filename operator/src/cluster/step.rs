//! The pool's next step: decide upon a fresh picture, and do it.

use std::time::Instant;

use crds::ScoringCluster;
use planner::pool::{self, PoolDecision, PoolView, Wait, decide};

use super::memory::Memory;
use super::metrics::{Decision, Operation};
use super::provider::Purpose;
use super::reconcile::{Scene, about, taint, view, write};
use super::report::{self, Report};
use super::trouble::Asked;
use super::{Shared, act, hold, out_of_service};
use crate::aks::{AksError, Kind};
use crate::context::name_of;
use crate::{Ctx, Error};

/// How often in a row a deletion that is refused is taken for one of machines that have just gone.
const GONE_TIMES: u32 = 3;

/// Decides, and takes at most one step. `None`: the pool has not been seen yet.
pub(super) async fn take(
    cluster: &ScoringCluster,
    ctx: &Ctx,
    shared: &Shared,
    memory: &mut Memory,
    scene: &Scene,
) -> Result<Option<(PoolView, PoolDecision)>, Error> {
    let Some((mut seen, mut decision)) = look(cluster, ctx, memory, scene) else { return Ok(None) };
    match report::outage(&seen) {
        Some(note) => tell(cluster, ctx, memory, true, report::NODES_LOST, report::NODES_LOST, &note).await,
        None => drop(memory.told.remove(report::NODES_LOST)),
    }
    let is_operation = |action: &pool::Action| matches!(action, pool::Action::Put { .. } | pool::Action::Delete { .. });
    if decision.action.as_ref().is_some_and(is_operation) {
        // What is done to the pool is decided upon what it is at this moment.
        match shared.provider.observe(ctx, cluster, memory, true).await {
            Ok(true) => {}
            Ok(false) => {
                let backs_off = memory.no_read_before.is_some_and(|at| ctx.now() < at);
                let wait = if backs_off { Wait::BackOff } else { Wait::Requests };
                return Ok(Some((seen, PoolDecision { action: None, wait: Some(wait), ..decision })));
            }
            Err((asked, error)) => {
                failed(cluster, ctx, shared, memory, asked, &error).await;
                return Ok(Some((seen, PoolDecision { action: None, ..decision })));
            }
        }
        let Some(fresh) = look(cluster, ctx, memory, scene) else { return Ok(None) };
        (seen, decision) = fresh;
    }
    if let Some(action) = decision.action.clone() {
        act(cluster, ctx, shared, memory, scene, (&seen, &decision), action).await?;
    }
    Ok(Some((seen, decision)))
}

/// The pool as it is seen now, and what to do about it.
fn look(cluster: &ScoringCluster, ctx: &Ctx, memory: &mut Memory, scene: &Scene) -> Option<(PoolView, PoolDecision)> {
    let began = Instant::now();
    let seen = view(cluster, ctx, memory, scene)?;
    let decision = decide(&seen);
    ctx.metrics.pools.decided(name_of(cluster), Decision::Nodes, began.elapsed());
    Some((seen, decision))
}

async fn act(
    cluster: &ScoringCluster,
    ctx: &Ctx,
    shared: &Shared,
    memory: &mut Memory,
    scene: &Scene,
    decided: (&PoolView, &PoolDecision),
    action: pool::Action,
) -> Result<(), Error> {
    match action {
        pool::Action::Put { count } => put(cluster, ctx, shared, memory, scene, decided, count).await,
        pool::Action::Delete { idle, lost } => delete(cluster, ctx, shared, memory, idle, lost).await,
        pool::Action::Cordon(names) => {
            for name in names {
                // Strangers that tolerate the taint are seen by a live look only.
                match act::held_by(ctx, &name).await? {
                    Some(pod) => hold(memory, ctx, &name, &pod),
                    None => act::cordon(ctx, &name, true).await?,
                }
            }
            Ok(())
        }
        pool::Action::Retire(names) => {
            for name in names {
                act::cordon(ctx, &name, true).await?;
            }
            Ok(())
        }
        pool::Action::Uncordon(names) => {
            for name in names {
                act::cordon(ctx, &name, false).await?;
            }
            Ok(())
        }
        pool::Action::OutOfService(names) => give_up(cluster, ctx, names).await,
        pool::Action::InService(names) => {
            for name in names {
                if out_of_service::withdraw(ctx, &name).await? {
                    let note = format!("node {name} is Ready again and takes pods");
                    ctx.events.normal(&about(cluster), "NodeReturned", "Replace", &note).await;
                }
            }
            Ok(())
        }
        pool::Action::Forget(names) => {
            for name in names {
                act::forget(ctx, &name).await?;
            }
            Ok(())
        }
    }
}

/// Makes Kubernetes give up the pods on lost nodes. It deletes those that have ended, too: they are written down first.
async fn give_up(cluster: &ScoringCluster, ctx: &Ctx, names: Vec<String>) -> Result<(), Error> {
    for name in names {
        if !act::has_unfolded(ctx, &name).await? && out_of_service::declare(ctx, &name).await? {
            let note = format!("node {name} is not Ready and out of service: its pods are replaced on other nodes");
            ctx.events.warning(&about(cluster), "NodeLost", "Replace", &note).await;
        }
    }
    Ok(())
}

/// Writes the count, after the token that it takes is written down: a restart must not forget it.
async fn put(
    cluster: &ScoringCluster,
    ctx: &Ctx,
    shared: &Shared,
    memory: &mut Memory,
    scene: &Scene,
    decided: (&PoolView, &PoolDecision),
    count: u32,
) -> Result<(), Error> {
    let now = ctx.now();
    let Some(aks) = cluster.spec.node_pool.aks() else { return Ok(()) };
    let Some((pool, _)) = memory.pool.clone() else { return Ok(()) };
    if count > 0 && hold::deleted(cluster).is_none() {
        hold::set(cluster, ctx, memory, true).await?;
    }
    if !memory.puts.take(now) {
        return Ok(());
    }
    let report = Report {
        cluster,
        memory,
        pool: Some(decided),
        grants: &scene.grants,
        next: scene.foresight.next.as_ref(),
        learned: scene.learned.as_ref(),
        refusal: None,
        now,
    };
    let wanted = report::status(&report);
    memory.written = None;
    write(cluster, ctx, memory, &wanted).await?;
    tracing::info!(pool = aks.agent_pool, from = pool.count(), to = count, "put");
    memory.asks(count);
    let result = match shared.provider.client(ctx).await {
        Ok(client) => client.put(aks, &pool.with(count, &taint(cluster))).await,
        Err(error) => Err(error),
    };
    ctx.metrics.pools.asked(name_of(cluster), Operation::Put, result.as_ref().err().map(|error| error.kind));
    match result {
        Ok(after) => {
            memory.accepted();
            memory.put(count, after, now);
            if count != pool.count() {
                let note = format!(
                    "agent pool {} from {} to {count} nodes, for {} slots given and {} items waiting",
                    aks.agent_pool,
                    pool.count(),
                    scene.grants.given,
                    scene.grants.waiting
                );
                ctx.events.normal(&about(cluster), "PoolScaled", "Scale", &note).await;
            }
        }
        Err(error) => {
            if error.kind == Kind::Throttled {
                memory.puts.drain(now);
            }
            failed(cluster, ctx, shared, memory, Asked::Operation, &error).await;
        }
    }
    Ok(())
}

/// Deletes machines: the idle ones after a live look, the lost ones with what is stuck on them.
async fn delete(
    cluster: &ScoringCluster,
    ctx: &Ctx,
    shared: &Shared,
    memory: &mut Memory,
    idle: Vec<String>,
    lost: Vec<String>,
) -> Result<(), Error> {
    let Some(aks) = cluster.spec.node_pool.aks() else { return Ok(()) };
    let mut names = lost;
    for name in &idle {
        match act::held_by(ctx, name).await? {
            Some(pod) => {
                hold(memory, ctx, name, &pod);
                act::cordon(ctx, name, false).await?;
            }
            None => names.push(name.clone()),
        }
    }
    let now = ctx.now();
    if names.is_empty() || !shared.provider.may_request(aks, Purpose::Operation, now) {
        return Ok(());
    }
    for name in &names {
        // Lost nodes are not cordoned yet, and one may come back meanwhile.
        if !idle.contains(name) {
            act::cordon(ctx, name, true).await?;
        }
        act::deleting(ctx, name, true).await?;
    }
    tracing::info!(pool = aks.agent_pool, machines = names.join(" "), "delete");
    memory.more = 0;
    let result = match shared.provider.client(ctx).await {
        Ok(client) => client.delete_machines(aks, &names).await,
        Err(error) => Err(error),
    };
    let refused = result.as_ref().err().map(|error| error.kind);
    ctx.metrics.pools.asked(name_of(cluster), Operation::DeleteMachines, refused);
    match result {
        Ok(()) => {
            memory.accepted();
            // Look again before anything else: whether the count fell by itself is told nowhere.
            memory.look_again();
            let note = format!("machines {} of agent pool {}", names.join(", "), aks.agent_pool);
            names.iter().for_each(|name| memory.machines.timing.leaves(name));
            memory.machines.leaving.extend(names.into_iter().map(|name| (name, now)));
            ctx.events.normal(&about(cluster), "MachinesDeleted", "Scale", &note).await;
        }
        Err(error) => {
            // One of the machines has gone by itself: the others are asked for again without it. If that helps.
            let before = memory.operating.as_ref().filter(|trouble| trouble.asked == Asked::Operation);
            let in_vain = before.is_some_and(|trouble| trouble.kind == error.kind || trouble.times >= GONE_TIMES);
            let is_gone = matches!(error.kind, Kind::Refused | Kind::NotFound) && !in_vain;
            let kind = if is_gone { Kind::Changed } else { error.kind };
            let done = error.may_be_done();
            failed(cluster, ctx, shared, memory, Asked::Operation, &AksError { kind, ..error }).await;
            for name in names {
                match done {
                    true => drop(memory.machines.leaving.insert(name, now)),
                    false => act::deleting(ctx, &name, false).await?,
                }
            }
        }
    }
    Ok(())
}

/// Something that our caches do not show is on a node: it is busy.
fn hold(memory: &mut Memory, ctx: &Ctx, name: &str, pod: &str) {
    tracing::info!(node = name, pod, "the node stays: a pod is on it");
    memory.machines.held.insert(name.to_owned(), ctx.now());
}

/// Azure did not do what it was asked.
pub(super) async fn failed(
    cluster: &ScoringCluster,
    ctx: &Ctx,
    shared: &Shared,
    memory: &mut Memory,
    asked: Asked,
    error: &AksError,
) {
    let now = ctx.now();
    tracing::warn!(reason = error.kind.reason(), "{error}");
    ctx.metrics.pools.failed(name_of(cluster), error.kind);
    let news = memory.failed(asked, error, now);
    match error.kind {
        Kind::Busy | Kind::Changed => memory.look_again(),
        Kind::Credentials => shared.provider.forget_token().await,
        Kind::Throttled => {
            if let Some(aks) = cluster.spec.node_pool.aks() {
                shared.provider.throttled(aks, now);
            }
        }
        _ => {}
    }
    if news {
        tell_trouble(cluster, ctx, memory, asked).await;
    }
}

/// Publishes the trouble that there is with this.
pub(super) async fn tell_trouble(cluster: &ScoringCluster, ctx: &Ctx, memory: &mut Memory, asked: Asked) {
    let all = [&memory.reading, &memory.operating];
    let trouble = all.into_iter().flatten().find(|trouble| trouble.asked == asked);
    if let Some((reason, note)) = trouble.map(|trouble| (trouble.kind.reason(), trouble.told())) {
        tell(cluster, ctx, memory, true, reason, reason, &note).await;
    }
}

/// Publishes an event once per state.
pub(super) async fn tell(
    cluster: &ScoringCluster,
    ctx: &Ctx,
    memory: &mut Memory,
    warning: bool,
    key: &'static str,
    reason: &str,
    note: &str,
) {
    if memory.told.get(key).is_some_and(|told| told == note) {
        return;
    }
    memory.told.insert(key, note.to_owned());
    match warning {
        true => ctx.events.warning(&about(cluster), reason, "Scale", note).await,
        false => ctx.events.normal(&about(cluster), reason, "Scale", note).await,
    }
}
