//! How many nodes will be needed, and when.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Expected;
use super::packing::{Amounts, Packing};
use crate::capacity::Resources;
use crate::need::Unplaced;

/// Pods with a slot and without a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What they ask for.
    pub pods: Unplaced,
    /// How long they will take, if known.
    pub lasts: Option<SignedDuration>,
}

/// A node that pods are on.
#[derive(Clone, Copy, Debug)]
pub struct Busy<'a> {
    /// What is free on it.
    pub free: &'a Resources,
    /// When it is free of them, if known.
    pub until: Option<Timestamp>,
    /// What becomes free before, as far as known.
    pub ends: &'a [End],
}

/// Pods that will have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// What their node has then in addition.
    pub frees: Resources,
}

/// The most nodes that are needed from now up to each time: it only rises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// From this time on (milliseconds from now) so many.
    steps: Vec<(i64, u32)>,
    /// The same, but from when on a node could come that is asked for now.
    lasting: Vec<(i64, u32)>,
}

/// Work that is late may end at any moment; when it is later than this, nothing is known of its end, in milliseconds.
const LATE: i64 = 300_000;

impl Forecast {
    /// From what runs, what waits, for the delay at most, and what is expected. A node that is asked for now is there
    /// after `come`. While the capacity of a node is unknown, all pods ask for one node together.
    #[must_use]
    pub fn of(
        now: Timestamp,
        come: SignedDuration,
        capacity: Option<&Resources>,
        busy: &[Busy],
        waiting: &[Waiting],
        delay: SignedDuration,
        expected: &[Expected],
    ) -> Self {
        let coming = || expected.iter().filter(|e| e.pods > 0);
        if coming().next().is_none() {
            // Nothing to come: what is there is looked at as it is.
            return Self::default();
        }
        let Some(capacity) = capacity else {
            let first = coming().map(|e| millis(now, e.at)).min().unwrap_or(0);
            let some = u32::from(!busy.is_empty() || !waiting.is_empty());
            let steps = if some > 0 { vec![(0, 1)] } else { vec![(first, 1)] };
            return Self { lasting: steps.clone(), steps };
        };
        let mut kinds: Vec<Resources> = Vec::new();
        let mut known: BTreeMap<Resources, usize> = BTreeMap::new();
        let mut kind = |request: &Resources| match known.get(request) {
            Some(kind) => *kind,
            None => {
                known.insert(request.clone(), kinds.len());
                kinds.push(request.clone());
                kinds.len() - 1
            }
        };
        // Starts and ends of pods: when, of what kind, how many come or go.
        let mut starts: Vec<(i64, usize, u32)> = Vec::new();
        let mut ends: Vec<(i64, usize, u32)> = Vec::new();
        let mut add = |start: i64, lasts: Option<SignedDuration>, request: &Resources, pods: u32| {
            let kind = kind(request);
            starts.push((start, kind, pods));
            if let Some(lasts) = lasts {
                ends.push((start.saturating_add(whole(lasts).max(1)), kind, pods));
            }
        };
        for work in waiting.iter().filter(|work| work.pods.pods > 0) {
            add(whole(delay), work.lasts, &work.pods.request, work.pods.pods);
        }
        for expected in coming() {
            add(millis(now, expected.at), Some(expected.lasts), &expected.request, expected.pods);
        }
        starts.sort_unstable();
        ends.sort_unstable();
        let packing = Packing::new(capacity, &kinds);
        let rooms = Rooms::of(now, busy, &packing);
        let sweep = Sweep { packing, rooms, ends: &ends, pods: vec![0; kinds.len()], ended: 0 };
        sweep.run(&starts, whole(come))
    }

    /// When more nodes are needed than before, from now on, and how many then.
    pub fn steps(&self) -> impl Iterator<Item = (SignedDuration, u32)> {
        durations(&self.steps)
    }

    /// The same without what will have passed before a new node could come.
    pub fn lasting(&self) -> impl Iterator<Item = (SignedDuration, u32)> {
        durations(&self.lasting)
    }

    /// The most nodes needed from now until so long from now.
    #[must_use]
    pub fn within(&self, ahead: SignedDuration) -> u32 {
        let ahead = whole(ahead);
        let at = self.steps.partition_point(|(from, _)| *from <= ahead);
        at.checked_sub(1).and_then(|last| self.steps.get(last)).map_or(0, |(_, nodes)| *nodes)
    }
}

/// Goes through the starts in order. Need rises at starts only.
struct Sweep<'a> {
    packing: Packing,
    rooms: Rooms,
    ends: &'a [(i64, usize, u32)],
    /// Pods under way, by kind.
    pods: Vec<u32>,
    ended: usize,
}

