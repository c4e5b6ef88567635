//! Many windows, one run each.
//!
//! Windows are counted in their order: what is counted is in the status, and only then may its run's object go. So a
//! process that dies at any point leaves enough to go on from, and no window is scored twice or left out.

use std::collections::BTreeMap;

/// How many windows are begun before the oldest that goes on: a run that hangs holds back no more objects than these.
pub const AHEAD: u32 = 100;
/// How many ended runs stay as objects once they are counted: so many of the last, and of those that failed the first.
pub const KEPT: usize = 10;
/// How many runs are made in one step, so that a cancellation is seen before many more are there.
pub const MADE: usize = 10;

/// The run of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    /// It goes on.
    GoesOn {
        /// It was told to stop.
        cancelled: bool,
    },
    /// It ended, and is Complete.
    Complete,
    /// It ended, and is Failed.
    Failed,
}

/// What is known of a backfill.
#[derive(Clone, Debug)]
pub struct View {
    /// How many windows there are.
    pub windows: u32,
    /// How many are counted, from the first one on, as the status has it.
    pub counted: Counts,
    /// The runs that are there, by window.
    pub children: BTreeMap<u32, Child>,
    /// How many may go on at once.
    pub max_concurrent: u32,
    /// It is to stop.
    pub cancelled: bool,
}

/// How windows ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those whose run is Complete.
    pub complete: u32,
    /// Those whose run is Failed.
    pub failed: u32,
}

impl Counts {
    /// All of them.
    #[must_use]
    pub fn all(self) -> u32 {
        self.complete + self.failed
    }

    fn add(&mut self, child: Child) {
        match child {
            Child::Complete => self.complete += 1,
            Child::Failed => self.failed += 1,
            Child::GoesOn { .. } => {}
        }
    }
}

/// What to do next; each part may be done twice without harm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Windows whose run is to be made, or is there already where the view lags behind: that is no error.
    pub create: Vec<u32>,
    /// Windows whose run is to stop.
    pub cancel: Vec<u32>,
    /// Windows whose run is counted, and may go.
    pub delete: Vec<u32>,
    /// What is to be counted in the status.
    pub counted: Counts,
    /// Windows that are counted as failed now, and were not before.
    pub failed: Vec<u32>,
    /// Whether nothing more will happen.
    pub over: bool,
}

impl Step {
    fn count(&mut self, window: u32, child: Child) {
        self.counted.add(child);
        if child == Child::Failed {
            self.failed.push(window);
        }
    }
}

/// Decides what to do next.
#[must_use]
pub fn decide(view: &View) -> Step {
    let first = view.counted.all();
    let begun = || view.children.range(first..);
    let going: Vec<(u32, bool)> = begun()
        .filter_map(|(window, child)| match child {
            Child::GoesOn { cancelled } => Some((*window, *cancelled)),
            Child::Complete | Child::Failed => None,
        })
        .collect();
    let mut step = Step { counted: view.counted, ..Step::default() };
    if view.cancelled {
        step.cancel = going.iter().filter(|(_, cancelled)| !cancelled).map(|(window, _)| *window).collect();
        step.over = going.is_empty();
        if step.over {
            begun().for_each(|(window, child)| step.count(*window, *child));
        }
        return step;
    }
    let ended = (first..view.windows).map_while(|window| Some((window, view.children.get(&window)?)));
    ended.take_while(|(_, child)| !is_going(child)).for_each(|(window, child)| step.count(window, *child));
    let room = view.max_concurrent.saturating_sub(u32::try_from(going.len()).unwrap_or(u32::MAX));
    let ahead = view.windows.min(step.counted.all().saturating_add(AHEAD));
    let absent = (first..ahead).filter(|window| !view.children.contains_key(window));
    step.create = absent.take(MADE.min(room as usize)).collect();
    step.delete = surplus(view.children.range(..first));
    step.over = step.counted.all() == view.windows;
    step
}

/// Which of the counted runs are not needed any more.
fn surplus<'a>(counted: impl DoubleEndedIterator<Item = (&'a u32, &'a Child)>) -> Vec<u32> {
    let older: Vec<_> = counted.rev().skip(KEPT).collect();
    let (failed, others): (Vec<_>, Vec<_>) = older.into_iter().rev().partition(|(_, child)| **child == Child::Failed);
    failed.into_iter().skip(KEPT).chain(others).map(|(window, _)| *window).collect()
}

