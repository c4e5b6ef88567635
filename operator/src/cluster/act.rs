//! Writes: cordons, nodes that are gone. And what is on a node at this moment.

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use serde_json::{Value, json};

use super::folded::{Folded, Read};
use super::machines::{DELETING, DRAINING};
use super::pods;
use crate::apply::Manager;
use crate::conditions::whole_seconds;
use crate::context::key_of;
use crate::error::is_code;
use crate::{Ctx, Error};

/// The field manager of what this controller writes.
pub(super) const MANAGER: Manager = Manager("batchscoring.dev/cluster");

/// Lets nothing new onto a node (and writes on it since when), or lets pods onto it again, since it is not to be deleted.
///
/// # Errors
/// When the API server refuses or is not reached.
pub(super) async fn cordon(ctx: &Ctx, name: &str, cordoned: bool) -> Result<(), Error> {
    let since = cordoned.then(|| whole_seconds(ctx.now()).to_string());
    let patch = json!({
        "metadata": { "annotations": { DRAINING: since, DELETING: null } },
        "spec": { "unschedulable": cordoned.then_some(true) },
    });
    let verb = if cordoned { "cordon" } else { "uncordon" };
    tracing::info!(node = name, "{verb}");
    change(ctx, name, verb, &patch).await
}

/// Writes on a node that is cordoned that its machine's deletion is asked for, or that it was refused: whoever comes next must
/// not take it back into service while AKS deletes it.
///
/// # Errors
/// When the API server refuses or is not reached.
pub(super) async fn deleting(ctx: &Ctx, name: &str, asked: bool) -> Result<(), Error> {
    let since = asked.then(|| whole_seconds(ctx.now()).to_string());
    change(ctx, name, "annotate", &json!({ "metadata": { "annotations": { DELETING: since } } })).await
}

/// Changes a node, if it is there.
async fn change(ctx: &Ctx, name: &str, verb: &'static str, patch: &Value) -> Result<(), Error> {
    let api: Api<Node> = Api::all(ctx.client.clone());
    match api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
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
    let mut folded = Folded::of(ctx, Read::new());
    Ok(pods.iter().any(|pod| pods::has_ended(pod) && !folded.has(pod)))
}

/// Looks at a node live: what is on it that must not be lost, if anything.
///
/// # Errors
/// When the API server refuses or is not reached.
pub(super) async fn held_by(ctx: &Ctx, name: &str) -> Result<Option<String>, Error> {
    let pods = pods_on(ctx, name).await?;
    let mut folded = Folded::of(ctx, Read::new());
    let holds = |pod: &&Pod| !(pods::belongs_to_node(pod) || pods::has_ended(pod) && folded.has(pod));
    Ok(pods.iter().find(holds).map(key_of))
}
