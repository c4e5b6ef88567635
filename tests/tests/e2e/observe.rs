//! Watches the cluster while tests run: what came and went, which objects were once there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crds::names;
use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use tokio::task::JoinHandle;

use crate::pods::phase;

/// A Job or a pod of a run, as last seen. It stays when the object is gone.
#[allow(dead_code, reason = "names and nodes are there for whoever reads a failure")]
#[derive(Clone, Debug, Default)]
pub(crate) struct Child {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) run: String,
    pub(crate) role: String,
    /// Pods only.
    pub(crate) node: String,
    /// Pods only: the completion index.
    pub(crate) index: String,
    pub(crate) phase: String,
}

/// Everything seen, by UID; nodes of the pool by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) jobs: BTreeMap<String, Child>,
    pub(crate) pods: BTreeMap<String, Child>,
    pub(crate) nodes: BTreeSet<String>,
    pub(crate) nodes_now: BTreeSet<String>,
    pub(crate) peak: usize,
}

impl Seen {
    /// The Jobs of a run.
    pub(crate) fn jobs_of(&self, namespace: &str, run: &str) -> Vec<Child> {
        of(&self.jobs, namespace, run)
    }

    /// The pods of a run.
    pub(crate) fn pods_of(&self, namespace: &str, run: &str) -> Vec<Child> {
        of(&self.pods, namespace, run)
    }
}

fn of(children: &BTreeMap<String, Child>, namespace: &str, run: &str) -> Vec<Child> {
    children.values().filter(|child| child.namespace == namespace && child.run == run).cloned().collect()
}

/// Watches until dropped.
pub(crate) struct Observer {
    seen: Arc<Mutex<Seen>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Observer {
    /// Starts to watch Jobs and pods that belong to runs, and the nodes of an agent pool.
    pub(crate) fn start(client: &Client, pool: &str) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let labelled = watcher::Config::default().labels(names::RUN);
        let of_pool = watcher::Config::default().labels(&format!("{}={pool}", names::AGENT_POOL));
        let (jobs, pods, nodes) = (Arc::clone(&seen), Arc::clone(&seen), Arc::clone(&seen));
        let tasks = vec![
            tokio::spawn(watch(Api::<Job>::all(client.clone()), labelled.clone(), move |event| {
                if let watcher::Event::Apply(job) | watcher::Event::InitApply(job) = event {
                    lock(&jobs).jobs.insert(job.uid().unwrap_or_default(), child(&job));
                }
            })),
            tokio::spawn(watch(Api::<Pod>::all(client.clone()), labelled, move |event| {
                if let watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) = event {
                    let spec = pod.spec.as_ref();
                    let index = pod.annotations().get("batch.kubernetes.io/job-completion-index");
                    let seen = Child {
                        node: spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default(),
                        index: index.cloned().unwrap_or_default(),
                        phase: phase(&pod).to_owned(),
                        ..child(&pod)
                    };
                    lock(&pods).pods.insert(pod.uid().unwrap_or_default(), seen);
                }
            })),
            tokio::spawn(watch(Api::<Node>::all(client.clone()), of_pool, move |event| {
                let mut seen = lock(&nodes);
                match event {
                    watcher::Event::Apply(node) | watcher::Event::InitApply(node) => {
                        seen.nodes.insert(node.name_any());
                        seen.nodes_now.insert(node.name_any());
                        seen.peak = seen.peak.max(seen.nodes_now.len());
                    }
                    watcher::Event::Delete(node) => {
                        seen.nodes_now.remove(&node.name_any());
                    }
                    watcher::Event::Init => seen.nodes_now.clear(),
                    watcher::Event::InitDone => {}
                }
            })),
        ];
        Self { seen, tasks }
    }

    /// What has been seen so far.
    pub(crate) fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn child<K: Resource>(object: &K) -> Child {
    let label = |name: &str| object.labels().get(name).cloned().unwrap_or_default();
    Child {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        run: label(names::RUN),
        role: label(names::ROLE),
        ..Child::default()
    }
}

async fn watch<K>(api: Api<K>, config: watcher::Config, mut seen: impl FnMut(watcher::Event<K>))
where
    K: Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        // The watcher goes on by itself after an error.
        if let Ok(event) = event {
            seen(event);
        }
    }
}
