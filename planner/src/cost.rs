//! What nodes cost: node time of a pool, of its runs and of their schedules.
//!
//! A node's time belongs to the runs whose pods are on it, split by the parts that they take of it. Time in which nothing of a
//! run is on it is the pool's own: idle.

mod ledger;
mod month;

pub use ledger::{Account, Ledger, Machine, Saved, Sums, Use};
pub use month::Month;

use spec::Money;

use crate::capacity::Resources;
use crate::slots::Part;

/// Millionths in a second, and seconds in an hour.
const MILLION: u64 = 1_000_000;
const HOUR: u64 = 3_600;

/// Node time, exact to a millionth of a second: one node for one second is one node-second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeTime(u64);

impl NodeTime {
    /// So many node-seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(MILLION))
    }

    /// In whole node-seconds, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / MILLION
    }

    /// This and that.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// This without that.
    #[must_use]
    pub const fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// What its whole seconds cost at this price of a node's hour, to the nearest millionth.
    #[must_use]
    pub fn cost(self, node_hour: Money) -> Money {
        node_hour.share(self.as_secs(), HOUR)
    }

    /// Splits it by weights, of which none is lost: the sum of the parts is the whole.
    fn split(self, weights: &[u64]) -> impl Iterator<Item = Self> {
        let all: u128 = weights.iter().map(|weight| u128::from(*weight)).sum::<u128>().max(1);
        let up_to = move |weight: u128| u64::try_from(u128::from(self.0) * weight / all).unwrap_or(u64::MAX);
        weights.iter().scan(0_u128, move |before, weight| {
            let from = up_to(*before);
            *before += u128::from(*weight);
            Some(Self(up_to(*before) - from))
        })
    }
}

/// How much of a node a pod takes: its dominant part of an empty one, as a number to compare with others of the same node.
/// Never nothing.
#[must_use]
pub fn weight(request: &Resources, empty: &Resources) -> u64 {
    Part::of_a_pod(request, empty).scaled().max(1)
}

#[cfg(test)]
mod tests;
