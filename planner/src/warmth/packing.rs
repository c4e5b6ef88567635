//! How many nodes pods need together. Nodes with the same room are counted, not listed: ten thousand cost what one does.

use crate::bins::tree::{Tree, UNLIMITED as UNBOUNDED};
use crate::capacity::{PODS, Resources};

/// Amounts in the order of the packing's names.
pub(crate) type Amounts = Box<[u64]>;

/// Packs pods of a few kinds onto nodes of one kind, first fit.
#[derive(Debug)]
pub(crate) struct Packing {
    names: Vec<Name>,
    requests: Vec<Amounts>,
    empty: Amounts,
}

#[derive(Debug)]
struct Name {
    name: String,
    /// What a node has that does not name it: without bound if every node has it, else nothing.
    unnamed: u64,
}

impl Packing {
    /// For pods that ask for these, on empty nodes with `capacity`.
    pub(crate) fn new(capacity: &Resources, requests: &[Resources]) -> Self {
        let mut names: Vec<String> = vec![PODS.to_owned()];
        for (name, amount) in requests.iter().flat_map(Resources::amounts) {
            if amount > 0 && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        let unnamed = |name: &str| match Resources::parse([(name, "1")]) {
            Ok(one) if Resources::default().fits(&one) == 0 => 0,
            _ => UNBOUNDED,
        };
        let names: Vec<Name> = names.into_iter().map(|name| Name { unnamed: unnamed(&name), name }).collect();
        let one = |request: &Resources| names.iter().map(|name| asked(&name.name, request)).collect();
        let requests = requests.iter().map(one).collect();
        let mut packing = Self { names, requests, empty: [].into() };
        packing.empty = packing.amounts(capacity);
        packing
    }

    /// The room on a node.
    pub(crate) fn amounts(&self, room: &Resources) -> Amounts {
        let mut amounts: Amounts = self.names.iter().map(|name| name.unnamed).collect();
        for (name, amount) in room.amounts() {
            for (known, into) in self.names.iter().zip(&mut amounts) {
                if known.name == name {
                    *into = u64::try_from(amount).unwrap_or(UNBOUNDED);
                }
            }
        }
        amounts
    }

    /// Room that comes in addition.
    pub(crate) fn more(&self, room: &Resources) -> Amounts {
        let amount =
            |name: &Name| room.amounts().find(|(known, _)| *known == name.name).map_or(0, |(_, amount)| amount);
        self.names.iter().map(|name| u64::try_from(amount(name)).unwrap_or(UNBOUNDED)).collect()
    }

    /// The room on an empty node.
    pub(crate) fn empty(&self) -> Amounts {
        self.empty.clone()
    }

    /// Puts up to `pods` pods of a kind into this room and tells how many fit.
    pub(crate) fn take(&self, room: &mut Amounts, kind: usize, pods: u32) -> u32 {
        let request = &self.requests[kind];
        let placed = fits(room, request).min(pods);
        room.iter_mut().zip(request).for_each(|(room, each)| *room = less(*room, *each, placed));
        placed
    }

    /// Gives back what so many pods of a kind have taken.
    pub(crate) fn give(&self, room: &mut Amounts, kind: usize, pods: u32) {
        for (room, each) in room.iter_mut().zip(&self.requests[kind]) {
            if *room != UNBOUNDED {
                *room = room.saturating_add(each.saturating_mul(pods.into()));
            }
        }
    }

    /// At most so many nodes are needed for these pods, each kind on nodes of its own.
    pub(crate) fn at_most(&self, pods: &[u32]) -> u32 {
        let each = self.requests.iter().zip(pods).map(|(request, pods)| match fits(&self.empty, request) {
            0 => 0,
            some => pods.div_ceil(some),
        });
        each.fold(0, u32::saturating_add)
    }

    /// How many empty nodes the pods need beyond the room on the given nodes. Pods too large for any node need none.
    pub(crate) fn nodes<'a>(&self, given: impl Iterator<Item = (&'a Amounts, u32)>, pods: &[u32]) -> u32 {
        let (room, nodes): (Vec<_>, Vec<_>) = given.filter(|(_, nodes)| *nodes > 0).unzip();
        let mut classes = Classes { nodes, room: Tree::new(self.names.len(), room.into_iter()) };
        let mut new = 0_u32;
        for (request, pods) in self.requests.iter().zip(pods) {
            let mut left = *pods;
            // Of those that split off meanwhile none has room for more.
            let (mut class, last) = (0, classes.nodes.len());
            while left > 0 {
                let Some(next) = classes.room.first(class, request).filter(|next| *next < last) else { break };
                left -= classes.place(next, request, left);
                class = next + 1;
            }
            let each = fits(&self.empty, request);
            if left == 0 || each == 0 {
                continue;
            }
            let opened = left.div_ceil(each);
            new = new.saturating_add(opened);
            classes.push(opened, &self.empty);
            classes.place(last, request, left);
        }
        new
    }
}

/// Nodes with pods on them by class: so many, each with so much room.
struct Classes {
    nodes: Vec<u32>,
    room: Tree,
}

