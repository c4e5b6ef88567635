//! What the run controller writes: one request per action, and each may be the last.

use std::fmt::Debug;
use std::sync::Arc;

use crds::{ScoringRun, names};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, Resource};
use planner::run::Action;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use spec::request::Spent;

use super::MANAGER;
use super::ends::{self, Memory};
use super::last_words;
use super::manifests::{Frozen, archive_name, plan_name};
use super::observe::Observed;
use crate::cache::Cache;
use crate::cluster::PoolNodes;
use crate::context::{Ctx, label, name_of, namespace_of, uid_of};
use crate::error::{Error, is_code};
use crate::finalizer;
use crate::schedule::is_owned;

/// Does one action. What is only recorded is written with the status, after all others.
pub(super) async fn act(
    ctx: &Ctx,
    memory: &Memory,
    run: &ScoringRun,
    observed: &Observed,
    action: Action,
) -> Result<(), Error> {
    if !matches!(action, Action::RecordPlan | Action::Finish(_)) {
        tracing::debug!(run = name_of(run), namespace = namespace_of(run), ?action, "act");
    }
    let name = name_of(run);
    match action {
        Action::AddFinalizer => hold(ctx, run, true).await,
        Action::RemoveFinalizer => hold(ctx, run, false).await,
        Action::CreateRequest => create(&ctx.client, run, &frozen(run, observed)?.config_map(run)?).await,
        Action::CreatePlan => {
            let frozen = frozen(run, observed)?;
            create(&ctx.client, run, &frozen.plan(run)?).await
        }
        Action::CreateArchive => {
            let frozen = frozen(run, observed)?;
            create(&ctx.client, run, &frozen.archive(run)?).await
        }
        Action::CreateJob { parallelism } => create_items(ctx, run, observed, parallelism).await,
        Action::Raise { parallelism } => {
            // With the version that was decided upon: a newer Job may have a higher parallelism already.
            let version = observed.job.as_ref().and_then(|job| job.metadata.resource_version.clone());
            let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"parallelism": parallelism}});
            patch_job(ctx, run, &patch).await
        }
        Action::StopJob => patch_job(ctx, run, &json!({"spec": {"suspend": true}})).await,
        Action::Checkpoint => checkpoint(ctx, memory, run, observed).await,
        Action::DeletePlan => delete_job(ctx, run, &plan_name(name)).await,
        Action::DeleteArchive => delete_job(ctx, run, &archive_name(name)).await,
        Action::DeleteJobs => delete_all(ctx, memory, run, &ctx.caches.jobs).await,
        Action::DeleteConfigMaps => delete_all(ctx, memory, run, &ctx.caches.config_maps).await,
        Action::RecordPlan | Action::Finish(_) => Ok(()),
    }
}

fn frozen<'a>(run: &ScoringRun, observed: &'a Observed) -> Result<&'a Frozen, Error> {
    let missing = || Error::Incomplete { kind: "ScoringRun", name: name_of(run).to_owned(), field: "frozen request" };
    observed.frozen.as_ref().ok_or_else(missing)
}

fn params() -> PostParams {
    PostParams { field_manager: Some(MANAGER.0.to_owned()), ..PostParams::default() }
}

fn patch_params() -> PatchParams {
    PatchParams { field_manager: Some(MANAGER.0.to_owned()), ..PatchParams::default() }
}

/// What became of an object that was to be created.
enum Created {
    Now,
    /// The run has it already; that is what the API server said to another.
    Before(kube::Error),
}

/// Creates an object of the run. One that a process made before it died is taken as it is.
async fn create<K>(client: &Client, run: &ScoringRun, object: &K) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Serialize,
{
    create_new(client, run, object).await.map(drop)
}

async fn create_new<K>(client: &Client, run: &ScoringRun, object: &K) -> Result<Created, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Serialize,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace_of(run));
    let key = ObjectRef::from_obj(object);
    let error = match api.create(&params(), object).await {
        Ok(_) => return Ok(Created::Now),
        Err(error) => error,
    };
    if !is_code(&error, 409) {
        return Err(Error::api("create", &key)(error));
    }
    match api.get_metadata_opt(name_of(object)).await.map_err(Error::api("read", &key))? {
        Some(there) if is_owned(&there, uid_of(run)) => Ok(Created::Before(error)),
        Some(_) => Err(Error::NameTaken { object: key.to_string() }),
        None => Err(Error::api("create", &key)(error)),
    }
}

async fn create_items(ctx: &Ctx, run: &ScoringRun, observed: &Observed, parallelism: u32) -> Result<(), Error> {
    let frozen = frozen(run, observed)?;
    let cluster = ctx.caches.clusters.get_global(&frozen.schedule.cluster_ref.name);
    let Some(cluster) = cluster.as_deref().and_then(|guard| guard.0.as_ref().ok()) else {
        return Err(Error::Incomplete {
            kind: "ScoringCluster",
            name: frozen.schedule.cluster_ref.name.clone(),
            field: "valid spec, or was deleted",
        });
    };
    let pool = PoolNodes::of(cluster);
    let items = observed.view.planned.unwrap_or_default();
    create(&ctx.client, run, &frozen.items(run, items, parallelism, &pool)?).await
}

