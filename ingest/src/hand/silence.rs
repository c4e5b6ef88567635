//! For how long a partition is silent.

use std::time::{Duration, Instant};

use crate::Micros;
use crate::source::OBSERVED_EVERY;

/// Between two words of the broker that are further apart, nobody knows what there was: the process may have been stopped, or have
/// waited for the store.
const GAP: Duration = OBSERVED_EVERY.saturating_mul(5);

/// For how long the broker has told, again and again, that there is nothing more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Silence {
    length: Micros,
    heard: Option<Instant>,
}

impl Silence {
    /// There is something.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// The broker tells that there is nothing more.
    pub(super) fn heard(&mut self, now: Instant) {
        let passed = self.heard.replace(now).map(|then| now.saturating_duration_since(then));
        if let Some(passed) = passed.filter(|passed| *passed <= GAP) {
            self.length = self.length.saturating_add(i64::try_from(passed.as_micros()).unwrap_or(i64::MAX));
        }
    }

    /// It tells nothing.
    pub(super) fn not_heard(&mut self) {
        self.heard = None;
    }

    /// Whether its last word was that there is nothing more.
    pub(super) fn is_heard(&self) -> bool {
        self.heard.is_some()
    }

    /// For how long.
    pub(super) fn length(&self) -> Micros {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of words at these milliseconds.
    fn silence(words: &[u64]) -> Silence {
        let begin = Instant::now();
        let mut silence = Silence::default();
        for word in words {
            silence.heard(begin + Duration::from_millis(*word));
        }
        silence
    }

    #[test]
    fn a_silence_is_as_long_as_the_broker_tells_of_it() {
        assert_eq!(silence(&[0]).length(), 0);
        assert_eq!(silence(&[0, 1000, 2100]).length(), 2_100_000);
    }

    #[test]
    fn while_nobody_looks_there_is_no_silence() {
        assert_eq!(silence(&[0, 1000, 241_000, 242_000]).length(), 2_000_000);
    }

    #[test]
    fn an_event_ends_it_and_what_passed_before_is_none() {
        let mut silence = silence(&[0, 1000]);
        silence.end();
        silence.heard(Instant::now() + Duration::from_millis(2000));
        assert_eq!(silence.length(), 0);
    }

    #[test]
    fn a_broker_that_tells_nothing_stops_that_clock() {
        let mut silence = silence(&[0, 1000]);
        silence.not_heard();
        assert!(!silence.is_heard());
        silence.heard(Instant::now() + Duration::from_millis(2000));
        assert_eq!(silence.length(), 1_000_000);
    }
}
