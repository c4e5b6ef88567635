use planner::bucket::{Bucket, Rate};
use planner::capacity::Resources;
use planner::pool::{BackOff, Machine, Node, Readiness, decide};
use planner::provisioning::Measured;
use planner::warmth::{Policy, Prewarm};
use serde_json::json;

use super::super::trouble::Asked;
use super::*;
use crate::aks::AgentPool;
use crate::conditions::find;

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn cluster() -> ScoringCluster {
    serde_json::from_value(json!({
        "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringCluster",
        "metadata": { "name": "cpu", "generation": 2 },
        "spec": { "maxNodes": 3, "nodePool": { "aks": {
            "subscriptionId": "00000000-0000-0000-0000-000000000000", "resourceGroup": "rg",
            "clusterName": "c", "agentPool": "scoring",
        } } },
    }))
    .unwrap()
}

/// A pool that has been read.
fn memory() -> Memory {
    let pool = json!({ "properties": { "count": 0, "provisioningState": "Succeeded" } });
    let pool: AgentPool = serde_json::from_value(pool).unwrap();
    Memory { pool: Some((pool, now())), ..Memory::restore(None, now()) }
}

fn empty_pool() -> PoolView {
    PoolView {
        now: now(),
        min: 0,
        max: 3,
        paused: false,
        policy: Policy::Never,
        prewarm: Prewarm::Auto,
        measured: Measured::default(),
        expected: Vec::new(),
        count: 0,
        running: false,
        tainted: true,
        machines: Vec::new(),
        capacity: None,
        work: Vec::new(),
        puts: Bucket::full(Rate::PUT, now()),
        back_off: BackOff::default(),
    }
}

fn told(memory: &Memory, refusal: Option<&Refusal>, view: &PoolView, grants: &Grants) -> ScoringClusterStatus {
    let (cluster, decision) = (cluster(), decide(view));
    let pool = refusal.is_none().then_some((view, &decision));
    status(&Report { cluster: &cluster, memory, pool, grants, next: None, learned: None, refusal, now: now() })
}

fn reason<'a>(status: &'a ScoringClusterStatus, type_: &str) -> (&'a str, &'a str) {
    let condition = find(&status.conditions, type_).unwrap();
    (condition.status.as_str(), condition.reason.as_str())
}

#[test]
fn a_pool_at_rest_is_ready_and_nothing_is_wrong() {
    let status = told(&memory(), None, &empty_pool(), &Grants::default());
    assert_eq!(reason(&status, "Ready"), ("True", "PoolReady"));
    assert_eq!(reason(&status, "Scaling"), ("False", "AtRest"));
    assert_eq!(reason(&status, "Degraded"), ("False", "AsExpected"));
    assert_eq!(status.put_bucket, None);
}

#[test]
fn a_refused_pool_says_why_in_both_conditions() {
    let refusal = Refusal { reason: "SystemPool", message: "name one of mode User".into() };
    let status = told(&memory(), Some(&refusal), &empty_pool(), &Grants::default());
    assert_eq!(reason(&status, "Ready"), ("False", "SystemPool"));
    assert_eq!(reason(&status, "Degraded"), ("True", "SystemPool"));
}

#[test]
fn missing_quota_degrades_and_a_missing_token_stops() {
    let mut memory = memory();
    memory.troubled(Asked::Operation, Kind::Quota, "PUT agent pool: quota exceeded".into(), None, now());
    let status =
        told(&memory, None, &PoolView { min: 1, back_off: memory.back_off, ..empty_pool() }, &Grants::default());
    assert_eq!(reason(&status, "Ready"), ("True", "PoolReady"));
    assert_eq!(reason(&status, "Degraded"), ("True", "QuotaExceeded"));
    assert_eq!(reason(&status, "Scaling"), ("True", "BackingOff"));
    let message = &find(&status.conditions, "Degraded").unwrap().message;
    assert!(message.contains("quota exceeded. Ask for more cores"), "{message}");

    memory.troubled(Asked::Pool, Kind::Credentials, "GET agent pool: 401".into(), None, now());
    let status = told(&memory, None, &empty_pool(), &Grants::default());
    assert_eq!(reason(&status, "Ready"), ("False", "CredentialsInvalid"));
}

#[test]
fn a_pod_larger_than_a_node_is_named() {
    let grants = Grants { too_large: vec!["default/hourly-1".into()], ..Grants::default() };
    let status = told(&memory(), None, &empty_pool(), &grants);
    assert_eq!(reason(&status, "Degraded"), ("True", "PodTooLarge"));
    assert!(find(&status.conditions, "Degraded").unwrap().message.contains("default/hourly-1"));
}

