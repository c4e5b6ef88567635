//! What a command is told of its task.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use spec::SensorKeys;
use spec::command::{is_reserved, key_variable};

use super::files::Local;
use crate::context::Context;

/// What names begin with that may hold a credential of the store, or the way to one.
const CREDENTIALS: [&str; 4] = ["AZURE_", "AWS_", "GOOGLE_", "IDENTITY_"];
/// What a pod sets for the scorer itself.
const OURS: [&str; 6] = [
    "SCORING_STORE_SECRET_DIR",
    "SCORING_DATA_SECRET_DIR",
    "SCORING_PREDICTIONS_SECRET_DIR",
    "SCORING_REPORT",
    "SCORING_CA_FILE",
    "MALLOC_ARENA_MAX",
];

/// Has Python tell what it prints at once, and not when it ends: it may be killed before.
const UNBUFFERED: &str = "PYTHONUNBUFFERED";

/// The environment of a command, but for what belongs to one sensor.
pub(super) fn of_run(context: &Context) -> BTreeMap<String, OsString> {
    let request = &context.request;
    let mut env: BTreeMap<String, OsString> =
        context.running.env.iter().map(|(name, value)| (name.clone(), value.into())).collect();
    let is_set = |name: &str| context.running.env.contains_key(name) || std::env::var_os(name).is_some();
    let unbuffered = (!is_set(UNBUFFERED)).then(|| (UNBUFFERED.to_owned(), "1".into()));
    env.extend(unbuffered);
    let mut set = |name: &str, value: String| env.insert(name.to_owned(), value.into());
    set("SCORING_NAMESPACE", request.namespace.clone());
    set("SCORING_SCHEDULE", request.schedule.clone());
    set("SCORING_RUN", request.run.clone());
    set("SCORING_TICK", request.tick.to_string());
    if let Some(window) = request.window {
        set("SCORING_WINDOW_START", window.start.to_string());
        set("SCORING_WINDOW_END", window.end.to_string());
    }
    env
}

/// What belongs to one sensor.
pub(super) fn of_sensor(sensor: &SensorKeys, local: &Local) -> BTreeMap<String, OsString> {
    let keys = sensor.0.iter().map(|(key, value)| (key_variable(key), value.into()));
    let path = |name: &str, path: &Path| (name.to_owned(), path.into());
    let paths = [
        path("SCORING_MODEL", &local.model),
        path("SCORING_INPUT", &local.input),
        path("SCORING_OUTPUT", &local.output),
    ];
    keys.chain(paths).collect()
}

/// The value of a variable in the words of a command that is run for one sensor.
pub(super) fn variable(context: &Context, sensor: &SensorKeys, local: &Local, name: &str) -> Option<String> {
    // A key named like a path is refused where the path's variable is used.
    match name {
        _ if sensor.get(name).is_some() => sensor.get(name).map(str::to_owned),
        "model" => shown(&local.model),
        "input" => shown(&local.input),
        "output" => shown(&local.output),
        _ => of_window(context, name),
    }
}

/// The value of a variable that belongs to no sensor.
pub(super) fn of_window(context: &Context, name: &str) -> Option<String> {
    let window = context.request.window?;
    match name {
        "window.start" => Some(window.start.to_string()),
        "window.end" => Some(window.end.to_string()),
        _ => None,
    }
}

fn shown(path: &Path) -> Option<String> {
    path.to_str().map(str::to_owned)
}

/// The names of this process' environment that a command does not get: credentials of the store, what is meant for the
/// scorer, and what would be mistaken for a task. `keep`: those that the user set.
pub(super) fn without(keep: &[String]) -> Vec<OsString> {
    let is_ours = |name: &str| {
        let credential = CREDENTIALS.iter().any(|prefix| name.starts_with(prefix));
        (credential || OURS.contains(&name)) && !keep.iter().any(|kept| kept == name)
    };
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(|name| name.to_str().is_some_and(|name| is_ours(name) || is_reserved(name))).collect()
}
