//! Whose turn it is: tests of one lane go one after the other, those of several side by side, and some alone.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Beside what a test may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Beside those of other lanes.
    Number(usize),
    /// Beside none.
    Alone,
}

impl Lane {
    fn excludes(self, other: Self) -> bool {
        self == other || [self, other].contains(&Self::Alone)
    }
}

/// The tests that run, in their order.
#[derive(Debug)]
pub(crate) struct Turns {
    /// Each with whether it has ended.
    tests: Mutex<Vec<(Lane, bool)>>,
    changed: Condvar,
}

impl Turns {
    /// Of the tests in their order, each with whether it does not run at all.
    pub(crate) fn new(tests: Vec<(Lane, bool)>) -> Self {
        Self { tests: Mutex::new(tests), changed: Condvar::new() }
    }

    /// Runs a test once those before it that it must not run beside have ended.
    pub(crate) fn take<T>(&self, test: usize, run: impl FnOnce() -> T) -> T {
        let tests = self.lock();
        let waits = self.changed.wait_while(tests, |tests| !may_start(tests, test));
        drop(waits.unwrap_or_else(PoisonError::into_inner));
        let _turn = Turn { turns: self, test };
        run()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Lane, bool)>> {
        self.tests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn of a test, which ends also by a panic.
struct Turn<'a> {
    turns: &'a Turns,
    test: usize,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some((_, ended)) = self.turns.lock().get_mut(self.test) {
            *ended = true;
        }
        self.turns.changed.notify_all();
    }
}

fn may_start(tests: &[(Lane, bool)], test: usize) -> bool {
    let Some((lane, _)) = tests.get(test) else { return true };
    tests.iter().take(test).all(|(other, ended)| *ended || !lane.excludes(*other))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Lane = Lane::Number(0);
    const SECOND: Lane = Lane::Number(1);

    /// Which may start when those have ended.
    fn start(lanes: &[Lane], ended: &[usize]) -> Vec<usize> {
        let tests: Vec<(Lane, bool)> =
            lanes.iter().enumerate().map(|(at, lane)| (*lane, ended.contains(&at))).collect();
        (0..lanes.len()).filter(|test| !ended.contains(test) && may_start(&tests, *test)).collect()
    }

    #[test]
    fn tests_of_a_lane_go_one_after_the_other_and_lanes_side_by_side() {
        let lanes = [FIRST, FIRST, SECOND, SECOND];
        assert_eq!(start(&lanes, &[]), [0, 2]);
        assert_eq!(start(&lanes, &[2]), [0, 3]);
        assert_eq!(start(&lanes, &[0, 2]), [1, 3]);
    }

    #[test]
    fn one_that_is_alone_waits_for_all_before_it_and_all_after_it_wait() {
        let lanes = [FIRST, SECOND, Lane::Alone, FIRST, Lane::Alone];
        assert_eq!(start(&lanes, &[]), [0, 1]);
        assert_eq!(start(&lanes, &[0]), [1]);
        assert_eq!(start(&lanes, &[0, 1]), [2]);
        assert_eq!(start(&lanes, &[0, 1, 2]), [3]);
        assert_eq!(start(&lanes, &[0, 1, 2, 3]), [4]);
    }

    #[test]
    fn a_test_that_panics_gives_its_turn_away() {
        let turns = Turns::new(vec![(Lane::Alone, false), (Lane::Alone, false)]);
        let panics = || turns.take(0, || panic!("as a test does"));
        let failed: std::thread::Result<()> = std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics));
        assert!(failed.is_err());
        assert_eq!(turns.take(1, || "its turn"), "its turn");
    }
}
