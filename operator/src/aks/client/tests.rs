//! The client against a server in this process, at the edge of HTTP; and against the examples of the public specification.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method as Verb, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use azure_core::http::policies::PolicyResult;
use serde_json::json;

use super::*;
use crate::aks::Kind;

mod examples;

const PATH: &str = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg1/providers/\
                    Microsoft.ContainerService/managedClusters/c1/agentPools/scoring";

/// What was asked.
#[derive(Debug)]
struct Asked {
    verb: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Value,
}

/// Answers in the given order, and writes down what it was asked.
#[derive(Default)]
struct Double {
    answers: Mutex<VecDeque<Response>>,
    asked: Mutex<Vec<Asked>>,
}

async fn answer(State(double): State<Arc<Double>>, verb: Verb, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    double.asked.lock().unwrap().push(Asked {
        verb: verb.to_string(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    });
    double.answers.lock().unwrap().pop_front().expect("an answer for every request")
}

impl Double {
    fn then(&self, status: u16, headers: &[(&'static str, &str)], body: &impl ToString) -> &Self {
        let mut response = (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response();
        for (name, value) in headers {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        self.answers.lock().unwrap().push_back(response);
        self
    }

    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// Stands for the bearer policy, which refuses plain http.
#[derive(Debug)]
struct Token;

#[async_trait]
impl Policy for Token {
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        request.insert_header(HeaderName::from_static("authorization"), "Bearer t");
        next[0].send(ctx, request, &next[1..]).await
    }
}

async fn server() -> (Arc<Double>, AgentPools) {
    // Both providers of rustls are compiled in; the process has to say which.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let double = Arc::new(Double::default());
    let router = Router::new().fallback(answer).with_state(double.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (double, AgentPools::new(endpoint.parse().unwrap(), Arc::new(Token), ClientOptions::default()))
}

fn pool() -> AksPool {
    AksPool {
        subscription_id: "00000000-0000-0000-0000-000000000000".into(),
        resource_group: "rg1".into(),
        cluster_name: "c1".into(),
        agent_pool: "scoring".into(),
    }
}

#[tokio::test]
async fn a_pool_is_read_and_written_back_whole_under_its_etag() {
    let (double, client) = server().await;
    let body = json!({ "name": "scoring", "properties": {
        "count": 0, "mode": "User", "provisioningState": "Succeeded", "eTag": "in-body", "ofTomorrow": { "x": 1 },
    }});
    double.then(200, &[], &body).then(200, &[("etag", "\"two\"")], &body);
    let read = client.get(&pool()).await.unwrap();
    assert_eq!((read.count(), read.etag(), read.is_running()), (0, Some("in-body"), false));
    client.put(&pool(), &read.with(2, "a=b:NoSchedule")).await.unwrap();

    let asked = double.asked();
    assert_eq!((asked[0].verb.as_str(), asked[0].path.as_str()), ("GET", PATH));
    assert_eq!(asked[0].query, "api-version=2026-03-01");
    assert_eq!(asked[0].headers["authorization"], "Bearer t");
    assert_eq!((asked[1].verb.as_str(), asked[1].path.as_str()), ("PUT", PATH));
    assert_eq!(asked[1].headers["if-match"], "in-body");
    assert_eq!(asked[1].headers["content-type"], "application/json");
    let mut expected = body;
    expected["properties"]["count"] = json!(2);
    expected["properties"]["nodeTaints"] = json!(["a=b:NoSchedule"]);
    assert_eq!(asked[1].body, expected);
}

#[tokio::test]
async fn a_put_that_fails_is_not_sent_again() {
    for status in [408, 429, 500, 503] {
        let (double, client) = server().await;
        double.then(status, &[("retry-after", "0")], &"{}");
        client.put(&pool(), &AgentPool::default()).await.unwrap_err();
        assert_eq!(double.asked().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_refusal_tells_what_was_asked_why_it_failed_and_how_long_to_wait() {
    let (double, client) = server().await;
    let error = json!({ "error": { "code": "Throttled", "message": "The PUT request limit has been exceeded" } });
    double.then(429, &[("retry-after", "42")], &error);
    let error = client.put(&pool(), &AgentPool::default()).await.unwrap_err();
    assert_eq!((error.kind, error.retry_after), (Kind::Throttled, Some(Duration::from_secs(42))));
    let text = error.to_string();
    assert!(text.contains("PUT agent pool rg1/c1/scoring") && text.contains("limit has been exceeded"), "{text}");

    double.then(409, &[], &json!({ "code": "OperationNotAllowed", "message": "Another agentpool operation" }));
    assert_eq!(client.delete_machines(&pool(), &[]).await.unwrap_err().kind, Kind::Busy);
    double.then(502, &[], &"<html>bad gateway</html>");
    assert_eq!(client.get(&pool()).await.unwrap_err().kind, Kind::Unavailable);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = AgentPools::new(endpoint.parse().unwrap(), Arc::new(Token), ClientOptions::default());
    assert_eq!(client.get(&pool()).await.unwrap_err().kind, Kind::Unavailable);
}

#[tokio::test]
async fn all_pages_of_machines_are_read() {
    let (double, client) = server().await;
    let link = format!("{}next?skip=1&api-version=2026-03-01", client.endpoint);
    double.then(200, &[], &json!({ "value": [{ "name": "m0" }], "nextLink": link }));
    double.then(200, &[], &json!({ "value": [{ "name": "m1" }] }));
    assert_eq!(client.machines(&pool()).await.unwrap().names, ["m0", "m1"]);
    let asked = double.asked();
    assert_eq!(asked[0].path, format!("{PATH}/machines"));
    assert_eq!((asked[1].path.as_str(), asked[1].query.as_str()), ("/next", "skip=1&api-version=2026-03-01"));
}

#[tokio::test]
async fn the_token_is_not_taken_to_another_host_and_half_a_list_is_no_list() {
    let (double, client) = server().await;
    double.then(200, &[], &json!({ "value": [{ "name": "m0" }], "nextLink": "https://elsewhere.example/next" }));
    let error = client.machines(&pool()).await.unwrap_err();
    assert!(error.kind == Kind::Unexpected && error.message.contains("another host"), "{error}");
    assert_eq!(double.asked().len(), 1);
}

#[tokio::test]
async fn what_is_no_agent_pool_is_said_to_be_none() {
    let (double, client) = server().await;
    double.then(200, &[], &"[]").then(200, &[], &"{}");
    for _ in 0..2 {
        let error = client.get(&pool()).await.unwrap_err();
        assert!(error.kind == Kind::Unexpected && error.message.contains("no agent pool"), "{error}");
    }
}
