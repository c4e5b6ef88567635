//! Retention: what is older than the schedule keeps it is deleted from the store. At most one sweep a day, in bounded time
//! and memory; what is left when time runs out is the next run's.

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use spec::Retention;
use spec::report::{Deleted, Failure};
use spec::work::LogLayout;
use store::retention::{Cutoffs, MAX_BYTES, Next, Part, Position, VERSION, next};
use store::{StoreError, Swept};

use crate::context::Context;

mod places;

use places::{Counts, Places};

/// How long a run sweeps.
pub const BUDGET: SignedDuration = SignedDuration::from_secs(60);
/// Folders looked at at once.
const AT_ONCE: usize = 16;
/// Folders in which something could not be deleted, before a sweep gives up: it may be forbidden everywhere.
const FAILURES: usize = 10;
/// The most characters of a problem that is told.
const PROBLEM: usize = 300;

/// Why a sweep ended before all was looked at.
enum Stop {
    Time,
    Failures,
    Store(StoreError),
}

/// Deletes what is due. Tells what became of it, where there is something to tell; no run fails for it.
pub async fn retain(context: &Context, budget: SignedDuration) -> Option<Deleted> {
    let retention = context.request.work.retention.filter(Retention::is_some)?;
    let deleted = sweep(context, retention, budget).await.unwrap_or_else(|error| Some(failed(&error)))?;
    if let Some(problem) = &deleted.problem {
        tracing::warn!(reason = problem.reason, "retention: {}", problem.message);
    }
    let tells = !deleted.is_none() || deleted.more || deleted.problem.is_some();
    tells.then(|| {
        tracing::info!("retention: {deleted}");
        deleted
    })
}

fn failed(error: &StoreError) -> Deleted {
    Deleted { problem: Some(problem(error)), ..Deleted::default() }
}

fn problem(error: &StoreError) -> Failure {
    Failure { reason: error.reason().to_owned(), message: error.to_string().chars().take(PROBLEM).collect() }
}

async fn sweep(context: &Context, retention: Retention, budget: SignedDuration) -> Result<Option<Deleted>, StoreError> {
    let (store, path, now) = (&context.store, context.paths.retention(), (context.clock)());
    let before = store.requests();
    let last = match store.get_json::<Swept>(&path, "retention", MAX_BYTES).await {
        Ok(last) => Some(last),
        // What nobody can use is as good as none.
        Err(StoreError::NotFound { .. } | StoreError::Malformed { .. } | StoreError::TooLarge { .. }) => None,
        Err(error) => return Err(error),
    };
    let (position, last) = match next(last.as_ref(), &retention, now) {
        Next::Nothing => return Ok(None),
        Next::Begin => (None, None),
        Next::GoOn(position) => (Some(position), last),
    };
    let flat_logs = context.request.work.logs.layout == LogLayout::SingleDirectory;
    let places = Places {
        context,
        cutoffs: Cutoffs::at(now, &retention, flat_logs),
        flat_logs,
        until: now.checked_add(budget).unwrap_or(Timestamp::MAX),
    };
    let begin = Position { part: Part::ALL[0], after: String::new() };
    let mut sweep = Sweep { places, at: position.unwrap_or(begin), deleted: Deleted::default(), failures: 0 };
    let ended = sweep.all().await;
    let Sweep { at, mut deleted, .. } = sweep;
    let goes_on = match ended {
        Ok(()) | Err(Stop::Failures) => false,
        Err(Stop::Time) => true,
        Err(Stop::Store(error)) => {
            deleted.problem.get_or_insert_with(|| problem(&error));
            error.is_retryable()
        }
    };
    deleted.more = goes_on;
    let mut swept = last.unwrap_or(Swept {
        version: VERSION,
        retention,
        run: String::new(),
        started: now,
        completed: None,
        up_to: None,
        deleted: Deleted::default(),
        store_requests: store::RequestCounts::default(),
    });
    context.request.run.clone_into(&mut swept.run);
    (swept.completed, swept.up_to) = if goes_on { (None, Some(at)) } else { (Some((context.clock)()), None) };
    swept.deleted.runs += deleted.runs;
    swept.deleted.logs += deleted.logs;
    swept.deleted.predictions += deleted.predictions;
    (swept.deleted.more, swept.deleted.problem) = (deleted.more, deleted.problem.clone());
    swept.store_requests += store.requests() - before;
    if let Err(error) = store.put_json(&path, "retention", &swept).await {
        deleted.problem.get_or_insert_with(|| problem(&error));
    }
    Ok(Some(deleted))
}

struct Sweep<'a> {
    places: Places<'a>,
    /// How far it has got.
    at: Position,
    deleted: Deleted,
    /// Places in which something could not be deleted.
    failures: usize,
}

impl Sweep<'_> {
    async fn all(&mut self) -> Result<(), Stop> {
        for part in Part::ALL {
            if part < self.at.part {
                continue;
            }
            if part > self.at.part {
                self.at = Position { part, after: String::new() };
            }
            // Only runs tell whose the flat logs are that are left.
            if part == Part::Runs && self.places.flat_logs && self.failures > 0 {
                continue;
            }
            self.part(part).await?;
        }
        Ok(())
    }

    async fn part(&mut self, part: Part) -> Result<(), Stop> {
        let places = self.places.clone();
        let mut all = places.of(part).await.map_err(Stop::Store)?;
        all.retain(|place| *place > self.at.after);
        let looked_at = all.into_iter().map(|place| async {
            let counts = places.sweep(part, &place).await;
            (place, counts)
        });
        // In their order, so that what is before a place is done when it is.
        let mut looked_at = futures::stream::iter(looked_at).buffered(AT_ONCE);
        let mut ran_out = false;
        while let Some((place, counts)) = looked_at.next().await {
            let Counts { deleted, failed, done } = counts.map_err(Stop::Store)?;
            match part {
                Part::Logs | Part::FlatLogs => self.deleted.logs += deleted,
                Part::Runs => self.deleted.runs += deleted,
                Part::Predictions => self.deleted.predictions += deleted,
            }
            if let Some(error) = failed {
                if error.is_retryable() {
                    return Err(Stop::Store(error));
                }
                self.failures += 1;
                self.deleted.problem.get_or_insert_with(|| problem(&error));
                if self.failures >= FAILURES {
                    return Err(Stop::Failures);
                }
            }
            // What others did meanwhile counts, too; but the first that is not done is where it goes on.
            ran_out |= !done;
            if !ran_out {
                self.at.after = place;
            }
        }
        if ran_out { Err(Stop::Time) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
