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
}

/// The most nodes that are needed from now up to each time: it only rises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// From this time on (milliseconds from now) so many.
    steps: Vec<(i64, u32)>,
}

/// Far away.
const FOREVER: i64 = i64::MAX;
/// Work that is late may end at any moment; when it is later than this, nothing is known of its end, in milliseconds.
const LATE: i64 = 300_000;

impl Forecast {
    /// From what runs, what waits and what is expected to come before `end`. While the capacity of a node is unknown, all
    /// pods ask for one node together.
    #[must_use]
    pub fn of(
        now: Timestamp,
        end: Timestamp,
        capacity: Option<&Resources>,
        busy: &[Busy],
        waiting: &[Waiting],
        expected: &[Expected],
    ) -> Self {
        let coming = || expected.iter().filter(|e| e.at <= end && e.pods > 0);
        if coming().next().is_none() {
            // Nothing to come: what is there is looked at as it is.
            return Self::default();
        }
        let Some(capacity) = capacity else {
            let first = coming().map(|e| millis(now, e.at)).min().unwrap_or(0);
            let some = u32::from(!busy.is_empty() || !waiting.is_empty());
            return Self { steps: if some > 0 { vec![(0, 1)] } else { vec![(first, 1)] } };
        };
        let mut kinds: Vec<Resources> = Vec::new();
        let mut kind = |request: &Resources| {
            kinds.iter().position(|known| known == request).unwrap_or_else(|| {
                kinds.push(request.clone());
                kinds.len() - 1
            })
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
            add(0, work.lasts, &work.pods.request, work.pods.pods);
        }
        for expected in coming() {
            add(millis(now, expected.at), Some(expected.lasts), &expected.request, expected.pods);
        }
        starts.sort_unstable();
        ends.sort_unstable();
        let mut packing = Packing::new(capacity, &kinds);
        let busy = Rooms::of(now, busy, &packing);
        Self { steps: steps(&mut packing, &busy, &starts, &ends) }
    }

    /// The most nodes needed from now until so long from now.
    #[must_use]
    pub fn within(&self, ahead: SignedDuration) -> u32 {
        let ahead = whole(ahead);
        let at = self.steps.partition_point(|(from, _)| *from <= ahead);
        at.checked_sub(1).and_then(|last| self.steps.get(last)).map_or(0, |(_, nodes)| *nodes)
    }

    /// How long until more than `nodes` are needed.
    #[must_use]
    pub fn above(&self, nodes: u32) -> Option<SignedDuration> {
        let at = self.steps.partition_point(|(_, needed)| *needed <= nodes);
        self.steps.get(at).map(|(from, _)| SignedDuration::from_millis(*from))
    }
}

/// Goes through the starts in order. Need rises at starts only.
fn steps(
    packing: &mut Packing,
    busy: &Rooms,
    starts: &[(i64, usize, u32)],
    ends: &[(i64, usize, u32)],
) -> Vec<(i64, u32)> {
    let kinds = starts.iter().map(|(_, kind, _)| kind + 1).max().unwrap_or(0);
    let mut pods = vec![0_u32; kinds];
    let mut steps: Vec<(i64, u32)> = vec![(0, busy.at(0))];
    let mut most = busy.at(0);
    let (mut next, mut ended) = (0, 0);
    while let Some((at, _, _)) = starts.get(next) {
        while let Some((_, kind, gone)) = ends.get(ended).filter(|(end, _, _)| end <= at) {
            pods[*kind] = pods[*kind].saturating_sub(*gone);
            ended += 1;
        }
        while let Some((_, kind, come)) = starts.get(next).filter(|(start, _, _)| start == at) {
            pods[*kind] = pods[*kind].saturating_add(*come);
            next += 1;
        }
        let there = busy.at(*at);
        // Most starts change nothing: this bound is cheap.
        if there.saturating_add(packing.at_most(&pods)) <= most {
            continue;
        }
        let nodes = there.saturating_add(packing.nodes(busy.rooms(*at), &pods));
        if nodes > most {
            most = nodes;
            steps.push((*at, nodes));
        }
    }
    steps
}

/// Busy nodes by the room on them.
struct Rooms {
    by_room: BTreeMap<Amounts, Vec<i64>>,
    ends: Vec<i64>,
}

impl Rooms {
    fn of(now: Timestamp, busy: &[Busy], packing: &Packing) -> Self {
        let mut by_room: BTreeMap<Amounts, Vec<i64>> = BTreeMap::new();
        let mut ends = Vec::with_capacity(busy.len());
        for node in busy {
            let left = node.until.map(|until| whole(until.duration_since(now))).filter(|left| *left > -LATE);
            let end = left.map_or(FOREVER, |left| left.max(1));
            ends.push(end);
            by_room.entry(packing.amounts(node.free)).or_default().push(end);
        }
        ends.sort_unstable();
        by_room.values_mut().for_each(|ends| ends.sort_unstable());
        Self { by_room, ends }
    }

    /// How many are still busy then.
    fn at(&self, time: i64) -> u32 {
        later(&self.ends, time)
    }

    fn rooms(&self, time: i64) -> impl Iterator<Item = (&Amounts, u32)> {
        self.by_room.iter().map(move |(room, ends)| (room, later(ends, time)))
    }
}

fn later(sorted: &[i64], time: i64) -> u32 {
    u32::try_from(sorted.len() - sorted.partition_point(|end| *end <= time)).unwrap_or(u32::MAX)
}

fn millis(now: Timestamp, at: Timestamp) -> i64 {
    whole(at.duration_since(now)).max(0)
}

fn whole(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(FOREVER)
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
        Forecast::of(at(0), at(1_000), Some(&cpu(4)), busy, waiting, expected)
    }

    #[test]
    fn pods_of_ticks_that_overlap_share_nodes_and_others_take_turns() {
        let found = forecast(&[], &[], &[expect(10, 2, 60), expect(60, 3, 60), expect(200, 4, 60)]);
        assert_eq!((found.within(secs(9)), found.within(secs(10)), found.within(secs(999))), (0, 1, 2));
        assert_eq!((found.above(0), found.above(1), found.above(2)), (Some(secs(10)), Some(secs(60)), None));
    }

    #[test]
    fn a_busy_node_takes_what_fits_and_all_of_it_once_its_work_has_ended() {
        let free = cpu(1);
        let until = |end| [Busy { free: &free, until: Some(at(end)) }];
        assert_eq!(forecast(&until(50), &[], &[expect(40, 1, 9)]).within(secs(99)), 1);
        assert_eq!(forecast(&until(50), &[], &[expect(40, 4, 9)]).within(secs(99)), 2);
        assert_eq!(forecast(&until(40), &[], &[expect(40, 4, 9)]).within(secs(99)), 1);
        assert_eq!(forecast(&until(-299), &[], &[expect(40, 4, 9)]).within(secs(99)), 1);
        assert_eq!(forecast(&until(-300), &[], &[expect(40, 4, 9)]).within(secs(99)), 2);
        assert_eq!(forecast(&[Busy { free: &free, until: None }], &[], &[expect(900, 4, 9)]).within(secs(900)), 2);
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
        let found = Forecast::of(at(0), at(1_000), None, &[], &[], &[expect(10, 99, 9), expect(20, 99, 9)]);
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
