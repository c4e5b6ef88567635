//! The token endpoint and the webhook over http.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response};
use serde_json::Value;

use super::app::{App, lock};
use super::arm::{Reply, base};
use super::faults::Endpoint;
use super::identity::{self, AUDIENCE, Refusal, TokenRequest};
use super::log::Entry;
use super::webhook;

/// `POST /{tenant}/oauth2/v2.0/token`
pub(super) async fn token(State(app): State<Arc<App>>, Path(tenant): Path<String>, form: Bytes) -> Response<Body> {
    let path = format!("/{tenant}/oauth2/v2.0/token");
    let strike = lock(&app.faults).take("POST", &path, false);
    let mut subject = None;
    let (reply, code) = match (strike, exchange(&app, &tenant, &form, &mut subject).await) {
        (Some(strike), _) => (Reply::refusal(&strike.error), Some(strike.error.code)),
        (None, Ok(body)) => (Reply::json(200, body), None),
        (None, Err(refusal)) => {
            tracing::warn!(code = refusal.code, description = refusal.description, "no token given");
            (Reply::json(refusal.status, refusal.body(app.now())), Some(format!("AADSTS{}", refusal.code)))
        }
    };
    let (at, method, status) = (app.now(), "POST".to_owned(), reply.status);
    lock(&app.log).write(Entry {
        number: 0,
        at,
        method,
        path,
        status,
        bucket_left: None,
        count: None,
        was: None,
        machines: Vec::new(),
        code,
        subject,
    });
    reply.into_response()
}

async fn exchange(app: &App, tenant: &str, form: &[u8], subject: &mut Option<String>) -> Result<Value, Refusal> {
    if lock(&app.outages).unavailable(Endpoint::Tokens, app.now()).is_some() {
        let why = "A transient error has occurred. Please try again.".to_owned();
        return Err(Refusal::new(503, "temporarily_unavailable", 90_033, why));
    }
    let request = TokenRequest::parse(&app.application, tenant, form)?;
    let reviewed = app.control_plane.subject(&request.assertion, AUDIENCE).await.map_err(|error| {
        Refusal::new(
            503,
            "temporarily_unavailable",
            90_033,
            format!("The assertion could not be reviewed by the API server: {error:#}"),
        )
    })?;
    let Some(found) = reviewed else {
        return Err(Refusal::new(
            401,
            "invalid_client",
            700_211,
            format!(
                "The API server does not vouch for the presented assertion as a token for the audience '{AUDIENCE}'."
            ),
        ));
    };
    *subject = Some(found.clone());
    identity::check_subject(&app.application, &found)?;
    let now = app.now();
    lock(&app.tokens).issue(&found, &request.scope, now)
}

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`
pub(super) async fn openid_configuration(Path(tenant): Path<String>, headers: HeaderMap) -> Json<Value> {
    Json(identity::openid_configuration(&base(&headers), &tenant))
}

/// `GET /common/discovery/instance`
pub(super) async fn instance_discovery(State(app): State<Arc<App>>, headers: HeaderMap) -> Json<Value> {
    Json(identity::instance_discovery(&base(&headers), &app.application.tenant_id))
}

/// `POST /mutate`: the workload-identity webhook.
pub(super) async fn mutate(State(app): State<Arc<App>>, Json(review): Json<Value>) -> Response<Body> {
    let request = &review["request"];
    let namespace = request["namespace"].as_str().unwrap_or_default();
    let account = webhook::service_account(&request["object"]);
    match app.control_plane.annotations(namespace, account).await {
        Ok(annotations) => Reply::json(200, webhook::review(&review, &app.cloud, annotations.as_ref())),
        // The API server takes this for a webhook that failed, and goes by its failure policy.
        Err(error) => Reply { status: 500, body: Some(Value::String(format!("{error:#}"))), ..Reply::default() },
    }
    .into_response()
}