impl Classes {
    fn push(&mut self, nodes: u32, room: &[u64]) {
        self.nodes.push(nodes);
        self.room.push(room);
    }

    /// Puts up to `pods` pods onto the nodes of a class, which may split into full ones, one that is partly full, and the
    /// rest. Returns how many found room.
    fn place(&mut self, class: usize, request: &[u64], pods: u32) -> u32 {
        let room = self.room.row(class).to_vec();
        let each = fits(&room, request);
        let placed = pods.min(each.saturating_mul(self.nodes[class]));
        if placed == 0 {
            return 0;
        }
        let (full, rest) = (placed / each, placed % each);
        let untouched = self.nodes[class] - full - u32::from(rest > 0);
        let with =
            |pods: u32| -> Vec<u64> { room.iter().zip(request).map(|(room, each)| less(*room, *each, pods)).collect() };
        if rest > 0 {
            self.push(1, &with(rest));
        }
        if full > 0 && untouched + rest.min(1) > 0 {
            self.push(full, &with(each));
        }
        match () {
            () if untouched > 0 => self.nodes[class] = untouched,
            () if rest > 0 => {
                self.nodes[class] = 0;
                self.room.set(class, &vec![0; room.len()]);
            }
            () => self.room.set(class, &with(each)),
        }
        placed
    }
}

fn less(room: u64, each: u64, pods: u32) -> u64 {
    if room == UNBOUNDED { room } else { room.saturating_sub(each.saturating_mul(pods.into())) }
}

fn fits(room: &[u64], request: &[u64]) -> u32 {
    let each = room.iter().zip(request).filter(|(_, amount)| **amount > 0).map(|(room, amount)| room / amount);
    each.min().map_or(u32::MAX, |most| u32::try_from(most).unwrap_or(u32::MAX))
}

/// What one pod asks for; every pod is one.
fn asked(name: &str, request: &Resources) -> u64 {
    if name == PODS {
        return 1000;
    }
    let amount = request.amounts().find(|(known, _)| *known == name).map_or(0, |(_, amount)| amount);
    u64::try_from(amount).unwrap_or(UNBOUNDED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::need::{Unplaced, need};
    use proptest::prelude::*;

    fn milli(cpu: u32, memory: u32) -> Resources {
        Resources::parse([("cpu", format!("{cpu}m").as_str()), ("memory", format!("{memory}").as_str())]).unwrap()
    }

    proptest! {
        #[test]
        fn as_many_nodes_are_needed_as_when_each_pod_is_put_on_one(
            kinds in proptest::collection::vec((1u32..2_500, 0u32..9, 0u32..40), 1..5),
            given in proptest::collection::vec((0u32..4_001, 0u32..17), 0..6),
        ) {
            let empty = milli(4_000, 16);
            let mut work: Vec<Unplaced> = Vec::new();
            for (cpu, memory, pods) in kinds {
                if !work.iter().any(|w| w.request == milli(cpu, memory)) {
                    work.push(Unplaced { request: milli(cpu, memory), pods });
                }
            }
            let given: Vec<Resources> = given.into_iter().map(|(cpu, memory)| milli(cpu, memory)).collect();
            let packing = Packing::new(&empty, &work.iter().map(|w| w.request.clone()).collect::<Vec<_>>());
            let pods: Vec<u32> = work.iter().map(|w| w.pods).collect();
            let rooms: Vec<Amounts> = given.iter().map(|room| packing.amounts(room)).collect();
            let counted = packing.nodes(rooms.iter().map(|room| (room, 1)), &pods);
            let (listed_work, listed_rooms): (Vec<_>, Vec<_>) = (work.iter().collect(), given.iter().collect());
            let listed = need(&listed_work, &listed_rooms, Some(&empty), 10_000).new;
            // Which of several nodes with room comes first differs, so that pods of several kinds may end up otherwise.
            if work.len() == 1 {
                prop_assert_eq!(counted, listed);
            }
            prop_assert!(counted.abs_diff(listed) <= u32::try_from(work.len()).unwrap(), "{} {}", counted, listed);
            prop_assert!(counted <= packing.at_most(&pods));
            let total: u64 = work.iter().map(|w| u64::from(w.pods) * w.request.amounts().next().map_or(0, |(_, m)| u64::try_from(m).unwrap())).sum();
            let has: u64 = rooms.iter().map(|room| room[1]).sum::<u64>() + u64::from(counted) * 4_000;
            prop_assert!(has >= total, "{} nodes for {} of cpu", counted, total);
        }
    }

    #[test]
    fn what_a_node_does_not_name_is_there_if_every_node_has_it() {
        let cores = Resources::parse([("cpu", "4")]).unwrap();
        let some = Resources::parse([("cpu", "1"), ("memory", "1Gi")]).unwrap();
        let gpu = Resources::parse([("nvidia.com/gpu", "1")]).unwrap();
        let packing = Packing::new(&cores, &[some, gpu]);
        assert_eq!(packing.nodes([].into_iter(), &[9, 0]), 3);
        assert_eq!(packing.nodes([].into_iter(), &[0, 9]), 0);
    }
}
