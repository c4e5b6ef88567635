//! Store requests cost money: each one is counted, retries and pages of listings included; and each tells whether the store
//! answers.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::certificates::trust;
use crate::heard::{Heard, LAST_WAIT};

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
    counter: Arc<Counter>,
    heard: Arc<Heard>,
    /// A file of certificates to trust besides.
    certificates: Option<PathBuf>,
    client: Arc<OnceLock<HttpClient>>,
}

impl CountingConnector {
    pub(crate) fn new(counter: Arc<Counter>, heard: Arc<Heard>, certificates: Option<PathBuf>) -> Self {
        Self { counter, heard, certificates, client: Arc::default() }
    }
}

impl HttpConnector for CountingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let options = match &self.certificates {
            Some(file) => trust(options.clone(), file),
            None => options.clone(),
        };
        let inner = ReqwestConnector::default().connect(&options)?;
        let (counter, heard) = (Arc::clone(&self.counter), Arc::clone(&self.heard));
        let client = HttpClient::new(Counting { inner, counter, heard });
        Ok(self.client.get_or_init(|| client).clone())
    }
}

#[derive(Debug)]
struct Counting {
    inner: HttpClient,
    counter: Arc<Counter>,
    heard: Arc<Heard>,
}

#[async_trait]
impl HttpService for Counting {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let asks = |what: &[&str]| {
            request.uri().query().is_some_and(|q| q.split('&').any(|p| what.iter().any(|what| p.starts_with(what))))
        };
        match request.method().as_str() {
            "GET" if asks(&["comp=list", "list-type="]) => self.counter.list(),
            "GET" | "HEAD" => self.counter.read(),
            "PUT" | "DELETE" => self.counter.write(),
            // A batch of deletions, which are free by themselves; the begin and end of an upload in parts.
            "POST" if asks(&["comp=batch", "delete", "uploads", "uploadId="]) => self.counter.write(),
            // Any other POST is to the token endpoint, which is not the store.
            _ => {}
        }
        let made = Instant::now();
        let answer = match self.heard.is_away() {
            false => self.inner.execute(request).await,
            true => tokio::time::timeout(LAST_WAIT, self.inner.execute(request))
                .await
                .unwrap_or_else(|late| Err(HttpError::new(HttpErrorKind::Timeout, late))),
        };
        self.judge(answer, made).await
    }
}

impl Counting {
    /// Notes whether the store answered. Once it is away, a failure is one that is not tried again.
    async fn judge(&self, answer: Result<HttpResponse, HttpError>, made: Instant) -> Result<HttpResponse, HttpError> {
        match answer {
            Ok(answer) if !is_of_trouble(&answer) => {
                self.heard.answered();
                Ok(answer)
            }
            Ok(answer) if self.heard.failed(made) => {
                let status = answer.status();
                let body = answer.into_body().bytes().await.unwrap_or_default();
                let body = String::from_utf8_lossy(&body).into_owned();
                Err(HttpError::new(HttpErrorKind::Unknown, InTrouble { status: status.as_u16(), body }))
            }
            Ok(answer) => Ok(answer),
            Err(error) if self.heard.failed(made) => Err(HttpError::new(HttpErrorKind::Unknown, error)),
            Err(error) => Err(error),
        }
    }
}

/// Whether a service says that it cannot answer now.
fn is_of_trouble(answer: &HttpResponse) -> bool {
    let status = answer.status();
    // 501 says that it never will.
    (status.is_server_error() && status.as_u16() != 501) || matches!(status.as_u16(), 408 | 429)
}

/// What a service in trouble said.
#[derive(Debug, thiserror::Error)]
#[error("status {status}: {body}")]
struct InTrouble {
    status: u16,
    body: String,
}
