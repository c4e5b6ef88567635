//! The control endpoints: what tests and the demo ask of the stand-in that no Azure answers.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::{App, lock};
use super::faults::FaultOrder;

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
    json!({"machinesMade": fleet.machines_made, "machinesDeleted": fleet.machines_deleted})
}

/// `POST /control/faults`: adds faults.
pub(super) async fn add_faults(State(app): State<Arc<App>>, body: String) -> Result<Json<Value>, (StatusCode, String)> {
    let order: FaultOrder = serde_json::from_str(&body)
        .map_err(|error| (StatusCode::BAD_REQUEST, format!("the order of faults is wrong: {error}")))?;
    if let Some(fault) = order.requests.iter().find(|fault| !(400..600).contains(&fault.status)) {
        return Err((
            StatusCode::BAD_REQUEST,
            format!("the order of faults is wrong: status {} is no error", fault.status),
        ));
    }
    lock(&app.faults).add(order.requests);
    app.fleet()
        .provisioning_faults
        .extend(order.provisioning.iter().flat_map(super::faults::ProvisioningOrder::faults));
    Ok(faults_left(&app))
}

/// `DELETE /control/faults`: no more faults.
pub(super) async fn clear_faults(State(app): State<Arc<App>>) -> Json<Value> {
    lock(&app.faults).clear();
    app.fleet().provisioning_faults.clear();
    faults_left(&app)
}

/// `GET /control/faults`: those still to come.
pub(super) async fn faults(State(app): State<Arc<App>>) -> Json<Value> {
    faults_left(&app)
}

fn faults_left(app: &App) -> Json<Value> {
    let provisioning: Vec<Value> = app
        .fleet()
        .provisioning_faults
        .iter()
        .map(|fault| json!({"machines": fault.machines, "code": fault.failure.code, "message": fault.failure.message}))
        .collect();
    Json(json!({"requests": lock(&app.faults).left(), "provisioning": provisioning}))
}

/// The body of `PUT /control/settings`; what it leaves out stays.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SettingsChange {
    provisioning_seconds: Option<f64>,
    deleting_seconds: Option<f64>,
    updating_seconds: Option<f64>,
    count_falls: Option<bool>,
    machines_per_page: Option<usize>,
}

/// `PUT /control/settings`: holds for operations accepted from now on.
pub(super) async fn change_settings(
    State(app): State<Arc<App>>,
    body: String,
) -> Result<Json<Value>, (StatusCode, String)> {
    let bad = |error: String| (StatusCode::BAD_REQUEST, format!("the settings are wrong: {error}"));
    let change: SettingsChange = serde_json::from_str(&body).map_err(|error| bad(error.to_string()))?;
    let seconds = |given: Option<f64>, old: Duration| match given {
        None => Ok(old),
        Some(given) => Duration::try_from_secs_f64(given).map_err(|error| bad(format!("{given} seconds: {error}"))),
    };
    let mut fleet = app.fleet();
    let old = fleet.settings.clone();
    fleet.settings.provisioning = seconds(change.provisioning_seconds, old.provisioning)?;
    fleet.settings.deleting = seconds(change.deleting_seconds, old.deleting)?;
    fleet.settings.updating = seconds(change.updating_seconds, old.updating)?;
    fleet.settings.count_falls = change.count_falls.unwrap_or(old.count_falls);
    fleet.settings.page = change.machines_per_page.unwrap_or(old.page);
    drop(fleet);
    Ok(show(&app))
}

/// `GET /control/settings`.
pub(super) async fn settings(State(app): State<Arc<App>>) -> Json<Value> {
    show(&app)
}

fn show(app: &App) -> Json<Value> {
    let settings = app.fleet().settings.clone();
    Json(json!({
        "provisioningSeconds": settings.provisioning.as_secs_f64(),
        "deletingSeconds": settings.deleting.as_secs_f64(),
        "updatingSeconds": settings.updating.as_secs_f64(),
        "countFalls": settings.count_falls,
        "machinesPerPage": settings.page,
    }))
}
