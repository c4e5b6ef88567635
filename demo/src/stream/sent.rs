//! What sensors have sent, and what is to come of it. No I/O.

use std::collections::BTreeMap;

use serde::Serialize;

use super::plan::Key;

/// Everything that was sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent {
    /// Milliseconds since 1970: when the first event was due, and when one no more.
    pub(crate) begin: i64,
    pub(crate) until: i64,
    /// All events, those that count in no window among them.
    pub(crate) events: u64,
    pub(crate) late: u64,
    pub(crate) malformed: u64,
    /// How many events count in each window.
    pub(crate) windows: BTreeMap<Key, u64>,
    /// When the last event for the windows that begin at a time was sent, in milliseconds since 1970.
    pub(crate) last: BTreeMap<i64, i64>,
}

/// How windows that were read back compare with what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Windows {
    pub(crate) rows: u64,
    /// Events that they count.
    pub(crate) events: u64,
    /// Windows that are not there, or there twice, or of another number of events, or that nobody sent anything for.
    pub(crate) wrong: u64,
}

impl Sent {
    /// An event that counts was sent at a time, in milliseconds since 1970.
    pub(crate) fn add(&mut self, key: Key, now: i64) {
        self.events += 1;
        *self.windows.entry(key).or_default() += 1;
        self.last.insert(key.0, now);
    }

    /// Events that count in some window.
    pub(crate) fn counted(&self) -> u64 {
        self.events - self.late - self.malformed
    }

    /// Compares windows that were read back.
    pub(crate) fn compare(&self, found: impl IntoIterator<Item = (Key, u64)>) -> Windows {
        let mut left = self.windows.clone();
        let mut windows = Windows::default();
        for (key, events) in found {
            windows.rows += 1;
            windows.events += events;
            windows.wrong += u64::from(left.remove(&key) != Some(events));
        }
        windows.wrong += left.len() as u64;
        windows
    }

    /// When the last event was sent for windows that begin in a span of seconds since 1970; in milliseconds since then.
    pub(crate) fn last_of(&self, from: i64, until: i64) -> Option<i64> {
        self.last.range(from..until).map(|(_, at)| *at).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent() -> Sent {
        let mut sent = Sent::default();
        for (key, now) in [((0, (1, 1)), 900), ((0, (1, 1)), 5_200), ((5, (1, 1)), 5_100)] {
            sent.add(key, now);
        }
        sent
    }

    #[test]
    fn windows_that_are_as_they_were_sent_are_not_wrong() {
        let same = sent().compare([((0, (1, 1)), 2), ((5, (1, 1)), 1)]);
        assert_eq!(same, Windows { rows: 2, events: 3, wrong: 0 });
    }

    #[test]
    fn a_window_that_is_missing_or_there_twice_or_short_of_an_event_is_wrong() {
        assert_eq!(sent().compare([((0, (1, 1)), 2)]).wrong, 1, "missing");
        assert_eq!(sent().compare([((0, (1, 1)), 2), ((5, (1, 1)), 1), ((5, (1, 1)), 1)]).wrong, 1, "twice");
        assert_eq!(sent().compare([((0, (1, 1)), 1), ((5, (1, 1)), 1)]).wrong, 1, "short");
        assert_eq!(sent().compare([((0, (1, 1)), 2), ((5, (1, 1)), 1), ((9, (1, 1)), 1)]).wrong, 1, "of nobody");
    }

    #[test]
    fn the_last_event_of_a_span_is_the_one_that_was_sent_last_whatever_its_window() {
        assert_eq!(sent().last_of(0, 10), Some(5_200));
        assert_eq!(sent().last_of(5, 10), Some(5_100));
        assert_eq!(sent().last_of(10, 20), None);
    }
}
