//! Fair shares of the pool between runs of one priority.

use std::cmp::{Ordering, Reverse};
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeSet, BinaryHeap};

use super::Demand;
use crate::bins::Bins;
use crate::capacity::Resources;

/// A part of the pool: of the resource of which a run takes the largest part. As all nodes are alike, parts of one node
/// compare as parts of the pool do; they are compared exactly, so that equal ones are equal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    amount: u128,
    whole: u128,
}

impl Part {
    /// What one pod takes of an empty node; nothing where nothing limits it.
    pub(crate) fn of_a_pod(request: &Resources, empty: &Resources) -> Self {
        let parts = request.of_a_pod().filter_map(|(name, amount)| Some(Self { amount, whole: empty.free(name)? }));
        parts.filter(|part| part.whole > 0).max().unwrap_or(Self { amount: 0, whole: 1 })
    }

    /// What so many pods take.
    pub(super) fn times(self, pods: u32) -> Self {
        Self { amount: self.amount.saturating_mul(pods.into()), whole: self.whole }
    }

    /// As a number, in parts of 2^32, rounded down.
    pub(crate) fn scaled(self) -> u64 {
        u64::try_from(self.amount.saturating_mul(1 << 32) / self.whole).unwrap_or(u64::MAX)
    }
}

impl Ord for Part {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.whole == other.whole {
            return self.amount.cmp(&other.amount);
        }
        // Products of numbers below 2^64 are there at once; others are rare.
        if (self.amount | self.whole | other.amount | other.whole) >> 64 == 0 {
            return (self.amount * other.whole).cmp(&(other.amount * self.whole));
        }
        by_digits(*self, *other)
    }
}

/// Compares parts by their continued fractions, in which no number is larger than theirs.
fn by_digits(mut this: Part, mut that: Part) -> Ordering {
    loop {
        let digits = (this.amount / this.whole).cmp(&(that.amount / that.whole));
        let (left, right) = (this.amount % this.whole, that.amount % that.whole);
        if digits.is_ne() || left == 0 || right == 0 {
            return digits.then(left.min(1).cmp(&right.min(1)));
        }
        // Of what is left, the smaller is the one whose inverse is larger.
        let inverse = |of: Part, left: u128| Part { amount: of.whole, whole: left };
        (this, that) = (inverse(that, right), inverse(this, left));
    }
}

impl PartialOrd for Part {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Part {}

/// The nodes that are shared.
pub(super) struct Nodes<'a> {
    /// What an empty one has.
    pub(super) empty: &'a Resources,
    /// What is free on those at hand.
    pub(super) free: &'a [&'a Resources],
    /// With so many in all, others may be opened.
    pub(super) most: usize,
    /// Pods that take room on any of them.
    pub(super) overflow: &'a [Resources],
    /// The runs that have pods on each, where no other nodes come and so one may be set aside.
    pub(super) runs_on: Option<&'a [BTreeSet<String>]>,
}

/// Who gets how many slots.
pub(super) struct Shares {
    /// Slots of each run beyond those of the pods that it let go.
    pub(super) extra: Vec<u32>,
    /// Nodes that are set aside, each for a run.
    pub(super) aside: Vec<(usize, usize)>,
}

/// Gives each run at most as many slots as it wishes. Runs come by priority, then in the order in which equals get theirs.
///
/// Those with smaller pods would take each bit of room that comes free. So where a run finds no room at its turn, and one that
/// comes after it would, the node that lacks least for it takes nothing of others; and so it is where a run gets the last room
/// for a pod that is not there yet. From look to look the node that lacks least has more room.
pub(super) fn shares(order: &[&Demand], wishes: &[u32], nodes: &Nodes<'_>) -> Shares {
    let Nodes { empty, free, most, overflow, runs_on } = *nodes;
    let mut bins = Bins::new(empty, free, most, order.iter().map(|d| &d.request).chain(overflow));
    for pod in order.len()..order.len() + overflow.len() {
        bins.place(pod, 1, drop);
    }
    let (mut without_room, mut last_room) = (None, None);
    for (run, demand) in order.iter().enumerate() {
        if bins.place(run, demand.starting, drop) < demand.starting && bins.fits_empty(run) {
            without_room = without_room.or(Some(run));
        }
    }
    let mut aside = None;
    let mut extra = vec![0; order.len()];
    let mut first = 0;
    for equals in order.chunk_by(|a, b| a.priority == b.priority) {
        let turn = |(at, demand): (usize, &&Demand)| {
            let run = first + at;
            let pod = Part::of_a_pod(&demand.request, empty);
            (wishes.get(run).is_some_and(|wish| *wish > 0)).then(|| Reverse((pod.times(demand.floor()), run, pod)))
        };
        let mut turns: BinaryHeap<_> = equals.iter().enumerate().filter_map(turn).collect();
        while let Some(mut next) = turns.peek_mut() {
            let Reverse((part, run, pod)) = &mut *next;
            if let Some(before) = without_room.filter(|_| aside.is_none() && bins.has_room(*run)) {
                // Where it has pods itself, what they leave is its own sooner or later.
                let has_none = |(_, runs): &(usize, &BTreeSet<String>)| !runs.contains(&order[before].run);
                let others = runs_on.into_iter().flatten().enumerate().filter(has_none).map(|(node, _)| node);
                aside = bins.nearest(before, others).map(|node| (before, node));
                aside.into_iter().for_each(|(_, node)| bins.close(node));
                without_room = None;
            }
            // The room only shrinks: who finds none now never will.
            let mut took = None;
            if bins.place(*run, 1, |node| took = Some(node)) == 0 {
                without_room = without_room.or(Some(*run).filter(|run| bins.fits_empty(*run)));
                PeekMut::pop(next);
                continue;
            }
            extra[*run] += 1;
            let is_there = extra[*run] <= order[*run].held;
            if let Some(node) =
                took.filter(|_| runs_on.is_some() && !is_there && last_room.is_none() && !bins.has_room(*run))
            {
                last_room = Some((*run, node));
                bins.close(node);
            }
            *part = pod.times(order[*run].floor() + extra[*run]);
            if extra[*run] == wishes[*run] {
                PeekMut::pop(next);
            }
        }
        first += equals.len();
    }
    Shares { extra, aside: aside.into_iter().chain(last_room).collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_compare_as_their_products_do_and_as_their_digits(
            (a, b) in (0u128..100, 1u128..100), (c, d) in (0u128..100, 1u128..100), times in 1u128..=u128::MAX / 100
        ) {
            let exactly = (a * d).cmp(&(c * b));
            let part = |amount, whole| Part { amount, whole };
            prop_assert_eq!(part(a, b).cmp(&part(c, d)), exactly);
            prop_assert_eq!(by_digits(part(a, b), part(c, d)), exactly);
            prop_assert_eq!(part(a * times, b * times).cmp(&part(c, d)), exactly);
        }
    }
}