/// Writes all ends that are known. The version that was read goes with them, so that none is lost to a cache that lags.
async fn checkpoint(ctx: &Ctx, memory: &Memory, run: &ScoringRun, observed: &Observed) -> Result<(), Error> {
    let (mut all, mut new) = (observed.ends.clone(), observed.unfolded.clone());
    last_words::ask(&ctx.client, namespace_of(run), &all, &mut new).await;
    ends::add(&mut all, new);
    all.spent = all.spent.or_else(|| spent(run));
    let mut map = frozen(run, observed)?.ends_config_map(run, &all)?;
    let api: Api<ConfigMap> = Api::namespaced(ctx.client.clone(), namespace_of(run));
    let key = ObjectRef::from_obj(&map);
    match &observed.checkpoint {
        None => match create_new(&ctx.client, run, &map).await? {
            Created::Now => {}
            // The cache is behind: what it holds has to be read first.
            Created::Before(error) => return Err(Error::api("create", &key)(error)),
        },
        Some(old) => {
            map.metadata.resource_version.clone_from(&old.metadata.resource_version);
            api.replace(name_of(&map), &params(), &map).await.map_err(Error::api("replace", &key))?;
        }
    }
    ctx.metrics.folded.inc_by(u64::try_from(observed.unfolded.len()).unwrap_or(u64::MAX));
    memory.checkpointed(uid_of(run), ctx.now());
    Ok(())
}

/// What the nodes were for the run, once that is told for good.
fn spent(run: &ScoringRun) -> Option<Spent> {
    let status = run.status.as_ref().filter(|status| status.node_seconds_final)?;
    let (cost, currency) = (status.cost, status.currency.clone());
    Some(Spent { node_seconds: status.node_seconds?, cost, currency })
}

async fn patch_job(ctx: &Ctx, run: &ScoringRun, patch: &Value) -> Result<(), Error> {
    let api: Api<Job> = Api::namespaced(ctx.client.clone(), namespace_of(run));
    let key = ObjectRef::<Job>::new(name_of(run)).within(namespace_of(run));
    api.patch(name_of(run), &patch_params(), &Patch::Merge(patch)).await.map_err(Error::api("patch", &key))?;
    Ok(())
}

async fn delete_job(ctx: &Ctx, run: &ScoringRun, name: &str) -> Result<(), Error> {
    let api: Api<Job> = Api::namespaced(ctx.client.clone(), namespace_of(run));
    let key = ObjectRef::<Job>::new(name).within(namespace_of(run));
    match api.delete(name, &DeleteParams::background()).await {
        Ok(_) => Ok(()),
        Err(error) if is_code(&error, 404) => Ok(()),
        Err(error) => Err(Error::api("delete", &key)(error)),
    }
}

/// Deletes all of the run's objects of a kind.
async fn delete_all<K>(ctx: &Ctx, memory: &Memory, run: &ScoringRun, cache: &Cache<K>) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    if !memory.may_sweep(uid_of(run), &K::kind(&()), ctx.now()) {
        return Ok(());
    }
    let mut labelled = cache.all();
    labelled.retain(|k| namespace_of(&**k) == namespace_of(run) && label(&**k, names::RUN) == Some(name_of(run)));
    delete_owned(&ctx.client, run, &labelled).await
}

/// Deletes those of the labelled objects that are the run's own: with one request, where all of them are.
async fn delete_owned<K>(client: &Client, run: &ScoringRun, labelled: &[Arc<K>]) -> Result<(), Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace_of(run));
    let failed = |error| Error::api("delete the children of", &ObjectRef::from_obj(run))(error);
    let (own, others): (Vec<_>, Vec<_>) = labelled.iter().partition(|object| is_owned(&***object, uid_of(run)));
    if others.is_empty() {
        let of_run = ListParams::default().labels(&format!("{}={}", names::RUN, name_of(run)));
        api.delete_collection(&DeleteParams::background(), &of_run).await.map_err(failed)?;
        return Ok(());
    }
    for object in own.into_iter().filter(|object| object.meta().deletion_timestamp.is_none()) {
        let preconditions = Preconditions { uid: object.meta().uid.clone(), resource_version: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        match api.delete(name_of(&**object), &params).await {
            Err(error) if !is_code(&error, 404) && !is_code(&error, 409) => return Err(failed(error)),
            _ => {}
        }
    }
    Ok(())
}

async fn hold(ctx: &Ctx, run: &ScoringRun, hold: bool) -> Result<(), Error> {
    let api = Api::namespaced(ctx.client.clone(), namespace_of(run));
    finalizer::set(&api, MANAGER, run, names::FINALIZER, hold).await
}

#[cfg(test)]
mod tests;
