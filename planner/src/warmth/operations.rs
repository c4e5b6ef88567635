//! When to ask for nodes, where each request keeps the pool busy until its nodes are there.
//!
//! Operations on a pool go one at a time. So what comes due while one is under way has to be asked for before: together with
//! it, or the other way round, the earlier one so much earlier that it has ended. Both make nodes wait for their work; this
//! finds out which makes fewer wait, and not as long.

use jiff::SignedDuration;

/// A request for nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// How long until it is to be sent.
    pub after: SignedDuration,
    /// How many nodes there are to be then, in all.
    pub nodes: u32,
}

/// No more steps than this are looked at: the rest comes later anyway.
const STEPS: usize = 200;
/// So many ways to ask for the rest are kept, the cheapest.
const WAYS: usize = 8;

/// A way to ask for the steps from one on: none other has both less cost and a later first request.
#[derive(Clone, Copy)]
struct Rest {
    /// For how long nodes wait, all of them together.
    cost: i128,
    /// When the first request is sent, in milliseconds.
    at: i64,
}

/// There is nothing more to ask for.
const NOTHING: Rest = Rest { cost: 0, at: i64::MAX / 4 };

/// The next request, so that there are `have` nodes and as many more as each step says, from when it says so. A request is
/// sent `lead` before the first step that it is for, and the next one no sooner than `operation` after it.
#[must_use]
pub fn next_put(
    steps: impl Iterator<Item = (SignedDuration, u32)>,
    have: u32,
    lead: SignedDuration,
    operation: SignedDuration,
) -> Option<Put> {
    let (lead, operation) = (millis(lead), millis(operation));
    // When each is to be asked for at the latest, and how many are wanted in all.
    let steps: Vec<(i64, u32)> =
        steps.filter(|(_, nodes)| *nodes > have).map(|(at, nodes)| (millis(at) - lead, nodes)).take(STEPS).collect();
    let (first, _) = *steps.first()?;
    let rests = rests(&steps, have, operation, 1);
    // What should have been asked for by now is asked for now, and with it what comes due before the next request.
    let ways = groups(&steps, 0, operation).flat_map(|to| rests[to].iter().map(move |rest| (to, rest)));
    let ways = ways.filter(|(_, rest)| rest.at >= operation).map(|(to, rest)| {
        let at = first.min(rest.at - operation).max(0);
        (wait(&steps, 0, to, have, at) + rest.cost, -at, to)
    });
    let (_, at, to) = ways.min().unwrap_or((0, -first.max(0), steps.len()));
    let nodes = steps[..to].last().map_or(have, |(_, nodes)| *nodes);
    Some(Put { after: SignedDuration::from_millis(-at), nodes })
}

/// For how long nodes wait at the least, all of them together, in milliseconds: those that are wanted in all from each time
/// on, where no two requests are closer than `operation`. The steps are in the order of time.
#[must_use]
pub fn least_wait(steps: &[(i64, u32)], operation: i64) -> i128 {
    let rests = rests(steps, 0, operation, 0);
    rests.first().and_then(|ways| ways.first()).map_or(0, |way| way.cost)
}

/// The best ways to ask for the steps from each one on, down to `first`.
fn rests(steps: &[(i64, u32)], have: u32, operation: i64, first: usize) -> Vec<Vec<Rest>> {
    let mut rests: Vec<Vec<Rest>> = vec![Vec::new(); steps.len()];
    rests.push(vec![NOTHING]);
    for from in (first..steps.len()).rev() {
        let ways = groups(steps, from, operation).flat_map(|to| rests[to].iter().map(move |rest| (to, rest)));
        let ways = ways.map(|(to, rest)| {
            let at = steps[from].0.min(rest.at - operation);
            Rest { at, cost: wait(steps, from, to, have, at) + rest.cost }
        });
        rests[from] = best(ways.collect());
    }
    rests
}

/// Up to which steps, not including them, one request may be for those from `from` on.
fn groups(steps: &[(i64, u32)], from: usize, operation: i64) -> impl Iterator<Item = usize> {
    // A step two operations later is in nobody's way.
    let near = move |to: &usize| *to == from + 1 || steps[to - 1].0 - steps[from].0 <= 2 * operation;
    (from + 1..=steps.len()).take_while(near)
}

/// The ways that no other is better than.
fn best(mut ways: Vec<Rest>) -> Vec<Rest> {
    ways.sort_unstable_by_key(|way| (way.cost, -way.at));
    let mut latest = i64::MIN;
    ways.retain(|way| {
        let better = way.at > latest;
        latest = latest.max(way.at);
        better
    });
    ways.truncate(WAYS);
    ways
}

