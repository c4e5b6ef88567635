use planner::bucket::{Bucket, Rate};
use planner::pool::{BackOff, Machine};
use planner::provisioning::Measured;
use planner::warmth::{Policy, Prewarm};
use serde_json::json;

use super::*;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + 60 * minutes).unwrap()
}

fn trouble(kind: Kind, since: i64, last: i64) -> Trouble {
    Trouble { asked: Asked::Pool, kind, message: "no".into(), times: 2, since: at(since), last: at(last) }
}

fn gives_up(kind: Kind, since: i64, last: i64, now: i64) -> bool {
    give_up(at(0), Some(&trouble(kind, since, last)), at(now)).is_some()
}

#[test]
fn a_pool_that_is_gone_holds_nobody() {
    assert!(gives_up(Kind::NotFound, -30, 0, 0));
    assert!(!gives_up(Kind::NotFound, -30, -1, 0), "it was read before the deletion");
}

#[test]
fn who_cannot_reach_azure_is_held_for_ten_minutes_after_the_deletion() {
    for kind in [Kind::Credentials, Kind::Denied, Kind::Unavailable, Kind::Refused] {
        assert!(!gives_up(kind, -300, 9, 9), "{kind:?}");
        assert!(gives_up(kind, -300, 10, 10), "{kind:?}");
        assert!(!gives_up(kind, 55, 60, 60), "a run went on for an hour first: {kind:?}");
    }
}

#[test]
fn what_passes_by_itself_is_waited_for() {
    for kind in [Kind::Busy, Kind::Changed, Kind::Throttled] {
        assert!(!gives_up(kind, 0, 600, 600), "{kind:?}");
    }
    assert_eq!(give_up(at(0), None, at(600)), None);
}

#[test]
fn a_pool_is_empty_once_neither_count_nor_operation_nor_machine_is_left() {
    let empty = PoolView {
        now: at(0),
        min: 0,
        max: 3,
        paused: true,
        policy: Policy::After(SignedDuration::ZERO),
        prewarm: Prewarm::Auto,
        measured: Measured::default(),
        expected: Vec::new(),
        count: 0,
        running: false,
        tainted: true,
        machines: Vec::new(),
        capacity: None,
        work: Vec::new(),
        puts: Bucket::full(Rate::PUT, at(0)),
        back_off: BackOff::default(),
    };
    assert!(is_empty(&empty));
    assert!(!is_empty(&PoolView { count: 1, ..empty.clone() }));
    assert!(!is_empty(&PoolView { running: true, ..empty.clone() }));
    let machine =
        |listed| Machine { name: "a".into(), listed, seen: at(0), leaving: true, node: None, node_gone: None };
    assert!(!is_empty(&PoolView { machines: vec![machine(true)], ..empty.clone() }));
    assert!(is_empty(&PoolView { machines: vec![machine(false)], ..empty }), "only its Node is left");
}

#[test]
fn what_was_just_written_counts_until_the_cache_shows_another_version() {
    let cluster = |version: &str, finalizers: &[&str]| -> ScoringCluster {
        serde_json::from_value(json!({
            "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringCluster",
            "metadata": { "name": "cpu", "resourceVersion": version, "finalizers": finalizers },
            "spec": { "maxNodes": 3, "nodePool": { "aks": {
                "subscriptionId": "", "resourceGroup": "rg", "clusterName": "c", "agentPool": "scoring" } } },
        }))
        .unwrap()
    };
    let mut memory = Memory::restore(None, at(0));
    assert!(!is_held(&cluster("1", &["other"]), &memory));
    memory.held = Some((Some("1".into()), true));
    assert!(is_held(&cluster("1", &[]), &memory));
    assert!(is_held(&cluster("2", &[names::NODES_FINALIZER]), &memory));
    assert!(!is_held(&cluster("3", &[]), &memory), "somebody took it off by hand");
}
