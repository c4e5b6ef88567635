//! Slots: which run may have how many pods at a time.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::bins::Bins;
use crate::capacity::Resources;

/// A run that has items to score.
#[derive(Clone, Debug)]
pub struct Demand {
    /// The run: `namespace/name`.
    pub run: String,
    /// Higher goes first.
    pub priority: i32,
    /// When the run was made; earlier goes first.
    pub created: Timestamp,
    /// What one pod asks for.
    pub request: Resources,
    /// Items that have not ended.
    pub remaining: u32,
    /// Pods that are on a node and have not ended.
    pub started: u32,
    /// Slots that the run has been given.
    pub given: u32,
}

impl Demand {
    /// Pods that the run may have and that are not on a node yet.
    #[must_use]
    pub fn unplaced(&self, slots: u32) -> u32 {
        slots.min(self.remaining).saturating_sub(self.started)
    }
}

/// The room for pods.
#[derive(Clone, Debug)]
pub struct Room {
    /// What an empty node has; `None`: no node has been seen yet.
    pub capacity: Option<Resources>,
    /// The most nodes there may be.
    pub max_nodes: u32,
    /// True: nothing new starts.
    pub paused: bool,
    /// True: the nodes are about to go. Runs keep the slots that they have, so that the nodes at hand end them, and no
    /// run gets more.
    pub closing: bool,
}

/// Who gets what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Slots by run.
    pub slots: BTreeMap<String, u32>,
    /// Slots that are in use or about to be, of all runs.
    pub given: u32,
    /// Items without a slot, of all runs.
    pub waiting: u32,
    /// Runs whose pod does not fit onto an empty node.
    pub too_large: Vec<String>,
}

