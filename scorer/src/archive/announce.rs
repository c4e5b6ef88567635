//! Telling those who wait for predictions: `_SUCCESS` of the run, then `latest.json` of the schedule.

use store::latest::{MAX_BYTES, Success, VERSION};
use store::{Attempt, Record, StoreError};

use crate::context::{Context, StepError};

/// How often `latest.json` is tried for while other runs write it.
const TRIES: usize = 5;

/// Says that the predictions of an archived run are all written.
pub(super) async fn announce(context: &Context, record: &Record) -> Result<(), StepError> {
    let (store, paths, kind) = (&context.store, &context.paths, &context.request.work.predictions);
    let success = Success {
        version: VERSION,
        namespace: record.namespace.clone(),
        schedule: record.schedule.clone(),
        run: record.run.clone(),
        tick: record.tick,
        window: record.window,
        predictions: store.uri(&paths.prediction_glob()),
        layout: kind.layout,
        format: kind.format,
        record: store.uri(&paths.record()),
        sensors: record.totals.sensors,
        succeeded: record.totals.succeeded,
        failed: record.totals.failed,
        seconds_per_sensor: pace(&record.attempts, record.totals.sensors),
        rows: record.totals.scored,
        anomalies: record.totals.anomalies,
    };
    store.put_json(&paths.success(), "success", &success).await?;
    // What joins the predictions of a run makes no later one of it.
    if record.rerun_failed_of.is_some() {
        return Ok(());
    }
    move_latest(context, &success).await
}

/// Seconds that a sensor took of its pod's time: several may have been worked on at a time.
fn pace(attempts: &[Attempt], sensors: u32) -> Option<f64> {
    let seconds: f64 = attempts.iter().map(|attempt| attempt.seconds).sum();
    (sensors > 0 && seconds > 0.0).then(|| (seconds / f64::from(sensors) * 1e6).round() / 1e6)
}

/// Moves `latest.json` on to this run, unless it is at a later one.
async fn move_latest(context: &Context, success: &Success) -> Result<(), StepError> {
    let (store, path) = (&context.store, context.paths.latest());
    let json = serde_json::to_vec(success)?;
    for _ in 0..TRIES {
        let written = match store.get_json_seen::<Success>(&path, "latest run", MAX_BYTES).await {
            Ok((Some(latest), _)) if !success.follows(&latest) => {
                tracing::info!(latest = latest.run, "latest.json stays at a later run");
                return Ok(());
            }
            Ok((_, seen)) => store.put_over(&path, &seen, json.clone()).await?,
            // A file that nobody can use: there is nothing to lose.
            Err(StoreError::Malformed { .. } | StoreError::TooLarge { .. }) => {
                store.put(&path, json.clone()).await?;
                true
            }
            Err(error) => return Err(error.into()),
        };
        if written {
            return Ok(());
        }
    }
    let detail = format!("other runs changed it {TRIES} times while this one wrote it");
    Err(StoreError::Unavailable { uri: store.uri(&path), detail }.into())
}
