//! Slots: which run may have how many pods at a time, and which pods start now.
//!
//! Runs of a higher priority get theirs first. Between those of one priority, whoever has the smallest part of the pool
//! gets the next slot, the oldest first where parts are equal: so nobody has more than another who wants more, but for one
//! pod. Nothing is killed for it, so that a run that came early is above its part until enough of its pods have ended.
//!
//! Slots are for the largest pool that there may be; pods start as the nodes at hand have room, shared in the same way. So
//! whoever comes while nodes are on their way has its part of them from the beginning.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::capacity::Resources;

mod apart;
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
    /// Pods that were let go and are on no node yet.
    pub starting: u32,
    /// Pods that are there and wait to be let go.
    pub held: u32,
    /// The most pods that the run can have for now: where a quota or a policy refuses more, no room is kept for them.
    pub most: u32,
    /// Slots that the run has been given.
    pub given: u32,
}

impl Demand {
    /// Pods that the run may have and that are not on a node yet.
    #[must_use]
    pub fn unplaced(&self, slots: u32) -> u32 {
        slots.min(self.remaining).saturating_sub(self.started)
    }

    /// Slots that it keeps: those of pods that were let go, which nobody can hold any more.
    fn floor(&self) -> u32 {
        self.started.saturating_add(self.starting).min(self.remaining)
    }

    /// Slots that it wants beyond these.
    fn wished(&self) -> u32 {
        self.remaining.min(self.most).saturating_sub(self.floor())
    }
}

/// The room for pods.
#[derive(Clone, Debug)]
pub struct Room {
    /// What an empty node has; `None`: no node has been seen yet.
    pub capacity: Option<Resources>,
    /// The most nodes there may be.
    pub max_nodes: u32,
    /// What is free on each node that takes pods at this moment. Others, up to the most, are opened empty.
    pub nodes: Vec<Resources>,
    /// What pods ask for that have started on nodes that had no room for them, by what a node is said to have: Kubernetes'
    /// scheduler goes by what it really has. Each takes the room of another.
    pub overflow: Vec<Resources>,
    /// The runs that have pods on each of these nodes; empty where pods cannot be kept off one.
    pub runs_on: Vec<BTreeSet<String>>,
    /// True: a pod starts once one of these nodes has room for it. False: as soon as it has a slot, so that whoever adds
    /// nodes sees it wait.
    pub starts_on_room: bool,
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
    /// How many more pods of each run to let go now; runs of which none may are left out.
    pub starts: BTreeMap<String, u32>,
    /// The nodes that those pods are to keep off, by their index in [`Room::nodes`]: larger ones are to start there.
    pub off: BTreeMap<String, Vec<usize>>,
    /// Slots that are in use or about to be, of all runs.
    pub given: u32,
    /// Items without a slot, of all runs.
    pub waiting: u32,
    /// How many slots there can be, were all pods like those of the first run in `queue`'s order; `None`: nobody knows.
    pub total: Option<u32>,
    /// Runs with items that wait for a slot, by priority and then by age. (Of one priority, the next slot is that of the run with
    /// the smallest part.)
    pub queue: Vec<Queued>,
    /// Runs whose pod does not fit onto an empty node.
    pub too_large: Vec<String>,
}

/// A run with items that wait for a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The run: `namespace/name`.
    pub run: String,
    /// Its priority.
    pub priority: i32,
    /// Slots that it has.
    pub slots: u32,
    /// Items without one.
    pub waiting: u32,
}

