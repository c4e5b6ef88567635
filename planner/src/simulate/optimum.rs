//! What somebody would pay who knows all demand: the least node-hours at which every run has its nodes when it starts.
//!
//! The pods go to the same nodes as when all nodes are always there, so each node has its uses and the gaps between them.
//! Whether it is worth letting a node go in one gap does not depend on any other gap, nor on other nodes, so comparing the
//! two costs of each gap is exact: [`Best::free`]. That is for an agent pool that can do anything at any time. A real one does
//! one operation at a time, for as long as its nodes take to come, so that nodes that are needed soon after others come early
//! and wait. How long they wait at the least is found by dynamic programming over the requests: [`Best::one_at_a_time`].

use std::collections::BTreeMap;

use super::demand::Demand;
use super::dice::Dice;
use super::{Billed, Model, Setting, live};
use crate::warmth::least_wait;

/// What it costs to take a node and to let it go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// How long before its use a node is taken, to be there in time as often as asked for. In seconds, as billed.
    pub lead: i64,
    /// How long it is billed after it was let go.
    pub drain: i64,
    /// How long an operation that takes nodes goes on.
    pub operation: i64,
}

/// The least node-seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Best {
    /// Where the pool can do anything at any time.
    pub free: i64,
    /// Where operations that take nodes go one at a time, with the same gaps bridged.
    pub one_at_a_time: i64,
}

impl Costs {
    /// With the 95th percentile as lead, and as what has to be reckoned with until an operation has ended: that is with its
    /// slowest machine.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "seconds of provisioning")]
    pub fn of(setting: &Setting) -> Self {
        let p95 = setting.provisioning.p95();
        let lead = match setting.billed {
            Billed::FromPut => p95,
            Billed::FromReady => (p95 - setting.provisioning.mean() as i64).max(0),
        };
        // A cordon has to settle before the deletion.
        let drain = setting.deletion + crate::pool::SETTLE.as_secs();
        Self { lead, drain, operation: p95 }
    }

    /// The least for nodes with these uses (from, to), each node's in the order of time and apart.
    #[must_use]
    pub fn best(&self, nodes: &[Vec<(i64, i64)>]) -> Best {
        let again = self.lead + self.drain;
        let mut free = 0;
        let mut takes: BTreeMap<i64, u32> = BTreeMap::new();
        for uses in nodes.iter().filter(|uses| !uses.is_empty()) {
            free += again + uses.iter().map(|(from, to)| to - from).sum::<i64>();
            *takes.entry(uses[0].0).or_default() += 1;
            for two in uses.windows(2) {
                let gap = two[1].0 - two[0].1;
                free += gap.min(again);
                if gap > again {
                    *takes.entry(two[1].0).or_default() += 1;
                }
            }
        }
        let mut in_all = 0;
        let steps: Vec<(i64, u32)> = takes
            .into_iter()
            .map(|(at, more)| {
                (at, {
                    in_all += more;
                    in_all
                })
            })
            .collect();
        let wait = i64::try_from(least_wait(&steps, self.operation)).unwrap_or(i64::MAX);
        Best { free, one_at_a_time: free.saturating_add(wait) }
    }
}

/// The uses of each node when nodes are always there.
#[must_use]
pub fn uses_of(setting: &Setting, demand: &Demand) -> Vec<Vec<(i64, i64)>> {
    let (_, uses) = live(setting, demand, Model::AlwaysOn(setting.max_nodes), Dice::new(0), &mut |_| {});
    let mut nodes: BTreeMap<u32, Vec<(i64, i64)>> = BTreeMap::new();
    uses.into_iter().for_each(|(node, from, to)| nodes.entry(node).or_default().push((from, to)));
    nodes.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every way to have nodes, second by second: how many there are is decided anew each second. A node that is taken is
    /// billed for its lead before, one that is let go for its drain after.
    fn exhaustive(need: &[u32], costs: Costs) -> i64 {
        let most = usize::try_from(*need.iter().max().unwrap()).unwrap();
        let again = costs.lead + costs.drain;
        let amount = |nodes: usize| i64::try_from(nodes).unwrap();
        let mut least: Vec<i64> = (0..=most).map(|nodes| if nodes == 0 { 0 } else { i64::MAX / 2 }).collect();
        for need in need.iter().chain([&0]) {
            let best = |nodes: usize| {
                let ways = least.iter().enumerate();
                ways.map(|(before, cost)| cost + amount(nodes.saturating_sub(before)) * again + amount(nodes))
                    .min()
                    .unwrap()
            };
            let need = usize::try_from(*need).unwrap();
            least = (0..=most).map(|nodes| if nodes < need { i64::MAX / 2 } else { best(nodes) }).collect();
        }
        least[0]
    }

    fn uses(need: &[u32]) -> Vec<Vec<(i64, i64)>> {
        let layer = |node: u32| {
            let mut uses: Vec<(i64, i64)> = Vec::new();
            for (second, _) in need.iter().enumerate().filter(|(_, need)| **need > node) {
                let second = i64::try_from(second).unwrap();
                match uses.last_mut() {
                    Some((_, to)) if *to == second => *to += 1,
                    _ => uses.push((second, second + 1)),
                }
            }
            uses
        };
        (0..*need.iter().max().unwrap()).map(layer).collect()
    }

    proptest! {
        #[test]
        fn nobody_who_tries_every_way_pays_less(
            need in proptest::collection::vec(0u32..4, 1..60), lead in 0i64..10, drain in 0i64..5
        ) {
            let costs = Costs { lead, drain, operation: 0 };
            let best = costs.best(&uses(&need));
            prop_assert_eq!(best.free, exhaustive(&need, costs));
            prop_assert_eq!(best.one_at_a_time, best.free);
        }

        #[test]
        fn one_operation_at_a_time_only_costs_more(
            need in proptest::collection::vec(0u32..4, 1..60), operation in 0i64..20
        ) {
            let costs = Costs { lead: 5, drain: 2, operation };
            let best = costs.best(&uses(&need));
            prop_assert!(best.one_at_a_time >= best.free);
            let more = Costs { operation: operation + 1, ..costs }.best(&uses(&need));
            prop_assert!(more.one_at_a_time >= best.one_at_a_time);
        }
    }
}
