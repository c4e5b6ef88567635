//! Pods of several sizes that start at one moment in a full pool.
//!
//! Kubernetes' scheduler puts a pod onto the node with the most room. So a small one takes the place for which a large one has
//! just got its slot, though there is room for both. What is to start is placed by size, and smaller pods keep off the nodes of
//! larger ones until these are there.

use std::cmp::Reverse;

use super::Demand;
use super::fair::{Nodes, Part};
use crate::bins::Bins;

/// The most nodes that a pod is kept off. Where there are more, it waits for the larger ones: many start at once then.
const MOST: usize = 32;

/// Which pods start, and where not.
pub(super) struct Apart {
    /// How many of each run.
    pub(super) starts: Vec<u32>,
    /// The nodes that those of each run keep off.
    pub(super) off: Vec<Vec<usize>>,
}

/// Whether it matters: pods of several sizes start, or a node is set aside.
pub(super) fn matters(order: &[&Demand], there: &[u32], aside: &[(usize, usize)]) -> bool {
    let mut starting = order.iter().zip(there).filter(|(demand, there)| demand.starting > 0 || **there > 0);
    let first = starting.next().map(|(demand, _)| &demand.request);
    !aside.is_empty() || starting.any(|(demand, _)| Some(&demand.request) != first)
}

/// Of the pods that are there and have a slot, those that start now.
pub(super) fn apart(order: &[&Demand], there: &[u32], aside: &[(usize, usize)], nodes: &Nodes<'_>) -> Apart {
    let Nodes { empty, free, most, overflow, .. } = *nodes;
    let mut bins = Bins::new(empty, free, most, order.iter().map(|d| &d.request).chain(overflow));
    for pod in order.len()..order.len() + overflow.len() {
        bins.place(pod, 1, drop);
    }
    let size = |run: usize| order.get(run).map(|demand| (Part::of_a_pod(&demand.request, empty), &demand.request));
    let owns = |run: usize| aside.iter().any(|(owner, _)| *owner == run);
    let mut runs: Vec<usize> = (0..order.len()).collect();
    runs.sort_by_key(|run| (!owns(*run), Reverse(size(*run))));
    let mut apart = Apart { starts: vec![0; order.len()], off: vec![Vec::new(); order.len()] };
    let mut kept: Vec<usize> = Vec::new();
    for equals in runs.chunk_by(|a, b| owns(*a) == owns(*b) && size(*a) == size(*b)) {
        let mut took = Vec::new();
        for run in equals {
            bins.place(*run, order[*run].starting, |node| took.push(node));
            if kept.len() <= MOST {
                apart.starts[*run] = bins.place(*run, there[*run], |node| took.push(node));
                apart.off[*run].clone_from(&kept);
            }
        }
        took.extend(aside.iter().filter(|(owner, _)| equals.contains(owner)).map(|(_, node)| *node));
        took.sort_unstable();
        took.dedup();
        took.retain(|node| !kept.contains(node));
        took.iter().for_each(|node| bins.close(*node));
        kept.append(&mut took);
    }
    apart
}
