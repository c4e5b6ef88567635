//! What the API server has, as a watch tells it: each schedule's status, and every run that ever was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use crds::{ScoringRun, ScoringSchedule};
use futures::StreamExt;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tests::control_plane::NAMESPACE;
use tokio::sync::watch as changes;
use tokio::task::JoinHandle;

use crate::plan::Second;

/// A run, as last seen. It stays when the object is gone.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) name: String,
    pub(crate) ended: bool,
    /// One for each time that it was made.
    pub(crate) uids: BTreeSet<String>,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) schedules: BTreeMap<String, ScoringSchedule>,
    /// By schedule and tick.
    pub(crate) runs: BTreeMap<(String, Second), Run>,
}

/// Watches until dropped.
pub(crate) struct World {
    seen: Arc<Mutex<Seen>>,
    changed: changes::Receiver<()>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for World {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl World {
    pub(crate) fn watch(client: &Client) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let (told, changed) = changes::channel(());
        let (schedules, runs, told_too) = (seen.clone(), seen.clone(), told.clone());
        let tasks = [
            tokio::spawn(each(client.clone(), move |schedule: ScoringSchedule| {
                lock(&schedules).schedules.insert(schedule.name_any(), schedule);
                told.send_replace(());
            })),
            tokio::spawn(each(client.clone(), move |run: ScoringRun| {
                lock(&runs).add(&run);
                told_too.send_replace(());
            })),
        ];
        Self { seen, changed, tasks }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// Waits for the next change since this was last called.
    pub(crate) async fn changed(&mut self) -> Result<()> {
        Ok(self.changed.changed().await?)
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn each<K>(client: Client, seen: impl Fn(K))
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let api: Api<K> = Api::namespaced(client, NAMESPACE);
    let mut events = std::pin::pin!(watch(api, watcher::Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        // The watch goes on by itself after an error.
        if let Ok(Event::Apply(object) | Event::InitApply(object)) = event {
            seen(object);
        }
    }
}

impl Seen {
    fn add(&mut self, run: &ScoringRun) {
        let tick = run.spec.tick.map_or(0, |tick| tick.as_second());
        let conditions = run.status.iter().flat_map(|status| &status.conditions);
        let ended =
            conditions.into_iter().any(|c| ["Complete", "Failed"].contains(&c.type_.as_str()) && c.status == "True");
        let key = (run.spec.schedule_name.clone(), tick);
        let new = || Run { name: run.name_any(), ended, uids: BTreeSet::new() };
        let known = self.runs.entry(key).or_insert_with(new);
        known.ended = ended;
        known.uids.extend(run.uid());
    }

    /// The runs of a schedule, by tick.
    pub(crate) fn runs_of(&self, schedule: &str) -> BTreeMap<Second, &Run> {
        let of = self.runs.iter().filter(|((name, _), _)| name == schedule);
        of.map(|((_, tick), run)| (*tick, run)).collect()
    }
}
