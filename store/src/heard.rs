//! Whether the store answers: since when it does not, and how long that is borne.
//!
//! A store that is away is waited for, but not in silence: whoever runs a pod learns of it only once the pod has ended. So
//! all requests of a process bear with it for [`PATIENCE`] together, counted from when it last answered; after that each
//! asks once, and fails.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the store may be away before requests fail.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long a request waits for an answer once the store is away.
pub(crate) const LAST_WAIT: Duration = Duration::from_secs(5);

/// What is known of whether the store answers.
pub(crate) struct Heard {
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    answered: Option<Instant>,
    /// Since when no request was answered, though some were made.
    silent: Option<Instant>,
    /// Whether it ever was away.
    was_away: bool,
}

impl Heard {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request was answered.
    pub(crate) fn answered(&self) {
        let mut state = self.state();
        (state.answered, state.silent) = (Some(Instant::now()), None);
    }

    /// A request that was made then was not; whether the store is away now.
    pub(crate) fn failed(&self, made: Instant) -> bool {
        let mut state = self.state();
        let since = state.answered.map_or(made, |answered| answered.max(made));
        let away = state.silent.get_or_insert(since).elapsed() >= self.patience;
        state.was_away |= away;
        away
    }

    /// Something under way was lost to the store's going away, and has to be begun anew.
    pub(crate) fn lost(&self) {
        self.state().was_away = true;
    }

    /// Whether the store has not answered for longer than is borne.
    pub(crate) fn is_away(&self) -> bool {
        self.state().silent.is_some_and(|since| since.elapsed() >= self.patience)
    }

    /// Whether it ever was so.
    pub(crate) fn was_away(&self) -> bool {
        self.state().was_away
    }
}

impl Default for Heard {
    fn default() -> Self {
        Self::new(PATIENCE)
    }
}

impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Heard({})", if self.is_away() { "away" } else { "here" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_store_is_away_once_it_has_not_answered_for_as_long_as_is_borne() {
        let heard = Heard::default();
        assert!(!heard.failed(Instant::now()) && !heard.is_away());
        tokio::time::advance(Duration::from_secs(29)).await;
        assert!(!heard.failed(Instant::now()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(heard.failed(Instant::now()) && heard.is_away());
        heard.answered();
        assert!(!heard.is_away() && heard.was_away());
        assert!(!heard.failed(Instant::now()), "it is borne anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_hangs_counts_from_when_it_was_made_and_what_came_meanwhile_counts_too() {
        let (heard, made) = (Heard::default(), Instant::now());
        tokio::time::advance(Duration::from_secs(20)).await;
        heard.answered();
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(!heard.failed(made), "it answered 20 s ago");
        let (heard, made) = (Heard::default(), Instant::now());
        tokio::time::advance(PATIENCE).await;
        assert!(heard.failed(made));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_answers_now_and_then_is_not_away() {
        let heard = Heard::default();
        for _ in 0..10 {
            heard.failed(Instant::now());
            tokio::time::advance(Duration::from_secs(20)).await;
            heard.answered();
        }
        assert!(!heard.is_away() && !heard.was_away());
    }
}
