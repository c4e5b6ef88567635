//! Objects whose spec does not deserialise: they break no watch, and are told so in their status.

use std::collections::BTreeSet;
use std::fmt::Debug;

use crds::Condition;
use jiff::Timestamp;
use kube::api::{Api, DynamicObject, ObjectMeta, Patch, PatchParams};
use kube::core::ApiResource;
use kube::runtime::reflector::ObjectRef;
use kube::{Resource, ResourceExt};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::apply::Manager;
use crate::conditions::Conditions;
use crate::context::Ctx;

/// A condition: its type, status and reason.
type Told<'a> = (&'a str, &'a str, &'a str);

/// The condition's message.
#[must_use]
pub fn message(error: &str) -> String {
    format!("the spec makes no sense: {error}")
}

/// Sets conditions that say what is wrong with the spec, and what else follows for the status. Nothing is written when the
/// conditions are there; returns whether it was.
///
/// # Errors
/// When the API server refuses or is not reached.
pub async fn report<K>(
    ctx: &Ctx,
    manager: Manager,
    metadata: &ObjectMeta,
    error: &str,
    conditions: &[Told<'_>],
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
    let Some(status) = wanted(&object, manager, error, conditions, also, ctx.now()) else { return Ok(false) };
    let patch = json!({
        "apiVersion": resource.api_version, "kind": resource.kind,
        "metadata": {"name": name, "uid": object.uid()},
        "status": status,
    });
    let params = PatchParams::apply(manager.0).force();
    api.patch_status(name, &params, &Patch::Apply(&patch)).await.map_err(Error::api("write status of", &key))?;
    Ok(true)
}

/// The manager's part of the status as it should be, unless it is so.
fn wanted(
    object: &DynamicObject,
    manager: Manager,
    error: &str,
    told: &[Told<'_>],
    also: impl FnOnce(&mut Map<String, Value>),
    now: Timestamp,
) -> Option<Map<String, Value>> {
    let current = object.data.pointer("/status/conditions").cloned().unwrap_or_default();
    let current: Vec<Condition> = serde_json::from_value(current).unwrap_or_default();
    let generation = object.meta().generation;
    let mut conditions = Conditions::of(&current, generation, now);
    for (type_, status, reason) in told {
        conditions.set(type_, *status == "True", reason, message(error));
    }
    let conditions = conditions.into_vec();
    if conditions == current {
        return None;
    }
    let mut status = own_status(object, manager);
    also(&mut status);
    status.insert("observedGeneration".to_owned(), json!(generation));
    status.insert("conditions".to_owned(), json!(conditions));
    Some(status)
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
    fn what_is_wrong_is_written_once_with_all_that_belongs_to_it() {
        let manager = Manager("batchscoring.dev/run");
        let object = |status: &Value| -> DynamicObject {
            let fields: Map<String, Value> =
                status.as_object().unwrap().keys().map(|key| (format!("f:{key}"), json!({}))).collect();
            serde_json::from_value(json!({
                "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun", "status": status,
                "metadata": {"name": "r", "generation": 1, "managedFields": [{"manager": manager.0,
                    "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": fields}}]},
            }))
            .unwrap()
        };
        let ask = |status: &Value, second: i64| {
            let end = |status: &mut Map<String, Value>| {
                status.entry("ended").or_insert_with(|| json!(second));
            };
            let conditions = [("Complete", "False", "InvalidSpec"), ("Failed", "True", "InvalidSpec")];
            let now = Timestamp::from_second(second).unwrap();
            wanted(&object(status), manager, "spec.tick: no time", &conditions, end, now).map(Value::Object)
        };
        let first = ask(&json!({}), 100).unwrap();
        assert_eq!((&first["ended"], &first["observedGeneration"]), (&json!(100), &json!(1)));
        assert_eq!(
            (&first["conditions"][0]["status"], &first["conditions"][1]["status"]),
            (&json!("False"), &json!("True"))
        );
        assert_eq!(first["conditions"][1]["message"], "the spec makes no sense: spec.tick: no time");
        assert_eq!(ask(&first, 200), None);
        let mut half = first;
        half["conditions"].as_array_mut().unwrap().remove(0);
        assert_eq!(ask(&half, 300).unwrap()["ended"], 100, "when it ended stays");
    }

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
