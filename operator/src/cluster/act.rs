//! Writes: slots of runs, cordons, machines, counts.

use crds::ScoringRun;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use serde_json::json;

use super::folded::Folded;
use super::machines::DRAINING;
use super::memory::Memory;
use super::pods;
use super::work::Work;
use crate::apply::Manager;
use crate::conditions::whole_seconds;
use crate::context::{key_of, name_of, namespace_of, uid_of};
use crate::error::is_code;
use crate::{Ctx, Error};

/// The field manager of what this controller writes.
pub(super) const MANAGER: Manager = Manager("batchscoring.dev/cluster");

/// Tells a run how many slots it has, if that is news. A run that is gone is no error.
///
/// # Errors
/// When the API server refuses or is not reached.
pub(super) async fn grant(ctx: &Ctx, work: &Work, slots: u32, memory: &mut Memory) -> Result<(), Error> {
    let run = &*work.run;
    let uid = uid_of(run).to_owned();
    let shown = run.status.as_ref().and_then(|status| status.slots).unwrap_or_default();
    // Nobody acts on fewer slots than the Job's pods: a Job's parallelism is only ever raised. Told at each end of a pod,
    // they would go up and down.
    let job = ctx.caches.jobs.get(namespace_of(run), name_of(run));
    let parallelism = job.and_then(|job| job.spec.as_ref()?.parallelism).and_then(|most| u32::try_from(most).ok());
    if shown == slots || shown > slots && parallelism.is_some_and(|most| most >= shown) {
        memory.slots.remove(&uid);
        return Ok(());
    }
    // The cache may be behind what was written a moment ago.
    if memory.slots.get(&uid) == Some(&slots) {
        return Ok(());
    }
    let api: Api<ScoringRun> = Api::namespaced(ctx.client.clone(), namespace_of(run));
    let part = memory.cost.part(run, Some(slots));
    match MANAGER.status(&api, run, None, &part).await {
        Ok(_) => {
            memory.cost.wrote(run, &part, ctx.now());
            tracing::info!(run = %work.demand.run, slots, "slots");
            memory.slots.insert(uid, slots);
            Ok(())
        }
        Err(Error::Api { source, .. }) if is_code(&source, 404) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Lets nothing new onto a node (and writes on it since when), or lets pods onto it again.
///
/// # Errors
/// When the API server refuses or is not reached.
pub(super) async fn cordon(ctx: &Ctx, name: &str, cordoned: bool) -> Result<(), Error> {
    let since = cordoned.then(|| whole_seconds(ctx.now()).to_string());
    let patch = json!({
        "metadata": { "annotations": { DRAINING: since } },
        "spec": { "unschedulable": cordoned.then_some(true) },
    });
    let api: Api<Node> = Api::all(ctx.client.clone());
    let verb = if cordoned { "cordon" } else { "uncordon" };
    tracing::info!(node = name, "{verb}");
    match api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Err(error) if is_code(&error, 404) => Ok(()),
        result => result.map(drop).map_err(Error::api(verb, &ObjectRef::<Node>::new(name))),
    }
}

/// Removes a Node whose machine is gone.
///
/// # Errors
/// When the API server refuses or is not reached.
pub(super) async fn forget(ctx: &Ctx, name: &str) -> Result<(), Error> {
    tracing::info!(node = name, "remove the node of a machine that is gone");
    let api: Api<Node> = Api::all(ctx.client.clone());
    match api.delete(name, &DeleteParams::default()).await {
        Err(error) if is_code(&error, 404) => Ok(()),
        result => result.map(drop).map_err(Error::api("delete", &ObjectRef::<Node>::new(name))),
    }
}

/// All pods on a node, as the API server has them at this moment.
///
/// # Errors
/// When the API server refuses or is not reached.
pub(super) async fn pods_on(ctx: &Ctx, name: &str) -> Result<Vec<Pod>, Error> {
    let on_node = ListParams::default().fields(&format!("spec.nodeName={name}"));
    let api: Api<Pod> = Api::all(ctx.client.clone());
    let list = api.list(&on_node).await.map_err(Error::api("list the pods on", &ObjectRef::<Node>::new(name)))?;
    Ok(list.items)
}

/// Whether a pod has ended on the node, as the API server has it at this moment, whose end is not written down yet.
///
/// # Errors
/// When the API server refuses or is not reached.
pub(super) async fn has_unfolded(ctx: &Ctx, name: &str) -> Result<bool, Error> {
    let pods = pods_on(ctx, name).await?;
    let mut folded = Folded::of(ctx);
    Ok(pods.iter().any(|pod| pods::has_ended(pod) && !folded.has(pod)))
}

/// Looks at a node live: what is on it that must not be lost, if anything.
///
/// # Errors
/// When the API server refuses or is not reached.
pub(super) async fn held_by(ctx: &Ctx, name: &str) -> Result<Option<String>, Error> {
    let pods = pods_on(ctx, name).await?;
    let mut folded = Folded::of(ctx);
    let holds = |pod: &&Pod| !(pods::belongs_to_node(pod) || pods::has_ended(pod) && folded.has(pod));
    Ok(pods.iter().find(holds).map(key_of))
}
