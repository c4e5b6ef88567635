//! What a client has changed through the proxy, in order, and the trap that springs at the k-th change.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::http::{Method, StatusCode};
use futures::future::BoxFuture;

/// Which server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The Kubernetes API server.
    Kubernetes,
    /// The agentPools API.
    AgentPools,
}

/// One request that changed something, and was answered.
#[derive(Clone, Debug)]
pub struct Change {
    pub server: Server,
    pub method: Method,
    pub path: String,
    pub status: StatusCode,
    pub at: Instant,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without what is the same in all of them, for people.
        let path = self.path.split('?').next().unwrap_or_default();
        let (server, path) = match self.server {
            Server::Kubernetes => ("kubernetes", path),
            Server::AgentPools => ("agentPools", path.find("/agentPools/").map_or(path, |at| &path[at..])),
        };
        write!(f, "{server} {} {path} -> {}", self.method, self.status.as_u16())
    }
}

/// What to do when the trap springs; the proxy waits for it before anything else reaches the client.
pub type Spring = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Default)]
struct Inner {
    changes: Vec<Change>,
    trap: Option<(usize, Spring)>,
    sprung: Option<Change>,
}

/// Shared between the proxy, which writes it, and the test, which reads it.
#[derive(Clone, Default)]
pub struct Ledger(Arc<Mutex<Inner>>);

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was, and springs `spring` once the `k`-th change from now on (the first is 1) has been answered.
    pub fn start(&self, trap: Option<(usize, Spring)>) {
        *self.lock() = Inner { changes: Vec::new(), trap, sprung: None };
    }

    /// Every change since the start.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        self.lock().changes.clone()
    }

    /// The change at which the trap sprang.
    #[must_use]
    pub fn sprung(&self) -> Option<Change> {
        self.lock().sprung.clone()
    }

    /// Writes down an answered request. Gives back what to do when it was the one that the trap waits for.
    pub(crate) fn answered(&self, change: Change) -> Option<Spring> {
        if !counts(&change) {
            return None;
        }
        let mut inner = self.lock();
        inner.changes.push(change.clone());
        let due = inner.trap.as_ref().is_some_and(|(k, _)| inner.changes.len() == *k);
        if !due {
            return None;
        }
        inner.sprung = Some(change);
        inner.trap.take().map(|(_, spring)| spring)
    }
}

/// Whether an answered request changed anything that the product is about.
///
/// Reads do not, nor does what the server refused. Left out by decision: renewals of leases, which go on for as long as
/// the operator lives and tell nothing about a run; events, which nobody acts on; and reviews and token requests, which
/// are questions in the form of a POST; so is what is only tried (`dryRun`).
#[must_use]
pub fn counts(change: &Change) -> bool {
    let changing = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(&change.method);
    if !changing || !change.status.is_success() {
        return false;
    }
    let (path, query) = change.path.split_once('?').unwrap_or((&change.path, ""));
    let group = |prefix: &str| change.server == Server::Kubernetes && path.starts_with(prefix);
    let event = change.server == Server::Kubernetes && path.split('/').any(|segment| segment == "events");
    let question = path.ends_with("reviews") || path.ends_with("/token") || query.contains("dryRun=All");
    !(group("/apis/coordination.k8s.io/") || event || question)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(method: Method, path: &str, status: u16) -> Change {
        let status = StatusCode::from_u16(status).unwrap();
        Change { server: Server::Kubernetes, method, path: path.into(), status, at: Instant::now() }
    }

    #[test]
    fn only_accepted_requests_that_change_something_count() {
        let jobs = "/apis/batch/v1/namespaces/a/jobs";
        assert!(counts(&change(Method::POST, jobs, 201)));
        assert!(counts(&change(
            Method::PATCH,
            "/apis/batchscoring.dev/v1alpha1/scoringclusters/cpu/status?force=true",
            200
        )));
        assert!(!counts(&change(Method::GET, jobs, 200)));
        assert!(!counts(&change(Method::POST, jobs, 409)), "the server refused it");
    }

    #[test]
    fn a_change_is_told_in_a_line_that_people_can_read() {
        let path = "/subscriptions/s/resourceGroups/g/providers/P/managedClusters/c/agentPools/p?api-version=1";
        let told = Change { server: Server::AgentPools, ..change(Method::PUT, path, 200) }.to_string();
        assert_eq!(told, "agentPools PUT /agentPools/p -> 200");
    }

    #[test]
    fn leases_events_and_questions_do_not_count() {
        for path in [
            "/apis/coordination.k8s.io/v1/namespaces/a/leases/operator",
            "/apis/events.k8s.io/v1/namespaces/a/events",
            "/api/v1/namespaces/a/events?fieldManager=x",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            "/api/v1/namespaces/a/serviceaccounts/operator/token",
            "/apis/batch/v1/namespaces/a/jobs?&dryRun=All&fieldManager=x",
        ] {
            assert!(!counts(&change(Method::POST, path, 201)), "{path}");
        }
    }

    #[test]
    fn the_trap_springs_once_at_the_kth_change() {
        let ledger = Ledger::default();
        let spring: Spring = Arc::new(|| Box::pin(async {}));
        ledger.start(Some((2, spring)));
        assert!(ledger.answered(change(Method::POST, "/a", 201)).is_none());
        assert!(ledger.answered(change(Method::GET, "/a", 200)).is_none());
        assert!(ledger.answered(change(Method::POST, "/b", 201)).is_some());
        assert!(ledger.answered(change(Method::POST, "/c", 201)).is_none());
        assert_eq!(ledger.sprung().unwrap().path, "/b");
        assert_eq!(ledger.changes().len(), 3);
    }
}
