//! Which sensors have left what is usual for them.

use store::bands::{Bands, MAX_BYTES, MEANS, MOST, RUNS, SeenRun};
use store::{Outcome, Seen, StoreError};

use crate::context::Context;

/// How often the bands are tried for while other runs write them.
const TRIES: usize = 3;

/// Says of each outcome what has left the band of the sensor's last runs, and keeps what this run had. Only the ticks' own
/// runs count, each once and in the order of their ticks. No run fails because its bands cannot be read or written.
pub(super) async fn flag(context: &Context, outcomes: &mut [Outcome]) {
    let (request, paths) = (&context.request, &context.paths);
    let is_ticks_own = paths.tick_of(&request.run) == Some(request.tick) && request.rerun_failed_of.is_none();
    if !request.work.task.is_score() || !is_ticks_own {
        return;
    }
    let widest = outcomes.iter().map(|outcome| outcome.input_means.len()).max().unwrap_or_default();
    if outcomes.len().saturating_mul(RUNS * (widest.min(MEANS) + 1)) > MOST {
        tracing::warn!("{} sensors are too many to keep what is usual for them", outcomes.len());
        return;
    }
    if let Err(error) = fold(context, outcomes).await {
        tracing::warn!(%error, "what is usual for the sensors could not be kept");
    }
}

async fn fold(context: &Context, outcomes: &mut [Outcome]) -> Result<(), StoreError> {
    let (store, path, request) = (&context.store, context.paths.bands(), &context.request);
    for _ in 0..TRIES {
        let (bands, seen) = match store.get_json_seen::<Bands>(&path, "bands", MAX_BYTES).await {
            Err(error @ (StoreError::Malformed { .. } | StoreError::TooLarge { .. })) => {
                tracing::warn!(%error, "what is usual for the sensors begins anew");
                (None, Seen::Unversioned)
            }
            found => found?,
        };
        let mut bands = bands.unwrap_or_default();
        let run = SeenRun { run: request.run.clone(), up_to: request.window.map_or(request.tick, |window| window.end) };
        let Some(drifted) = bands.fold(run, outcomes) else { return Ok(()) };
        if store.put_json_over(&path, &seen, "bands", &bands).await? {
            for (place, drift) in drifted {
                if let Some(outcome) = outcomes.get_mut(place) {
                    outcome.warnings.extend(drift.iter().map(store::bands::Drift::sentence));
                    outcome.drift = drift;
                }
            }
            return Ok(());
        }
    }
    tracing::warn!("other runs changed {} {TRIES} times while this one wrote it", store.uri(&path));
    Ok(())
}
