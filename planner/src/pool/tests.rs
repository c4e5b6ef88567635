//! Each rule of the pool on its own, and all of them together in a small simulated world.

use jiff::Timestamp;

use super::*;
use crate::bucket::{Bucket, Rate};
use crate::capacity::Resources;
use crate::need::Unplaced;
use crate::provisioning::Measured;
use crate::warmth::{Policy, Prewarm, Waiting};

mod held;
mod lost;
mod refused;
mod simulated;
mod warm;

fn size(of: usize) -> u32 {
    u32::try_from(of).unwrap()
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + secs).unwrap()
}

fn cpu(cores: u32) -> Resources {
    Resources::parse([("cpu", cores.to_string().as_str())]).unwrap()
}

fn pods(pods: u32) -> Vec<Waiting> {
    vec![Waiting { pods: Unplaced { request: cpu(1), pods }, lasts: None }]
}

/// A pool of up to five nodes with room for four pods each, at second 1000, with nothing in it.
fn pool() -> PoolView {
    PoolView {
        now: at(1000),
        min: 0,
        max: 5,
        paused: false,
        policy: Policy::After(SignedDuration::from_secs(60)),
        prewarm: Prewarm::Auto,
        measured: Measured::default(),
        expected: Vec::new(),
        count: 0,
        running: false,
        tainted: true,
        machines: Vec::new(),
        capacity: Some(cpu(4)),
        work: Vec::new(),
        puts: Bucket::full(Rate::PUT, at(1000)),
        back_off: BackOff::default(),
    }
}

fn node() -> Node {
    Node {
        ready: Readiness::Ready,
        since: at(500),
        joining: false,
        out_of_service: None,
        cordoned: false,
        draining_since: None,
        busy: false,
        busy_until: None,
        ends: Vec::new(),
        idle_since: Some(at(990)),
        unforeseen: false,
        free: cpu(4),
    }
}

fn machine(name: &str, node: Node) -> Machine {
    Machine { name: name.to_owned(), listed: true, seen: at(400), leaving: false, node: Some(node), node_gone: None }
}

fn with(machines: Vec<Machine>) -> PoolView {
    PoolView { count: size(machines.len()), machines, ..pool() }
}

fn busy() -> Node {
    Node { busy: true, idle_since: None, free: cpu(0), ..node() }
}

fn draining(since: i64) -> Node {
    Node { cordoned: true, draining_since: Some(at(since)), idle_since: Some(at(900)), ..node() }
}

fn action(view: &PoolView) -> Option<Action> {
    decide(view).action
}

fn delete(idle: &[&str], lost: &[&str]) -> Option<Action> {
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    Some(Action::Delete { idle: names(idle), lost: names(lost) })
}

#[test]
fn an_empty_pool_without_work_rests() {
    let decision = decide(&pool());
    assert_eq!(decision, PoolDecision { desired: 0, action: None, wait: None, requeue: LATER, next: None });
}

#[test]
fn work_gets_the_nodes_it_needs_and_no_more_than_the_maximum() {
    assert_eq!(action(&PoolView { work: pods(9), ..pool() }), Some(Action::Put { count: 3 }));
    assert_eq!(action(&PoolView { work: pods(900), ..pool() }), Some(Action::Put { count: 5 }));
}

#[test]
fn a_capacity_never_seen_starts_one_node() {
    let view = PoolView { work: pods(900), capacity: None, ..pool() };
    assert_eq!(action(&view), Some(Action::Put { count: 1 }));
}

#[test]
fn only_one_operation_goes_on_at_a_time() {
    let view = PoolView { work: pods(9), running: true, count: 1, ..pool() };
    let decision = decide(&view);
    assert_eq!((decision.action, decision.wait, decision.requeue), (None, Some(Wait::Operation), SOON));
}

#[test]
fn machines_on_their_way_count_as_room() {
    let coming = Machine { node: None, ..machine("a", node()) };
    let view = PoolView { work: pods(4), ..with(vec![coming]) };
    let decision = decide(&view);
    assert_eq!((decision.desired, decision.action, decision.wait), (1, None, Some(Wait::Nodes)));
}

#[test]
fn pods_that_wait_for_the_scheduler_only_are_no_scaling() {
    let free = machine("a", Node { busy: true, idle_since: None, free: cpu(2), ..node() });
    let decision = decide(&PoolView { work: pods(2), ..with(vec![free]) });
    assert_eq!(decision, PoolDecision { desired: 1, action: None, wait: None, requeue: LATER, next: None });
}

