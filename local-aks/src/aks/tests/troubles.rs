//! What faults do to pools, operations and machines, told as sentences.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::faults::FaultOrder;
use super::super::fleet::{Conditions, Fleet, Taking};
use super::fleet::{P, get, machines, order, pool_of, put, settle, well};
use super::{at, empty_fleet};
use crate::machines::Becomes;

fn refused(fleet: &Fleet, faults: &Value) -> String {
    let faults = FaultOrder::read(&faults.to_string()).unwrap();
    fleet.check(&faults).unwrap_err().to_string()
}

/// The latest operation's error, and how it ended.
fn ended(fleet: &Fleet, operation: &str) -> (Value, Value) {
    let shown = fleet.operation(operation).unwrap().render("id", "address");
    (shown["status"].clone(), shown["error"].clone())
}

fn start(fleet: &mut Fleet, count: u64, now: i64) -> String {
    let body = json!({"properties": {"count": count}});
    fleet.put(P, &body, &Conditions::default(), at(now)).unwrap().operation.unwrap()
}

/// The seconds after which each of ten machines came.
fn arrivals(seed: u64) -> Vec<i64> {
    let mut fleet = empty_fleet(seed);
    fleet.settings.provisioning = "60s..300s".parse().unwrap();
    put(&mut fleet, json!({"count": 10}), 0).unwrap();
    let mut came = Vec::new();
    for now in 0..=300 {
        for work in fleet.take_due(at(now)) {
            came.extend(work.create.iter().map(|_| now));
            fleet.finish(&work.operation, well(&work), at(now));
        }
        assert_eq!(machines(&fleet).len(), came.len(), "each is listed as it comes");
        let expected = if came.len() == 10 { "Succeeded" } else { "Creating" };
        assert_eq!(get(&fleet)["provisioningState"], expected, "the operation ends with the last of them");
    }
    came
}

#[test]
fn each_machine_takes_its_own_time_and_the_seed_says_which() {
    let came = arrivals(7);
    assert_eq!(came.len(), 10);
    assert!(came.iter().all(|after| (60..=300).contains(after)), "{came:?}");
    assert!(came.iter().collect::<BTreeSet<_>>().len() > 5, "{came:?}");
    assert_eq!(came, arrivals(7));
    assert_ne!(came, arrivals(8));
}

#[test]
fn an_aborted_operation_keeps_the_machines_that_have_come() {
    let mut fleet = pool_of(0);
    fleet.settings.provisioning = "60s..300s".parse().unwrap();
    put(&mut fleet, json!({"count": 10}), 1000).unwrap();
    settle(&mut fleet, 1180);
    let there = machines(&fleet).len();
    assert!((1..10).contains(&there), "{there} have come by the middle");
    fleet.abort(P, at(1181)).unwrap().unwrap();
    assert_eq!((&get(&fleet)["provisioningState"], &get(&fleet)["count"]), (&json!("Canceled"), &json!(there)));
    assert!(settle(&mut fleet, 9999).is_empty());
}

#[test]
fn a_request_over_the_quota_of_cores_is_refused_in_azures_words_and_changes_nothing() {
    let mut fleet = pool_of(1);
    order(&mut fleet, &json!({"quota": [{"cores": 6}]}), 30);
    let before = get(&fleet);
    let body = json!({"properties": {"count": 4}});
    let refusal = fleet.put(P, &body, &Conditions::default(), at(31)).unwrap_err();
    assert_eq!((refusal.status, refusal.code.as_str()), (400, "ErrCode_InsufficientVCPUQuota"));
    assert!(refusal.message.contains("requested 6, remaining 4 for family StandardDsv5Family"), "{refusal}");
    assert_eq!(get(&fleet), before);
    assert!(put(&mut fleet, json!({"count": 3}), 32).is_ok(), "six cores are within six");
    settle(&mut fleet, 60);
    assert!(put(&mut fleet, json!({"count": 2}), 61).is_ok(), "fewer are always within it");
    settle(&mut fleet, 90);
    fleet.clear("quota");
    assert!(put(&mut fleet, json!({"count": 9}), 91).is_ok());
}

