//! The loop that all controllers share: a queue of objects, one reconcile per object at a time, back-off by category.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::{Future, FutureExt, Stream, StreamExt};
use kube::Resource;
use kube::runtime::controller::{Action, Config, applier};
use kube::runtime::reflector::{ObjectRef, Store};

use crate::context::Ctx;
use crate::error::Reconcile;
use crate::known::Known;

/// Failures in a row, per object.
struct Failures<K: Resource>(Mutex<Known<ObjectRef<K>, u32>>)
where
    K::DynamicType: Hash + Eq;

impl<K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static> Failures<K> {
    fn of(store: Store<K>) -> Self {
        Self(Mutex::new(Known::new(move || {
            store.state().iter().map(|object| ObjectRef::from_obj(&**object)).collect()
        })))
    }

    fn add(&self, object: ObjectRef<K>) -> u32 {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = map.entry(object);
        *count = count.saturating_add(1);
        *count
    }

    fn clear(&self, object: &ObjectRef<K>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).forget(object);
    }
}

/// Runs a controller, which works on so many objects at a time, until dropped: dropping it stops the reconciles under way
/// at their next await.
pub async fn run<K, E, F>(
    ctx: Arc<Ctx>,
    name: &'static str,
    at_a_time: u16,
    store: Store<K>,
    queue: impl Stream<Item = ObjectRef<K>> + Send + 'static,
    reconcile: impl Fn(Arc<K>, Arc<Ctx>) -> F + Send + Sync + 'static,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    E: Reconcile,
    F: Future<Output = Result<Action, E>> + Send + 'static,
{
    let failures = Arc::new(Failures::of(store.clone()));
    let succeeded = failures.clone();
    let metrics = ctx.metrics.clone();
    let reconciler = move |object: Arc<K>, ctx: Arc<Ctx>| {
        let (succeeded, metrics, key) = (succeeded.clone(), ctx.metrics.clone(), ObjectRef::from_obj(&*object));
        let work = reconcile(object, ctx);
        async move {
            let start = Instant::now();
            let result = work.await;
            metrics.reconciled(name, start.elapsed());
            if result.is_ok() {
                succeeded.clear(&key);
            }
            result
        }
        .boxed()
    };
    let policy = move |object: Arc<K>, error: &E, _: Arc<Ctx>| {
        let category = error.category();
        metrics.failed(name, category);
        let key = ObjectRef::from_obj(&*object);
        let failures = failures.add(key.clone());
        let wait = error.retry_after().unwrap_or_else(|| category.backoff(failures));
        // A conflict is the ordinary way to learn that the cache was behind.
        if category == crate::Category::Conflict && failures < 5 {
            tracing::debug!(controller = name, object = %key, "look again: {error}");
        } else {
            tracing::warn!(controller = name, object = %key, category = category.as_str(), ?wait, "{error}");
        }
        Action::requeue(wait)
    };
    let config = Config::default().concurrency(at_a_time);
    let queue = queue.map(Ok::<_, std::convert::Infallible>);
    applier(reconciler, policy, ctx, store, Box::pin(queue), config).for_each(|_| futures::future::ready(())).await;
}