fn is_going(child: &Child) -> bool {
    matches!(child, Child::GoesOn { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOES_ON: Child = Child::GoesOn { cancelled: false };

    fn view(windows: u32, children: &[(u32, Child)]) -> View {
        let children = children.iter().copied().collect();
        View { windows, counted: Counts::default(), children, max_concurrent: 2, cancelled: false }
    }

    #[test]
    fn as_many_runs_go_on_as_may() {
        assert_eq!(decide(&view(5, &[])).create, [0, 1]);
        assert_eq!(decide(&view(5, &[(0, GOES_ON)])).create, [1]);
        assert_eq!(decide(&view(5, &[(0, GOES_ON), (1, GOES_ON)])).create, [0; 0]);
        assert_eq!(decide(&view(5, &[(0, GOES_ON), (1, Child::Complete)])).create, [2]);
    }

    #[test]
    fn a_window_is_counted_when_all_before_it_are() {
        let step = decide(&view(5, &[(0, Child::Failed), (1, Child::Complete), (2, GOES_ON), (3, Child::Complete)]));
        assert_eq!(step.counted, Counts { complete: 1, failed: 1 });
    }

    #[test]
    fn a_failed_window_is_told_once_when_it_is_counted() {
        let mut view = view(5, &[(0, Child::Failed), (1, GOES_ON), (2, Child::Failed)]);
        let step = decide(&view);
        assert_eq!(step.failed, [0]);
        view.counted = step.counted;
        view.children.insert(1, Child::Complete);
        assert_eq!(decide(&view).failed, [2]);
    }

    #[test]
    fn the_last_runs_stay_and_the_first_that_failed() {
        let ended = |window: u32| (window, if window.is_multiple_of(3) { Child::Failed } else { Child::Complete });
        let mut view = view(100, &(0..60).map(ended).collect::<Vec<_>>());
        view.counted = Counts { complete: 40, failed: 20 };
        for window in decide(&view).delete {
            view.children.remove(&window);
        }
        let failed = (0..10).map(|n| 3 * n);
        let kept: Vec<u32> = view.children.keys().copied().filter(|window| *window < 60).collect();
        assert_eq!(kept, failed.chain(50..60).collect::<Vec<u32>>());
        assert_eq!(decide(&view).delete, [0; 0]);
    }

    #[test]
    fn few_runs_are_made_in_a_step_so_that_a_cancellation_is_soon_seen() {
        let mut view = view(744, &[]);
        view.max_concurrent = 100;
        assert_eq!(decide(&view).create, (0..10).collect::<Vec<u32>>());
    }

    #[test]
    fn a_run_that_hangs_does_not_let_the_others_pile_up() {
        let ended = (1..AHEAD).map(|window| (window, Child::Complete));
        let children: Vec<_> = ended.chain([(0, GOES_ON)]).collect();
        assert_eq!(decide(&view(1_000, &children)).create, [0; 0]);
    }

    #[test]
    fn a_cancelled_backfill_stops_its_runs_and_begins_none() {
        let mut view = view(5, &[(0, Child::Complete), (1, GOES_ON), (2, Child::GoesOn { cancelled: true })]);
        view.cancelled = true;
        let step = decide(&view);
        assert_eq!((step.cancel, step.create, step.over), (vec![1], vec![], false));
        view.children = [(0, Child::Complete), (1, Child::Failed), (2, Child::Failed)].into();
        let step = decide(&view);
        assert_eq!((step.counted, step.over), (Counts { complete: 1, failed: 2 }, true));
    }

    /// A world in which the process dies before any write, and sees what it wrote only later.
    fn live(windows: u32, max_concurrent: u32, dice: &[u8]) -> (BTreeMap<u32, u32>, Counts, u32) {
        let (mut made, mut there): (BTreeMap<u32, u32>, BTreeMap<u32, Child>) = Default::default();
        let mut seen =
            View { windows, counted: Counts::default(), children: BTreeMap::new(), max_concurrent, cancelled: false };
        let (mut counted, mut most, mut dice) = (Counts::default(), 0, dice.iter().copied().cycle());
        let mut roll = || dice.next().unwrap_or_default();
        for _ in 0..windows * 200 + 200 {
            let step = decide(&seen);
            for window in step.create {
                if roll() % 4 == 0 {
                    break;
                }
                // The API server refuses a name that is taken.
                there.entry(window).or_insert_with(|| {
                    *made.entry(window).or_default() += 1;
                    GOES_ON
                });
            }
            most = most.max(u32::try_from(there.values().filter(|c| is_going(c)).count()).unwrap());
            for window in step.delete {
                there.remove(&window);
            }
            if roll() % 3 != 0 {
                counted = step.counted;
            }
            if step.over && counted == step.counted {
                break;
            }
            for child in there.values_mut().filter(|c| is_going(c)) {
                *child = match roll() % 4 {
                    0 => Child::Complete,
                    1 => Child::Failed,
                    _ => GOES_ON,
                };
            }
            if roll() % 3 != 0 {
                (seen.children, seen.counted) = (there.clone(), counted);
            }
        }
        (made, counted, most)
    }

    proptest! {
        #[test]
        fn every_window_is_scored_once_whatever_is_not_written_or_seen(
            windows in 1u32..40, max in 1u32..5, dice in prop::collection::vec(any::<u8>(), 50..200),
        ) {
            prop_assume!(dice.iter().map(|roll| roll % 12).collect::<std::collections::BTreeSet<_>>().len() == 12);
            let (made, counted, most) = live(windows, max, &dice);
            prop_assert_eq!(made, (0..windows).map(|window| (window, 1)).collect());
            prop_assert_eq!(counted.all(), windows);
            prop_assert!(most <= max, "{} at once", most);
        }
    }
}
