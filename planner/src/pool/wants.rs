//! Nodes for work to come.

use jiff::SignedDuration;

use super::view::{Machine, PoolView, Role};
use crate::warmth::{Busy, Forecast, Horizons, Policy, next_put};

/// What is wanted for work to come.
pub(super) struct Wants {
    pub(super) horizons: Horizons,
    forecast: Forecast,
    policy: Policy,
    /// Idle nodes on which nothing has been yet, and how far ahead whoever asked for them has looked.
    fresh: u32,
    asked_for: SignedDuration,
    /// How long until more nodes are to be asked for.
    pub(super) next: Option<SignedDuration>,
}

impl Wants {
    /// Waiting work finds room after the delay at the latest.
    pub(super) fn of(view: &PoolView, hands: &[&(&Machine, Role)], delay: SignedDuration) -> Self {
        let horizons = Horizons::of(view.prewarm, &view.measured, &view.puts, view.now);
        let policy = view.policy;
        let (forecast, asked_for) = (Forecast::default(), SignedDuration::ZERO);
        let none = Self { horizons, forecast, policy, fresh: 0, asked_for, next: None };
        if view.paused || view.expected.is_empty() {
            return none;
        }
        let busy: Vec<Busy> = hands
            .iter()
            .filter(|(_, role)| *role == Role::Busy)
            .filter_map(|(machine, _)| machine.node.as_ref())
            .map(|node| Busy { free: &node.free, until: node.busy_until, ends: &node.ends })
            .collect();
        let (expected, work) = (&view.expected, &view.work);
        let forecast = Forecast::of(view.now, view.measured.p50, view.capacity.as_ref(), &busy, work, delay, expected);
        let idle = hands.iter().filter(|(_, role)| *role == Role::Idle);
        let (mut fresh, mut asked_for) = (0_u32, SignedDuration::ZERO);
        for seen in idle.filter_map(|(machine, _)| machine.fresh_since()) {
            fresh += 1;
            let until = horizons.longest() - view.now.duration_since(seen);
            asked_for = asked_for.max(until);
        }
        Self { forecast, fresh, asked_for, ..none }
    }

    /// Nodes to be there before their work comes, beyond those that are needed for what is there, where there are at most
    /// `max`; and how long until there are to be more.
    pub(super) fn held(&self, needed: u32, max: u32) -> (u32, Option<SignedDuration>) {
        let Some(lead) = self.horizons.ask else { return (0, None) };
        let nodes = self.forecast.within(lead).min(max);
        let mut later = self.forecast.steps().filter(|(at, more)| *at > lead && *more > needed.max(nodes));
        let next = later.next().filter(|_| nodes < max).map(|(at, _)| at - lead);
        (nodes.saturating_sub(needed), next)
    }

    /// Nodes wanted in all, where `now` of them are for what is there already, `usable` are at hand, and there are at most
    /// `max`.
    pub(super) fn desired(&mut self, now: u32, usable: u32, max: u32) -> u32 {
        let Horizons { ask, operation, break_even } = self.horizons;
        // What is short of room for a moment waits for the nodes at hand; where there are none, it needs some.
        let ahead: Vec<(SignedDuration, u32)> =
            if usable == 0 { self.forecast.steps().collect() } else { self.forecast.lasting().collect() };
        let ahead = ahead.into_iter().map(|(at, nodes)| (at, nodes.min(max))).filter(|(_, nodes)| *nodes > now);
        let steps = std::iter::once((SignedDuration::ZERO, now)).chain(ahead);
        let put = ask.and_then(|lead| next_put(steps, usable, lead, operation));
        if let Some(put) = put.filter(|put| put.after.is_zero()) {
            return now.max(put.nodes);
        }
        self.next = put.map(|put| put.after);
        let kept = match self.policy {
            Policy::Never => usable,
            // A node is not let go that would be asked for at this moment.
            Policy::After(_) => now.max(ask.map_or(0, |ask| self.forecast.within(ask))),
            Policy::BreakEven => now.max(self.forecast.within(break_even)),
        };
        // What came early with others has been asked for as well: it is not let go before it was of use.
        let early = self.forecast.within(self.asked_for).min(kept.saturating_add(self.fresh));
        kept.max(early).min(usable).max(now)
    }
}
