//! Many small nodes or few large ones, pods with many threads or many pods: what is compared, and which is best.

use crate::capacity::Resources;

/// As late as another is who is no more than so many seconds later, or than this part of what that one takes.
const SLACK: i64 = 5;
const SLACK_PART: i64 = 20;

/// What pods ask for that work on `threads` sensors at a time, if such as work on `own` ask for `request`: as much for each.
/// What comes in whole ones, such as GPUs, stays whole.
#[must_use]
pub fn request_of(request: &Resources, own: u32, threads: u32) -> Resources {
    let scaled = |(name, milli): (&str, u128)| {
        let milli = milli.saturating_mul(threads.into()).div_ceil(own.max(1).into());
        let whole = name.contains('/');
        (name.to_owned(), if whole { milli.div_ceil(1_000).saturating_mul(1_000) } else { milli })
    };
    Resources::of_amounts(request.amounts().map(scaled))
}

/// What one way costs, and how late its runs are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// In money, or in what stands for it.
    pub cost: f64,
    /// Ticks without a run.
    pub missed: u64,
    /// How long after their ticks runs start, 95 of a hundred.
    pub starts: i64,
    /// How long after their ticks they are done, 95 of a hundred.
    pub done: i64,
}

impl Way {
    fn is_as_early_as(&self, other: &Self) -> bool {
        let early = |own: i64, other: i64| own <= other.saturating_add(SLACK.max(other / SLACK_PART));
        self.missed <= other.missed && early(self.starts, other.starts) && early(self.done, other.done)
    }
}

/// Which ways are best: nothing that costs less is as early. The cheapest always is one.
#[must_use]
pub fn best(ways: &[Way]) -> Vec<bool> {
    let beats = |(at, way): (usize, &Way), (to, other): (usize, &Way)| {
        let cheaper = way.cost < other.cost || (way.cost <= other.cost && at < to);
        cheaper && way.is_as_early_as(other)
    };
    let is_best = |of: (usize, &Way)| !ways.iter().enumerate().any(|way| beats(way, of));
    ways.iter().enumerate().map(is_best).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pod_of_several_threads_asks_for_as_much_for_each() {
        let amounts =
            |cpu, memory, gpus| Resources::parse([("cpu", cpu), ("memory", memory), ("nvidia.com/gpu", gpus)]).unwrap();
        let two = amounts("2", "1Gi", "1");
        assert_eq!(request_of(&two, 2, 4), amounts("4", "2Gi", "2"));
        // Half a GPU is none.
        assert_eq!(request_of(&two, 2, 1), amounts("1", "512Mi", "1"));
        assert_eq!(request_of(&two, 2, 2), two);
    }

    #[test]
    fn what_is_best_is_told_by_cost_among_those_that_are_as_early() {
        let way = |cost, missed, starts, done| Way { cost, missed, starts, done };
        let ways = [
            way(4.0, 0, 7, 100),
            way(3.0, 0, 7, 104), // as early, and cheaper
            way(2.0, 0, 7, 160), // later
            way(1.0, 9, 7, 100), // leaves out ticks
            way(2.0, 0, 7, 160), // the same again
            way(9.0, 0, 7, 50),
        ];
        assert_eq!(best(&ways), [false, true, true, true, false, true]);
        assert_eq!(best(&[]), [false; 0]);
    }

    proptest! {
        #[test]
        fn the_cheapest_is_best_and_of_two_that_are_best_the_dearer_is_earlier(
            ways in proptest::collection::vec((0u32..20, 0u64..3, 0i64..100, 0i64..1_000), 1..12)
        ) {
            let ways: Vec<Way> = ways
                .into_iter()
                .map(|(cost, missed, starts, done)| Way { cost: cost.into(), missed, starts, done })
                .collect();
            let marks = best(&ways);
            let least = ways.iter().map(|way| way.cost).fold(f64::INFINITY, f64::min);
            prop_assert!(ways.iter().zip(&marks).any(|(way, best)| *best && way.cost <= least));
            let chosen: Vec<&Way> = ways.iter().zip(&marks).filter(|(_, best)| **best).map(|(way, _)| way).collect();
            for (one, other) in chosen.iter().flat_map(|one| chosen.iter().map(move |other| (one, other))) {
                prop_assert!(one.cost >= other.cost || !one.is_as_early_as(other));
            }
        }
    }
}
