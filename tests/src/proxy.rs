//! A reverse proxy between the operator and the servers that it changes things at: the Kubernetes API server (spoken to
//! in plain http on this side, so that no certificate of the cluster is needed) and the agentPools API (https on both
//! sides: Azure's pipeline sends no token over http). Answers stream, so watches work.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::ledger::{Change, Ledger, Server};
use crate::tls::TlsListener;

/// The most that a request's body may hold; a ConfigMap is at most 1 MiB.
const MAX_BODY: usize = 8 << 20;

/// One side of the proxy, up until dropped.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Route {
    upstream: kube::Client,
    server: Server,
    ledger: Ledger,
}

impl Proxy {
    /// In plain http. `upstream` says where to, with which certificates, and as whom.
    pub async fn plain(upstream: kube::Config, server: Server, ledger: Ledger) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("open a port for the proxy")?;
        let address = listener.local_addr()?;
        let app = app(upstream, server, ledger)?;
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                eprintln!("proxy at {address}: {error}");
            }
        });
        Ok(Self { address, task })
    }

    /// In https, with a certificate made by [`crate::tls`].
    pub async fn https(
        upstream: kube::Config,
        server: Server,
        ledger: Ledger,
        identity: &crate::tls::Identity,
    ) -> Result<Self> {
        let listener = TlsListener::bind("127.0.0.1:0", identity).await?;
        let address = axum::serve::Listener::local_addr(&listener)?;
        let app = app(upstream, server, ledger)?;
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                eprintln!("proxy at {address}: {error}");
            }
        });
        Ok(Self { address, task })
    }
}

fn app(mut upstream: kube::Config, server: Server, ledger: Ledger) -> Result<Router> {
    // The proxy passes on each request exactly once, and a watch may be silent for long.
    upstream.default_retry = false;
    upstream.read_timeout = None;
    let upstream = kube::Client::try_from(upstream).context("make the proxy's client")?;
    Ok(Router::new().fallback(pass_on).with_state(Route { upstream, server, ledger }))
}

async fn pass_on(State(route): State<Route>, request: Request) -> Response {
    match relay(&route, request).await {
        Ok(response) => response,
        Err(error) => {
            let mut response = Response::new(Body::from(format!("proxy: {error:#}")));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}

async fn relay(route: &Route, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let body = to_bytes(body, MAX_BODY).await.context("read the request")?;
    let mut onward = axum::http::Request::builder().method(parts.method.clone()).uri(path.as_str());
    if let Some(headers) = onward.headers_mut() {
        *headers = end_to_end(&parts.headers);
    }
    let onward = onward.body(kube::client::Body::from(body)).context("make the onward request")?;
    let answer = route.upstream.send(onward).await.with_context(|| format!("{} {path}", parts.method))?;
    let (head, body) = answer.into_parts();
    let body = if is_read(&parts.method) {
        Body::new(body)
    } else {
        // The server has done its work once the whole answer is here; the client has not heard of it yet.
        let whole = body.collect_bytes().await.context("read the answer")?;
        let change =
            Change { server: route.server, method: parts.method, path, status: head.status, at: Instant::now() };
        if let Some(spring) = route.ledger.answered(change) {
            spring().await;
            anyhow::bail!("the client is gone");
        }
        Body::from(whole)
    };
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = end_to_end(&head.headers);
    Ok(response)
}

fn is_read(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

/// The headers that are not about one connection; lengths are set anew on each.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    const HOP: [HeaderName; 8] = [
        header::HOST,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
        header::UPGRADE,
        header::PROXY_AUTHORIZATION,
    ];
    headers.iter().filter(|(name, _)| !HOP.contains(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