/// How long nodes wait that are asked for at that time instead of when each has to be.
fn wait(steps: &[(i64, u32)], from: usize, to: usize, have: u32, at: i64) -> i128 {
    let mut before = from.checked_sub(1).map_or(have, |last| steps[last].1);
    let mut sum = 0;
    for (latest, nodes) in &steps[from..to] {
        sum += i128::from(nodes - before) * i128::from((latest - at).max(0));
        before = *nodes;
    }
    sum
}

fn millis(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 8).min(i64::MAX / 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secs(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    fn put(steps: &[(i64, u32)], have: u32, lead: i64, operation: i64) -> Option<(i64, u32)> {
        let steps = steps.iter().map(|(at, nodes)| (secs(*at), *nodes));
        next_put(steps, have, secs(lead), secs(operation)).map(|put| (put.after.as_secs(), put.nodes))
    }

    #[test]
    fn nodes_are_asked_for_their_lead_ahead_and_those_at_hand_not_at_all() {
        assert_eq!(put(&[(500, 3)], 0, 100, 100), Some((400, 3)));
        assert_eq!(put(&[(50, 3)], 0, 100, 100), Some((0, 3)));
        assert_eq!(put(&[(500, 3), (900, 4)], 3, 100, 100), Some((800, 4)));
        assert_eq!(put(&[(500, 3)], 3, 100, 100), None);
    }

    #[test]
    fn what_is_far_apart_is_asked_for_on_its_own() {
        assert_eq!(put(&[(500, 1), (600, 2)], 0, 100, 100), Some((400, 1)));
    }

    #[test]
    fn of_what_is_close_the_few_wait_for_the_many() {
        // A hundred that come soon after one: that one is asked for early.
        assert_eq!(put(&[(500, 1), (550, 101)], 0, 100, 100), Some((350, 1)));
        // One that comes soon after a hundred: it comes with them.
        assert_eq!(put(&[(500, 100), (550, 101)], 0, 100, 100), Some((400, 101)));
        // It is too late for asking one early.
        assert_eq!(put(&[(140, 1), (190, 101)], 0, 100, 100), Some((40, 101)));
    }

    /// The least that nodes have to wait: every partition of the steps.
    fn exhaustive(steps: &[(i64, u32)], have: u32, operation: i64) -> i128 {
        let mut best = i128::MAX;
        for cuts in 0..1_u32 << (steps.len() - 1) {
            let mut ends: Vec<usize> = (1..steps.len()).filter(|at| cuts >> (at - 1) & 1 == 1).collect();
            ends.push(steps.len());
            let (mut next, mut sum) = (i64::MAX / 4, 0);
            for (group, to) in ends.iter().enumerate().rev() {
                let from = if group == 0 { 0 } else { ends[group - 1] };
                next = steps[from].0.min(next - operation);
                sum += wait(steps, from, *to, have, next);
            }
            best = best.min(sum);
        }
        best
    }

    proptest! {
        #[test]
        fn no_other_way_of_asking_makes_nodes_wait_much_less(
            gaps in proptest::collection::vec((1i64..150, 1u32..20), 1..9)
        ) {
            let (mut at, mut nodes, mut steps) = (10_000_000, 0, Vec::new());
            for (gap, more) in gaps {
                at += gap * 1_000;
                nodes += more;
                steps.push((at, nodes));
            }
            let best = exhaustive(&steps, 0, 100_000);
            prop_assert_eq!(least_wait(&steps, 100_000), best);
            // Follows the requests one after the other, as time passes.
            let (mut have, mut sum, mut time) = (0, 0, 0);
            while have < nodes {
                let ahead = steps.iter().map(|(at, n)| (SignedDuration::from_millis(at - time), *n));
                let put = next_put(ahead, have, SignedDuration::ZERO, secs(100)).unwrap();
                time += i64::try_from(put.after.as_millis()).unwrap();
                let from = steps.iter().position(|(_, n)| *n > have).unwrap();
                let to = steps.iter().position(|(_, n)| *n > put.nodes).unwrap_or(steps.len());
                prop_assert!(time <= steps[from].0, "it is asked for too late");
                sum += wait(&steps, from, to, have, time);
                have = put.nodes;
                time += 100_000;
            }
            prop_assert!(sum <= best, "{sum} instead of {best}");
        }
    }
}