#[test]
fn an_empty_bucket_and_a_refusal_are_waited_for() {
    let empty = Bucket::restore(Rate::PUT, 0, at(990));
    assert_eq!(decide(&PoolView { work: pods(4), puts: empty, ..pool() }).wait, Some(Wait::Bucket));
    let refused =
        decide(&PoolView { work: pods(4), back_off: BackOff { all: Some(at(1010)), ..BackOff::default() }, ..pool() });
    assert_eq!((refused.wait, refused.requeue), (Some(Wait::BackOff), SignedDuration::from_secs(10)));
}

#[test]
fn an_idle_node_stays_its_time_and_is_cordoned_then() {
    let fresh = with(vec![machine("a", node())]);
    let decision = decide(&fresh);
    assert_eq!((decision.action, decision.wait, decision.requeue), (None, Some(Wait::Idle), LATER));
    let stale = with(vec![machine("a", Node { idle_since: Some(at(940)), ..node() })]);
    assert_eq!(action(&stale), Some(Action::Cordon(vec!["a".into()])));
}

#[test]
fn idle_nodes_stay_for_ever_when_they_are_never_to_go() {
    let view =
        PoolView { policy: Policy::Never, ..with(vec![machine("a", Node { idle_since: Some(at(0)), ..node() })]) };
    assert_eq!(decide(&view), PoolDecision { desired: 1, action: None, wait: None, requeue: LATER, next: None });
}

#[test]
fn a_cordoned_node_settles_before_it_is_deleted_by_name() {
    let settling = decide(&with(vec![machine("a", draining(998))]));
    assert_eq!((settling.action, settling.wait), (None, Some(Wait::Settling)));
    assert_eq!(action(&with(vec![machine("a", draining(997)), machine("b", busy())])), delete(&["a"], &[]));
}

#[test]
fn nodes_that_were_cordoned_together_are_deleted_together() {
    let together = |first, second| action(&with(vec![machine("a", draining(first)), machine("b", draining(second))]));
    assert_eq!(together(997, 998), None);
    assert_eq!(together(996, 997), delete(&["a", "b"], &[]));
    assert_eq!(together(994, 999), delete(&["a"], &[]));
}

#[test]
fn new_work_uncordons_before_it_asks_for_nodes() {
    let view = PoolView { work: pods(6), ..with(vec![machine("a", draining(990))]) };
    assert_eq!(action(&view), Some(Action::Uncordon(vec!["a".into()])));
    let slipped = with(vec![machine("a", Node { busy: true, ..draining(990) })]);
    assert_eq!(action(&slipped), Some(Action::Uncordon(vec!["a".into()])));
}

#[test]
fn the_minimum_acts_at_once() {
    assert_eq!(action(&PoolView { min: 2, ..pool() }), Some(Action::Put { count: 2 }));
    let idle = Node { idle_since: Some(at(0)), ..node() };
    assert_eq!(action(&PoolView { min: 1, ..with(vec![machine("a", idle)]) }), None);
    assert_eq!(
        action(&PoolView { min: 1, ..with(vec![machine("a", draining(0))]) }),
        Some(Action::Uncordon(vec!["a".into()]))
    );
}

#[test]
fn a_lowered_maximum_takes_idle_nodes_at_once() {
    let view = PoolView { max: 2, ..with(vec![machine("a", busy()), machine("b", busy()), machine("c", node())]) };
    assert_eq!(action(&view), Some(Action::Cordon(vec!["c".into()])));
    let never = PoolView { policy: Policy::Never, ..view };
    assert_eq!(action(&never), Some(Action::Cordon(vec!["c".into()])));
}

#[test]
fn busy_nodes_above_a_lowered_maximum_take_no_new_pods_and_go_when_theirs_have_ended() {
    let all_busy = |b: Node, c: Node| PoolView {
        max: 1,
        work: pods(2),
        ..with(vec![machine("a", busy()), machine("b", b), machine("c", c)])
    };
    let retired = || Node { busy: true, free: cpu(0), ..draining(990) };
    assert_eq!(action(&all_busy(busy(), busy())), Some(Action::Retire(vec!["c".into(), "b".into()])));
    assert_eq!(action(&all_busy(busy(), retired())), Some(Action::Retire(vec!["b".into()])));
    let waits = decide(&all_busy(retired(), retired()));
    assert_eq!((waits.action, waits.wait), (None, Some(Wait::Pods)));
    // Even if there is work that it could take.
    assert_eq!(action(&all_busy(retired(), draining(990))), delete(&["c"], &[]));
}

