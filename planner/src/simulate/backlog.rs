//! Work without a node, in the order in which it came.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::demand::Job;

/// A run of which pods have no node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) job: Job,
    /// How many.
    pub(super) left: u32,
    pub(super) started: bool,
}

/// All of them. What it costs to go through it follows from how many kinds of pods wait, not from how many runs do: a backlog may
/// grow to a hundred thousand of them.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// By kind, in order, each with its number.
    queues: BTreeMap<usize, VecDeque<(u64, Pending)>>,
    /// The first of each kind: its number and its kind.
    firsts: BTreeSet<(u64, usize)>,
    /// How many have come.
    came: u64,
    /// Pods by kind and by how long they are thought to take.
    pods: BTreeMap<(usize, i64), u32>,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.firsts.is_empty()
    }

    /// A run that came after all others.
    pub(super) fn push(&mut self, job: Job) {
        if job.pods == 0 {
            return;
        }
        let queue = self.queues.entry(job.kind).or_default();
        if queue.is_empty() {
            self.firsts.insert((self.came, job.kind));
        }
        queue.push_back((self.came, Pending { job, left: job.pods, started: false }));
        self.came += 1;
        *self.pods.entry((job.kind, job.lasts)).or_default() += job.pods;
    }

    /// Offers runs in their order, each as long as all before it of its kind have found room: what is `left` afterwards waits on.
    pub(super) fn offer(&mut self, mut place: impl FnMut(&mut Pending)) {
        let mut full = Vec::new();
        while let Some((number, kind)) = self.firsts.pop_first() {
            let Some(queue) = self.queues.get_mut(&kind) else { continue };
            let Some((_, pending)) = queue.front_mut() else { continue };
            let before = pending.left;
            place(pending);
            let (left, of) = (pending.left, (kind, pending.job.lasts));
            if let Some(pods) = self.pods.get_mut(&of) {
                *pods -= before - left;
                if *pods == 0 {
                    self.pods.remove(&of);
                }
            }
            if left > 0 {
                full.push((number, kind));
                continue;
            }
            queue.pop_front();
            self.firsts.extend(queue.front().map(|(number, _)| (*number, kind)));
        }
        self.firsts.extend(full);
    }

    /// Pods that wait, by kind and by how long they are thought to take.
    pub(super) fn pods(&self) -> impl Iterator<Item = ((usize, i64), u32)> {
        self.pods.iter().map(|(of, pods)| (*of, *pods))
    }

    /// Pods that wait by kind, the kind first whose first run came first.
    pub(super) fn by_kind(&self) -> impl Iterator<Item = (usize, u32)> {
        let of = |kind: usize| self.pods.range((kind, i64::MIN)..=(kind, i64::MAX)).map(|(_, pods)| pods).sum();
        self.firsts.iter().map(move |(_, kind)| (*kind, of(*kind)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn job(at: i64, kind: usize, pods: u32, lasts: i64) -> Job {
        Job { at, kind, pods, lasts, takes: lasts, foretold: true }
    }

    /// All runs in one queue, gone through each time.
    fn plainly(queue: &mut Vec<(Job, u32)>, mut room: [u32; 3]) -> Vec<(i64, u32)> {
        let (mut full, mut placed) = ([false; 3], Vec::new());
        for (job, left) in queue.iter_mut().filter(|(_, left)| *left > 0) {
            if !full[job.kind] {
                let some = room[job.kind].min(*left);
                (room[job.kind], *left) = (room[job.kind] - some, *left - some);
                placed.push((job.at, some));
                full[job.kind] = *left > 0;
            }
        }
        queue.retain(|(_, left)| *left > 0);
        placed
    }

    proptest! {
        #[test]
        fn runs_find_room_as_if_all_were_asked_in_their_order(
            steps in proptest::collection::vec(
                (proptest::collection::vec((0usize..3, 1u32..5, 1i64..3), 0..5), [0u32..8, 0u32..8, 0u32..8]), 1..12
            ),
        ) {
            let (mut backlog, mut queue, mut at) = (Backlog::default(), Vec::new(), 0);
            for (come, room) in steps {
                for (kind, pods, lasts) in come {
                    at += 1;
                    backlog.push(job(at, kind, pods, lasts));
                    queue.push((job(at, kind, pods, lasts), pods));
                }
                let (mut left, mut placed) = (room, Vec::new());
                backlog.offer(|pending| {
                    let some = left[pending.job.kind].min(pending.left);
                    left[pending.job.kind] -= some;
                    pending.left -= some;
                    placed.push((pending.job.at, some));
                });
                prop_assert_eq!(placed, plainly(&mut queue, room));
                prop_assert_eq!(backlog.is_empty(), queue.is_empty());
                let mut pods: BTreeMap<(usize, i64), u32> = BTreeMap::new();
                queue.iter().for_each(|(job, left)| *pods.entry((job.kind, job.lasts)).or_default() += left);
                prop_assert_eq!(backlog.pods().collect::<BTreeMap<_, _>>(), pods);
                let mut kinds: Vec<(usize, u32)> = Vec::new();
                for (job, left) in &queue {
                    match kinds.iter_mut().find(|(kind, _)| *kind == job.kind) {
                        Some((_, pods)) => *pods += left,
                        None => kinds.push((job.kind, *left)),
                    }
                }
                prop_assert_eq!(backlog.by_kind().collect::<Vec<_>>(), kinds);
            }
        }
    }
}
