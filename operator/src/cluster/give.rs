//! Writes: slots of runs, and which of their pods start.

use std::sync::Arc;

use crds::ScoringRun;
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;

use super::act::MANAGER;
use super::memory::Memory;
use super::reconcile::{GATHER, Scene};
use super::replace;
use super::work::Work;
use crate::context::{namespace_of, uid_of};
use crate::error::is_code;
use crate::{Ctx, Error, gate};

/// How many pods are let go in one look, at most: what comes meanwhile is seen by the next.
const STARTS: usize = 500;
/// How many pods are let go at a time.
const AT_A_TIME: usize = 16;

/// Tells the runs their slots, and lets as many of their pods go as there is room for. Until the pool has been `seen` once,
/// nothing is promised: the slots that runs have stay as they are. What is refused to one run holds up no other.
///
/// # Errors
/// When the API server refuses or is not reached: the first of several.
pub(super) async fn to_runs(ctx: &Ctx, scene: &Scene, seen: bool, memory: &mut Memory) -> Result<(), Error> {
    let live: Vec<&str> = scene.work.iter().map(|work| uid_of(&*work.run)).collect();
    memory.slots.retain(|uid, _| live.contains(&uid.as_str()));
    let mut done = Ok(());
    let mut starting = Vec::new();
    for work in &scene.work {
        let demand = &work.demand;
        if let Some(slots) = scene.grants.slots.get(&demand.run).filter(|_| seen) {
            done = done.and(grant(ctx, work, *slots, memory).await);
        }
        let starts = scene.grants.starts.get(&demand.run).copied().unwrap_or_default();
        let off = scene.off.get(&demand.run).map(Vec::as_slice).unwrap_or_default();
        let pods = work.held.iter().take(usize::try_from(starts).unwrap_or(usize::MAX));
        starting.extend(pods.map(|pod| (pod.clone(), off.to_vec())));
    }
    // Not the same ones each time, where some are refused.
    if starting.len() > STARTS {
        let first = usize::try_from(ctx.now().as_second()).unwrap_or_default() % starting.len();
        starting.rotate_left(first);
        starting.truncate(STARTS);
    }
    replace::homeless(ctx, &scene.pods, &mut memory.homeless).await;
    done.and(let_go(ctx, starting, memory).await)
}

/// Tells a run how many slots it has, if that is news. Fewer are told now and then only: as pods of several runs end, they
/// go down one by one. A run that is gone is no error.
async fn grant(ctx: &Ctx, work: &Work, slots: u32, memory: &mut Memory) -> Result<(), Error> {
    let run = &*work.run;
    let now = ctx.now();
    let shown = run.status.as_ref().and_then(|status| status.slots).unwrap_or_default();
    // The cache may be behind what was written a moment ago.
    let told = memory.slots.get(uid_of(run)).filter(|(_, at)| now.duration_since(*at) < GATHER);
    let (told, recently) = told.map_or((shown, false), |(told, _)| (*told, true));
    if told == slots || told > slots && recently {
        return Ok(());
    }
    let api: Api<ScoringRun> = Api::namespaced(ctx.client.clone(), namespace_of(run));
    let part = memory.cost.part(run, Some(slots));
    match MANAGER.status(&api, run, None, &part).await {
        Ok(_) => {
            memory.cost.wrote(uid_of(run), &part, now);
            tracing::info!(run = %work.demand.run, slots, "slots");
            memory.slots.insert(uid_of(run).to_owned(), (slots, now));
            Ok(())
        }
        Err(Error::Api { source, .. }) if is_code(&source, 404) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Lets pods go, several at a time, each with the hosts that it is to keep off. Where one cannot be, the others are all the same.
async fn let_go(ctx: &Ctx, pods: Vec<(Arc<Pod>, Vec<String>)>, memory: &mut Memory) -> Result<(), Error> {
    let one = |(pod, off): (Arc<Pod>, Vec<String>)| async move { (gate::let_go(ctx, &pod, &off).await, pod) };
    let done: Vec<_> = stream::iter(pods.into_iter().map(one)).buffer_unordered(AT_A_TIME).collect().await;
    let mut failed = Ok(());
    for (result, pod) in done {
        match result {
            Ok(true) => drop(memory.let_go.insert(uid_of(&*pod).to_owned())),
            Ok(false) => {}
            Err(error) => failed = Err(error),
        }
    }
    failed
}
