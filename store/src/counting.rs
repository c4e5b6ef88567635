//! Store requests cost money: each one is counted, retries and pages of listings included.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use serde::{Deserialize, Serialize};

/// Requests to a store by what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequestCounts {
    /// Reads of objects and of their properties.
    pub reads: u64,
    /// Writes of objects.
    pub writes: u64,
    /// Pages of listings.
    pub lists: u64,
}

impl RequestCounts {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.reads + self.writes + self.lists
    }
}

impl std::ops::AddAssign for RequestCounts {
    fn add_assign(&mut self, more: Self) {
        self.reads += more.reads;
        self.writes += more.writes;
        self.lists += more.lists;
    }
}

impl std::ops::Sub for RequestCounts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            reads: self.reads.saturating_sub(earlier.reads),
            writes: self.writes.saturating_sub(earlier.writes),
            lists: self.lists.saturating_sub(earlier.lists),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counter {
    reads: AtomicU64,
    writes: AtomicU64,
    lists: AtomicU64,
}

impl Counter {
    pub(crate) fn read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn write(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn list(&self) {
        self.lists.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> RequestCounts {
        RequestCounts {
            reads: self.reads.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            lists: self.lists.load(Ordering::Relaxed),
        }
    }
}

/// Makes one client for all containers of a store, and counts what it sends.
#[derive(Clone, Debug, Default)]
pub(crate) struct CountingConnector {
    pub(crate) counter: Arc<Counter>,
    client: Arc<OnceLock<HttpClient>>,
}

impl CountingConnector {
    pub(crate) fn new(counter: Arc<Counter>) -> Self {
        Self { counter, client: Arc::default() }
    }
}

impl HttpConnector for CountingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let inner = ReqwestConnector::default().connect(options)?;
        let client = HttpClient::new(Counting { inner, counter: Arc::clone(&self.counter) });
        Ok(self.client.get_or_init(|| client).clone())
    }
}

#[derive(Debug)]
struct Counting {
    inner: HttpClient,
    counter: Arc<Counter>,
}

#[async_trait]
impl HttpService for Counting {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let asks = |what: &str| request.uri().query().is_some_and(|q| q.split('&').any(|p| p == what));
        let (listing, batch) = (asks("comp=list"), asks("comp=batch"));
        match request.method().as_str() {
            "GET" if listing => self.counter.list(),
            "GET" | "HEAD" => self.counter.read(),
            "PUT" | "DELETE" => self.counter.write(),
            // A batch of deletions, which are free by themselves.
            "POST" if batch => self.counter.write(),
            // Any other POST is to the token endpoint, which is not the store.
            _ => {}
        }
        self.inner.execute(request).await
    }
}
