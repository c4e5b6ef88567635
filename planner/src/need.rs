//! Nodes: how many the given slots need, on top of what there is.

use crate::bins::Bins;
use crate::capacity::Resources;

/// Pods that have a slot and are on no node yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unplaced {
    /// What one pod asks for.
    pub request: Resources,
    /// How many.
    pub pods: u32,
}

/// What the unplaced pods need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Which of the given nodes take some, by index.
    pub used: Vec<usize>,
    /// Nodes beyond the given ones.
    pub new: u32,
}

/// Puts the pods onto the nodes at hand, in their order and with what is free on each, then onto new ones. While the
/// capacity of a node is unknown, all pods ask for one node together.
#[must_use]
pub fn need(work: &[&Unplaced], free: &[&Resources], capacity: Option<&Resources>, most_new: u32) -> Need {
    if work.iter().all(|w| w.pods == 0) {
        return Need::default();
    }
    let Some(empty) = capacity else {
        let any = !free.is_empty();
        return Need { used: if any { vec![0] } else { Vec::new() }, new: u32::from(!any && most_new > 0) };
    };
    let most = free.len().saturating_add(usize::try_from(most_new).unwrap_or(usize::MAX));
    let mut bins = Bins::new(empty, free, most, work.iter().map(|w| &w.request));
    let mut takes_some = vec![false; free.len()];
    for (which, work) in work.iter().enumerate() {
        bins.place(which, work.pods, |node| {
            if let Some(takes) = takes_some.get_mut(node) {
                *takes = true;
            }
        });
    }
    let used = takes_some.iter().enumerate().filter_map(|(node, takes)| takes.then_some(node)).collect();
    Need { used, new: u32::try_from(bins.len() - free.len()).unwrap_or(u32::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu(amount: &str) -> Resources {
        Resources::parse([("cpu", amount)]).unwrap()
    }

    fn work(pods: u32) -> Unplaced {
        Unplaced { request: cpu("1"), pods }
    }

    #[test]
    fn room_at_hand_is_used_before_new_nodes() {
        let need = need(&[&work(8)], &[&cpu("0"), &cpu("2"), &cpu("4")], Some(&cpu("4")), 9);
        assert_eq!((need.used, need.new), (vec![1, 2], 1));
    }

    #[test]
    fn no_pod_no_node() {
        assert_eq!(need(&[&work(0)], &[&cpu("4")], Some(&cpu("4")), 9), Need::default());
    }

    #[test]
    fn an_unknown_capacity_needs_one_node_to_learn_it() {
        assert_eq!(need(&[&work(50)], &[], None, 9), Need { used: vec![], new: 1 });
        assert_eq!(need(&[&work(50)], &[&Resources::default()], None, 9), Need { used: vec![0], new: 0 });
    }
}
