//! The Resource Manager API over http: headers and bodies in and out of the [`Fleet`](super::fleet::Fleet).

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, header, request::Parts};
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::{App, lock};
use super::error::ApiError;
use super::faults::Endpoint;
use super::fleet::{Conditions, Draw, Scope};
use super::log::Entry;
use super::machine::Addresses;
use super::operation::Status;
use super::route::{API_VERSION, Route, check_api_version};

pub(super) const BODY_LIMIT: usize = 1 << 20;

/// An answer in the making.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Option<Value>,
}

impl Reply {
    pub(super) fn json(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), ..Self::default() }
    }

    pub(super) fn refusal(error: &ApiError) -> Self {
        let mut reply = Self::json(error.status, error.body());
        if let Some(wait) = error.retry_after {
            reply.headers.push(("retry-after", wait.as_secs().to_string()));
        }
        reply
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let body = match self.body {
            Some(body) => {
                response = response.header(header::CONTENT_TYPE, "application/json; charset=utf-8");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        // Only a header that no one can write ends here.
        response.body(body).unwrap_or_else(|_| Response::new(Body::from("an answer could not be written")))
    }
}

/// What is known of a request once it was answered, for the log.
#[derive(Default)]
struct Notes {
    bucket_left: Option<u32>,
    count: Option<u64>,
    was: Option<u64>,
    machines: Vec<String>,
    subject: Option<String>,
}

impl Notes {
    /// What a readable body asks for.
    fn read(&mut self, body: &[u8]) {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        self.count = body["properties"]["count"].as_u64();
        let names = body["machineNames"].as_array().into_iter().flatten();
        self.machines = names.filter_map(|name| name.as_str().map(str::to_owned)).collect();
    }
}

/// `https://` and the host the client used, so that the addresses it is told lead back here.
pub(super) fn base(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("https://{host}")
}

pub(super) async fn serve(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let mut notes = Notes::default();
    let answer = answer(&app, &parts, body, &mut notes).await;
    let (reply, code) = match answer {
        Ok(reply) => (reply, None),
        Err(error) => {
            let mut reply = Reply::refusal(&error);
            if error.status == 401 {
                let challenge =
                    format!("Bearer authorization_uri=\"{}/{}\"", base(&parts.headers), app.application.tenant_id);
                reply.headers.push(("www-authenticate", challenge));
            }
            (reply, Some(error.code))
        }
    };
    lock(&app.log).write(Entry {
        number: 0,
        at: app.now(),
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        status: reply.status,
        bucket_left: notes.bucket_left,
        count: notes.count,
        was: notes.was,
        machines: notes.machines,
        code,
        subject: notes.subject,
    });
    reply.into_response()
}

async fn answer(app: &App, parts: &Parts, body: Body, notes: &mut Notes) -> Result<Reply, ApiError> {
    let (method, path) = (parts.method.as_str(), parts.uri.path());
    let own = base(&parts.headers);
    let own_host = url::Url::parse(&own).ok().and_then(|url| Some(url.host_str()?.to_owned())).unwrap_or_default();
    let authorization = text(&parts.headers, "authorization");
    let now = app.now();
    if let Some(down) = lock(&app.outages).unavailable(Endpoint::Arm, now) {
        return Err(down);
    }
    notes.subject = Some(lock(&app.tokens).check(authorization.as_deref(), &own_host, now)?);
    check_api_version(parts.uri.query())?;
    let scope = app.fleet().scope.clone();
    let route = Route::parse(path, &scope)?;
    if let Some(throttled) = lock(&app.outages).throttled(&scope.subscription, method, now) {
        return Err(throttled);
    }
    let strike = lock(&app.faults).take(method, path, true);
    let error = match strike {
        Some(strike) if !strike.after => return Err(strike.error),
        Some(strike) => Some(strike.error),
        None => None,
    };
    let draw = match &route {
        Route::Pool(pool) if method == "PUT" => Draw::Put(pool),
        _ => Draw::Other,
    };
    let drawn = app.fleet().draw(draw, now);
    notes.bucket_left = Some(*drawn.as_ref().unwrap_or(&0));
    drawn?;
    let body = to_bytes(body, BODY_LIMIT).await.map_err(|error| {
        ApiError::new(413, "RequestEntityTooLarge", format!("The request body could not be read: {error}"))
    })?;
    notes.read(&body);
    if let (Route::Pool(pool), Some(_)) = (&route, notes.count) {
        notes.was = app.fleet().count(pool);
    }
    let reply = act(app, method, route, parts, &body, &own).await?;
    match error {
        Some(error) => Err(error),
        None => Ok(reply),
    }
}

async fn act(app: &App, method: &str, route: Route, parts: &Parts, body: &[u8], own: &str) -> Result<Reply, ApiError> {
    let now = app.now();
    let conditions =
        Conditions { if_match: text(&parts.headers, "if-match"), if_none_match: text(&parts.headers, "if-none-match") };
    match (method, route) {
        ("GET", Route::Pools) => Ok(Reply::json(200, app.fleet().list())),
        ("GET", Route::Pool(pool)) => Ok(with_etag(Reply::json(200, app.fleet().get(&pool)?))),
        ("PUT", Route::Pool(pool)) => {
            let put = app.fleet().put(&pool, &read(body)?, &conditions, now)?;
            app.changed.notify_one();
            let mut reply = with_etag(Reply::json(if put.created { 201 } else { 200 }, put.body));
            if let Some(operation) = put.operation {
                reply.headers.extend(operation_headers(app, own, &operation));
            }
            Ok(reply)
        }
        ("DELETE", Route::Pool(pool)) => {
            let operation = app.fleet().delete_pool(&pool, &conditions, now)?;
            Ok(accepted(app, own, operation))
        }
        ("GET", Route::Machines(pool)) => {
            let addresses = addresses(app, &pool).await;
            let after = query(parts, "$skiptoken").unwrap_or_default();
            let page = app.fleet().machines(&pool, &after, &addresses)?;
            let mut body = json!({"value": page.value});
            if let Some(last) = page.more_after {
                let path = parts.uri.path();
                body["nextLink"] = json!(format!("{own}{path}?api-version={API_VERSION}&%24skiptoken={last}"));
            }
            Ok(Reply::json(200, body))
        }
        ("GET", Route::Machine(pool, machine)) => {
            let addresses = addresses(app, &pool).await;
            Ok(Reply::json(200, app.fleet().machine(&pool, &machine, &addresses)?))
        }
        ("POST", Route::DeleteMachines(pool)) => {
            #[derive(Deserialize)]
            #[serde(rename_all = "camelCase")]
            struct Request {
                machine_names: Vec<String>,
            }
            let request: Request = serde_json::from_slice(body).map_err(|error| unreadable(&error))?;
            let operation = app.fleet().delete_machines(&pool, &request.machine_names, now)?;
            Ok(accepted(app, own, Some(operation)))
        }
        ("POST", Route::Abort(pool)) => {
            let operation = app.fleet().abort(&pool, now)?;
            Ok(accepted(app, own, operation))
        }
        ("GET", Route::Operation(id)) => {
            let fleet = app.fleet();
            let operation = fleet.operation(&id)?;
            let address = parts.uri.path();
            let mut reply = Reply::json(200, operation.render(&id, address));
            if operation.is_running() {
                reply.headers.push(("retry-after", "1".into()));
            }
            Ok(reply)
        }
        ("GET", Route::OperationResult(id)) => operation_result(app, own, &id),
        (method, _) => Err(ApiError::new(
            405,
            "HttpMethodNotAllowed",
            format!("The method {method} is not allowed for '{}'.", parts.uri.path()),
        )),
    }
}

/// What the Location of an accepted request shows: 202 until the end, then the resource, nothing, or the error.
fn operation_result(app: &App, own: &str, id: &str) -> Result<Reply, ApiError> {
    let fleet = app.fleet();
    let operation = fleet.operation(id)?;
    match operation.status {
        Status::InProgress => Ok(Reply { status: 202, headers: headers(&fleet.scope, own, id), body: None }),
        Status::Succeeded => Ok(match fleet.get(&operation.pool) {
            Ok(body) => Reply::json(200, body),
            Err(_) => Reply { status: 204, ..Reply::default() },
        }),
        Status::Failed | Status::Canceled => {
            let status = if operation.status == Status::Failed { 400 } else { 409 };
            Err(match &operation.failure {
                Some(failure) => ApiError::of(status, failure),
                None => ApiError::new(status, "OperationPreempted", "The operation was canceled."),
            })
        }
    }
}

/// 202 and where to ask, or 204 where there was nothing to do.
fn accepted(app: &App, own: &str, operation: Option<String>) -> Reply {
    app.changed.notify_one();
    match operation {
        Some(id) => Reply { status: 202, headers: operation_headers(app, own, &id), body: None },
        None => Reply { status: 204, ..Reply::default() },
    }
}

fn operation_headers(app: &App, own: &str, id: &str) -> Vec<(&'static str, String)> {
    headers(&app.fleet().scope, own, id)
}

fn headers(scope: &Scope, own: &str, id: &str) -> Vec<(&'static str, String)> {
    let at = |kind: &str| {
        format!(
            "{own}/subscriptions/{}/providers/Microsoft.ContainerService/locations/{}/{kind}/{id}?api-version={API_VERSION}",
            scope.subscription, scope.location
        )
    };
    vec![("azure-asyncoperation", at("operations")), ("location", at("operationresults")), ("retry-after", "1".into())]
}

/// A node that does not answer for its addresses is no reason not to show its machine.
async fn addresses(app: &App, pool: &str) -> Addresses {
    app.control_plane.addresses(pool).await.unwrap_or_else(|error| {
        tracing::warn!(pool, error = format!("{error:#}"), "the addresses of nodes are not known");
        Addresses::new()
    })
}

fn with_etag(mut reply: Reply) -> Reply {
    if let Some(etag) = reply.body.as_ref().and_then(|body| body["properties"]["eTag"].as_str()) {
        reply.headers.push(("etag", format!("\"{etag}\"")));
    }
    reply
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn query(parts: &Parts, name: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
    pairs.into_owned().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn read(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> ApiError {
    ApiError::new(
        400,
        "InvalidRequestContent",
        format!("The request content was invalid and could not be deserialized: '{error}'."),
    )
}
