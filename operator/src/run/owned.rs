//! The runs of an owner, made, cancelled and deleted: of a schedule for its ticks, of a backfill for its windows.

use std::collections::BTreeMap;

use crds::{ScoringRun, ScoringRunSpec, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Resource};
use serde_json::json;

use crate::Error;
use crate::apply::Manager;
use crate::context::{Ctx, name_of, namespace_of, uid_of};
use crate::error::is_code;
use crate::guard::Guard;
use crate::schedule::is_owned;

/// What became of a run that was to be made.
pub(crate) enum Made {
    /// It was made now.
    New,
    /// It was made before, by a process that died before it could say so, or by a look at caches that lag behind.
    Before,
    /// Something else has its name.
    NameTaken,
}

/// Makes a run, finalizer and all, or finds the one that was made before.
pub(crate) async fn make(
    ctx: &Ctx,
    manager: Manager,
    namespace: &str,
    name: &str,
    owner: OwnerReference,
    spec: ScoringRunSpec,
) -> Result<Made, Error> {
    let uid = owner.uid.clone();
    let run = ScoringRun {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(BTreeMap::from([(names::SCHEDULE.to_owned(), spec.schedule_name.clone())])),
            owner_references: Some(vec![owner]),
            finalizers: Some(vec![names::FINALIZER.to_owned()]),
            ..ObjectMeta::default()
        },
        spec,
        status: None,
    };
    let api: Api<ScoringRun> = Api::namespaced(ctx.client.clone(), namespace);
    let params = PostParams { field_manager: Some(manager.0.to_owned()), ..PostParams::default() };
    match api.create(&params, &run).await {
        Ok(_) => Ok(Made::New),
        Err(error) if is_code(&error, 409) => {
            let there = api.get_metadata_opt(name).await;
            match there.map_err(Error::api("read", &ObjectRef::from_obj(&run)))? {
                Some(there) if is_owned(&there, &uid) => Ok(Made::Before),
                Some(_) => Ok(Made::NameTaken),
                // Gone in between: try again.
                None => Err(Error::api("create", &ObjectRef::from_obj(&run))(error)),
            }
        }
        Err(error) => Err(Error::api("create", &ObjectRef::from_obj(&run))(error)),
    }
}

/// The runs of a schedule that can be read, as the API server has them now; for their owner.
pub(crate) async fn live<K>(ctx: &Ctx, owner: &K, schedule: &str) -> Result<Vec<ScoringRun>, Error>
where
    K: Resource<DynamicType = ()>,
{
    let api: Api<Guard<ScoringRun>> = Api::namespaced(ctx.client.clone(), namespace_of(owner));
    let of_schedule = ListParams::default().labels(&format!("{}={schedule}", names::SCHEDULE));
    let all = api.list(&of_schedule).await.map_err(Error::api("list the runs of", &ObjectRef::from_obj(owner)))?;
    Ok(all.items.into_iter().filter_map(|guard| guard.0.ok()).collect())
}

/// Cancels a run, for another one if need be; whether it was there.
pub(crate) async fn cancel(ctx: &Ctx, manager: Manager, run: &ScoringRun, by: Option<&str>) -> Result<bool, Error> {
    let mut patch = json!({"metadata": {"uid": uid_of(run)}, "spec": {"cancel": true}});
    if let Some(by) = by {
        patch["metadata"]["annotations"] = json!({names::REPLACED_BY: by});
    }
    let params = PatchParams { field_manager: Some(manager.0.to_owned()), ..PatchParams::default() };
    let api: Api<ScoringRun> = Api::namespaced(ctx.client.clone(), namespace_of(run));
    match api.patch(name_of(run), &params, &Patch::Merge(&patch)).await {
        Ok(_) => Ok(true),
        // Gone in between, it does not go on.
        Err(error) if is_code(&error, 404) => Ok(false),
        Err(error) => Err(Error::api("cancel", &ObjectRef::from_obj(run))(error)),
    }
}

/// Deletes a run; whether it was there.
pub(crate) async fn delete(ctx: &Ctx, run: &ScoringRun) -> Result<bool, Error> {
    delete_object(ctx, &run.metadata).await
}

/// The same for a run whose spec may not be readable.
pub(super) async fn delete_object(ctx: &Ctx, metadata: &ObjectMeta) -> Result<bool, Error> {
    let (name, namespace) = (metadata.name.as_deref(), metadata.namespace.as_deref());
    let (name, namespace) = (name.unwrap_or_default(), namespace.unwrap_or_default());
    let preconditions = Preconditions { uid: metadata.uid.clone(), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
    let api: Api<Guard<ScoringRun>> = Api::namespaced(ctx.client.clone(), namespace);
    match api.delete(name, &params).await {
        Ok(_) => Ok(true),
        Err(error) if is_code(&error, 404) || is_code(&error, 409) => Ok(false),
        Err(error) => Err(Error::api("delete", &ObjectRef::<ScoringRun>::new(name).within(namespace))(error)),
    }
}