#[test]
fn a_pool_that_is_refused_for_its_quota_does_not_come_to_be() {
    let mut fleet = pool_of(1);
    order(&mut fleet, &json!({"quota": [{"machines": 2}]}), 30);
    let body = json!({"properties": {"count": 2}});
    let refusal = fleet.put("other", &body, &Conditions::default(), at(31)).unwrap_err();
    assert_eq!(refusal.code, "QuotaExceeded");
    assert_eq!(fleet.get("other").unwrap_err().status, 404);
}

#[test]
fn or_the_operation_over_the_quota_fails_and_no_machine_comes() {
    let mut fleet = pool_of(1);
    order(&mut fleet, &json!({"quota": [{"pool": P, "machines": 3, "at": "operation"}]}), 30);
    let operation = start(&mut fleet, 5, 31);
    settle(&mut fleet, 60);
    let (status, error) = ended(&fleet, &operation);
    assert_eq!((status, &error["code"]), (json!("Failed"), &json!("QuotaExceeded")));
    let words = "Current Limit: 3, Current Usage: 1, Additional Required: 4, (Minimum) New Limit Required: 5";
    assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    assert_eq!((&get(&fleet)["count"], machines(&fleet).len()), (&json!(1), 1));
}

#[test]
fn another_pools_machines_that_are_still_to_come_use_the_quota_too() {
    let mut fleet = pool_of(0);
    order(&mut fleet, &json!({"quota": [{"machines": 4}]}), 30);
    start(&mut fleet, 3, 31);
    let body = json!({"properties": {"count": 2}});
    assert_eq!(fleet.put("other", &body, &Conditions::default(), at(32)).unwrap_err().code, "QuotaExceeded");
}

#[test]
fn a_later_quota_of_the_same_pool_replaces_the_earlier_one() {
    let mut fleet = pool_of(0);
    order(&mut fleet, &json!({"quota": [{"machines": 1}]}), 30);
    order(&mut fleet, &json!({"quota": [{"machines": 8}]}), 31);
    assert!(put(&mut fleet, json!({"count": 5}), 32).is_ok());
}

#[test]
fn allocation_fails_as_long_as_it_stands_and_some_machines_come_before() {
    let mut fleet = pool_of(0);
    order(&mut fleet, &json!({"provisioning": [{"always": true, "machines": 1}]}), 30);
    for (round, expected) in [(1, 1), (2, 2)] {
        let operation = start(&mut fleet, 5, round * 100);
        settle(&mut fleet, round * 100 + 50);
        assert_eq!(ended(&fleet, &operation).1["details"][0]["code"], "AllocationFailed");
        assert_eq!((&get(&fleet)["count"], machines(&fleet).len()), (&json!(expected), expected));
    }
    fleet.clear("provisioning");
    start(&mut fleet, 5, 300);
    settle(&mut fleet, 350);
    assert_eq!((&get(&fleet)["provisioningState"], machines(&fleet).len()), (&json!("Succeeded"), 5));
}

#[test]
fn what_the_scale_set_answers_is_told_under_a_code_of_its_own_as_aks_does() {
    for (kind, code) in [("allocation", "AllocationFailed"), ("sku", "SkuNotAvailable")] {
        let mut fleet = pool_of(0);
        order(&mut fleet, &json!({"provisioning": [{"kind": kind, "message": "Nothing is \"free\"."}]}), 30);
        let operation = start(&mut fleet, 1, 30);
        settle(&mut fleet, 60);
        let (status, error) = ended(&fleet, &operation);
        assert_eq!((status, &error["code"]), (json!("Failed"), &json!("ReconcileVMSSAgentPoolFailed")));
        assert_eq!(error["message"], format!("Code={code:?} Message=\"Nothing is \\\"free\\\".\""));
        assert_eq!(error["details"], json!([{"code": code, "message": "Nothing is \"free\"."}]));
        assert_eq!(get(&fleet)["status"]["provisioningError"], error);
    }
}

