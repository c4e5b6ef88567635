//! Each rule of slots on its own; what holds of fair shares whatever the runs are; and a pool over time.

use proptest::prelude::*;

use super::*;
use crate::bins::plain::PlainBins;

mod aside;
mod fair;
mod simulated;

fn cpu(amount: &str) -> Resources {
    Resources::parse([("cpu", amount)]).unwrap()
}

fn demand(run: &str, remaining: u32) -> Demand {
    Demand {
        run: run.to_owned(),
        priority: 0,
        created: Timestamp::UNIX_EPOCH,
        request: cpu("1"),
        remaining,
        started: 0,
        starting: 0,
        held: remaining,
        most: u32::MAX,
        given: 0,
    }
}

fn room(nodes: u32) -> Room {
    Room {
        capacity: Some(cpu("4")),
        max_nodes: nodes,
        nodes: Vec::new(),
        overflow: Vec::new(),
        runs_on: Vec::new(),
        starts_on_room: true,
        paused: false,
        closing: false,
    }
}

/// The same with the nodes that the started pods are on.
fn seen(room: &Room, demands: &[Demand]) -> Room {
    let mut bins = PlainBins::new(room.capacity.clone().unwrap(), Vec::new(), usize::MAX);
    for demand in demands {
        for _ in 0..demand.started.min(demand.remaining) {
            bins.place_one(&demand.request);
        }
    }
    let mut nodes = bins.into_free();
    nodes.truncate(room.max_nodes as usize);
    let runs_on = vec![BTreeSet::new(); nodes.len()];
    Room { nodes, runs_on, ..room.clone() }
}

/// With the started pods where they are.
fn grant(demands: &[Demand], room: &Room) -> Grants {
    let mut in_order = demands.to_vec();
    in_order.sort_by(|a, b| a.run.cmp(&b.run));
    let known = room.capacity.is_some() && room.nodes.is_empty();
    super::grant(demands, &if known { seen(room, &in_order) } else { room.clone() })
}

#[test]
fn a_run_gets_as_many_slots_as_the_largest_pool_has_room_for() {
    let grants = grant(&[demand("a", 100)], &room(3));
    assert_eq!((grants.slots["a"], grants.waiting), (12, 88));
}

#[test]
fn the_queue_goes_by_priority_and_age_and_leaves_out_those_who_have_all_slots_that_they_want() {
    let runs = [
        Demand { created: at(1), ..demand("old", 90) },
        Demand { created: at(2), ..demand("new", 90) },
        demand("small", 1),
        Demand { priority: 5, created: at(3), ..demand("urgent", 20) },
    ];
    let grants = grant(&runs, &room(4));
    let told = |queued: &Queued| (queued.run.clone(), queued.priority, queued.slots, queued.waiting);
    let queue: Vec<_> = grants.queue.iter().map(told).collect();
    assert_eq!(
        queue,
        [("urgent".into(), 5, 16, 4), ("small".into(), 0, 0, 1), ("old".into(), 0, 0, 90), ("new".into(), 0, 0, 90)]
    );
    assert_eq!(grants.total, Some(16));
    assert_eq!(grant(&[demand("small", 1)], &room(4)).queue, []);
}

