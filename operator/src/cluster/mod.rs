//! The controller of ScoringCluster: slots for runs, nodes for slots.

mod act;
mod at_hand;
mod capacity;
mod claim;
mod cost;
mod deallocated;
mod external;
mod folded;
mod foresight;
mod give;
mod hold;
mod lacking;
mod machines;
mod memory;
pub mod metrics;
mod nodes;
mod out_of_service;
mod pods;
mod provider;
mod reconcile;
mod replace;
mod report;
mod step;
mod timing;
pub(crate) mod too_large;
mod trouble;
mod work;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crds::{ScoringCluster, names};
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::runtime::reflector::ObjectRef;

use crate::context::{label, name_of, uid_of};
use crate::guard::Guard;
use crate::{Ctx, Error, controller, finalizer, invalid};

pub(crate) use at_hand::HOST;
pub(crate) use capacity::{capacity, slots};
use memory::Memory;
pub(crate) use nodes::PoolNodes;
pub(crate) use pods::request_of_schedule;
use provider::Provider;
pub(crate) use reconcile::prewarm;

/// How many clusters are looked at at a time.
const AT_A_TIME: u16 = 16;

/// What all reconciles share: the way to Azure, and what is remembered of each cluster.
#[derive(Default)]
struct Shared {
    provider: Provider,
    memories: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Memory>>>>,
}

impl Shared {
    /// What is remembered of a cluster, by its UID: a new one of the same name starts anew.
    fn memory(&self, cluster: &ScoringCluster, ctx: &Ctx) -> Arc<tokio::sync::Mutex<Memory>> {
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(tokio::sync::Mutex::new(Memory::restore(cluster.status.as_ref(), ctx.now())));
        memories.entry(uid_of(cluster).to_owned()).or_insert_with(new).clone()
    }

    /// Forgets clusters that are gone.
    fn retain(&self, ctx: &Ctx) {
        let clusters = ctx.caches.clusters.all();
        let mut memories = self.memories.lock().unwrap_or_else(PoisonError::into_inner);
        let before = memories.len();
        memories.retain(|uid, _| clusters.iter().any(|c| uid_of(&**c) == uid));
        if memories.len() < before {
            let names: Vec<&str> = clusters.iter().map(|c| name_of(&**c)).collect();
            ctx.metrics.pools.retain(&names);
        }
    }
}

type Guarded = Guard<ScoringCluster>;

/// Runs until dropped.
///
/// # Errors
/// When it cannot start.
pub async fn run(ctx: Arc<Ctx>) -> Result<(), Error> {
    let caches = &ctx.caches;
    let store = caches.clusters.store().clone();
    let by_label = |name: Option<&str>| name.map(ObjectRef::<Guarded>::new);
    let of_node = {
        let store = store.clone();
        move |node: &Node| -> Vec<ObjectRef<Guarded>> {
            let has = |c: &Guarded| c.0.as_ref().is_ok_and(|c| PoolNodes::of(c).select(node));
            store.state().iter().filter(|c| has(c)).map(|c| ObjectRef::from_obj(&**c)).collect()
        }
    };
    let of_run = |run: &Guard<crds::ScoringRun>| {
        let run = run.0.as_ref().ok()?;
        run.status.as_ref()?.cluster.as_deref().map(ObjectRef::<Guarded>::new)
    };
    let queue = futures::stream::select_all([
        caches.clusters.own().boxed(),
        caches.runs.concerning(of_run).boxed(),
        caches.jobs.concerning(move |job| by_label(label(job, names::POOL))).boxed(),
        caches.pods.concerning(move |pod| by_label(label(pod, names::POOL))).boxed(),
        caches.config_maps.concerning(move |map| by_label(label(map, names::POOL))).boxed(),
        caches.nodes.concerning(of_node).boxed(),
    ]);
    let shared = Arc::new(Shared::default());
    controller::run(ctx.clone(), "cluster", AT_A_TIME, store, queue, move |cluster: Arc<Guarded>, ctx| {
        let shared = shared.clone();
        async move {
            shared.retain(&ctx);
            match &cluster.0 {
                Ok(cluster) => reconcile::reconcile(cluster, &ctx, &shared).await,
                Err(broken) if broken.metadata.deletion_timestamp.is_some() => {
                    // Which pool it had cannot be read, so there is nothing to wait for.
                    let api: Api<Guarded> = Api::all(ctx.client.clone());
                    if finalizer::is_held(&*cluster, names::NODES_FINALIZER) {
                        finalizer::set(&api, act::MANAGER, &*cluster, names::NODES_FINALIZER, false).await?;
                    }
                    Ok(kube::runtime::controller::Action::await_change())
                }
                Err(broken) => {
                    let condition = ("Ready", "False", "InvalidSpec");
                    let metadata = &broken.metadata;
                    invalid::report::<ScoringCluster>(
                        &ctx,
                        act::MANAGER,
                        metadata,
                        &broken.wrong,
                        &[condition],
                        |_| {},
                    )
                    .await?;
                    Ok(kube::runtime::controller::Action::await_change())
                }
            }
        }
        .boxed()
    })
    .await;
    Ok(())
}