#[test]
fn or_for_a_time_or_for_so_many_operations() {
    let mut fleet = pool_of(0);
    order(&mut fleet, &json!({"provisioning": [{"seconds": 60}]}), 30);
    start(&mut fleet, 1, 89);
    settle(&mut fleet, 120);
    assert_eq!(get(&fleet)["provisioningState"], "Failed");
    start(&mut fleet, 1, 121);
    settle(&mut fleet, 150);
    assert_eq!(get(&fleet)["provisioningState"], "Succeeded");
    order(&mut fleet, &json!({"provisioning": [{"count": 2}]}), 160);
    let states: Vec<Value> = (0..3)
        .map(|round| {
            start(&mut fleet, 2, 200 + round * 100);
            settle(&mut fleet, 250 + round * 100);
            get(&fleet)["provisioningState"].clone()
        })
        .collect();
    assert_eq!(states, ["Failed", "Failed", "Succeeded"]);
}

#[test]
fn a_preempted_operation_ends_canceled_and_names_the_one_that_holds_the_pool_now() {
    let mut fleet = pool_of(1);
    let operation = start(&mut fleet, 4, 30);
    order(&mut fleet, &json!({"preempt": [{"pool": P, "holdsSeconds": 20}]}), 35);
    let (status, error) = ended(&fleet, &operation);
    assert_eq!((status, &error["code"]), (json!("Canceled"), &json!("AKSOperationPreempted")));
    let other = error["message"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned();
    assert!(fleet.operation(&other).unwrap().is_running());
    assert_eq!(get(&fleet)["provisioningState"], "Canceling");
    assert_eq!(put(&mut fleet, json!({"count": 2}), 40), Err((409, "OperationNotAllowed".into())));
    assert!(settle(&mut fleet, 54).is_empty());
    settle(&mut fleet, 55);
    assert_eq!((&get(&fleet)["provisioningState"], &get(&fleet)["count"]), (&json!("Canceled"), &json!(1)));
    assert_eq!(ended(&fleet, &other).0, "Succeeded");
    start(&mut fleet, 4, 60);
    settle(&mut fleet, 90);
    assert_eq!(machines(&fleet).len(), 4, "and can be asked again");
}

#[test]
fn machines_that_were_being_made_come_nevertheless_and_are_counted() {
    let mut fleet = pool_of(0);
    start(&mut fleet, 3, 30);
    let work = fleet.take_due(at(50)).pop().unwrap();
    order(&mut fleet, &json!({"preempt": [{"pool": P, "leaves": "Succeeded"}]}), 51);
    settle(&mut fleet, 52);
    assert_eq!(get(&fleet)["provisioningState"], "Updating", "it waits for what is being made");
    fleet.finish(&work.operation, well(&work), at(60));
    assert_eq!((&get(&fleet)["provisioningState"], &get(&fleet)["count"]), (&json!("Succeeded"), &json!(3)));
    assert_eq!(machines(&fleet).len(), 3);
}

#[test]
fn the_next_operations_can_be_preempted_some_time_after_they_began() {
    let mut fleet = pool_of(0);
    order(&mut fleet, &json!({"preempt": [{"count": 1, "afterSeconds": 5, "leaves": "Failed"}]}), 30);
    let first = start(&mut fleet, 2, 40);
    assert_eq!(fleet.next_due(), Some(at(45)));
    settle(&mut fleet, 45);
    assert_eq!(ended(&fleet, &first).0, "Canceled");
    assert_eq!(get(&fleet)["provisioningState"], "Failed");
    let second = start(&mut fleet, 2, 50);
    settle(&mut fleet, 70);
    assert_eq!(ended(&fleet, &second).0, "Succeeded");
}

#[test]
fn the_next_machines_never_become_ready_and_are_listed_like_any_other() {
    let mut fleet = pool_of(0);
    let never = json!({"neverReady": [{"count": 2}, {"count": 1, "unregistered": true}]});
    order(&mut fleet, &never, 30);
    start(&mut fleet, 5, 31);
    let works = settle(&mut fleet, 60);
    let becomes: Vec<Becomes> = works[0].create.iter().map(|machine| machine.becomes).collect();
    assert_eq!(becomes, [Becomes::NotReady, Becomes::NotReady, Becomes::Nothing, Becomes::Ready, Becomes::Ready]);
    assert_eq!((&get(&fleet)["provisioningState"], machines(&fleet).len()), (&json!("Succeeded"), 5));
}

#[test]
fn a_reclaimed_machine_has_its_notice_and_then_is_gone() {
    let mut fleet = pool_of(3);
    let before = get(&fleet);
    order(&mut fleet, &json!({"reclaim": [{"pool": P, "drain": true}]}), 30);
    let Some(Taking::Notice { machine, not_before, drain }) = fleet.take_machines(at(30)).pop() else {
        panic!("no notice")
    };
    assert_eq!((not_before, drain), (at(60), true));
    assert_eq!(fleet.show_faults(at(40))["notices"][0]["machine"], json!(machine));
    assert_eq!((fleet.next_due(), machines(&fleet).len()), (Some(at(60)), 3));
    assert!(fleet.take_machines(at(59)).is_empty());
    assert_eq!(fleet.take_machines(at(60)), [Taking::Stop { machine: machine.clone(), deleted: true }]);
    assert!(!machines(&fleet).contains(&machine));
    assert_eq!((&get(&fleet)["count"], &get(&fleet)["provisioningState"]), (&json!(2), &json!("Succeeded")));
    assert_ne!(get(&fleet)["eTag"], before["eTag"]);
    assert_eq!(fleet.next_due(), None);
}

#[test]
fn or_the_count_stays_where_it_was() {
    let mut fleet = pool_of(3);
    order(&mut fleet, &json!({"reclaim": [{"pool": P, "noticeSeconds": 0, "countFalls": false}]}), 30);
    assert_eq!(fleet.take_machines(at(30)).len(), 2, "notice and end at once");
    assert_eq!((&get(&fleet)["count"], machines(&fleet).len()), (&json!(3), 2));
}

#[test]
fn taken_during_an_operation_it_is_counted_once_that_has_ended() {
    let mut fleet = pool_of(3);
    let name = machines(&fleet)[0].clone();
    start(&mut fleet, 5, 30);
    order(&mut fleet, &json!({"reclaim": [{"machine": name, "noticeSeconds": 0}]}), 31);
    fleet.take_machines(at(31));
    assert_eq!(get(&fleet)["count"], 5, "what is asked for still");
    settle(&mut fleet, 60);
    assert_eq!((&get(&fleet)["count"], machines(&fleet).len()), (&json!(4), 4));
}

#[test]
fn taken_before_the_operation_that_deletes_it_could_it_is_counted_once() {
    let mut fleet = pool_of(1);
    let names = machines(&fleet);
    put(&mut fleet, json!({"count": 0}), 30).unwrap();
    order(&mut fleet, &json!({"reclaim": [{"machine": names[0], "noticeSeconds": 0}]}), 30);
    fleet.take_machines(at(30));
    settle(&mut fleet, 60);
    assert_eq!((&get(&fleet)["count"], fleet.machines_deleted), (&json!(0), 1));
}

#[test]
fn the_machine_can_be_named_and_is_not_taken_twice() {
    let mut fleet = pool_of(2);
    let name = machines(&fleet)[1].clone();
    order(&mut fleet, &json!({"reclaim": [{"machine": name}]}), 30);
    assert!(refused(&fleet, &json!({"reclaim": [{"machine": name}]})).contains("reclaim[0].machine"));
    order(&mut fleet, &json!({"reclaim": [{"pool": P}]}), 31);
    fleet.take_machines(at(100));
    assert!(machines(&fleet).is_empty());
}

#[test]
fn a_pool_that_deallocates_keeps_its_evicted_machine_in_the_list() {
    let mut fleet = empty_fleet(1);
    let spot = json!({"count": 1, "scaleSetPriority": "Spot", "scaleSetEvictionPolicy": "Deallocate"});
    put(&mut fleet, spot, 0).unwrap();
    settle(&mut fleet, 20);
    order(&mut fleet, &json!({"reclaim": [{"pool": P}]}), 30);
    let machine = machines(&fleet)[0].clone();
    assert_eq!(fleet.take_machines(at(60)).pop(), Some(Taking::Stop { machine, deleted: false }));
    assert_eq!((&get(&fleet)["count"], machines(&fleet).len()), (&json!(1), 1));
}

#[test]
fn machines_to_come_can_be_reclaimed_some_time_after_they_came() {
    let mut fleet = pool_of(0);
    order(&mut fleet, &json!({"reclaim": [{"count": 1, "afterSeconds": 60}]}), 30);
    start(&mut fleet, 2, 31);
    settle(&mut fleet, 60);
    assert_eq!(fleet.next_due(), Some(at(120)));
    assert!(matches!(fleet.take_machines(at(120))[..], [Taking::Notice { .. }]));
    assert!(matches!(fleet.take_machines(at(150))[..], [Taking::Stop { .. }]));
    assert_eq!((&get(&fleet)["count"], fleet.next_due()), (&json!(1), None));
}

#[test]
fn a_machine_that_was_deleted_in_time_is_not_taken() {
    let mut fleet = pool_of(1);
    order(&mut fleet, &json!({"reclaim": [{"pool": P}]}), 30);
    fleet.take_machines(at(30));
    let names = machines(&fleet);
    fleet.delete_machines(P, &names, at(31)).unwrap();
    settle(&mut fleet, 40);
    assert!(fleet.take_machines(at(60)).is_empty());
    assert_eq!(fleet.machines_deleted, 1);
}

#[test]
fn faults_that_name_no_pool_leave_system_pools_alone() {
    let mut fleet = pool_of(0);
    let system = |count: u64| json!({"properties": {"mode": "System", "count": count}});
    let all = json!({
        "provisioning": [{"always": true}], "neverReady": [{"count": 9}], "preempt": [{"count": 9}],
        "reclaim": [{"count": 9}],
    });
    order(&mut fleet, &all, 30);
    fleet.put("system", &system(2), &Conditions::default(), at(31)).unwrap();
    let work = settle(&mut fleet, 60).pop().unwrap();
    assert!(work.create.iter().all(|machine| machine.becomes == Becomes::Ready));
    assert_eq!(fleet.get("system").unwrap()["properties"]["provisioningState"], "Succeeded");
    assert_eq!(fleet.next_due(), None);
}

#[test]
fn an_order_that_names_what_is_not_there_is_refused_by_its_field() {
    let fleet = pool_of(0);
    for (faults, words) in [
        (
            json!({"provisioning": [{"pool": "nowhere"}]}),
            "provisioning[0].pool: there is no agent pool 'nowhere', only scoring",
        ),
        (json!({"quota": [{"pool": "nowhere", "cores": 1}]}), "quota[0].pool"),
        (json!({"neverReady": [{"pool": "nowhere"}]}), "neverReady[0].pool"),
        (json!({"preempt": [{"pool": P}]}), "preempt[0].pool: no operation is under way"),
        (json!({"reclaim": [{"pool": P}]}), "reclaim[0].pool: agent pool 'scoring' has no machine"),
        (json!({"reclaim": [{"machine": "m"}]}), "reclaim[0].machine: there is no machine 'm'"),
    ] {
        let told = refused(&fleet, &faults);
        assert!(told.contains(words), "{faults}: {told}");
    }
}
