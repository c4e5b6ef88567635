//! One watch per kind for the whole process: a store to read, and a stream of what changed for each controller.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::{broadcast, watch};

use crate::context::uid_of;
use crate::error::words;

/// How many changes a slow controller may fall behind before it looks at everything instead.
const BACKLOG: usize = 4096;

/// What changed.
#[derive(Clone, Debug)]
pub enum Change<K> {
    /// This object was added, modified or deleted.
    One(Arc<K>),
    /// The watch started anew, or the listener fell behind: look at everything.
    All,
}

/// Who keeps the objects of a watch in an order of their own.
pub trait Follow<K>: Send + Sync + 'static {
    /// These are all of them.
    fn all(&self, objects: Vec<Arc<K>>);
    /// One was added or modified.
    fn applied(&self, object: Arc<K>);
    /// One was deleted; it is told as it was last.
    fn deleted(&self, object: &K);
}

impl<K, F: Follow<K>> Follow<K> for Arc<F> {
    fn all(&self, objects: Vec<Arc<K>>) {
        (**self).all(objects);
    }

    fn applied(&self, object: Arc<K>) {
        (**self).applied(object);
    }

    fn deleted(&self, object: &K) {
        (**self).deleted(object);
    }
}

/// Nobody.
impl<K> Follow<K> for () {
    fn all(&self, _: Vec<Arc<K>>) {}
    fn applied(&self, _: Arc<K>) {}
    fn deleted(&self, _: &K) {}
}

/// The objects of a kind, as a watch keeps them.
pub struct Cache<K: Resource<DynamicType = ()> + Clone + 'static> {
    store: Store<K>,
    changes: broadcast::Sender<Change<K>>,
    ready: watch::Receiver<bool>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), changes: self.changes.clone(), ready: self.ready.clone() }
    }
}

impl<K> Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    /// Starts to watch, for as long as the process lives.
    #[must_use]
    pub fn watch(api: Api<K>, config: watcher::Config) -> Self {
        Self::watch_with(api, config, |object| object, ())
    }

    /// The same, and keeps only what is left of each object. What is kept is told to a follower before it is told to listeners.
    #[must_use]
    pub fn watch_with(
        api: Api<K>,
        config: watcher::Config,
        slim: impl Fn(K) -> K + Send + 'static,
        follower: impl Follow<K>,
    ) -> Self {
        let (store, writer) = reflector::store();
        let (changes, _) = broadcast::channel(BACKLOG);
        let (is_ready, ready) = watch::channel(false);
        let (kept, sender) = (store.clone(), changes.clone());
        let slim = move |event: Event<K>| match event {
            Event::Apply(object) => Event::Apply(slim(without_managed_fields(object))),
            Event::InitApply(object) => Event::InitApply(slim(without_managed_fields(object))),
            other => other,
        };
        let events = watcher(api, config).default_backoff().map(move |event| event.map(&slim));
        let mut events = Box::pin(reflector::reflector(writer, events));
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                // Nobody listening (a replica that stands by) is no error.
                let _ = match event {
                    Ok(Event::Apply(object)) => {
                        let object = kept.get(&ObjectRef::from_obj(&object)).unwrap_or_else(|| Arc::new(object));
                        follower.applied(object.clone());
                        sender.send(Change::One(object))
                    }
                    Ok(Event::Delete(object)) => {
                        follower.deleted(&object);
                        sender.send(Change::One(Arc::new(object)))
                    }
                    Ok(Event::InitDone) => {
                        follower.all(kept.state());
                        is_ready.send_replace(true);
                        sender.send(Change::All)
                    }
                    Ok(Event::Init | Event::InitApply(_)) => Ok(0),
                    Err(error) => {
                        tracing::warn!(kind = %K::kind(&()), "watch failed, trying again: {}", words(&error));
                        Ok(0)
                    }
                };
            }
        });
        Self { store, changes, ready }
    }
}

impl<K> Cache<K>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    /// Waits until the first list is complete, and known to the follower.
    pub async fn ready(&self) {
        // The sender lives in a task that never ends, so this cannot fail.
        let _ = self.ready.clone().wait_for(|ready| *ready).await;
    }

    /// The store, for controllers.
    #[must_use]
    pub fn store(&self) -> &Store<K> {
        &self.store
    }

    /// A namespaced object.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.store.get(&ObjectRef::new(name).within(namespace))
    }

    /// A cluster-scoped object.
    #[must_use]
    pub fn get_global(&self, name: &str) -> Option<Arc<K>> {
        self.store.get(&ObjectRef::new(name))
    }

    /// All objects.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<K>> {
        self.store.state()
    }

    /// The UIDs of all objects.
    #[must_use]
    pub fn uids(&self) -> HashSet<String> {
        self.all().iter().map(|object| uid_of(&**object).to_owned()).collect()
    }

    /// What changes from now on, after a first [`Change::All`].
    pub fn changes(&self) -> impl Stream<Item = Change<K>> + Send + 'static {
        let receiver = self.changes.subscribe();
        let later = futures::stream::unfold(receiver, |mut receiver| async move {
            let change = match receiver.recv().await {
                Ok(change) => change,
                Err(broadcast::error::RecvError::Lagged(_)) => Change::All,
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            Some((change, receiver))
        });
        futures::stream::iter([Change::All]).chain(later)
    }

    /// The objects to look at, of the same kind: what changed, and all of them at first.
    pub fn own(&self) -> impl Stream<Item = ObjectRef<K>> + Send + 'static {
        let store = self.store.clone();
        self.changes().flat_map(move |change| {
            futures::stream::iter(match change {
                Change::One(object) => vec![ObjectRef::from_obj(&*object)],
                Change::All => store.state().iter().map(|object| ObjectRef::from_obj(&**object)).collect(),
            })
        })
    }

    /// The objects of another kind that a change of this one concerns. A [`Change::All`] maps every object.
    pub fn concerning<O, I>(&self, map: impl Fn(&K) -> I + Send + 'static) -> impl Stream<Item = O> + Send + 'static
    where
        I: IntoIterator<Item = O>,
        O: Send + 'static,
    {
        let store = self.store.clone();
        self.changes().flat_map(move |change| {
            let concerned: Vec<O> = match change {
                Change::One(object) => map(&object).into_iter().collect(),
                Change::All => store.state().iter().flat_map(|object| map(object)).collect(),
            };
            futures::stream::iter(concerned)
        })
    }
}

/// Managed fields are the larger part of many objects, and nobody reads them here.
fn without_managed_fields<K: Resource>(mut object: K) -> K {
    object.meta_mut().managed_fields = None;
    object
}
