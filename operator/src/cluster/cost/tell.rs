//! Reckons what passed since the last look, and writes it down: of runs and schedules now and then, and when they end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crds::cost::ScheduleCost;
use crds::{ScoringCluster, ScoringRun, ScoringSchedule};
use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use planner::cost::Account;
use planner::pool::PoolView;
use serde::Serialize;

use super::seen::{self, Owner};
use super::{Books, EXCEEDED, RunPart, Written, was_exceeded};
use crate::cluster::act::MANAGER;
use crate::cluster::memory::Memory;
use crate::cluster::reconcile::Scene;
use crate::cluster::step;
use crate::cluster::work::{is_suspended, job_is_over};
use crate::context::{key_of, name_of, namespace_of, uid_of};
use crate::error::is_code;
use crate::guard::Guard;
use crate::schedule::goes_on;
use crate::{Ctx, Error};

/// How long an end of a pod waits to be told with others.
const GATHER: SignedDuration = SignedDuration::from_secs(60);
/// How often what grows is told though no pod ends: a later process finds it again from the pods.
const GROWS: SignedDuration = SignedDuration::from_mins(5);
/// How many may wait for their turn are told in one look.
const MOST: usize = 20;
/// How many are told at a time.
const AT_A_TIME: usize = 16;

/// Reckons what passed since the last look, and tells those of whom that is due.
///
/// # Errors
/// When the API server refuses or is not reached.
pub(in crate::cluster) async fn reckon(
    cluster: &ScoringCluster,
    ctx: &Ctx,
    memory: &mut Memory,
    scene: &Scene,
    view: &PoolView,
) -> Result<(), Error> {
    let now = ctx.now();
    let name = name_of(cluster);
    let owners = owners(cluster, ctx, &memory.cost);
    let books = &mut memory.cost;
    for owner in owners.values() {
        owner.run().into_iter().for_each(|run| books.open_run(run, now));
        owner.schedule().into_iter().for_each(|schedule| books.open_schedule(schedule, now));
    }
    let deallocates = memory.pool.as_ref().is_some_and(|(pool, _)| pool.deallocates());
    let empty = scene.capacity.clone().unwrap_or_default();
    let machines = seen::machines(&view.machines, (&scene.nodes, deallocates), &scene.pods, &owners, &empty);
    let mut reckoned = None;
    if let Some(ledger) = &mut books.ledger {
        let added = ledger.look(now, &machines);
        ctx.metrics.pools.spent(name, added);
        // A clock that was set back has reckoned nothing.
        reckoned = Some(ledger.as_of()).filter(|as_of| *as_of <= now);
    }
    // What is on a node that is about to go is not seen by a later process.
    let hurry = view.machines.iter().any(|m| m.leaving || m.node.as_ref().is_some_and(|n| n.draining_since.is_some()));
    books.show(cluster, hurry);
    if let Some(reckoned) = reckoned {
        memory.settle(ctx, reckoned);
    }
    tell_runs(ctx, memory, &owners, hurry).await?;
    tell_schedules(cluster, ctx, memory, hurry).await
}

/// The runs of a cluster that go on, or whose time is not told for good, by `namespace/name`.
fn owners(cluster: &ScoringCluster, ctx: &Ctx, books: &Books) -> BTreeMap<String, Owner> {
    let name = name_of(cluster);
    let mut owners = BTreeMap::new();
    for guard in ctx.caches.runs.all() {
        let Ok(run) = &guard.0 else { continue };
        let Some(status) = run.status.as_ref().filter(|status| status.cluster.as_deref() == Some(name)) else {
            continue;
        };
        let is_told = status.node_seconds_final || status.node_seconds.is_none() && !books.knows(uid_of(run));
        if is_told && !goes_on(run) {
            continue;
        }
        let schedule = ctx.caches.schedules.get(namespace_of(run), &run.spec.schedule_name);
        let ours = |guard: &Guard<ScoringSchedule>| guard.0.as_ref().is_ok_and(|s| s.spec.cluster_ref.name == name);
        owners.insert(key_of(run), Owner { schedule: schedule.filter(|guard| ours(guard)), run: guard.clone() });
    }
    owners
}

/// Whether an account is to be told, though its run goes on.
pub(super) fn is_due(account: &Account, written: &Written, hurry: bool, now: Timestamp) -> bool {
    let age = now.duration_since(written.at);
    let news = account.ended > written.as_of;
    news && (hurry || age >= GATHER) || account.living && age >= GROWS
}

/// How a run stands with what nodes were for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// More may come.
    GoesOn,
    /// It is over, and no pod of it is on a node.
    Over,
    /// It is over, and never had pods.
    Nothing,
}

pub(super) fn stand(run: &ScoringRun, job: Option<&Job>, account: &Account) -> Stand {
    let state = run.status.as_ref().and_then(|status| status.state.as_deref());
    let over = match job {
        _ if !goes_on(run) => true,
        Some(job) => job_is_over(job) || is_suspended(job),
        None => state == Some("Archiving"),
    };
    match over && !account.living {
        false => Stand::GoesOn,
        true if job.is_none() && account.total().as_secs() == 0 => Stand::Nothing,
        true => Stand::Over,
    }
}

