//! The moments at which the operator dies: at one of its requests to the API server, before it is sent, or after it was
//! answered and before the answer is read.

use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use anyhow::{Context as _, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use kube::Client;
use kube::client::{Body, ClientBuilder, DynBody};
use tokio::sync::Notify;
use tower::{BoxError, Layer, Service};

/// On which side of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Before,
    After,
}

/// Where a death is to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) side: Side,
    /// Counts only requests that change something.
    pub(crate) changes_only: bool,
    /// How many requests it lets pass.
    pub(crate) pass: usize,
}

/// Where a death came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Death {
    pub(crate) side: Side,
    pub(crate) request: String,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Before => "before",
            Side::After => "after",
        };
        write!(f, "{side} {}", self.request)
    }
}

#[derive(Default)]
struct State {
    moment: Option<Moment>,
    death: Option<Death>,
    dead: bool,
    requests: usize,
}

/// Between one life of the operator and the API server.
#[derive(Clone, Default)]
pub(crate) struct Trap(Arc<(Mutex<State>, Notify)>);

impl Trap {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, moment: Moment) {
        self.state().moment = Some(moment);
    }

    /// Where it sprang.
    pub(crate) fn death(&self) -> Option<Death> {
        self.state().death.clone()
    }

    /// How many requests have passed since this was last asked.
    pub(crate) fn requests(&self) -> usize {
        std::mem::take(&mut self.state().requests)
    }

    /// Lets nothing pass from now on.
    pub(crate) fn shut(&self) {
        self.state().dead = true;
        self.0.1.notify_one();
    }

    /// Waits until nothing passes any more.
    pub(crate) async fn is_shut(&self) {
        self.0.1.notified().await;
    }

    /// A client whose every request goes through here.
    pub(crate) fn client(&self, config: kube::Config) -> Result<Client> {
        Ok(ClientBuilder::try_from(config).context("make the operator's client")?.with_layer(self).build())
    }

    /// What becomes of a request: the trap springs on a side of it, or it passes.
    fn asked(&self, request: &Request<Body>) -> Fate {
        let mut state = self.state();
        if state.dead {
            return Fate::Never;
        }
        state.requests += 1;
        let reads = request.method() == Method::GET;
        let Some(moment) = state.moment.as_mut().filter(|moment| !(moment.changes_only && reads)) else {
            return Fate::Passes;
        };
        if moment.pass > 0 {
            moment.pass -= 1;
            return Fate::Passes;
        }
        let side = moment.side;
        state.moment = None;
        // Without names, so that deaths can be counted.
        let what = request.uri().path().split('/').filter(|part| is_kind(part)).collect::<Vec<_>>().join("/");
        let what = if what.is_empty() { "namespaces" } else { what.as_str() };
        state.death = Some(Death { side, request: format!("{} {what}", request.method()) });
        Fate::Springs(side)
    }
}

/// Whether a part of a path is a kind of objects, or a part of one.
fn is_kind(part: &str) -> bool {
    const KINDS: [&str; 9] = [
        "scoringschedules",
        "scoringruns",
        "scoringclusters",
        "jobs",
        "pods",
        "configmaps",
        "nodes",
        "events",
        "status",
    ];
    KINDS.contains(&part)
}

enum Fate {
    Passes,
    Never,
    Springs(Side),
}

impl<S> Layer<S> for Trap {
    type Service = Trapped<S>;

    fn layer(&self, inner: S) -> Trapped<S> {
        Trapped { trap: self.clone(), inner }
    }
}

/// A client's way to the API server with the trap in it.
#[derive(Clone)]
pub(crate) struct Trapped<S> {
    trap: Trap,
    inner: S,
}

impl<S> Service<Request<Body>> for Trapped<S>
where
    S: Service<Request<Body>, Response = Response<Box<DynBody>>, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let trap = self.trap.clone();
        match trap.asked(&request) {
            Fate::Passes => self.inner.call(request).boxed(),
            Fate::Never => pending().boxed(),
            Fate::Springs(Side::Before) => {
                trap.shut();
                pending().boxed()
            }
            Fate::Springs(Side::After) => {
                let answer = self.inner.call(request);
                async move {
                    // Once it has begun to answer, the API server has done what it was asked.
                    drop(answer.await);
                    trap.shut();
                    pending().await
                }
                .boxed()
            }
        }
    }
}
