//! The rules of nodes that are lost.

use super::*;

/// A node that has been silent since then.
fn silent(since: i64, node: Node) -> Node {
    Node { ready: Readiness::Silent, since: at(since), ..node }
}

fn out_of_service(since: i64, node: Node) -> Node {
    Node { out_of_service: Some(OutOfService::Ours), ..silent(since, node) }
}

fn given_up(names: &[&str]) -> Option<Action> {
    Some(Action::OutOfService(names.iter().map(|name| (*name).to_owned()).collect()))
}

#[test]
fn a_node_with_pods_that_is_silent_for_thirty_seconds_is_declared_out_of_service_at_that_moment() {
    let pool = |since| with(vec![machine("a", silent(since, busy())), machine("b", busy())]);
    let early = decide(&pool(971));
    assert_eq!((early.action, early.requeue), (None, SignedDuration::from_secs(1)));
    assert_eq!(action(&pool(970)), given_up(&["a"]));
}

#[test]
fn a_kubelet_that_says_itself_that_it_is_not_ready_has_ninety_seconds_to_end_its_pods() {
    let unwell = |since| Node { ready: Readiness::NotReady, since: at(since), ..busy() };
    assert_eq!(action(&with(vec![machine("a", unwell(911))])), None);
    assert_eq!(action(&with(vec![machine("a", unwell(910))])), given_up(&["a"]));
}

#[test]
fn a_node_that_has_just_registered_is_on_its_way_for_longer_than_one_that_was_ready_before() {
    let late = |joining| Node { ready: Readiness::NotReady, since: at(900), joining, idle_since: None, ..node() };
    let view = |joining| PoolView { work: pods(4), max: 1, ..with(vec![machine("a", late(joining))]) };
    assert_eq!((action(&view(true)), decide(&view(true)).wait), (None, Some(Wait::Nodes)));
    assert_eq!(action(&view(false)), delete(&[], &["a"]));
    let never = Node { since: at(1000 - NOT_READY_LIMIT.as_secs()), ..late(true) };
    assert_eq!(action(&PoolView { max: 1, ..with(vec![machine("a", never)]) }), delete(&[], &["a"]));
}

#[test]
fn a_node_without_pods_is_not_declared_out_of_service() {
    assert_eq!(action(&with(vec![machine("a", silent(900, node()))])), None);
}

#[test]
fn the_only_node_and_both_of_two_are_declared_out_of_service() {
    let lost = || silent(960, busy());
    assert_eq!(action(&with(vec![machine("a", lost())])), given_up(&["a"]));
    assert_eq!(action(&with(vec![machine("a", lost()), machine("b", lost())])), given_up(&["a", "b"]));
}

#[test]
fn when_three_or_more_that_are_most_of_the_pool_are_lost_at_once_nothing_is_given_up() {
    let lost = |name| machine(name, silent(960, busy()));
    let well = |name| machine(name, busy());
    let pool = |more: Vec<Machine>| with([vec![lost("a"), lost("b"), lost("c")], more].concat());
    assert_eq!(action(&pool(vec![])), None);
    assert_eq!(action(&pool(vec![well("d"), well("e")])), None);
    assert_eq!(action(&pool(vec![well("d"), well("e"), well("f")])), given_up(&["a", "b", "c"]));
}

#[test]
fn in_an_outage_machines_are_deleted_after_fifteen_minutes_instead_of_five() {
    let lost = |since| ["a", "b", "c"].map(|name| machine(name, silent(since, busy()))).to_vec();
    assert_eq!(action(&with(lost(101))), None);
    assert_eq!(action(&with(lost(100))), delete(&[], &["a", "b", "c"]));
}

#[test]
fn in_an_outage_too_a_node_is_given_up_whose_machine_is_gone() {
    let mut machines = ["a", "b", "c", "d"].map(|name| machine(name, silent(960, busy()))).to_vec();
    machines[1].listed = false;
    assert_eq!(action(&with(machines)), given_up(&["b"]));
}

#[test]
fn a_node_that_is_ready_again_is_in_service_again_unless_somebody_else_took_it_out() {
    let back = |by| with(vec![machine("a", Node { out_of_service: Some(by), ..busy() })]);
    assert_eq!(action(&back(OutOfService::Ours)), Some(Action::InService(vec!["a".into()])));
    assert_eq!(action(&back(OutOfService::Theirs)), None);
}

#[test]
fn a_node_out_of_service_is_no_room_and_another_is_asked_for_at_once() {
    let theirs = Node { out_of_service: Some(OutOfService::Theirs), ..node() };
    for node in [out_of_service(960, busy()), out_of_service(960, node()), theirs] {
        let view = PoolView { work: pods(2), ..with(vec![machine("a", node)]) };
        assert_eq!(action(&view), Some(Action::Put { count: 2 }));
    }
}

#[test]
fn a_lost_node_without_pods_makes_room_for_another_where_the_maximum_leaves_none() {
    let empty = || Node { idle_since: None, ..out_of_service(960, node()) };
    let full =
        |work: u32| PoolView { max: 2, work: pods(work), ..with(vec![machine("a", busy()), machine("b", empty())]) };
    assert_eq!(action(&full(2)), delete(&[], &["b"]));
    assert_eq!(action(&full(0)), None);
    let stuck = with(vec![machine("a", busy()), machine("b", out_of_service(960, busy()))]);
    assert_eq!(action(&PoolView { max: 2, work: pods(2), ..stuck }), None);
    assert_eq!(action(&PoolView { max: 3, ..full(2) }), Some(Action::Put { count: 3 }));
}

#[test]
fn a_machine_whose_node_is_not_ready_for_five_minutes_goes_with_what_is_stuck_on_it() {
    let lost = |since| with(vec![machine("a", out_of_service(since, busy()))]);
    assert_eq!(action(&lost(701)), None);
    assert_eq!(action(&lost(700)), delete(&[], &["a"]));
}
