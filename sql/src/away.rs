//! Since when a database does not answer. It is waited for, but not in silence: whoever runs a pod learns of it only once
//! the pod has ended. So all who ask in a process bear with it together; after that each asks once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long it is borne, as with the store.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Since when it has not answered, if it does not.
#[derive(Debug, Default)]
pub(crate) struct Away(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    /// It has been told to somebody that it is away.
    told: bool,
}

impl State {
    fn is_away(&mut self) -> bool {
        let away = self.since.is_some_and(|since| since.elapsed() >= PATIENCE);
        self.told |= away;
        away
    }
}

impl Away {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It answered.
    pub(crate) fn answered(&self) {
        self.state().since = None;
    }

    /// It did not, to somebody who asked then; whether that has lasted for longer than is borne.
    pub(crate) fn failed(&self, asked: Instant) -> bool {
        let mut state = self.state();
        state.since.get_or_insert(asked);
        state.is_away()
    }

    /// Whether it has not answered for longer than is borne.
    pub(crate) fn is_away(&self) -> bool {
        self.state().is_away()
    }

    /// Whether somebody was told so, be it back since.
    pub(crate) fn was_away(&self) -> bool {
        self.state().told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_database_is_away_once_it_has_not_answered_for_as_long_as_is_borne() {
        let away = Away::default();
        assert!(!away.failed(Instant::now()) && !away.is_away());
        tokio::time::advance(PATIENCE).await;
        assert!(away.is_away() && away.failed(Instant::now()));
        away.answered();
        assert!(!away.is_away() && !away.failed(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_left_out_because_it_was_away_is_known_after_it_came_back() {
        let away = Away::default();
        away.failed(Instant::now());
        tokio::time::advance(PATIENCE).await;
        assert!(!away.was_away(), "nobody has asked");
        assert!(away.is_away());
        away.answered();
        assert!(!away.is_away() && away.was_away());
    }
}