/// Gives slots against `max_nodes` nodes: by priority, between equals by fair share of the pool, then by age. Pods that
/// were let go keep theirs, whatever comes.
#[must_use]
pub fn grant(demands: &[Demand], room: &Room) -> Grants {
    let mut order: Vec<&Demand> = demands.iter().collect();
    order.sort_by(|a, b| (Reverse(a.priority), a.created, &a.run).cmp(&(Reverse(b.priority), b.created, &b.run)));

    let wish = |d: &&Demand| match room.closing {
        // Also those whose pods are not there for the moment.
        true => d.remaining.saturating_sub(d.floor()).min(d.given.saturating_sub(d.floor())),
        false => d.wished(),
    };
    let wishes: Vec<u32> = order.iter().map(wish).collect();
    let most = usize::try_from(room.max_nodes).unwrap_or(usize::MAX);
    let (mut nodes, overflow): (Vec<&Resources>, _) = (room.nodes.iter().collect(), room.overflow.as_slice());
    if nodes.len() > most {
        // Some are about to go: those with the most room.
        nodes.sort_unstable();
        nodes.truncate(most);
    }
    let all_there = room.nodes.len() == most && room.runs_on.len() == most;
    let runs_on = Some(room.runs_on.as_slice()).filter(|_| all_there);
    let mut aside = Vec::new();
    let extra = match &room.capacity {
        _ if room.closing => wishes,
        _ if room.paused => vec![0; order.len()],
        Some(empty) => {
            let nodes = fair::Nodes { empty, free: &nodes, most, overflow, runs_on };
            let shares = fair::shares(&order, &wishes, &nodes);
            aside = shares.aside;
            shares.extra
        }
        // Nobody knows how many pods a node takes until one is there: a single pod asks for it.
        None => {
            let asks = |d: &&Demand| room.max_nodes > 0 && d.wished() > 0;
            let first = order.iter().position(asks).filter(|_| demands.iter().all(|d| d.floor() == 0));
            (0..order.len()).map(|at| u32::from(first == Some(at))).collect()
        }
    };
    // Room is left empty for nobody whose pods are not there.
    let there: Vec<u32> = order.iter().zip(&extra).map(|(demand, extra)| demand.held.min(*extra)).collect();
    let mut off = Vec::new();
    let starts = match &room.capacity {
        _ if there.iter().all(|pods| *pods == 0) => there,
        Some(empty) if all_there && !room.closing && apart::matters(&order, &there, &aside) => {
            let nodes = fair::Nodes { empty, free: &nodes, most, overflow, runs_on };
            let apart = apart::apart(&order, &there, &aside, &nodes);
            off = apart.off;
            apart.starts
        }
        _ if !room.starts_on_room => there,
        // No node is to be opened, so that all that has a slot has room.
        Some(_) if nodes.len() >= most && !room.closing => there,
        Some(empty) => {
            let nodes = fair::Nodes { empty, free: &nodes, most: nodes.len(), overflow, runs_on: None };
            fair::shares(&order, &there, &nodes).extra
        }
        None => vec![0; order.len()],
    };

    let off = order.iter().zip(off).filter(|(_, off)| !off.is_empty());
    let off = off.map(|(demand, off)| (demand.run.clone(), off)).collect();
    let first = order.iter().find(|demand| demand.remaining > 0).zip(room.capacity.as_ref());
    let each = first.map(|(demand, empty)| empty.fits(&demand.request)).filter(|pods| *pods < u32::MAX);
    let total = each.map(|pods| pods.saturating_mul(room.max_nodes));
    let mut grants = Grants { off, total, ..Grants::default() };
    for ((demand, extra), starts) in order.into_iter().zip(extra).zip(starts) {
        if room.capacity.as_ref().is_some_and(|empty| empty.fits(&demand.request) == 0) && demand.wished() > 0 {
            grants.too_large.push(demand.run.clone());
        }
        let slots = demand.floor() + extra;
        // A number that says the same is left as it is: with fewer items than slots, nothing changes by rewriting it.
        let kept = demand.given > slots && slots == demand.remaining;
        grants.slots.insert(demand.run.clone(), if kept { demand.given } else { slots });
        if starts > 0 {
            grants.starts.insert(demand.run.clone(), starts);
        }
        let waiting = demand.remaining - slots;
        if waiting > 0 {
            grants.queue.push(Queued { run: demand.run.clone(), priority: demand.priority, slots, waiting });
        }
        grants.given += slots;
        grants.waiting += waiting;
    }
    grants
}

#[cfg(test)]
mod tests;
