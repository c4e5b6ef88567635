//! How long nodes take to come and to go: measured, and a guess until enough has been measured.

use std::collections::VecDeque;

use jiff::SignedDuration;

/// So many of the latest samples count.
pub const WINDOW: usize = 64;
/// From so many samples on the prior has no say any more.
pub const ENOUGH: usize = 20;

/// What is assumed before there are samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prior {
    /// Half of all take no longer than this.
    pub p50: SignedDuration,
    /// 95 of a hundred take no longer than this.
    pub p95: SignedDuration,
}

impl Prior {
    /// From a PUT to the first pod that could start on the machine.
    pub const COME: Self = Self { p50: SignedDuration::from_secs(90), p95: SignedDuration::from_secs(180) };
    /// From the decision to let a node go to its machine being gone, and not billed any more.
    pub const GO: Self = Self { p50: SignedDuration::from_secs(60), p95: SignedDuration::from_secs(120) };
}

/// The latest samples of one length of time, in whole seconds, and the guess that stands in for those that are missing.
///
/// With `n` samples below [`ENOUGH`], a quantile is `n / ENOUGH` of what was measured and the rest of the prior, and the
/// 95th percentile is at least the longest sample: who has once waited fifteen minutes for a node does not ask three
/// minutes ahead for the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    prior: Prior,
    seconds: VecDeque<u32>,
}

impl Times {
    /// No samples yet.
    #[must_use]
    pub fn new(prior: Prior) -> Self {
        Self { prior, seconds: VecDeque::new() }
    }

    /// As it was written down: seconds, the oldest first.
    #[must_use]
    pub fn restore(prior: Prior, seconds: impl IntoIterator<Item = u32>) -> Self {
        let mut times = Self::new(prior);
        seconds.into_iter().for_each(|seconds| times.push(seconds));
        times
    }

    /// What to write down: seconds, the oldest first; at most [`WINDOW`].
    #[must_use]
    pub fn saved(&self) -> Vec<u32> {
        self.seconds.iter().copied().collect()
    }

    /// One more sample, rounded up to whole seconds. A negative one (a clock was set back) is none.
    pub fn add(&mut self, took: SignedDuration) {
        if took.is_negative() {
            return;
        }
        let up = i64::from(took.subsec_nanos() > 0);
        self.push(u32::try_from(took.as_secs().saturating_add(up)).unwrap_or(u32::MAX));
    }

    fn push(&mut self, seconds: u32) {
        if self.seconds.len() == WINDOW {
            self.seconds.pop_front();
        }
        self.seconds.push_back(seconds);
    }

    /// How many samples there are.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.seconds.len()
    }

    /// Half of all take no longer than this.
    #[must_use]
    pub fn p50(&self) -> SignedDuration {
        self.blend(self.measured(50), self.prior.p50)
    }

    /// 95 of a hundred take no longer than this.
    #[must_use]
    pub fn p95(&self) -> SignedDuration {
        let measured = self.measured(95);
        let blend = self.blend(measured, self.prior.p95);
        if self.samples() < ENOUGH { blend.max(measured.unwrap_or_default()) } else { blend }
    }

    /// The nearest rank: the smallest sample that at least so many of a hundred do not exceed.
    fn measured(&self, percent: usize) -> Option<SignedDuration> {
        let mut sorted = self.saved();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).map(|seconds| SignedDuration::from_secs((*seconds).into()))
    }

    fn blend(&self, measured: Option<SignedDuration>, prior: SignedDuration) -> SignedDuration {
        let Some(measured) = measured else { return prior };
        let weight = i64::try_from(self.samples().min(ENOUGH)).unwrap_or(0);
        let enough = i64::try_from(ENOUGH).unwrap_or(1);
        let millis = i64::try_from(measured.as_millis()).unwrap_or(i64::MAX).saturating_mul(weight);
        let rest = i64::try_from(prior.as_millis()).unwrap_or(i64::MAX).saturating_mul(enough - weight);
        SignedDuration::from_millis(millis.saturating_add(rest) / enough)
    }
}