#[test]
fn of_a_long_queue_the_first_ten_runs_are_told() {
    let run = |at: u32| Queued { run: format!("default/run-{at}"), priority: 0, slots: at, waiting: 90 };
    let grants =
        Grants { given: 66, waiting: 1080, total: Some(80), queue: (0..12).map(run).collect(), ..Grants::default() };
    let status = told(&memory(), None, &empty_pool(), &grants);
    assert_eq!(status.slots, SlotCounts { given: 66, waiting: 1080, total: Some(80) });
    let names: Vec<&str> = status.queue.iter().map(|run| run.run.as_str()).collect();
    assert_eq!((names.len(), names[0], names[9]), (10, "default/run-0", "default/run-9"));
}

#[test]
fn a_queue_that_moves_on_is_not_urgent() {
    let queue = |waiting: u32| {
        let run = Queued { run: "default/run".into(), priority: 0, slots: 4, waiting };
        let grants = Grants { given: 4, waiting, total: Some(waiting), queue: vec![run], ..Grants::default() };
        told(&memory(), None, &empty_pool(), &grants)
    };
    assert!(!is_urgent(Some(&queue(9)), &queue(8)));
    assert!(is_urgent(Some(&queue(9)), &told(&memory(), None, &empty_pool(), &Grants::default())));
}

/// A machine whose node is Ready, or has been silent for a minute.
fn machine(name: &str, ready: Readiness) -> Machine {
    let since = now() - SignedDuration::from_secs(60);
    let node = Node {
        ready,
        since,
        joining: false,
        out_of_service: None,
        cordoned: false,
        draining_since: None,
        busy: true,
        busy_until: None,
        ends: Vec::new(),
        unforeseen: false,
        idle_since: None,
        free: Resources::default(),
    };
    Machine { name: name.into(), listed: true, seen: since, leaving: false, node: Some(node), node_gone: None }
}

#[test]
fn a_lost_node_is_counted_as_such_and_most_of_them_at_once_are_an_outage() {
    let machines = [("a", Readiness::Ready), ("b", Readiness::Silent)].map(|(name, ready)| machine(name, ready));
    let one = PoolView { count: 2, machines: machines.into(), ..empty_pool() };
    let status = told(&memory(), None, &one, &Grants::default());
    assert_eq!((status.nodes.ready, status.nodes.lost, status.nodes.provisioning), (1, 1, 0));
    assert_eq!(reason(&status, "Degraded"), ("False", "AsExpected"));
    let machines = ["a", "b", "c"].map(|name| machine(name, Readiness::Silent));
    let all = PoolView { count: 3, machines: machines.into(), ..empty_pool() };
    let status = told(&memory(), None, &all, &Grants::default());
    assert_eq!((status.nodes.lost, reason(&status, "Degraded")), (3, ("True", "NodesLost")));
    let message = &find(&status.conditions, "Degraded").unwrap().message;
    assert!(message.starts_with("3 of 3 nodes are not Ready"), "{message}");
}

#[test]
fn counts_may_wait_but_news_may_not() {
    let before = told(&memory(), None, &empty_pool(), &Grants::default());
    let mut after = before.clone();
    after.nodes.busy = 2;
    after.agent_pool = None;
    assert!(!is_urgent(Some(&before), &after));
    after.nodes.desired = 3;
    assert!(is_urgent(Some(&before), &after));
    assert!(is_urgent(None, &before));
}

#[test]
fn a_spent_budget_degrades_a_pool_and_one_that_pauses_says_so_where_it_is_ready() {
    let told = |on_exceed: &str| {
        let mut cluster = cluster();
        cluster.spec.price = serde_json::from_value(json!({ "nodeHour": 2 })).unwrap();
        cluster.spec.budget = serde_json::from_value(json!({ "month": 1, "onExceed": on_exceed })).unwrap();
        let cost = json!({ "month": "2026-01", "nodeSeconds": 1_800, "idleNodeSeconds": 0, "asOf": now() });
        cluster.status = Some(ScoringClusterStatus {
            cost: serde_json::from_value(cost).unwrap(),
            ..ScoringClusterStatus::default()
        });
        let mut memory = memory();
        memory.cost.open(&cluster, now());
        let (view, grants) = (empty_pool(), Grants::default());
        let (decision, cluster) = (decide(&view), &cluster);
        let pool = Some((&view, &decision));
        status(&Report {
            cluster,
            memory: &memory,
            pool,
            grants: &grants,
            next: None,
            learned: None,
            refusal: None,
            now: now(),
        })
    };
    let (alert, pause) = (told("Alert"), told("Pause"));
    assert_eq!(reason(&alert, "Ready"), ("True", "PoolReady"));
    assert_eq!(reason(&pause, "Ready"), ("True", "Paused"));
    for status in [&alert, &pause] {
        assert_eq!(reason(status, "Degraded"), ("True", "BudgetExceeded"));
        let message = &find(&status.conditions, "Degraded").unwrap().message;
        assert!(message.starts_with("1.00 USD of a budget of 1.00 USD for 2026-01 are spent: "), "{message}");
    }
    assert!(!is_urgent(Some(&alert), &ScoringClusterStatus { cost: None, ..alert.clone() }), "mere sums may wait");
}
