//! Objects whose spec does not deserialise: they break no watch, and are told so in their status.

use std::fmt::Debug;

use crds::Condition;
use kube::api::{Api, DynamicObject, ObjectMeta, Patch, PatchParams};
use kube::core::ApiResource;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use serde_json::json;

use crate::Error;
use crate::apply::Manager;
use crate::conditions::Conditions;
use crate::context::Ctx;

/// Sets one condition (type, status, reason) that says what is wrong with the spec. Nothing is written when it is there.
///
/// # Errors
/// When the API server refuses or is not reached.
pub async fn report<K>(
    ctx: &Ctx,
    manager: Manager,
    metadata: &ObjectMeta,
    error: &str,
    (type_, status, reason): (&str, &str, &str),
) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug,
{
    let resource = ApiResource::erase::<K>(&());
    let name = metadata.name.as_deref().unwrap_or_default();
    let api: Api<DynamicObject> = match metadata.namespace.as_deref() {
        Some(namespace) => Api::namespaced_with(ctx.client.clone(), namespace, &resource),
        None => Api::all_with(ctx.client.clone(), &resource),
    };
    let key = ObjectRef::<K>::new(name).within(metadata.namespace.as_deref().unwrap_or_default());
    // What the cache has of it is only its metadata.
    let Some(object) = api.get_opt(name).await.map_err(Error::api("read", &key))? else { return Ok(()) };
    let current = object.data.pointer("/status/conditions").cloned().unwrap_or_default();
    let current: Vec<Condition> = serde_json::from_value(current).unwrap_or_default();
    let generation = object.meta().generation;
    let mut conditions = Conditions::of(&current, generation, ctx.now());
    let message = format!("the spec makes no sense: {error}");
    conditions.set(type_, status == "True", reason, message);
    let conditions = conditions.into_vec();
    if conditions == current {
        return Ok(());
    }
    let patch = json!({
        "apiVersion": resource.api_version, "kind": resource.kind,
        "metadata": {"name": name, "uid": object.uid()},
        "status": {"observedGeneration": generation, "conditions": conditions},
    });
    let params = PatchParams::apply(manager.0).force();
    api.patch_status(name, &params, &Patch::Apply(&patch)).await.map_err(Error::api("write status of", &key))?;
    Ok(())
}
