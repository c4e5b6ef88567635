//! The control endpoints: what tests and the demo ask of the stand-in that no Azure answers.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::app::{App, lock};
use super::bucket::Rate;
use super::delay::Delay;
use super::faults::{FaultOrder, KINDS, OrderError};
use super::span::Span;

/// A refusal, in plain words.
type Wrong = (StatusCode, String);

#[derive(Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

/// `GET /control/log?after=N`: requests numbered above N, and the counters.
pub(super) async fn log(State(app): State<Arc<App>>, Query(After { after }): Query<After>) -> Json<Value> {
    let counters = counters(&app);
    Json(json!({"counters": counters, "requests": lock(&app.log).after(after)}))
}

fn counters(app: &App) -> Value {
    let fleet = app.fleet();
    json!({"machinesMade": fleet.machines_made, "machinesDeleted": fleet.machines_deleted, "counts": fleet.counts()})
}

/// `POST /control/faults`: adds faults.
pub(super) async fn add_faults(State(app): State<Arc<App>>, body: String) -> Result<Json<Value>, Wrong> {
    FaultOrder::read(&body)
        .and_then(|order| carry_out(&app, order))
        .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok(show_faults(&app))
}

/// Does what an order says, all of it or nothing.
pub(super) fn carry_out(app: &App, order: FaultOrder) -> Result<(), OrderError> {
    order.check()?;
    let now = app.now();
    {
        let mut fleet = app.fleet();
        fleet.check(&order)?;
        fleet.order(&order, now);
    }
    app.changed.notify_one();
    lock(&app.faults).add(order.requests);
    lock(&app.outages).set(order.throttle, order.down, now);
    app.outages_changed.send_replace(());
    Ok(())
}

#[derive(Deserialize)]
pub(super) struct Which {
    kind: Option<String>,
}

/// `DELETE /control/faults`: no more faults; with `?kind=throttle`, none of that kind.
pub(super) async fn clear_faults(
    State(app): State<Arc<App>>,
    Query(Which { kind }): Query<Which>,
) -> Result<Json<Value>, Wrong> {
    let kinds = match &kind {
        None => KINDS.to_vec(),
        Some(kind) if KINDS.contains(&kind.as_str()) => vec![kind.as_str()],
        Some(other) => {
            let why = format!("kind: there are no faults '{other}', only {}", KINDS.join(", "));
            return Err((StatusCode::BAD_REQUEST, why));
        }
    };
    for kind in kinds {
        match kind {
            "requests" => lock(&app.faults).clear(),
            "throttle" => lock(&app.outages).end_throttle(),
            "down" => lock(&app.outages).end_down(),
            other => app.fleet().clear(other),
        }
    }
    app.outages_changed.send_replace(());
    Ok(show_faults(&app))
}

/// `GET /control/faults`: those that stand or are still to come.
pub(super) async fn faults(State(app): State<Arc<App>>) -> Json<Value> {
    show_faults(&app)
}

fn show_faults(app: &App) -> Json<Value> {
    let now = app.now();
    let mut shown = app.fleet().show_faults(now);
    let (throttle, down) = lock(&app.outages).show(now);
    shown["requests"] = json!(lock(&app.faults).left());
    shown["throttle"] = throttle;
    shown["down"] = down;
    Json(shown)
}

/// The body of `PUT /control/settings`; what it leaves out stays.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SettingsChange {
    provisioning: Option<Delay>,
    deleting_seconds: Option<Span>,
    updating_seconds: Option<Span>,
    count_falls: Option<bool>,
    machines_per_page: Option<usize>,
    put_bucket: Option<Rate>,
    request_bucket: Option<Rate>,
}

/// The answer of `GET /control/settings`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SettingsShown {
    provisioning: Delay,
    deleting_seconds: Span,
    updating_seconds: Span,
    count_falls: bool,
    machines_per_page: usize,
    put_bucket: Rate,
    request_bucket: Rate,
    seed: u64,
}

/// `PUT /control/settings`: holds for operations accepted from now on.
pub(super) async fn change_settings(State(app): State<Arc<App>>, body: String) -> Result<Json<impl Serialize>, Wrong> {
    let mut reader = serde_json::Deserializer::from_str(&body);
    let change: SettingsChange = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let why = format!("the settings are wrong: {}: {}", error.path(), error.inner());
        (StatusCode::BAD_REQUEST, why)
    })?;
    let now = app.now();
    {
        let mut fleet = app.fleet();
        let mut settings = fleet.settings.clone();
        settings.provisioning = change.provisioning.unwrap_or(settings.provisioning);
        settings.deleting = change.deleting_seconds.map_or(settings.deleting, |span| span.0);
        settings.updating = change.updating_seconds.map_or(settings.updating, |span| span.0);
        settings.count_falls = change.count_falls.unwrap_or(settings.count_falls);
        settings.page = change.machines_per_page.unwrap_or(settings.page);
        settings.put_bucket = change.put_bucket.unwrap_or(settings.put_bucket);
        settings.request_bucket = change.request_bucket.unwrap_or(settings.request_bucket);
        fleet.set(settings, now);
    }
    Ok(show(&app))
}

/// `GET /control/settings`.
pub(super) async fn settings(State(app): State<Arc<App>>) -> Json<impl Serialize> {
    show(&app)
}

fn show(app: &App) -> Json<SettingsShown> {
    let settings = app.fleet().settings.clone();
    Json(SettingsShown {
        provisioning: settings.provisioning,
        deleting_seconds: settings.deleting.into(),
        updating_seconds: settings.updating.into(),
        count_falls: settings.count_falls,
        machines_per_page: settings.page,
        put_bucket: settings.put_bucket,
        request_bucket: settings.request_bucket,
        seed: app.seed,
    })
}
