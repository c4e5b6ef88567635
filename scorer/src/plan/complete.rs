//! Waiting for a window's readings to be complete, before anything is planned: no node of the pool is there for it yet.
//!
//! How long is counted from when the run was made, as its request says: a pod that takes the place of one that died, or whose
//! store was away, does not begin anew.

mod markers;
mod watermarks;

use std::time::Duration;

use jiff::Timestamp;
use spec::{Complete, OnTimeout};

use crate::context::{Context, StepError};
use crate::shown::on_one_line;
use markers::Markers;
use watermarks::Watermarks;

/// How long after a look the next one comes: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LAST_PAUSE: Duration = Duration::from_secs(15);
/// Requests under way at once.
const AT_ONCE: usize = 16;

/// Waits until the readings are complete, if the schedule asks for it. Gives what they lack if they are not in time, and what
/// is there is to be scored.
///
/// # Errors
/// When they are not in time and nothing is to be scored then, when what tells of them cannot be read, or the store fails.
pub(super) async fn wait(context: &Context) -> Result<Option<String>, StepError> {
    let Some(complete) = &context.request.work.data.complete else { return Ok(None) };
    let since = (context.clock)();
    let until = context
        .request
        .wait_until
        .unwrap_or_else(|| since.checked_add(complete.wait_up_to.to_signed()).unwrap_or(Timestamp::MAX));
    let awaited = complete.awaited(context.request.window);
    let mut signal = Signal::of(context, complete)?;
    let (mut pause, mut told) = (FIRST_PAUSE, String::new());
    loop {
        let Some(lacks) = signal.lacks().await? else {
            if !told.is_empty() {
                let seconds = (context.clock)().duration_since(since).as_secs();
                tracing::info!("the readings are complete, after {seconds} s");
            }
            return Ok(None);
        };
        let lacks = on_one_line(&lacks);
        let left = Duration::try_from(until.duration_since((context.clock)())).unwrap_or_default();
        if left.is_zero() {
            let late = format!("the readings were not complete by {until}; waited for {awaited}: {lacks}");
            return match complete.on_timeout {
                OnTimeout::Score => Ok(Some(late)),
                OnTimeout::Fail => Err(StepError::DataIncomplete(late)),
            };
        }
        if told != lacks {
            tracing::info!("waiting since {since}, and until {until} at most, for {awaited}: {lacks}");
            told = lacks;
        }
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 3 / 2).min(LAST_PAUSE);
    }
}

/// What tells that readings are complete.
enum Signal<'a> {
    Watermarks(Watermarks<'a>),
    Markers(Markers<'a>),
}

impl<'a> Signal<'a> {
    fn of(context: &'a Context, complete: &'a Complete) -> Result<Self, StepError> {
        let request = &context.request;
        match (&complete.watermark, &complete.marker) {
            (Some(folder), _) => {
                let end = request.window.map_or(request.tick, |window| window.end);
                Ok(Self::Watermarks(Watermarks::new(&context.store, folder, end)))
            }
            (None, Some(marker)) => {
                let files = marker.files(request.window).map_err(|e| StepError::Request(e.to_string()))?;
                Ok(Self::Markers(Markers::new(&context.store, &files)))
            }
            (None, None) => Err(StepError::Request("data.complete has neither watermark nor marker".to_owned())),
        }
    }

    /// What the readings lack now.
    async fn lacks(&mut self) -> Result<Option<String>, StepError> {
        Ok(match self {
            Self::Watermarks(watermarks) => watermarks.lacks().await?,
            Self::Markers(markers) => markers.lacks().await?,
        })
    }
}

#[cfg(test)]
mod tests;
