use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, Pod};
use planner::capacity::Resources;
use planner::cost::Machine;
use planner::pool;
use serde_json::{Value, json};

use super::seen::{Owner, machines};
use super::tell::{Stand, is_due, stand};
use super::*;
use crate::guard::Guard;

fn at(text: &str) -> Timestamp {
    format!("2026-11-{text}Z").parse().unwrap()
}

/// The time at which the cluster's status says that its sums are.
const TOLD: &str = "10T12:00:00";

fn cluster(spec: &Value) -> ScoringCluster {
    let mut object = json!({
        "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringCluster",
        "metadata": {"name": "cpu", "uid": "c", "creationTimestamp": "2026-10-01T00:00:00Z"},
        "spec": {"maxNodes": 3, "nodePool": {"aks": {
            "subscriptionId": "00000000-0000-0000-0000-000000000000", "resourceGroup": "rg",
            "clusterName": "c", "agentPool": "scoring",
        }}},
        "status": {"cost": {"month": "2026-11", "nodeSeconds": 36_000, "idleNodeSeconds": 600, "asOf": at(TOLD),
            "lastMonth": {"month": "2026-10", "nodeSeconds": 7_200, "idleNodeSeconds": 0}}},
    });
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn run(status: &Value) -> ScoringRun {
    let created = at("10T11:50:00");
    let object = json!({
        "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringRun",
        "metadata": {"name": "hourly-1", "namespace": "plant", "uid": "r", "creationTimestamp": created},
        "spec": {"scheduleName": "hourly"}, "status": status,
    });
    serde_json::from_value(object).unwrap()
}

fn books(cluster: &ScoringCluster) -> Books {
    let mut books = Books::default();
    books.open(cluster, at("10T12:10:00"));
    books
}

fn look(books: &mut Books, now: &str, machines: &[Machine<'_>]) -> Sums {
    books.ledger.as_mut().unwrap().look(at(now), machines)
}

fn idle_node(name: &str) -> Machine<'_> {
    Machine { name, since: at("01T00:00:00"), uses: Vec::new() }
}

#[test]
fn a_restart_reckons_what_passed_since_the_status_for_nodes_that_are_still_there() {
    let cluster = cluster(&json!({"price": {"nodeHour": "0.50", "currency": "EUR"}}));
    let mut books = books(&cluster);
    look(&mut books, "10T12:10:00", &[idle_node("a"), idle_node("b")]);
    books.show(&cluster, false);
    let told = books.shown().unwrap();
    assert_eq!((told.node_seconds, told.idle_node_seconds), (36_000 + 1_200, 600 + 1_200));
    assert_eq!((told.cost.unwrap().to_string(), told.currency.as_deref()), ("5.166667".to_owned(), Some("EUR")));
    assert_eq!((told.month.as_str(), told.as_of), ("2026-11", at("10T12:10:00")));
    let last = told.last_month.as_ref().unwrap();
    assert_eq!((last.month.as_str(), last.cost.unwrap().to_string()), ("2026-10", "1.00".to_owned()));
}

#[test]
fn growing_sums_are_told_once_a_minute_and_at_once_when_the_last_node_is_gone_or_the_price_changes() {
    let free = cluster(&json!({}));
    let mut books = books(&free);
    let mut told = |cluster: &ScoringCluster, now: &str, nodes: usize, hurry: bool| {
        books.open(cluster, at(now));
        look(&mut books, now, &[idle_node("a"), idle_node("b")][..nodes]);
        books.show(cluster, hurry);
        let told = books.shown().unwrap();
        (told.node_seconds, told.cost.map(|cost| cost.to_string()))
    };
    assert_eq!(told(&free, "10T12:00:30", 1, false), (36_000, None));
    assert_eq!(told(&free, "10T12:01:00", 1, false), (36_060, None));
    assert_eq!(told(&free, "10T12:01:20", 1, true), (36_080, None));
    let priced = cluster(&json!({"price": {"nodeHour": 1}}));
    assert_eq!(told(&priced, "10T12:01:40", 1, false), (36_100, Some("10.027778".to_owned())));
    assert_eq!(told(&priced, "10T12:01:50", 0, false).0, 36_110);
    assert_eq!(told(&priced, "10T13:00:00", 0, false).0, 36_110);
}

#[test]
fn a_pool_that_never_had_nodes_tells_nothing() {
    let mut cluster = cluster(&json!({"price": {"nodeHour": 1}}));
    cluster.status = None;
    let mut books = books(&cluster);
    look(&mut books, "10T12:10:00", &[]);
    books.show(&cluster, true);
    assert_eq!(books.shown(), None);
}

#[test]
fn a_budget_is_spent_when_the_month_has_cost_as_much_until_it_is_raised_or_the_month_ends() {
    let spent = |budget: &Value, now: &str| {
        let cluster = cluster(&json!({"price": {"nodeHour": "0.5"}, "budget": budget}));
        let books = books(&cluster);
        let now: Timestamp = now.parse().unwrap();
        (books.exceeded(&cluster, now).map(|spent| (spent.pauses, spent.message)), books.paused(&cluster, now))
    };
    let (exceeded, paused) = spent(&json!({"month": 5}), "2026-11-10T12:10:00Z");
    let (pauses, message) = exceeded.unwrap();
    assert!(!pauses && !paused, "an alert stops nothing");
    assert!(message.starts_with("5.00 USD of a budget of 5.00 USD for 2026-11 are spent"), "{message}");
    let (exceeded, paused) = spent(&json!({"month": "4.99", "onExceed": "Pause"}), "2026-11-10T12:10:00Z");
    assert!(exceeded.unwrap().1.contains("raise spec.budget.month") && paused);
    let pausing = |month: &str, now: &str| spent(&json!({"month": month, "onExceed": "Pause"}), now);
    assert_eq!(pausing("5.01", "2026-11-30T23:59:59Z"), (None, false));
    assert_eq!(pausing("4.99", "2026-12-01T00:00:00Z"), (None, false));
}

#[test]
fn whoever_paused_it_a_cluster_is_paused() {
    let cluster = cluster(&json!({"paused": true}));
    assert!(books(&cluster).paused(&cluster, at("10T12:10:00")));
}

fn told(part: &RunPart) -> (Option<u64>, bool, Option<String>) {
    (part.node_seconds, part.node_seconds_final, part.cost.map(|cost| cost.to_string()))
}

fn node(name: &str, created: &str) -> Arc<Node> {
    let metadata = json!({"name": name, "creationTimestamp": at(created)});
    Arc::new(serde_json::from_value(json!({ "metadata": metadata })).unwrap())
}

fn machine(name: &str, listed: bool) -> pool::Machine {
    let seen = at("10T12:09:00");
    pool::Machine { name: name.to_owned(), listed, seen, leaving: false, node: None, node_gone: None }
}

fn pod(uid: &str, node: &str, role: &str, status: &Value) -> Arc<Pod> {
    let object = json!({
        "metadata": {"name": uid, "namespace": "plant", "uid": uid, "creationTimestamp": at("10T11:59:00"),
            "labels": {"batchscoring.dev/run": "hourly-1", "batchscoring.dev/role": role}},
        "spec": {"nodeName": node, "containers": [{"name": "scorer", "resources": {"requests": {"cpu": "1"}}}]},
        "status": status,
    });
    Arc::new(serde_json::from_value(object).unwrap())
}

fn ended(at: Option<Timestamp>) -> Value {
    let state = json!({"terminated": {"exitCode": 0, "finishedAt": at}});
    json!({"phase": "Succeeded", "containerStatuses": [{"name": "scorer", "image": "", "imageID": "", "ready": false,
        "restartCount": 0, "state": state}]})
}

fn owners(run: &ScoringRun) -> BTreeMap<String, Owner> {
    let run = Arc::new(Guard(Ok(run.clone())));
    [("plant/hourly-1".to_owned(), Owner { run, schedule: None })].into()
}

#[test]
fn a_look_sees_since_when_nodes_are_there_and_the_pods_of_runs_on_them() {
    let nodes = [node("a", "10T11:00:00"), node("gone", "10T11:00:00")];
    let there = [machine("a", true), machine("b", true), machine("gone", false)];
    let scheduled = json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": at("10T11:59:30")});
    let pods = [
        pod("1", "a", "item", &json!({"phase": "Running", "conditions": [scheduled]})),
        pod("2", "a", "item", &ended(Some(at("10T12:00:00")))),
        pod("3", "a", "item", &ended(None)),
        pod("4", "a", "plan", &json!({"phase": "Running"})),
        pod("5", "elsewhere", "item", &json!({"phase": "Running"})),
    ];
    let (empty, run) = (Resources::parse([("cpu", "4")]).unwrap(), run(&json!({})));
    let owners = owners(&run);
    let seen = machines(&there, (&nodes, false), &pods, &owners, &empty);
    let since: Vec<(&str, Timestamp)> = seen.iter().map(|machine| (machine.name, machine.since)).collect();
    assert_eq!(since, [("a", at("10T11:00:00")), ("b", at("10T12:09:00"))]);
    let uses: Vec<_> = seen[0].uses.iter().map(|used| (used.pod, used.run, used.since, used.until)).collect();
    let expected = [("1", "r", at("10T11:59:30"), None), ("2", "r", at("10T11:59:00"), Some(at("10T12:00:00")))];
    assert_eq!(uses, expected);
}

#[test]
fn a_run_is_told_what_it_took_until_it_is_over_and_that_stays() {
    let priced = cluster(&json!({"price": {"nodeHour": "3.6"}}));
    let mut books = books(&priced);
    let going = run(&json!({"slots": 2}));
    books.open_run(&going, at("10T12:10:00"));
    let (owners, nodes) = (owners(&going), [node("a", "10T11:00:00")]);
    let pods = [pod("1", "a", "item", &ended(Some(at("10T12:00:00"))))];
    let there = [machine("a", true)];
    look(&mut books, "10T12:10:00", &machines(&there, (&nodes, false), &pods, &owners, &Resources::default()));
    // From 11:59 on: the run has it, though the pool's sums were told up to 12:00.
    assert_eq!(told(&books.part(&going, Some(2))), (Some(60), false, Some("0.06".to_owned())));
    let (account, written) = books.of("r").unwrap();
    assert!(account.ended == at("10T12:00:00") && account.ended > written.as_of && !account.living);
    books.last("r", &account);
    let part = books.part(&going, Some(0));
    assert_eq!(told(&part), (Some(60), true, Some("0.06".to_owned())));
    books.wrote(uid_of(&going), &part, at("10T12:10:01"));
    assert!(books.of("r").is_none(), "there is nothing more to tell");
    let ended = run(
        &json!({"nodeSeconds": 60, "nodeSecondsAsOf": at("10T12:10:00"), "nodeSecondsFinal": true, "cost": "0.06"}),
    );
    let dearer = cluster(&json!({"price": {"nodeHour": 100}}));
    books.open(&dearer, at("10T12:20:00"));
    assert_eq!(told(&books.part(&ended, None)).2.as_deref(), Some("0.06"), "it keeps its price");
}

#[test]
fn what_a_pod_took_is_reckoned_once_a_look_has_come_to_its_end() {
    let pod = |status: &Value| pod("1", "a", "item", status);
    let ends = pod(&ended(Some(at("10T12:00:10"))));
    assert!(!is_reckoned(&ends, at("10T12:00:09")), "the clock of its node is ahead");
    assert!(is_reckoned(&ends, at("10T12:00:10")));
    assert!(is_reckoned(&pod(&ended(None)), at("10T12:00:00")), "it ended with the look that found it");
}

#[test]
fn what_nobody_reckons_here_is_told_as_it_is() {
    let books = books(&cluster(&json!({})));
    let status = json!({"nodeSeconds": 7, "nodeSecondsAsOf": at("10T12:00:00"), "nodeSecondsFinal": true, "cost": "0.01",
        "currency": "EUR"});
    let part = serde_json::to_value(books.part(&run(&status), Some(3))).unwrap();
    let mut expected = status;
    expected["slots"] = json!(3);
    assert_eq!(part, expected);
    assert_eq!(serde_json::to_value(books.part(&run(&json!({})), Some(1))).unwrap(), json!({"slots": 1}));
}

#[test]
fn a_run_is_over_when_its_job_is_and_no_pod_of_it_is_on_a_node() {
    let mut books = books(&cluster(&json!({})));
    let going = run(&json!({"state": "Running"}));
    books.open_run(&going, at("10T12:10:00"));
    let (account, _) = books.of("r").unwrap();
    let job = |job: &Value| -> Job { serde_json::from_value(job.clone()).unwrap() };
    let working = job(&json!({"metadata": {}, "spec": {"template": {}}}));
    let stopped = job(&json!({"metadata": {}, "spec": {"template": {}, "suspend": true}}));
    let done = job(&json!({"metadata": {}, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}));
    assert_eq!(stand(&going, Some(&working), &account), Stand::GoesOn);
    assert_eq!(stand(&going, Some(&stopped), &account), Stand::Over);
    assert_eq!(stand(&going, Some(&done), &account), Stand::Over);
    let mut living = account;
    living.living = true;
    assert_eq!(stand(&going, Some(&done), &living), Stand::GoesOn);
    assert_eq!(stand(&going, None, &account), Stand::GoesOn);
    assert_eq!(stand(&run(&json!({"state": "Archiving"})), None, &account), Stand::Nothing);
}

#[test]
fn ends_of_pods_are_told_together_after_a_minute_or_before_their_node_goes_and_what_only_grows_rarely() {
    let mut books = books(&cluster(&json!({})));
    let going = run(&json!({}));
    books.open_run(&going, at("10T12:00:00"));
    let (owners, nodes) = (owners(&going), [node("a", "10T11:00:00")]);
    let there = [machine("a", true)];
    let mut due = |now: &str, status: &Value, hurry: bool| {
        let pods = [pod("1", "a", "item", status)];
        look(&mut books, now, &machines(&there, (&nodes, false), &pods, &owners, &Resources::default()));
        let (account, written) = books.of("r").unwrap();
        is_due(&account, &written, hurry, at(now))
    };
    let running = json!({"phase": "Running"});
    assert!(!due("10T12:04:59", &running, true) && due("10T12:05:00", &running, false));
    let ended = ended(Some(at("10T12:05:10")));
    assert!(due("10T12:05:20", &ended, false), "nothing was written for a minute");
    books.written.get_mut("r").unwrap().at = at("10T12:05:00");
    let (account, written) = books.of("r").unwrap();
    let due = |hurry, now: &str| is_due(&account, &written, hurry, at(now));
    assert!(!due(false, "10T12:05:59") && due(true, "10T12:05:21") && due(false, "10T12:06:00"));
}
