//! What every controller is handed.

use std::sync::Arc;

use crds::{ScoringCluster, ScoringRun, ScoringSchedule, names};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod};
use kube::runtime::watcher::Config;
use kube::{Api, Client, Resource};

use crate::cache::Cache;
use crate::clock::Clock;
use crate::events::Events;
use crate::guard::Guard;
use crate::metrics::Metrics;
use crate::run_pods::RunPods;
use crate::settings::Settings;

/// What every controller is handed. Nothing in it decides anything.
#[derive(Clone)]
pub struct Ctx {
    /// The Kubernetes API.
    pub client: Client,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Metrics,
    /// What the operator was told at its start.
    pub settings: Arc<Settings>,
    /// What is watched.
    pub caches: Caches,
    /// Events for people.
    pub events: Events,
}

impl Ctx {
    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// One watch per kind. Only objects that carry our labels are watched, except for our own resources, Namespaces and nodes,
/// of which only what is read here is kept. An object whose spec does not deserialise is an `Err` in its guard, and breaks no watch.
#[derive(Clone)]
pub struct Caches {
    /// Pools.
    pub clusters: Cache<Guard<ScoringCluster>>,
    /// Schedules.
    pub schedules: Cache<Guard<ScoringSchedule>>,
    /// Runs.
    pub runs: Cache<Guard<ScoringRun>>,
    /// The Jobs of runs.
    pub jobs: Cache<Job>,
    /// The pods of runs: plan, item and archive.
    pub pods: Cache<Pod>,
    /// The same pods, sorted by run.
    pub run_pods: Arc<RunPods>,
    /// The ConfigMaps of runs: `<run>-request` and `<run>-ends`.
    pub config_maps: Cache<ConfigMap>,
    /// All nodes: any label may select those of a pool.
    pub nodes: Cache<Node>,
    /// Namespaces, for their labels.
    pub namespaces: Cache<Namespace>,
}

impl Caches {
    /// Starts all watches.
    #[must_use]
    pub fn watch(client: &Client) -> Self {
        let all = Config::default();
        let of_runs = Config::default().labels(names::RUN);
        let run_pods = Arc::new(RunPods::default());
        Self {
            clusters: Cache::watch(Api::all(client.clone()), all.clone()),
            schedules: Cache::watch(Api::all(client.clone()), all.clone()),
            runs: Cache::watch(Api::all(client.clone()), all.clone()),
            jobs: Cache::watch(Api::all(client.clone()), of_runs.clone()),
            pods: Cache::watch_with(Api::all(client.clone()), of_runs.clone(), |pod| pod, run_pods.clone()),
            run_pods,
            config_maps: Cache::watch(Api::all(client.clone()), of_runs),
            nodes: Cache::watch_with(Api::all(client.clone()), all.clone(), without_images, ()),
            namespaces: Cache::watch(Api::all(client.clone()), all),
        }
    }

    /// Whether a namespace is being deleted: nothing can be created in it any more.
    #[must_use]
    pub fn is_closing(&self, namespace: &str) -> bool {
        self.namespaces.get_global(namespace).is_some_and(|ns| ns.metadata.deletion_timestamp.is_some())
    }

    /// Waits until every store is complete: nothing acts upon a part of the picture.
    pub async fn ready(&self) {
        self.clusters.ready().await;
        self.schedules.ready().await;
        self.runs.ready().await;
        self.jobs.ready().await;
        self.pods.ready().await;
        self.config_maps.ready().await;
        self.nodes.ready().await;
        self.namespaces.ready().await;
    }
}

/// The images on a node are the largest part of it, and nobody reads them here.
fn without_images(mut node: Node) -> Node {
    if let Some(status) = &mut node.status {
        status.images = None;
    }
    node
}

/// An object's name, or nothing where it has none yet.
#[must_use]
pub fn name_of<K: Resource>(object: &K) -> &str {
    object.meta().name.as_deref().unwrap_or_default()
}

/// An object's namespace, or nothing where it has none.
#[must_use]
pub fn namespace_of<K: Resource>(object: &K) -> &str {
    object.meta().namespace.as_deref().unwrap_or_default()
}

/// An object's namespace and name, as people write both: `namespace/name`.
#[must_use]
pub fn key_of<K: Resource>(object: &K) -> String {
    format!("{}/{}", namespace_of(object), name_of(object))
}

/// An object's UID, or nothing where it has none yet.
#[must_use]
pub fn uid_of<K: Resource>(object: &K) -> &str {
    object.meta().uid.as_deref().unwrap_or_default()
}

/// The value of a label.
#[must_use]
pub fn label<'a, K: Resource>(object: &'a K, name: &str) -> Option<&'a str> {
    object.meta().labels.as_ref()?.get(name).map(String::as_str)
}
