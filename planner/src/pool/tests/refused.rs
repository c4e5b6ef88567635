//! What is done while machines that were asked for are not to be had.

use super::*;

/// Growth was refused, until then.
fn no_growth(until: i64) -> BackOff {
    BackOff { growth: Some(at(until)), ..BackOff::default() }
}

#[test]
fn idle_nodes_go_all_the_same() {
    let view = PoolView { work: pods(9), back_off: no_growth(1010), ..with(vec![machine("a", busy())]) };
    let decision = decide(&view);
    assert_eq!((decision.action, decision.wait), (None, Some(Wait::BackOff)));
    assert_eq!(decision.requeue, SignedDuration::from_secs(10));
    let idle = PoolView { work: Vec::new(), machines: vec![machine("a", draining(900))], ..view.clone() };
    assert_eq!(action(&idle), delete(&["a"], &[]));
    assert!(matches!(action(&PoolView { back_off: no_growth(1000), ..view }), Some(Action::Put { .. })));
}

#[test]
fn fewer_machines_are_asked_for() {
    let most = |most| BackOff { most: Some(most), ..BackOff::default() };
    let view = |most_new| PoolView { work: pods(40), max: 20, back_off: most(most_new), ..pool() };
    assert_eq!(action(&view(4)), Some(Action::Put { count: 4 }));
    assert_eq!(action(&view(40)), Some(Action::Put { count: 10 }));
}

#[test]
fn a_dead_machine_goes_first_since_it_may_be_the_one_that_takes_the_place_of_another() {
    let dead = machine("a", Node { ready: Readiness::Silent, since: at(0), idle_since: None, ..node() });
    let view = PoolView { work: pods(9), ..with(vec![dead]) };
    assert!(matches!(action(&view), Some(Action::Put { .. })), "elsewhere others come at once");
    assert_eq!(action(&PoolView { back_off: no_growth(990), ..view }), delete(&[], &["a"]));
}
