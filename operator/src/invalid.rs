//! Objects whose spec does not deserialise: they break no watch, and are told so in their status.

use std::collections::BTreeSet;
use std::fmt::Debug;

use crds::Condition;
use kube::api::{Api, DynamicObject, ObjectMeta, Patch, PatchParams};
use kube::core::ApiResource;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::apply::Manager;
use crate::conditions::Conditions;
use crate::context::Ctx;

/// Sets one condition (type, status, reason) that says what is wrong with the spec, and what else follows for the status.
/// Nothing is written when the condition is there; returns whether it was.
///
/// # Errors
/// When the API server refuses or is not reached.
pub async fn report<K>(
    ctx: &Ctx,
    manager: Manager,
    metadata: &ObjectMeta,
    error: &str,
    (type_, status, reason): (&str, &str, &str),
    also: impl FnOnce(&mut Map<String, Value>),
) -> Result<bool, Error>
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
    let Some(object) = api.get_opt(name).await.map_err(Error::api("read", &key))? else { return Ok(false) };
    let current = object.data.pointer("/status/conditions").cloned().unwrap_or_default();
    let current: Vec<Condition> = serde_json::from_value(current).unwrap_or_default();
    let generation = object.meta().generation;
    let mut conditions = Conditions::of(&current, generation, ctx.now());
    let message = format!("the spec makes no sense: {error}");
    conditions.set(type_, status == "True", reason, message);
    let conditions = conditions.into_vec();
    if conditions == current {
        return Ok(false);
    }
    let mut status = own_status(&object, manager);
    also(&mut status);
    status.insert("observedGeneration".to_owned(), json!(generation));
    status.insert("conditions".to_owned(), json!(conditions));
    let patch = json!({
        "apiVersion": resource.api_version, "kind": resource.kind,
        "metadata": {"name": name, "uid": object.uid()},
        "status": status,
    });
    let params = PatchParams::apply(manager.0).force();
    api.patch_status(name, &params, &Patch::Apply(&patch)).await.map_err(Error::api("write status of", &key))?;
    Ok(true)
}

/// The fields of the status that this manager wrote: what it applies without them, it takes away.
fn own_status(object: &DynamicObject, manager: Manager) -> Map<String, Value> {
    let entries = object.managed_fields().iter().filter(|entry| entry.manager.as_deref() == Some(manager.0));
    let fields = entries.filter_map(|entry| entry.fields_v1.as_ref()?.0.get("f:status")?.as_object());
    let own: BTreeSet<&str> = fields.flat_map(Map::keys).filter_map(|field| field.strip_prefix("f:")).collect();
    let status = object.data.get("status").and_then(Value::as_object);
    let all = status.into_iter().flatten().filter(|(field, _)| own.contains(field.as_str()));
    all.map(|(field, value)| (field.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_manager_wrote_before_stays_and_what_another_wrote_is_left_to_that() {
        let object: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
            "metadata": {"name": "r", "managedFields": [
                {"manager": "a", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {"f:state": {}}}},
                {"manager": "b", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {"f:slots": {}}}},
            ]},
            "status": {"state": "Running", "slots": 3},
        }))
        .unwrap();
        assert_eq!(Value::Object(own_status(&object, Manager("a"))), json!({"state": "Running"}));
        assert_eq!(Value::Object(own_status(&object, Manager("b"))), json!({"slots": 3}));
        assert!(own_status(&object, Manager("c")).is_empty());
    }
}