impl Sweep<'_> {
    fn run(mut self, starts: &[(i64, usize, u32)], come: i64) -> Forecast {
        self.pass(0);
        let mut most = self.rooms.nodes;
        let mut steps: Vec<(i64, u32)> = vec![(0, most)];
        let mut lasting: Vec<(i64, u32)> = Vec::new();
        let mut next = 0;
        while let Some((at, _, _)) = starts.get(next) {
            if lasting.is_empty() && *at > come {
                self.pass(come);
                lasting.push((come, self.nodes()));
            }
            self.pass(*at);
            while let Some((_, kind, more)) = starts.get(next).filter(|(start, _, _)| start == at) {
                self.pods[*kind] = self.pods[*kind].saturating_add(*more);
                next += 1;
            }
            // Most starts change nothing: this bound is cheap.
            let least = lasting.last().map_or(most, |(_, nodes)| most.min(*nodes));
            if self.rooms.nodes.saturating_add(self.packing.at_most(&self.pods)) <= least {
                continue;
            }
            let nodes = self.nodes();
            if nodes > most {
                most = nodes;
                steps.push((*at, nodes));
            }
            if lasting.last().is_some_and(|(_, before)| nodes > *before) {
                lasting.push((*at, nodes));
            }
        }
        if lasting.is_empty() {
            self.pass(come);
            lasting.push((come, self.nodes()));
        }
        Forecast { steps, lasting }
    }

    /// Lets the time pass.
    fn pass(&mut self, time: i64) {
        while let Some((_, kind, gone)) = self.ends.get(self.ended).filter(|(end, _, _)| *end <= time) {
            self.pods[*kind] = self.pods[*kind].saturating_sub(*gone);
            self.ended += 1;
        }
        self.rooms.pass(time);
    }

    fn nodes(&self) -> u32 {
        self.rooms.nodes.saturating_add(self.packing.nodes(self.rooms.rooms(), &self.pods))
    }
}

/// Busy nodes by the room on them, which grows as time passes.
struct Rooms {
    by_room: BTreeMap<Amounts, u32>,
    nodes: u32,
    each: Vec<Amounts>,
    /// What becomes free of which node, and when; `None`: all of it. The next is the last.
    frees: Vec<(i64, usize, Option<Amounts>)>,
}

impl Rooms {
    fn of(now: Timestamp, busy: &[Busy], packing: &Packing) -> Self {
        let (mut by_room, mut each, mut frees) = (BTreeMap::new(), Vec::with_capacity(busy.len()), Vec::new());
        let left = |at: Timestamp| Some(whole(at.duration_since(now))).filter(|left| *left > -LATE).map(|l| l.max(1));
        for (node, busy) in busy.iter().enumerate() {
            let room = packing.amounts(busy.free);
            *by_room.entry(room.clone()).or_default() += 1;
            each.push(room);
            let all = busy.until.and_then(left);
            frees.extend(all.map(|at| (at, node, None)));
            let before = |at: &i64| all.is_none_or(|all| *at < all);
            for end in busy.ends {
                frees.extend(left(end.at).filter(before).map(|at| (at, node, Some(packing.more(&end.frees)))));
            }
        }
        frees.sort_unstable_by(|a, b| b.cmp(a));
        Self { by_room, nodes: u32::try_from(busy.len()).unwrap_or(u32::MAX), each, frees }
    }

    /// Lets the time pass.
    fn pass(&mut self, time: i64) {
        while let Some((_, node, more)) = self.frees.pop_if(|(at, _, _)| *at <= time) {
            let room = &mut self.each[node];
            if let Some(nodes) = self.by_room.get_mut(room) {
                *nodes = nodes.saturating_sub(1);
            }
            match more {
                None => self.nodes = self.nodes.saturating_sub(1),
                Some(more) => {
                    room.iter_mut().zip(&more).for_each(|(room, more)| *room = room.saturating_add(*more));
                    *self.by_room.entry(room.clone()).or_default() += 1;
                }
            }
        }
    }

    fn rooms(&self) -> impl Iterator<Item = (&Amounts, u32)> {
        self.by_room.iter().map(|(room, nodes)| (room, *nodes))
    }
}

fn durations(steps: &[(i64, u32)]) -> impl Iterator<Item = (SignedDuration, u32)> {
    steps.iter().map(|(at, nodes)| (SignedDuration::from_millis(*at), *nodes))
}

fn millis(now: Timestamp, at: Timestamp) -> i64 {
    whole(at.duration_since(now)).max(0)
}

