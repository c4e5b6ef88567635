//! Nodes that are somebody else's: how many are held for work to come.

use proptest::prelude::*;

use super::*;
use crate::warmth::Expected;

fn secs(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// Nodes are held 100 s ahead.
fn pool() -> PoolView {
    PoolView { policy: Policy::Never, prewarm: Prewarm::Lead(secs(100)), ..super::pool() }
}

/// Pods of one CPU so many seconds from now, of which a node takes four; they take a minute.
fn tick(ahead: i64, pods: u32) -> Expected {
    Expected { at: at(1000 + ahead), request: cpu(1), pods, lasts: secs(60) }
}

fn of(needed: u32, held: u32, next: Option<i64>) -> Held {
    Held { needed, held, next: next.map(secs) }
}

#[test]
fn nodes_are_held_as_long_before_a_tick_as_nodes_take_and_until_its_run_has_its_slots() {
    let with = |ahead| super::super::held(&PoolView { expected: vec![tick(ahead, 8)], ..pool() });
    assert_eq!(with(130), of(0, 0, Some(30)));
    assert_eq!((with(100), with(0), with(-20)), (of(0, 2, None), of(0, 2, None), of(0, 2, None)));
    // It has slots: its pods want the nodes themselves.
    assert_eq!(super::super::held(&PoolView { work: pods(8), ..pool() }), of(2, 0, None));
}

#[test]
fn what_the_work_that_is_there_has_is_not_held_once_more() {
    let expected = vec![tick(50, 12)];
    let with =
        |machines: Vec<Machine>| super::super::held(&PoolView { expected: expected.clone(), machines, ..pool() });
    let working = |name: &str| machine(name, busy());
    assert_eq!(with(vec![working("a")]), of(1, 3, None));
    // Of an idle node, nobody knows how long its owner lets it stay.
    assert_eq!(with(vec![machine("a", node())]), of(0, 3, None));
    let half = Node { free: cpu(4), ..busy() };
    assert_eq!(with(vec![machine("a", half)]), of(1, 2, None));
}

#[test]
fn nothing_is_held_where_nobody_asked_for_it_or_the_cluster_is_paused_or_there_may_be_no_more() {
    let expected = vec![tick(50, 40)];
    let view = PoolView { expected, ..pool() };
    assert_eq!(super::super::held(&view), of(0, 5, None));
    assert_eq!(super::super::held(&PoolView { prewarm: Prewarm::Off, ..view.clone() }).held, 0);
    assert_eq!(super::super::held(&PoolView { paused: true, ..view.clone() }).held, 0);
    assert_eq!(super::super::held(&PoolView { max: 1, ..view }), of(0, 1, None));
}

#[test]
fn a_pool_of_which_no_node_was_ever_seen_holds_one() {
    let view = PoolView { capacity: None, expected: vec![tick(50, 40)], ..pool() };
    assert_eq!(super::super::held(&view), of(0, 1, None));
}

proptest! {
    #[test]
    fn never_more_are_held_than_there_may_be_and_none_for_what_is_further_away(
        ticks in proptest::collection::vec((-100i64..400, 0u32..30), 0..6),
        waiting in 0u32..30,
        there in 0usize..6,
        max in 0u32..8,
    ) {
        let expected: Vec<Expected> = ticks.iter().map(|(ahead, pods)| tick(*ahead, *pods)).collect();
        let machines = (0..there).map(|n| machine(&format!("n{n}"), busy())).collect();
        let view = PoolView { expected, work: pods(waiting), machines, max, ..pool() };
        let some = super::super::held(&view);
        prop_assert!(some.needed + some.held <= max);
        let near = |view: &PoolView| view.expected.iter().any(|e| e.pods > 0 && e.at <= at(1100));
        prop_assert!(some.held == 0 || near(&view));
        let more = PoolView { prewarm: Prewarm::Lead(secs(200)), ..view };
        prop_assert!(super::super::held(&more).held >= some.held, "a longer lead holds fewer");
    }
}