async fn tell_runs(ctx: &Ctx, memory: &mut Memory, owners: &BTreeMap<String, Owner>, hurry: bool) -> Result<(), Error> {
    let now = ctx.now();
    let uids: BTreeSet<&str> = owners.values().filter_map(Owner::run).map(uid_of).collect();
    memory.cost.retain_runs(|uid| uids.contains(uid));
    let mut told = 0;
    let mut parts = Vec::new();
    for owner in owners.values() {
        let Some(run) = owner.run() else { continue };
        let uid = uid_of(run);
        let Some((account, written)) = memory.cost.of(uid) else { continue };
        let job = ctx.caches.jobs.get(namespace_of(run), name_of(run));
        match stand(run, job.as_deref(), &account) {
            Stand::Nothing => {
                if !goes_on(run) {
                    memory.cost.close(uid);
                }
                continue;
            }
            Stand::Over => memory.cost.last(uid, &account),
            Stand::GoesOn if told < MOST && is_due(&account, &written, hurry, now) => told += 1,
            Stand::GoesOn => continue,
        }
        let slots =
            memory.slots.get(uid).map(|(slots, _)| *slots).or(run.status.as_ref().and_then(|status| status.slots));
        parts.push((owner.run.clone(), memory.cost.part(run, slots)));
    }
    let write = |(run, part): (Arc<Guard<ScoringRun>>, RunPart)| async move {
        let api: Api<Guard<ScoringRun>> = Api::namespaced(ctx.client.clone(), namespace_of(&*run));
        there(MANAGER.status(&api, &*run, None, &part).await).map(|written| written.then_some((run, part)))
    };
    let mut done = stream::iter(parts.into_iter().map(write)).buffer_unordered(AT_A_TIME);
    let mut failed = Ok(());
    while let Some(written) = done.next().await {
        match written {
            Ok(Some((run, part))) => memory.cost.wrote(uid_of(&*run), &part, now),
            Ok(None) => {}
            Err(error) => failed = Err(error),
        }
    }
    failed
}

/// The part of a schedule's status that this controller owns.
#[derive(PartialEq, Serialize)]
struct Part {
    cost: ScheduleCost,
}

async fn tell_schedules(cluster: &ScoringCluster, ctx: &Ctx, memory: &mut Memory, hurry: bool) -> Result<(), Error> {
    let now = ctx.now();
    let mut told = 0;
    let mut parts = Vec::new();
    for (uid, (namespace, name)) in memory.cost.schedules.clone() {
        let guard = ctx.caches.schedules.get(&namespace, &name);
        let schedule = guard.as_ref().and_then(|guard| guard.0.as_ref().ok());
        let ours = |s: &&ScoringSchedule| uid_of(*s) == uid && s.spec.cluster_ref.name == name_of(cluster);
        if schedule.filter(ours).is_none() {
            memory.cost.close(&uid);
            continue;
        }
        let Some((account, written)) = memory.cost.of(&uid) else { continue };
        // The end of a run is told at once.
        let over = !account.living && account.ended > written.as_of;
        let Some(cost) = memory.cost.of_schedule(&uid) else { continue };
        // Nothing has to happen for a month to be over.
        let shown = schedule.and_then(|schedule| schedule.status.as_ref()?.cost.as_ref());
        let turned = shown.is_some_and(|shown| shown.month != cost.month);
        if !over && (told >= MOST || !turned && !is_due(&account, &written, hurry, now)) {
            continue;
        }
        told += u8::from(!over) as usize;
        parts.extend(guard.map(|guard| (guard, cost)));
    }
    let write = |(guard, cost): (Arc<Guard<ScoringSchedule>>, ScheduleCost)| async move {
        let api: Api<Guard<ScoringSchedule>> = Api::namespaced(ctx.client.clone(), namespace_of(&*guard));
        let as_of = cost.as_of;
        let written = there(MANAGER.status(&api, &*guard, None, &Part { cost }).await);
        written.map(|written| written.then_some((guard, as_of)))
    };
    let mut done = stream::iter(parts.into_iter().map(write)).buffer_unordered(AT_A_TIME);
    let mut failed = Ok(());
    while let Some(written) = done.next().await {
        match written {
            Ok(Some((guard, as_of))) => memory.cost.wrote_schedule(uid_of(&*guard), as_of, now),
            Ok(None) => {}
            Err(error) => failed = Err(error),
        }
    }
    failed
}

/// Whether it was written: one that is gone is no error.
fn there(result: Result<bool, Error>) -> Result<bool, Error> {
    match result {
        Err(Error::Api { source, .. }) if is_code(&source, 404) || is_code(&source, 409) => Ok(false),
        result => result,
    }
}

/// Publishes once that the budget is spent, for each month and each budget.
pub(in crate::cluster) async fn tell_budget(cluster: &ScoringCluster, ctx: &Ctx, memory: &mut Memory) {
    match memory.cost.exceeded(cluster, ctx.now()) {
        // A process before this one has told it.
        Some(spent) if !memory.told.contains_key(EXCEEDED) && was_exceeded(cluster) => {
            memory.told.insert(EXCEEDED, spent.note);
        }
        Some(spent) => step::tell(cluster, ctx, memory, true, EXCEEDED, EXCEEDED, &spent.note).await,
        None => drop(memory.told.remove(EXCEEDED)),
    }
}
