//! Slots: which run may have how many pods at a time.
//!
//! Runs of a higher priority get theirs first. Between those of one priority, whoever has the smallest part of the pool
//! gets the next slot, the oldest first where parts are equal: so nobody has more than another who wants more, but for one
//! pod. Nothing is killed for it, so that a run that came early is above its part until enough of its pods have ended.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::capacity::Resources;

mod fair;

pub(crate) use fair::Part;

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

    /// Slots that it keeps: its started pods.
    fn floor(&self) -> u32 {
        self.started.min(self.remaining)
    }

    /// Slots that it wants beyond these.
    fn wished(&self) -> u32 {
        self.remaining - self.floor()
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

/// Gives slots against `max_nodes` nodes: by priority, between equals by fair share of the pool, then by age. Started pods
/// keep theirs, whatever comes.
#[must_use]
pub fn grant(demands: &[Demand], room: &Room) -> Grants {
    let mut order: Vec<&Demand> = demands.iter().collect();
    order.sort_by(|a, b| (Reverse(a.priority), a.created, &a.run).cmp(&(Reverse(b.priority), b.created, &b.run)));

    let extra = match &room.capacity {
        _ if room.closing => order.iter().map(|d| d.wished().min(d.given.saturating_sub(d.floor()))).collect(),
        _ if room.paused => vec![0; order.len()],
        Some(empty) => {
            let most = usize::try_from(room.max_nodes).unwrap_or(usize::MAX);
            fair::shares(&order, empty, most)
        }
        // Nobody knows how many pods a node takes until one is there: a single pod asks for it.
        None => {
            let asks = |d: &&Demand| room.max_nodes > 0 && d.wished() > 0;
            let first = order.iter().position(asks).filter(|_| demands.iter().all(|d| d.started == 0));
            (0..order.len()).map(|at| u32::from(first == Some(at))).collect()
        }
    };

    let mut grants = Grants::default();
    for (demand, extra) in order.into_iter().zip(extra) {
        if room.capacity.as_ref().is_some_and(|empty| empty.fits(&demand.request) == 0) && demand.wished() > 0 {
            grants.too_large.push(demand.run.clone());
        }
        let slots = demand.floor() + extra;
        // A number that says the same is left as it is: with fewer items than slots, nothing changes by rewriting it.
        let kept = demand.given > slots && slots == demand.remaining;
        grants.slots.insert(demand.run.clone(), if kept { demand.given } else { slots });
        grants.given += slots;
        grants.waiting += demand.remaining - slots;
    }
    grants
}

#[cfg(test)]
mod tests;