#[test]
fn the_total_of_slots_is_that_for_pods_of_the_first_run_that_has_items() {
    let large = |remaining| Demand { priority: 1, request: cpu("2"), ..demand("large", remaining) };
    assert_eq!(grant(&[large(1), demand("small", 9)], &room(3)).total, Some(6));
    assert_eq!(grant(&[large(0), demand("small", 9)], &room(3)).total, Some(12));
    assert_eq!(grant(&[large(0)], &room(3)).total, None);
    let unknown = Room { capacity: Some(Resources::parse([("nvidia.com/gpu", "1")]).unwrap()), ..room(3) };
    assert_eq!(super::grant(&[demand("small", 9)], &unknown).total, None);
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

#[test]
fn priority_goes_before_fair_share_and_age_before_name_where_shares_are_equal() {
    let urgent = Demand { priority: 5, created: at(60), ..demand("z", 3) };
    let young = Demand { created: at(60), ..demand("a", 9) };
    let old = demand("m", 4);
    let grants = grant(&[young.clone(), old.clone(), urgent], &room(2));
    assert_eq!((grants.slots["z"], grants.slots["m"], grants.slots["a"]), (3, 3, 2));
    let same_age = Demand { created: at(60), ..old };
    assert_eq!(grant(&[same_age, young], &room(1)).slots, [("a".to_owned(), 2), ("m".to_owned(), 2)].into());
}

#[test]
fn runs_with_fewer_items_than_their_share_leave_the_rest_to_the_others() {
    let grants = grant(&[demand("a", 90), demand("b", 1), demand("c", 90)], &room(3));
    assert_eq!((grants.slots["a"], grants.slots["b"], grants.slots["c"]), (6, 1, 5));
}

#[test]
fn a_run_that_came_early_gives_way_as_its_pods_end() {
    let early = |started| Demand { started, given: 12, ..demand("a", 90) };
    let both = |started, other| {
        let late = Demand { created: at(60), started: other, ..demand("b", 90) };
        let grants = grant(&[early(started), late], &room(3));
        (grants.slots["a"], grants.slots["b"])
    };
    assert_eq!(both(12, 0), (12, 0));
    assert_eq!(both(10, 0), (10, 2));
    assert_eq!(both(5, 3), (6, 6));
}

#[test]
fn slots_whose_pods_have_not_started_go_to_whoever_has_less() {
    let promised = Demand { given: 12, started: 1, ..demand("a", 90) };
    let grants = grant(&[promised, Demand { created: at(60), ..demand("b", 90) }], &room(3));
    assert_eq!((grants.slots["a"], grants.slots["b"]), (6, 6));
}

#[test]
fn a_share_is_of_the_resource_of_which_a_run_takes_most() {
    let pod = |cpu, memory| Resources::parse([("cpu", cpu), ("memory", memory)]).unwrap();
    let room = Room { capacity: Some(pod("9", "18Gi")), ..room(1) };
    let a = Demand { request: pod("1", "4Gi"), ..demand("a", 90) };
    let b = Demand { request: pod("3", "1Gi"), ..demand("b", 90) };
    // Two thirds of the memory for one, and as much of the processors for the other.
    let grants = grant(&[a, b], &room);
    assert_eq!((grants.slots["a"], grants.slots["b"]), (3, 2));
}

#[test]
fn a_gap_that_is_too_small_for_one_run_is_filled_by_another() {
    let large = Demand { request: cpu("3"), ..demand("a", 9) };
    let grants = grant(&[large, demand("b", 9)], &room(2));
    assert_eq!((grants.slots["a"], grants.slots["b"]), (1, 5));
}

#[test]
fn started_pods_keep_their_slots_when_a_more_urgent_run_comes_or_the_pool_shrinks() {
    let running = Demand { started: 6, given: 8, ..demand("low", 20) };
    let urgent = Demand { priority: 1, ..demand("high", 20) };
    let grants = grant(&[running, urgent], &room(2));
    assert_eq!((grants.slots["low"], grants.slots["high"]), (6, 2));
    let shrunk = grant(&[Demand { started: 6, given: 8, ..demand("low", 20) }], &room(1));
    assert_eq!(shrunk.slots["low"], 6);
}

#[test]
fn the_last_items_of_a_run_do_not_rewrite_its_slots() {
    let ending = Demand { remaining: 2, started: 2, given: 12, ..demand("a", 2) };
    assert_eq!(grant(&[ending], &room(3)).slots["a"], 12);
}

#[test]
fn a_paused_cluster_gives_nothing_new() {
    let paused = Room { paused: true, ..room(3) };
    let grants = grant(&[Demand { started: 2, given: 6, ..demand("a", 9) }, demand("b", 4)], &paused);
    assert_eq!((grants.slots["a"], grants.slots["b"]), (2, 0));
}

#[test]
fn while_a_cluster_closes_runs_keep_what_they_have() {
    let closing = Room { closing: true, ..room(3) };
    let grants = grant(&[Demand { started: 2, given: 6, ..demand("a", 9) }, demand("b", 4)], &closing);
    assert_eq!((grants.slots["a"], grants.slots["b"]), (6, 0));
}

#[test]
fn while_no_node_was_ever_seen_one_pod_asks_for_it() {
    let unknown = Room { capacity: None, ..room(3) };
    let grants = grant(&[demand("a", 9), demand("b", 4)], &unknown);
    assert_eq!((grants.slots["a"], grants.slots["b"]), (1, 0));
    let ended = Demand { priority: 9, ..demand("c", 0) };
    assert_eq!(grant(&[ended, demand("a", 9)], &unknown).slots["a"], 1);
}

#[test]
fn a_pod_larger_than_a_node_is_told_and_does_not_block_others() {
    let huge = Demand { request: cpu("5"), priority: 9, ..demand("huge", 1) };
    let grants = grant(&[huge, demand("a", 2)], &room(1));
    assert_eq!(grants.too_large, ["huge"]);
    assert_eq!((grants.slots["huge"], grants.slots["a"]), (0, 2));
}

/// What is let go onto so many empty nodes, of at most so many.
fn starts(demands: &[Demand], ready: usize, most: u32) -> BTreeMap<String, u32> {
    super::grant(demands, &Room { nodes: vec![cpu("4"); ready], ..room(most) }).starts
}

#[test]
fn pods_start_as_the_nodes_at_hand_have_room_and_share_it_as_they_share_the_pool() {
    let runs = [demand("a", 90), Demand { created: at(60), ..demand("b", 90) }];
    assert_eq!(starts(&runs, 0, 3), [].into());
    assert_eq!(starts(&runs, 1, 3), [("a".to_owned(), 2), ("b".to_owned(), 2)].into());
    assert_eq!(starts(&runs, 3, 3), [("a".to_owned(), 6), ("b".to_owned(), 6)].into());
}

#[test]
fn a_pod_on_a_node_that_is_over_full_takes_the_room_of_another() {
    let over_full = |nodes: &[&str]| Room {
        nodes: nodes.iter().map(|free| cpu(free)).collect(),
        overflow: vec![cpu("1")],
        ..room(3)
    };
    let grants = |nodes| super::grant(&[Demand { started: 5, ..demand("a", 90) }], &over_full(nodes));
    let grown = grants(&["0", "4"]);
    assert_eq!((grown.slots["a"], grown.starts["a"]), (12, 3));
    let full = grants(&["0", "4", "4"]);
    assert_eq!((full.slots["a"], full.starts["a"]), (12, 7));
}

#[test]
fn nothing_starts_on_nodes_beyond_the_maximum() {
    let lowered = Room { nodes: ["4", "1", "4"].map(cpu).to_vec(), ..room(1) };
    let grants = super::grant(&[Demand { started: 3, ..demand("a", 90) }], &lowered);
    assert_eq!((grants.slots["a"], grants.starts["a"]), (4, 1));
}

#[test]
fn room_is_left_empty_for_nobody_whose_pods_are_not_there() {
    let runs = [demand("a", 90), Demand { held: 1, ..demand("b", 90) }];
    assert_eq!(starts(&runs, 1, 3), [("a".to_owned(), 3), ("b".to_owned(), 1)].into());
}

#[test]
fn nothing_is_kept_for_a_run_whose_pods_are_refused() {
    let refused = Demand { priority: 9, most: 2, started: 2, held: 0, ..demand("refused", 500) };
    let runs = [refused, demand("b", 90)];
    let grants = super::grant(&runs, &Room { nodes: vec![cpu("2"), cpu("4"), cpu("4")], ..room(3) });
    assert_eq!((grants.slots["refused"], grants.slots["b"], grants.starts["b"]), (2, 10, 10));
    let closing = Demand { most: 0, held: 0, given: 3, ..demand("refused", 500) };
    assert_eq!(super::grant(&[closing], &Room { closing: true, ..room(3) }).slots["refused"], 3);
    let none = Demand { most: 0, held: 0, ..demand("refused", 500) };
    assert_eq!(super::grant(&[none], &room(3)).slots["refused"], 0);
}

#[test]
fn where_somebody_else_adds_nodes_pods_start_once_they_have_a_slot() {
    let elastic = Room { starts_on_room: false, ..room(3) };
    assert_eq!(super::grant(&[demand("a", 9)], &elastic).starts, [("a".to_owned(), 9)].into());
}

#[test]
fn pods_that_were_let_go_take_room_before_they_are_on_a_node() {
    let let_go = Demand { starting: 3, given: 3, ..demand("a", 90) };
    let both = [let_go, Demand { created: at(60), ..demand("b", 90) }];
    assert_eq!(starts(&both, 1, 1), [("b".to_owned(), 1)].into());
    assert_eq!(starts(&both, 2, 2), [("a".to_owned(), 1), ("b".to_owned(), 4)].into());
}

#[test]
fn nothing_starts_in_a_paused_cluster_and_in_one_that_closes_only_what_has_a_slot() {
    let run = [Demand { given: 2, ..demand("a", 90) }];
    let nodes = vec![cpu("4"); 3];
    let paused = Room { paused: true, nodes: nodes.clone(), ..room(3) };
    assert_eq!(super::grant(&run, &paused).starts, [].into());
    let closing = Room { closing: true, nodes, ..room(3) };
    assert_eq!(super::grant(&run, &closing).starts, [("a".to_owned(), 2)].into());
}