#[test]
fn a_raised_maximum_takes_retired_nodes_back() {
    let retired = Node { busy: true, ..draining(990) };
    let view = PoolView { max: 1, ..with(vec![machine("a", busy()), machine("b", retired)]) };
    assert_eq!(action(&view), None);
    assert_eq!(action(&PoolView { max: 2, ..view }), Some(Action::Uncordon(vec!["b".into()])));
}

#[test]
fn a_paused_pool_adds_nothing_and_lets_idle_nodes_go() {
    assert_eq!(action(&PoolView { paused: true, min: 1, work: pods(4), ..pool() }), None);
    let idle = machine("a", Node { idle_since: Some(at(0)), ..node() });
    assert_eq!(action(&PoolView { paused: true, ..with(vec![idle]) }), Some(Action::Cordon(vec!["a".into()])));
}

#[test]
fn a_count_is_not_lowered_while_a_node_that_is_ready_is_not_listed_nor_does_what_leaves_come_back() {
    let listed = |listed, leaving| {
        let machine = Machine { listed, leaving, ..machine("a", node()) };
        action(&PoolView { count: 1, ..with(vec![machine]) })
    };
    assert_eq!(listed(false, true), Some(Action::Put { count: 0 }), "its deletion was asked for");
    assert_eq!(listed(false, false), None, "the list may be behind");
    let asked_for = Machine { leaving: true, ..machine("a", draining(990)) };
    let view = PoolView { work: pods(1), running: true, ..with(vec![asked_for]) };
    assert_eq!((decide(&view).action, decide(&view).wait), (None, Some(Wait::Operation)), "AKS deletes it");
}

#[test]
fn a_count_is_lowered_only_to_the_machines_that_are_left() {
    let kept = PoolView { count: 3, ..with(vec![machine("a", busy())]) };
    assert_eq!(action(&PoolView { count: 3, ..kept }), Some(Action::Put { count: 1 }));
    let none = PoolView { count: 3, ..pool() };
    assert_eq!(action(&none), Some(Action::Put { count: 0 }));
    // While a machine is still to go, it is left alone: the deletion comes first.
    let more = PoolView { count: 3, ..with(vec![machine("a", busy()), machine("b", node())]) };
    assert_eq!(decide(&PoolView { count: 3, ..more }).action, None);
}

#[test]
fn a_failed_allocation_is_tried_again() {
    let view = PoolView { count: 3, work: pods(8), ..with(vec![machine("a", busy())]) };
    assert_eq!(action(&PoolView { count: 3, ..view }), Some(Action::Put { count: 3 }));
}

#[test]
fn a_machine_that_never_joins_is_deleted_in_the_end() {
    let never = |seen| Machine { node: None, seen: at(seen), ..machine("a", node()) };
    assert_eq!(action(&with(vec![never(900)])), None);
    assert_eq!(action(&with(vec![never(-300)])), delete(&[], &["a"]));
}

#[test]
fn a_machine_whose_node_somebody_deleted_goes_soon_and_another_takes_its_place() {
    let gone = |since| Machine { node: None, node_gone: Some(at(since)), ..machine("a", node()) };
    assert_eq!(action(&with(vec![gone(990)])), None);
    assert_eq!(action(&with(vec![gone(900)])), delete(&[], &["a"]));
    let needed = PoolView { work: pods(4), ..with(vec![gone(900)]) };
    assert_eq!(action(&needed), Some(Action::Put { count: 2 }));
}

#[test]
fn a_node_whose_machine_is_gone_is_forgotten() {
    let node = |since| Node { ready: Readiness::Silent, since: at(since), ..node() };
    let orphan = |since| Machine { listed: false, ..machine("a", node(since)) };
    assert_eq!(action(&PoolView { machines: vec![orphan(900)], ..pool() }), None);
    assert_eq!(action(&PoolView { machines: vec![orphan(700)], ..pool() }), Some(Action::Forget(vec!["a".into()])));
}

#[test]
fn a_missing_taint_is_written_without_changing_the_count() {
    let view = PoolView { tainted: false, ..with(vec![machine("a", busy())]) };
    assert_eq!(action(&view), Some(Action::Put { count: 1 }));
}

#[test]
fn somebody_elses_cordon_makes_a_node_useless_for_new_pods() {
    let cordoned = machine("a", Node { cordoned: true, ..node() });
    let view = PoolView { work: pods(4), ..with(vec![cordoned]) };
    assert_eq!(action(&view), Some(Action::Put { count: 2 }));
}
