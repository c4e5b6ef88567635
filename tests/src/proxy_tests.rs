use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::routing::{get, post};
use futures::{AsyncBufReadExt, StreamExt};
use tokio::sync::mpsc;

use super::*;
use crate::ledger::Spring;
use crate::tls::Identity;

/// A server with a changing route that counts, a route that echoes headers, and a stream that the test feeds.
async fn upstream() -> (kube::Config, Arc<AtomicUsize>, mpsc::UnboundedSender<&'static str>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let hits = Arc::new(AtomicUsize::new(0));
    let (feed, lines) = mpsc::unbounded_channel::<&'static str>();
    let lines = Arc::new(tokio::sync::Mutex::new(Some(lines)));
    let counted = Arc::clone(&hits);
    let app = Router::new()
        .route(
            "/things",
            post(move |body: String| {
                let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
                async move { (StatusCode::CREATED, format!("{body} is number {number}")) }
            }),
        )
        .route(
            "/who",
            get(|headers: HeaderMap| async move {
                headers.get(header::AUTHORIZATION).map_or_else(String::new, |v| v.to_str().unwrap().to_owned())
            }),
        )
        .route(
            "/watch",
            get(move || {
                let lines = Arc::clone(&lines);
                async move {
                    let mut lines = lines.lock().await.take().unwrap();
                    let lines = futures::stream::poll_fn(move |cx| lines.poll_recv(cx));
                    Body::from_stream(lines.map(Ok::<_, std::convert::Infallible>))
                }
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (kube::Config::new(uri), hits, feed)
}

fn client(address: SocketAddr) -> kube::Client {
    let mut config = kube::Config::new(format!("http://{address}").parse().unwrap());
    config.default_retry = false;
    kube::Client::try_from(config).unwrap()
}

fn make(body: &'static str) -> axum::http::Request<kube::client::Body> {
    axum::http::Request::post("/things").body(kube::client::Body::from(body.as_bytes().to_vec())).unwrap()
}

#[tokio::test]
async fn a_change_goes_through_and_is_written_down() {
    let (config, _, _feed) = upstream().await;
    let ledger = Ledger::default();
    let proxy = Proxy::plain(config, Server::Kubernetes, ledger.clone()).await.unwrap();
    let answer = client(proxy.address).send(make("a")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.into_body().collect_bytes().await.unwrap(), "a is number 1");
    let changes = ledger.changes();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].to_string(), "kubernetes POST /things -> 201");
}

#[tokio::test]
async fn a_watch_streams_line_by_line() {
    let (config, _, feed) = upstream().await;
    let proxy = Proxy::plain(config, Server::Kubernetes, Ledger::default()).await.unwrap();
    let request = axum::http::Request::get("/watch").body(Vec::new()).unwrap();
    feed.send("first\n").unwrap();
    let mut lines = client(proxy.address).request_stream(request).await.unwrap().lines();
    assert_eq!(lines.next().await.unwrap().unwrap(), "first");
    feed.send("second\n").unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap(), "second");
    drop(feed);
    assert!(lines.next().await.is_none());
}

#[tokio::test]
async fn the_kth_change_happens_and_its_answer_never_arrives() {
    let (config, hits, _feed) = upstream().await;
    let ledger = Ledger::default();
    let killed = Arc::new(AtomicBool::new(false));
    let proxy = Proxy::plain(config, Server::Kubernetes, ledger.clone()).await.unwrap();
    let flag = Arc::clone(&killed);
    // Stands for a kill: the client's task ends while the answer is still with the proxy.
    let spring: Spring = Arc::new(move || {
        let flag = Arc::clone(&flag);
        Box::pin(async move { flag.store(true, Ordering::SeqCst) })
    });
    ledger.start(Some((2, spring)));
    let client = client(proxy.address);
    assert!(client.send(make("a")).await.unwrap().status().is_success());
    assert!(!killed.load(Ordering::SeqCst));
    let answer = client.send(make("b")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY, "the server's answer did not pass");
    assert!(killed.load(Ordering::SeqCst));
    assert_eq!(hits.load(Ordering::SeqCst), 2, "the server did what was asked");
    assert_eq!(ledger.sprung().unwrap().path, "/things");
}

#[tokio::test]
async fn https_in_front_passes_the_bearer_on() {
    let (config, _, _feed) = upstream().await;
    let identity = Identity::for_this_host().unwrap();
    let proxy = Proxy::https(config, Server::AgentPools, Ledger::default(), &identity).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let pem = dir.path().join("ca.pem");
    std::fs::write(&pem, &identity.pem).unwrap();
    let mut config = kube::Config::new(format!("https://{}", proxy.address).parse().unwrap());
    config.root_cert_file = Some(pem);
    config.read_timeout = Some(Duration::from_secs(5));
    let client = kube::Client::try_from(config).unwrap();
    let request = axum::http::Request::get("/who").header(header::AUTHORIZATION, "Bearer abc");
    let answer = client.send(request.body(kube::client::Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.into_body().collect_bytes().await.unwrap(), "Bearer abc");
}
