//! What watches of the API server tell of nodes and pods, by side.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::TryStreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, ResourceExt};
use tests::fleet::{Fleet, NAMESPACE};
use tokio::task::JoinHandle;

/// The label of what belongs to one of Karpenter's sides, and of the tick that its pods are for.
pub(crate) const SIDE: &str = "bench.batchscoring.dev/side";
pub(crate) const TICK: &str = "bench.batchscoring.dev/tick";

/// Whose nodes and pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Ours,
    /// Karpenter's, whose nodes go after 30 s.
    Quick,
    /// Karpenter's, whose nodes go after 10 min.
    Slow,
}

pub(crate) const SIDES: [Side; 3] = [Side::Ours, Side::Quick, Side::Slow];

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Quick => "quick",
            Self::Slow => "slow",
        }
    }

    fn of(labels: &std::collections::BTreeMap<String, String>) -> Option<Self> {
        let named = labels.get(SIDE).and_then(|name| SIDES.into_iter().find(|side| side.name() == name));
        let is_ours = labels.contains_key(crds::names::RUN) || labels.get(crds::names::AGENT_POOL).is_some();
        named.or(is_ours.then_some(Self::Ours))
    }
}

/// From when until when a Node was there.
#[derive(Clone, Copy)]
pub(crate) struct Life {
    pub(crate) side: Side,
    pub(crate) from: Timestamp,
    pub(crate) until: Option<Timestamp>,
}

/// When a pod ran first.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    pub(crate) side: Side,
    pub(crate) tick: Timestamp,
    pub(crate) at: Timestamp,
}

/// What was seen so far, by UID.
#[derive(Clone, Default)]
pub(crate) struct Told {
    pub(crate) nodes: HashMap<String, Life>,
    pub(crate) starts: HashMap<String, Start>,
}

/// Watches until it is dropped.
pub(crate) struct Seen {
    told: Arc<Mutex<Told>>,
    watches: [JoinHandle<()>; 2],
}

impl Seen {
    pub(crate) fn watch(fleet: &Fleet) -> Self {
        let told = Arc::new(Mutex::new(Told::default()));
        let system = format!("{}!=system", crds::names::AGENT_POOL);
        let (of_nodes, of_pods) = (told.clone(), told.clone());
        let nodes = Api::<Node>::all(fleet.client.clone());
        let pods = Api::<Pod>::namespaced(fleet.client.clone(), NAMESPACE);
        let nodes = tokio::spawn(async move {
            let mut events = std::pin::pin!(watch(nodes, watcher::Config::default().labels(&system)).default_backoff());
            // What cannot be read is tried again.
            loop {
                match events.try_next().await {
                    Ok(Some(Event::Apply(node) | Event::InitApply(node))) => lock(&of_nodes).node(&node, false),
                    Ok(Some(Event::Delete(node))) => lock(&of_nodes).node(&node, true),
                    Ok(Some(_)) | Err(_) => {}
                    Ok(None) => return,
                }
            }
        });
        let pods = tokio::spawn(async move {
            let mut events = std::pin::pin!(watch(pods, watcher::Config::default()).default_backoff());
            loop {
                match events.try_next().await {
                    Ok(Some(Event::Apply(pod) | Event::InitApply(pod))) => lock(&of_pods).pod(&pod),
                    Ok(Some(_)) | Err(_) => {}
                    Ok(None) => return,
                }
            }
        });
        Self { told, watches: [nodes, pods] }
    }

    pub(crate) fn told(&self) -> Told {
        lock(&self.told).clone()
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.watches.iter().for_each(JoinHandle::abort);
    }
}

fn lock(told: &Mutex<Told>) -> std::sync::MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Told {
    fn node(&mut self, node: &Node, deleted: bool) {
        let (Some(side), Some(uid)) = (Side::of(node.labels()), node.uid()) else { return };
        let now = Timestamp::now();
        let life = self.nodes.entry(uid).or_insert(Life { side, from: now, until: None });
        if deleted {
            life.until = Some(now);
        }
    }

    fn pod(&mut self, pod: &Pod) {
        let labels = pod.labels();
        let is_helper = labels.get(crds::names::ROLE).is_some_and(|role| role != "item");
        let runs = pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
        let (Some(side), Some(uid)) = (Side::of(labels), pod.uid()) else { return };
        let Some(tick) = tick(labels).filter(|_| runs && !is_helper) else { return };
        self.starts.entry(uid).or_insert(Start { side, tick, at: Timestamp::now() });
    }
}

/// The tick that a pod is for: of ours, the minute in its run's name.
fn tick(labels: &std::collections::BTreeMap<String, String>) -> Option<Timestamp> {
    let second = match labels.get(TICK) {
        Some(second) => second.parse().ok()?,
        None => labels.get(crds::names::RUN)?.rsplit_once('-')?.1.parse::<i64>().ok()?.checked_mul(60)?,
    };
    Timestamp::from_second(second).ok()
}