/// What is known of a pool's machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisioning {
    /// From a PUT to the first pod that could start, for each machine that came.
    pub come: Times,
    /// From the decision to let a node go to its machine being gone.
    pub go: Times,
}

impl Default for Provisioning {
    fn default() -> Self {
        Self { come: Times::new(Prior::COME), go: Times::new(Prior::GO) }
    }
}

impl Provisioning {
    /// What decisions are made upon.
    #[must_use]
    pub fn measured(&self) -> Measured {
        Measured { p50: self.come.p50(), p95: self.come.p95(), drain: self.go.p50() }
    }
}

/// How long a pool's nodes take to come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Half of the nodes come within this.
    pub p50: SignedDuration,
    /// 95 of a hundred do within this.
    pub p95: SignedDuration,
    /// How long a node that is let go is still billed.
    pub drain: SignedDuration,
}

impl Default for Measured {
    fn default() -> Self {
        Provisioning::default().measured()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secs(seconds: u32) -> SignedDuration {
        SignedDuration::from_secs(seconds.into())
    }

    fn times(seconds: impl IntoIterator<Item = u32>) -> Times {
        Times::restore(Prior::COME, seconds)
    }

    #[test]
    fn nothing_measured_is_the_prior() {
        assert_eq!((times([]).p50(), times([]).p95()), (secs(90), secs(180)));
    }

    #[test]
    fn the_prior_counts_less_with_each_sample_and_not_at_all_from_twenty_on() {
        assert_eq!(times([30]).p50(), secs(87));
        assert_eq!(times([30; 10]).p50(), secs(60));
        assert_eq!((times([30; 20]).p50(), times([30; 20]).p95()), (secs(30), secs(30)));
    }

    #[test]
    fn one_slow_node_is_believed_at_once() {
        assert_eq!(times([900]).p95(), secs(900));
    }

    #[test]
    fn quantiles_are_the_nearest_rank() {
        assert_eq!((times(1..=20).p50(), times(1..=20).p95()), (secs(10), secs(19)));
        assert_eq!((times(1..=21).p50(), times(1..=21).p95()), (secs(11), secs(20)));
    }

    #[test]
    fn a_part_of_a_second_counts_as_one_and_a_clock_set_back_as_nothing() {
        let mut some = times([]);
        some.add(SignedDuration::from_millis(1_001));
        some.add(SignedDuration::from_secs(-5));
        assert_eq!(some.saved(), [2]);
    }

    proptest! {
        #[test]
        fn a_quantile_is_a_sample_that_as_many_as_it_says_do_not_exceed(
            all in proptest::collection::vec(0u32..5_000, ENOUGH..200)
        ) {
            let times = times(all.iter().copied());
            let latest = &all[all.len().saturating_sub(WINDOW)..];
            prop_assert_eq!(times.saved(), latest);
            for (quantile, percent) in [(times.p50(), 50), (times.p95(), 95)] {
                let below = latest.iter().filter(|s| secs(**s) <= quantile).count();
                let under = latest.iter().filter(|s| secs(**s) < quantile).count();
                prop_assert!(latest.iter().any(|s| secs(*s) == quantile));
                prop_assert!(below * 100 >= latest.len() * percent && under * 100 < latest.len() * percent);
            }
        }

        #[test]
        fn quantiles_are_ordered_and_lie_between_prior_and_samples(all in proptest::collection::vec(0u32..5_000, 0..30)) {
            let times = times(all.iter().copied());
            prop_assert!(times.p50() <= times.p95());
            let most = secs(all.iter().copied().max().unwrap_or(0)).max(Prior::COME.p95);
            let least = secs(all.iter().copied().min().unwrap_or(5_000)).min(Prior::COME.p50);
            prop_assert!(times.p95() <= most && times.p50() >= least);
            prop_assert_eq!(Times::restore(Prior::COME, times.saved()), times);
        }
    }
}
