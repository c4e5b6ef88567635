//! What the coming ticks change: nodes are there before them, and stay while that is cheaper than taking others.

use super::*;
use crate::warmth::Expected;

fn secs(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// Nodes come within 100 s (half of them within 60 s) and take 20 s to go, so break-even is 120 s.
fn pool() -> PoolView {
    let measured = Measured { p50: secs(60), p95: secs(100), drain: secs(20) };
    PoolView { policy: Policy::BreakEven, measured, ..super::pool() }
}

fn with(machines: Vec<Machine>) -> PoolView {
    PoolView { count: size(machines.len()), machines, ..pool() }
}

/// Pods of one CPU so many seconds from now (second 1000), which take a minute.
fn tick(ahead: i64, pods: u32) -> Expected {
    Expected { at: at(1000 + ahead), request: cpu(1), pods, lasts: secs(60) }
}

#[test]
fn nodes_are_asked_for_as_long_before_a_tick_as_nodes_take() {
    let early = decide(&PoolView { expected: vec![tick(115, 8)], ..pool() });
    assert_eq!((early.action, early.next, early.requeue), (None, Some(secs(15)), secs(15)));
    assert_eq!(action(&PoolView { expected: vec![tick(100, 8)], ..pool() }), Some(Action::Put { count: 2 }));
    assert_eq!(action(&PoolView { expected: vec![tick(100, 800)], ..pool() }), Some(Action::Put { count: 5 }));
}

#[test]
fn a_tick_whose_run_has_no_slots_yet_keeps_its_nodes() {
    let view = with(vec![machine("a", node()), machine("b", node())]);
    assert_eq!(action(&PoolView { expected: vec![tick(-20, 8)], ..view.clone() }), None);
    assert_eq!(action(&view), Some(Action::Cordon(vec!["b".into(), "a".into()])));
}

#[test]
fn prewarming_can_be_turned_off_or_told_how_long() {
    let ahead = |prewarm, ahead| action(&PoolView { prewarm, expected: vec![tick(ahead, 8)], ..pool() });
    assert_eq!(ahead(Prewarm::Off, 1), None);
    assert_eq!(ahead(Prewarm::Lead(secs(500)), 500), Some(Action::Put { count: 2 }));
    assert_eq!(ahead(Prewarm::Lead(secs(500)), 501), None);
}

#[test]
fn who_asks_asks_for_all_that_comes_due_before_the_next_put_could_be_of_use() {
    let ticks = |second| vec![tick(100, 4), Expected { lasts: secs(600), ..tick(second, 8) }];
    assert_eq!(action(&PoolView { expected: ticks(199), ..pool() }), Some(Action::Put { count: 2 }));
    assert_eq!(action(&PoolView { expected: ticks(200), ..pool() }), Some(Action::Put { count: 1 }));
    // With the last token, the next PUT is a minute away at least: here nodes take longer anyway.
    let last = Bucket::restore(Rate::PUT, 1, at(1000));
    let quick = Measured { p95: secs(10), ..pool().measured };
    let view = |puts| PoolView {
        puts,
        measured: quick,
        expected: vec![Expected { lasts: secs(50), ..tick(10, 4) }, tick(69, 8)],
        ..pool()
    };
    assert_eq!(action(&view(last)), Some(Action::Put { count: 2 }));
    assert_eq!(action(&view(pool().puts)), Some(Action::Put { count: 1 }));
}

#[test]
fn a_few_nodes_are_asked_for_early_when_many_more_come_due_soon_after_them() {
    let expected = vec![tick(300, 4), tick(350, 16)];
    let view = |now: i64| PoolView { now: at(1000 + now), expected: expected.clone(), ..pool() };
    assert_eq!(decide(&view(0)).next, Some(secs(150)));
    assert_eq!(action(&view(150)), Some(Action::Put { count: 1 }));
}

#[test]
fn an_idle_node_stays_for_a_tick_closer_than_break_even_and_else_goes_at_once() {
    let idle = |ahead| PoolView { expected: vec![tick(ahead, 4)], ..with(vec![machine("a", node())]) };
    assert_eq!(action(&idle(120)), None);
    assert_eq!(action(&idle(121)), Some(Action::Cordon(vec!["a".into()])));
}

#[test]
fn of_several_idle_nodes_as_many_stay_as_the_tick_needs() {
    let idle = with(vec![machine("a", node()), machine("b", node()), machine("c", node())]);
    let view = PoolView { expected: vec![tick(110, 5), tick(300, 12)], ..idle };
    assert_eq!(action(&view), Some(Action::Cordon(vec!["c".into()])));
}

#[test]
fn a_node_on_its_way_out_is_taken_back_when_it_is_needed_soon() {
    let view = PoolView { expected: vec![tick(110, 4)], ..with(vec![machine("a", draining(990))]) };
    assert_eq!(action(&view), Some(Action::Uncordon(vec!["a".into()])));
}

#[test]
fn after_work_that_nobody_foretold_a_node_stays_for_break_even() {
    let used = |since| with(vec![machine("a", Node { unforeseen: true, idle_since: Some(at(since)), ..node() })]);
    let stays = decide(&used(900));
    assert_eq!((stays.action, stays.wait, stays.next), (None, Some(Wait::Idle), Some(secs(20))));
    assert_eq!(action(&used(880)), Some(Action::Cordon(vec!["a".into()])));
}

#[test]
fn a_node_that_came_early_with_others_is_not_let_go_before_it_was_of_use() {
    let fresh = Node { since: at(990), idle_since: Some(at(990)), ..node() };
    let came = |asked: i64| Machine { seen: at(asked), ..machine("a", fresh.clone()) };
    let view = |asked, tick| PoolView { expected: vec![tick], ..with(vec![came(asked)]) };
    assert_eq!(action(&view(960, tick(260, 4))), None);
    assert_eq!(action(&view(960, tick(261, 4))), Some(Action::Cordon(vec!["a".into()])));
    let used = Node { since: at(900), ..fresh };
    let view = PoolView { expected: vec![tick(160, 4)], ..with(vec![Machine { seen: at(960), ..machine("a", used) }]) };
    assert_eq!(action(&view), Some(Action::Cordon(vec!["a".into()])));
}

#[test]
fn a_busy_node_is_reckoned_with_for_what_comes_after_its_work() {
    let until = |end: i64| Node { busy_until: Some(at(1000 + end)), ..busy() };
    let view = |end| PoolView { expected: vec![tick(90, 4)], ..with(vec![machine("a", until(end))]) };
    assert_eq!(action(&view(90)), None);
    assert_eq!(action(&view(91)), Some(Action::Put { count: 2 }));
}

#[test]
fn a_paused_pool_asks_for_nothing_ahead() {
    assert_eq!(action(&PoolView { paused: true, expected: vec![tick(0, 8)], ..pool() }), None);
}

#[test]
fn idle_nodes_of_other_policies_are_there_for_ticks_as_well() {
    let after = PoolView { policy: Policy::After(secs(5)), expected: vec![tick(100, 4)], ..pool() };
    assert_eq!(action(&after), Some(Action::Put { count: 1 }));
    let idle = PoolView { machines: vec![machine("a", node())], count: 1, ..after };
    assert_eq!(action(&idle), None);
    assert_eq!(action(&PoolView { expected: Vec::new(), ..idle.clone() }), Some(Action::Cordon(vec!["a".into()])));
    let never = PoolView { policy: Policy::Never, expected: vec![tick(900, 4)], ..idle };
    assert_eq!(action(&never), None);
}

#[test]
fn work_that_finds_room_before_a_new_node_could_come_asks_for_none() {
    let ends = |after: i64| Node { busy_until: Some(at(1000 + after)), ..busy() };
    let view = |after, pods| PoolView { work: super::pods(pods), ..with(vec![machine("a", ends(after))]) };
    assert_eq!(action(&view(60, 4)), None);
    assert_eq!(action(&view(61, 4)), Some(Action::Put { count: 2 }));
    assert_eq!(action(&view(60, 5)), Some(Action::Put { count: 2 }));
}
