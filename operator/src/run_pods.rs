//! The pods of runs, sorted as they change: whoever looks at a pool or a run finds the few that matter among thousands that
//! have ended.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crds::names;
use k8s_openapi::api::core::v1::Pod;

use crate::cache::Follow;
use crate::context::{label, name_of, namespace_of};

/// Namespace and name, of a run or a pod.
type Key = (String, String);

/// The pods of runs, by run. It follows the watch of pods.
#[derive(Debug, Default)]
pub struct RunPods(RwLock<Sorted>);

#[derive(Debug, Default)]
struct Sorted {
    runs: HashMap<Key, OfRun>,
    /// The run under which each pod (namespace and name) is kept: its label may be changed.
    kept: HashMap<Key, Key>,
    /// Those that have ended, in the order in which that was seen.
    ended: BTreeMap<u64, Arc<Pod>>,
    /// The number of the next one.
    next: u64,
}

/// The pods of one run, by name.
#[derive(Debug, Default)]
struct OfRun {
    living: BTreeMap<String, Arc<Pod>>,
    ended: BTreeMap<String, u64>,
    /// Items' pods that have succeeded, and those that have failed.
    succeeded: u32,
    failed: u32,
}

/// How many of a run's items' pods have ended, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// With success.
    pub succeeded: u32,
    /// Without.
    pub failed: u32,
}

impl RunPods {
    /// All pods of a run, whatever they do for it.
    #[must_use]
    pub fn of_run(&self, namespace: &str, run: &str) -> Vec<Arc<Pod>> {
        let sorted = self.read();
        let Some(of_run) = sorted.runs.get(&(namespace.to_owned(), run.to_owned())) else { return Vec::new() };
        let ended = of_run.ended.values().filter_map(|number| sorted.ended.get(number));
        of_run.living.values().chain(ended).cloned().collect()
    }

    /// How many of a run's items' pods have ended.
    #[must_use]
    pub fn ended(&self, namespace: &str, run: &str) -> Ended {
        let sorted = self.read();
        let of_run = sorted.runs.get(&(namespace.to_owned(), run.to_owned()));
        of_run.map_or_else(Ended::default, |of| Ended { succeeded: of.succeeded, failed: of.failed })
    }

    /// All pods that have not ended, and those that have and are not settled yet.
    #[must_use]
    pub fn unsettled(&self, unsettled: &mut Unsettled, is_ours: impl Fn(&Pod) -> bool) -> Vec<Arc<Pod>> {
        let sorted = self.read();
        unsettled.pods.retain(|number, _| sorted.ended.contains_key(number));
        let new = sorted.ended.range(unsettled.next..).filter(|(_, pod)| is_ours(pod));
        unsettled.pods.extend(new.map(|(number, pod)| (*number, pod.clone())));
        unsettled.next = sorted.next;
        let living = sorted.runs.values().flat_map(|of_run| of_run.living.values());
        let living = living.filter(|pod| is_ours(pod)).cloned();
        living.chain(unsettled.pods.values().cloned()).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Sorted> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Sorted)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Follow<Pod> for RunPods {
    fn all(&self, pods: Vec<Arc<Pod>>) {
        self.change(|sorted| {
            // Numbers go on, so that whoever has seen some sees all of them anew.
            *sorted = Sorted { next: sorted.next, ..Sorted::default() };
            pods.into_iter().for_each(|pod| sorted.insert(pod));
        });
    }

    fn applied(&self, pod: Arc<Pod>) {
        self.change(|sorted| {
            sorted.remove(&pod);
            sorted.insert(pod);
        });
    }

    fn deleted(&self, pod: &Pod) {
        self.change(|sorted| sorted.remove(pod));
    }
}

impl Sorted {
    fn insert(&mut self, pod: Arc<Pod>) {
        let name = name_of(&*pod).to_owned();
        let run = key(&pod);
        self.kept.insert((namespace_of(&*pod).to_owned(), name.clone()), run.clone());
        let of_run = self.runs.entry(run).or_default();
        match phase(&pod) {
            "Succeeded" | "Failed" => {
                of_run.count(&pod, u32::saturating_add);
                of_run.ended.insert(name, self.next);
                self.ended.insert(self.next, pod);
                self.next += 1;
            }
            _ => drop(of_run.living.insert(name, pod)),
        }
    }

    /// Takes away a pod, as it was seen before.
    fn remove(&mut self, pod: &Pod) {
        let kept = self.kept.remove(&(namespace_of(pod).to_owned(), name_of(pod).to_owned()));
        let Some(key) = kept else { return };
        let Some(of_run) = self.runs.get_mut(&key) else { return };
        of_run.living.remove(name_of(pod));
        let before = of_run.ended.remove(name_of(pod)).and_then(|number| self.ended.remove(&number));
        if let Some(before) = before {
            of_run.count(&before, u32::saturating_sub);
        }
        if of_run.living.is_empty() && of_run.ended.is_empty() {
            self.runs.remove(&key);
        }
    }
}

impl OfRun {
    fn count(&mut self, ended: &Pod, by: impl Fn(u32, u32) -> u32) {
        if label(ended, names::ROLE) != Some("item") {
            return;
        }
        match phase(ended) {
            "Succeeded" => self.succeeded = by(self.succeeded, 1),
            _ => self.failed = by(self.failed, 1),
        }
    }
}

fn key(pod: &Pod) -> Key {
    (namespace_of(pod).to_owned(), label(pod, names::RUN).unwrap_or_default().to_owned())
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// Pods that have ended, of which somebody has yet to take note.
#[derive(Debug, Default)]
pub struct Unsettled {
    pods: BTreeMap<u64, Arc<Pod>>,
    next: u64,
}

impl Unsettled {
    /// Note has been taken of these.
    pub fn settle(&mut self, mut is_settled: impl FnMut(&Pod) -> bool) {
        self.pods.retain(|_, pod| !is_settled(pod));
    }
}

#[cfg(test)]
mod tests;
