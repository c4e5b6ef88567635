//! Nodes for work to come.

use jiff::{SignedDuration, Timestamp};

use super::view::{Machine, PoolView, Role};
use crate::warmth::{Busy, Forecast, Horizons, Policy};

/// What is wanted for work to come.
pub(super) struct Wants {
    pub(super) horizons: Horizons,
    forecast: Forecast,
    policy: Policy,
    /// Idle nodes on which nothing has been yet, and how far ahead whoever asked for the last of them has looked.
    fresh: u32,
    asked_for: SignedDuration,
}

impl Wants {
    pub(super) fn of(view: &PoolView, hands: &[&(&Machine, Role)]) -> Self {
        let horizons = Horizons::of(view.prewarm, &view.measured, &view.puts, view.now);
        let policy = view.policy;
        let none = Self { horizons, forecast: Forecast::default(), policy, fresh: 0, asked_for: SignedDuration::ZERO };
        if view.paused || view.expected.is_empty() {
            return none;
        }
        let busy: Vec<Busy> = hands
            .iter()
            .filter(|(_, role)| *role == Role::Busy)
            .filter_map(|(machine, _)| machine.node.as_ref())
            .map(|node| Busy { free: &node.free, until: node.busy_until })
            .collect();
        let (expected, work) = (&view.expected, &view.work);
        let forecast = Forecast::of(view.now, Timestamp::MAX, view.capacity.as_ref(), &busy, work, expected);
        let idle = hands.iter().filter(|(_, role)| *role == Role::Idle);
        let (mut fresh, mut asked_for) = (0_u32, SignedDuration::ZERO);
        for seen in idle.filter_map(|(machine, _)| machine.fresh_since()) {
            fresh += 1;
            let until = horizons.together - view.now.duration_since(seen);
            asked_for = asked_for.max(until);
        }
        Self { forecast, fresh, asked_for, ..none }
    }

    /// Nodes wanted in all, where `now` of them are for what is there already and `usable` are at hand.
    pub(super) fn desired(&self, now: u32, usable: u32) -> u32 {
        let Horizons { ask, together, break_even } = self.horizons;
        let asked = now.max(ask.map_or(0, |ask| self.forecast.within(ask)));
        if asked > usable {
            // There will be a PUT, and none after it for long: it is for what comes due meanwhile, too.
            return asked.max(if ask.is_some() { self.forecast.within(together) } else { 0 });
        }
        let kept = match self.policy {
            Policy::Never => usable,
            Policy::After(_) => asked,
            Policy::BreakEven => asked.max(self.forecast.within(break_even)),
        };
        // What came early with others has been asked for as well: it is not let go before it was of use.
        let early = self.forecast.within(self.asked_for).min(kept.saturating_add(self.fresh));
        kept.max(early).min(usable)
    }

    /// How long until more nodes than these are to be asked for.
    pub(super) fn next(&self, desired: u32) -> Option<SignedDuration> {
        let left = self.forecast.above(desired)? - self.horizons.ask?;
        left.is_positive().then_some(left)
    }
}