/// Gives slots against `max_nodes` nodes: by priority, then by age. Started pods keep theirs, whatever comes.
#[must_use]
pub fn grant(demands: &[Demand], room: &Room) -> Grants {
    // A run's turn comes in this order; fair share between equals means more, smaller turns over the same bins.
    let mut order: Vec<&Demand> = demands.iter().collect();
    order.sort_by_key(|d| (Reverse(d.priority), d.created, d.run.clone()));

    let most = usize::try_from(room.max_nodes).unwrap_or(usize::MAX);
    let requests = || order.iter().map(|demand| &demand.request);
    let mut bins = room.capacity.as_ref().map(|empty| Bins::new(empty, &[], most, requests()));
    if let Some(bins) = &mut bins {
        for (run, demand) in order.iter().enumerate() {
            bins.place(run, demand.started.min(demand.remaining), drop);
        }
    }

    let mut grants = Grants::default();
    // Nobody knows how many pods a node takes until one is there: a single pod asks for it.
    let mut unknown = if room.max_nodes > 0 && demands.iter().all(|d| d.started == 0) { 1 } else { 0 };
    for (run, demand) in order.into_iter().enumerate() {
        let floor = demand.started.min(demand.remaining);
        let wished = demand.remaining - floor;
        let extra = match &mut bins {
            _ if room.closing => wished.min(demand.given.saturating_sub(floor)),
            _ if room.paused => 0,
            Some(bins) => bins.place(run, wished, drop),
            None => wished.min(std::mem::take(&mut unknown)),
        };
        if room.capacity.as_ref().is_some_and(|empty| empty.fits(&demand.request) == 0) && wished > 0 {
            grants.too_large.push(demand.run.clone());
        }
        let slots = floor + extra;
        // A number that says the same is left as it is: with fewer items than slots, nothing changes by rewriting it.
        let kept = demand.given > slots && slots == demand.remaining;
        grants.slots.insert(demand.run.clone(), if kept { demand.given } else { slots });
        grants.given += slots;
        grants.waiting += demand.remaining - slots;
    }
    grants
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cpu(amount: &str) -> Resources {
        Resources::parse([("cpu", amount)]).unwrap()
    }

    fn demand(run: &str, remaining: u32) -> Demand {
        Demand {
            run: run.to_owned(),
            priority: 0,
            created: Timestamp::UNIX_EPOCH,
            request: cpu("1"),
            remaining,
            started: 0,
            given: 0,
        }
    }

    fn room(nodes: u32) -> Room {
        Room { capacity: Some(cpu("4")), max_nodes: nodes, paused: false, closing: false }
    }

    #[test]
    fn a_run_gets_as_many_slots_as_the_largest_pool_has_room_for() {
        let grants = grant(&[demand("a", 100)], &room(3));
        assert_eq!((grants.slots["a"], grants.waiting), (12, 88));
    }

    #[test]
    fn priority_goes_before_age_and_age_before_name() {
        let late = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(60);
        let urgent = Demand { priority: 5, created: late, ..demand("z", 3) };
        let young = Demand { created: late, ..demand("a", 9) };
        let old = demand("m", 4);
        let grants = grant(&[young, old, urgent], &room(2));
        assert_eq!((grants.slots["z"], grants.slots["m"], grants.slots["a"]), (3, 4, 1));
    }

    #[test]
    fn started_pods_keep_their_slots_when_a_more_urgent_run_comes_or_the_pool_shrinks() {
        let running = Demand { started: 6, given: 8, ..demand("low", 20) };
        let urgent = Demand { priority: 1, ..demand("high", 20) };
        let grants = grant(&[running, urgent], &room(2));
        assert_eq!((grants.slots["low"], grants.slots["high"]), (6, 2));
        let shrunk = grant(&[Demand { started: 6, given: 8, ..demand("low", 20) }], &room(1));
        assert_eq!(shrunk.slots["low"], 6);
    }

    #[test]
    fn the_last_items_of_a_run_do_not_rewrite_its_slots() {
        let ending = Demand { remaining: 2, started: 2, given: 12, ..demand("a", 2) };
        assert_eq!(grant(&[ending], &room(3)).slots["a"], 12);
    }

    #[test]
    fn a_paused_cluster_gives_nothing_new() {
        let paused = Room { paused: true, ..room(3) };
        let grants = grant(&[Demand { started: 2, given: 6, ..demand("a", 9) }, demand("b", 4)], &paused);
        assert_eq!((grants.slots["a"], grants.slots["b"]), (2, 0));
    }

    #[test]
    fn while_a_cluster_closes_runs_keep_what_they_have() {
        let closing = Room { closing: true, ..room(3) };
        let grants = grant(&[Demand { started: 2, given: 6, ..demand("a", 9) }, demand("b", 4)], &closing);
        assert_eq!((grants.slots["a"], grants.slots["b"]), (6, 0));
    }

    #[test]
    fn while_no_node_was_ever_seen_one_pod_asks_for_it() {
        let unknown = Room { capacity: None, ..room(3) };
        let grants = grant(&[demand("a", 9), demand("b", 4)], &unknown);
        assert_eq!((grants.slots["a"], grants.slots["b"]), (1, 0));
    }

    #[test]
    fn a_pod_larger_than_a_node_is_told_and_does_not_block_others() {
        let huge = Demand { request: cpu("5"), priority: 9, ..demand("huge", 1) };
        let grants = grant(&[huge, demand("a", 2)], &room(1));
        assert_eq!(grants.too_large, ["huge"]);
        assert_eq!((grants.slots["huge"], grants.slots["a"]), (0, 2));
    }

    proptest! {
        #[test]
        fn grants_fit_the_pool_and_never_fall_below_started_pods(
            runs in proptest::collection::vec((0u32..50, 0u32..8, 0u32..60, -2i32..3), 1..6), nodes in 0u32..6
        ) {
            let demands: Vec<Demand> = runs.iter().enumerate().map(|(i, (remaining, started, given, priority))| Demand {
                started: *started, given: *given, priority: *priority, ..demand(&format!("r{i}"), *remaining)
            }).collect();
            let grants = grant(&demands, &room(nodes));
            let started: u32 = demands.iter().map(|d| d.started.min(d.remaining)).sum();
            prop_assert!(grants.given <= started.max(nodes * 4));
            for d in &demands {
                prop_assert!(grants.slots[&d.run] >= d.started.min(d.remaining));
            }
            // Nobody waits while there is room.
            prop_assert!(grants.waiting == 0 || grants.given >= nodes * 4);
        }
    }
}