fn whole(duration: SignedDuration) -> i64 {
    duration.as_secs().saturating_mul(1_000).saturating_add(duration.subsec_millis().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(secs).unwrap()
    }

    fn secs(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    fn cpu(cores: u32) -> Resources {
        Resources::parse([("cpu", cores.to_string().as_str())]).unwrap()
    }

    fn expect(from: i64, pods: u32, lasts: i64) -> Expected {
        Expected { at: at(from), request: cpu(1), pods, lasts: secs(lasts) }
    }

    fn forecast(busy: &[Busy], waiting: &[Waiting], expected: &[Expected]) -> Forecast {
        Forecast::of(at(0), secs(0), Some(&cpu(4)), busy, waiting, secs(0), expected)
    }

    #[test]
    fn pods_of_ticks_that_overlap_share_nodes_and_others_take_turns() {
        let found = forecast(&[], &[], &[expect(10, 2, 60), expect(60, 3, 60), expect(200, 4, 60)]);
        assert_eq!((found.within(secs(9)), found.within(secs(10)), found.within(secs(999))), (0, 1, 2));
        assert_eq!(found.steps().collect::<Vec<_>>(), [(secs(0), 0), (secs(10), 1), (secs(60), 2)]);
    }

    #[test]
    fn a_busy_node_takes_what_fits_and_all_of_it_once_its_work_has_ended() {
        let free = cpu(1);
        let until = |end| [Busy { free: &free, until: Some(at(end)), ends: &[] }];
        assert_eq!(forecast(&until(50), &[], &[expect(40, 1, 9)]).within(secs(99)), 1);
        assert_eq!(forecast(&until(50), &[], &[expect(40, 4, 9)]).within(secs(99)), 2);
        assert_eq!(forecast(&until(40), &[], &[expect(40, 4, 9)]).within(secs(99)), 1);
        assert_eq!(forecast(&until(-299), &[], &[expect(40, 4, 9)]).within(secs(99)), 1);
        assert_eq!(forecast(&until(-300), &[], &[expect(40, 4, 9)]).within(secs(99)), 2);
        assert_eq!(
            forecast(&[Busy { free: &free, until: None, ends: &[] }], &[], &[expect(900, 4, 9)]).within(secs(900)),
            2
        );
    }

    #[test]
    fn what_has_passed_before_a_node_could_come_asks_for_none() {
        let ticks = [expect(10, 8, 20), expect(20, 4, 60), expect(200, 8, 9)];
        let found = Forecast::of(at(0), secs(50), Some(&cpu(4)), &[], &[], secs(0), &ticks);
        assert_eq!(found.lasting().collect::<Vec<_>>(), [(secs(50), 1), (secs(200), 2)]);
        assert_eq!(found.within(secs(50)), 3);
    }

    #[test]
    fn room_comes_back_as_pods_end() {
        let free = cpu(1);
        let ends = [End { at: at(30), frees: cpu(2) }];
        let busy = [Busy { free: &free, until: Some(at(500)), ends: &ends }];
        assert_eq!(forecast(&busy, &[], &[expect(30, 3, 9)]).within(secs(99)), 1);
        assert_eq!(forecast(&busy, &[], &[expect(29, 3, 9)]).within(secs(99)), 2);
        assert_eq!(forecast(&busy, &[], &[expect(30, 4, 9)]).within(secs(99)), 2);
    }

    #[test]
    fn a_tick_that_has_passed_and_has_no_slots_yet_is_needed_now() {
        assert_eq!(forecast(&[], &[], &[expect(-30, 4, 9)]).within(secs(0)), 1);
    }

    #[test]
    fn work_that_waits_ends_before_what_comes_after_it() {
        let wait = |lasts| [Waiting { pods: Unplaced { request: cpu(1), pods: 4 }, lasts }];
        assert_eq!(forecast(&[], &wait(Some(secs(100))), &[expect(100, 4, 9)]).within(secs(99)), 1);
        assert_eq!(forecast(&[], &wait(None), &[expect(100, 4, 9)]).within(secs(100)), 2);
    }

    #[test]
    fn a_capacity_never_seen_needs_one_node() {
        let found = Forecast::of(at(0), secs(0), None, &[], &[], secs(0), &[expect(10, 99, 9), expect(20, 99, 9)]);
        assert_eq!((found.within(secs(9)), found.within(secs(99))), (0, 1));
    }

    proptest! {
        #[test]
        fn at_no_time_more_nodes_are_needed_than_the_forecast_says(
            ticks in proptest::collection::vec((0i64..500, 1u32..20, 1i64..200), 1..20), ahead in 0i64..500
        ) {
            let expected: Vec<Expected> = ticks.iter().map(|(from, pods, lasts)| expect(*from, *pods, *lasts)).collect();
            let most = (0..=ahead).map(|second| {
                let under_way = ticks.iter().filter(|(from, _, lasts)| (*from..from + lasts).contains(&second));
                under_way.map(|(_, pods, _)| pods).sum::<u32>().div_ceil(4)
            });
            prop_assert_eq!(forecast(&[], &[], &expected).within(secs(ahead)), most.max().unwrap());
        }
    }
}
