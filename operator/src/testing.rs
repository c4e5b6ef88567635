//! What several tests need.

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::Value;

/// An API server that has these answers, in order, and remembers what it was asked.
pub(crate) fn server(answers: Vec<(u16, Value)>) -> (Client, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, answers) = (asked.clone(), Arc::new(Mutex::new(answers.into_iter())));
    let service = tower::service_fn(move |request: Request<Body>| {
        log.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
        let (code, body) = answers.lock().unwrap().next().unwrap();
        let body = Body::from(serde_json::to_vec(&body).unwrap());
        std::future::ready(Ok::<_, std::convert::Infallible>(Response::builder().status(code).body(body).unwrap()))
    });
    (Client::new(service, "plant"), asked)
}
