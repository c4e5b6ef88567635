//! `scaleDownMode: Deallocate`: machines that go stay, stopped, and are started again before new ones are made.

use reqwest::Method;
use serde_json::{Value, json};

use super::super::fleet::Fleet;
use super::super::work::Work;
use super::fleet::{P, get, machines, order, put, settle};
use super::stand::{Stand, Start};
use super::{at, empty_fleet};

/// A pool of four machines, two of which were deallocated when its count was lowered; and those.
fn half_asleep() -> (Fleet, Vec<String>) {
    let mut fleet = empty_fleet(1);
    put(&mut fleet, json!({"count": 4, "vmSize": "Standard_D2s_v5", "scaleDownMode": "Deallocate"}), 0).unwrap();
    settle(&mut fleet, 20);
    put(&mut fleet, json!({"count": 2}), 30).unwrap();
    let asleep = settle(&mut fleet, 40).pop().unwrap().deallocate;
    assert_eq!(asleep.len(), 2);
    (fleet, asleep)
}

fn names(work: &Work) -> [Vec<String>; 2] {
    [&work.start, &work.create].map(|specs| specs.iter().map(|spec| spec.name.clone()).collect())
}

/// What a pool is, how many machines it is to have, and how many are listed.
fn shows(fleet: &Fleet) -> (Value, Value, usize) {
    let pool = get(fleet);
    (pool["provisioningState"].clone(), pool["count"].clone(), machines(fleet).len())
}

#[test]
fn a_lower_count_deallocates_machines_which_stay_listed_and_are_not_counted() {
    let (mut fleet, asleep) = half_asleep();
    assert_eq!(shows(&fleet), (json!("Succeeded"), json!(2), 4));
    assert!(asleep.iter().all(|machine| machines(&fleet).contains(machine)));
    assert_eq!(fleet.machines_deleted, 0);
    let etag = get(&fleet)["eTag"].clone();
    put(&mut fleet, json!({"count": 2}), 50).unwrap();
    assert_eq!(get(&fleet)["eTag"], etag, "the count is what it is to be");
}

#[test]
fn a_higher_count_starts_the_deallocated_ones_first_and_then_makes_new_ones() {
    let (mut fleet, asleep) = half_asleep();
    put(&mut fleet, json!({"count": 3}), 50).unwrap();
    assert!(settle(&mut fleet, 69).is_empty(), "a start takes as long as the provisioning");
    let [first, made] = names(&settle(&mut fleet, 70)[0]);
    assert!(first.len() == 1 && asleep.contains(&first[0]) && made.is_empty());
    assert_eq!(shows(&fleet), (json!("Succeeded"), json!(3), 4));

    put(&mut fleet, json!({"count": 6}), 80).unwrap();
    let [second, made] = names(&settle(&mut fleet, 100)[0]);
    assert_eq!((second.len(), made.len()), (1, 2));
    assert!(asleep.contains(&second[0]) && second != first);
    assert_eq!(shows(&fleet), (json!("Succeeded"), json!(6), 6));
    assert_eq!(fleet.machines_made, 6);
}

#[test]
fn named_machines_are_deleted_for_good_whether_they_run_or_not() {
    let (mut fleet, asleep) = half_asleep();
    fleet.delete_machines(P, &asleep[..1], at(50)).unwrap();
    assert_eq!(settle(&mut fleet, 60).pop().unwrap().delete, asleep[..1]);
    assert_eq!(shows(&fleet), (json!("Succeeded"), json!(2), 3));
    let runs = machines(&fleet).into_iter().find(|machine| !asleep.contains(machine)).unwrap();
    fleet.delete_machines(P, std::slice::from_ref(&runs), at(70)).unwrap();
    assert_eq!(settle(&mut fleet, 80).pop().unwrap().delete, [runs]);
    assert_eq!(shows(&fleet), (json!("Succeeded"), json!(1), 2));
}

#[test]
fn deallocated_machines_use_the_quota_and_need_none_to_start() {
    let (mut fleet, _) = half_asleep();
    order(&mut fleet, &json!({"quota": [{"cores": 8}]}), 50);
    assert_eq!(put(&mut fleet, json!({"count": 5}), 50), Err((400, "ErrCode_InsufficientVCPUQuota".into())));
    put(&mut fleet, json!({"count": 4}), 60).unwrap();
    settle(&mut fleet, 80);
    assert_eq!(shows(&fleet), (json!("Succeeded"), json!(4), 4));
}

#[test]
fn with_the_mode_delete_again_the_deallocated_machines_go() {
    let (mut fleet, asleep) = half_asleep();
    assert_eq!(put(&mut fleet, json!({"scaleDownMode": "Delete"}), 50).unwrap()["provisioningState"], "Updating");
    assert_eq!(settle(&mut fleet, 60).pop().unwrap().delete, asleep);
    assert_eq!(shows(&fleet), (json!("Succeeded"), json!(2), 2));
}

#[test]
fn azure_may_have_no_room_for_a_deallocated_machine_either() {
    let (mut fleet, _) = half_asleep();
    order(&mut fleet, &json!({"provisioning": [{"machines": 1}]}), 50);
    put(&mut fleet, json!({"count": 4}), 50).unwrap();
    settle(&mut fleet, 80);
    assert_eq!(shows(&fleet), (json!("Failed"), json!(3), 4));
    put(&mut fleet, json!({"count": 4}), 90).unwrap();
    settle(&mut fleet, 120);
    assert_eq!(shows(&fleet), (json!("Succeeded"), json!(4), 4));
}

#[test]
fn the_nodes_of_deallocated_machines_get_changed_taints_with_the_others() {
    let (mut fleet, _) = half_asleep();
    put(&mut fleet, json!({"nodeTaints": ["a=1:NoSchedule"]}), 50).unwrap();
    assert_eq!(settle(&mut fleet, 60).pop().unwrap().restyle.unwrap().nodes.len(), 4);
}

#[test]
fn azure_takes_no_machine_that_does_not_run() {
    let (mut fleet, asleep) = half_asleep();
    let order_of = |machine: &str| {
        let order = json!({"reclaim": [{"machine": machine}]}).to_string();
        super::super::faults::FaultOrder::read(&order).unwrap()
    };
    assert!(fleet.check(&order_of(&asleep[0])).unwrap_err().to_string().contains("reclaim[0].machine"));
    let runs = machines(&fleet).into_iter().find(|machine| !asleep.contains(machine)).unwrap();
    fleet.order(&order_of(&runs), at(50));
    put(&mut fleet, json!({"count": 0}), 51).unwrap();
    settle(&mut fleet, 60);
    assert!(fleet.take_machines(at(80)).is_empty(), "its notice is void");
    assert_eq!(shows(&fleet), (json!("Succeeded"), json!(0), 4));
}

#[test]
fn a_machine_with_an_ephemeral_disk_cannot_be_deallocated() {
    let mut fleet = empty_fleet(1);
    let ephemeral = json!({"count": 1, "osDiskType": "Ephemeral", "scaleDownMode": "Deallocate"});
    assert_eq!(put(&mut fleet, ephemeral, 0), Err((400, "InvalidParameter".into())));
}

#[tokio::test]
async fn a_machine_is_stopped_and_started_and_one_that_does_not_start_stays_deallocated() {
    let stand = Stand::start().await;
    stand.put("scoring", json!({"count": 1, "scaleDownMode": "Deallocate"})).await.error_for_status().unwrap();
    stand.settled("scoring").await;
    let there = stand.machines.there.lock().unwrap().clone();
    let stopped = || stand.machines.stopped.lock().unwrap().len();
    for (count, start, state, now) in [
        (0, Start::Works, "Succeeded", (0, 1)),
        (1, Start::Fails, "Failed", (0, 1)),
        (1, Start::Works, "Succeeded", (1, 0)),
    ] {
        *stand.machines.start.lock().unwrap() = start;
        stand.put("scoring", json!({"count": count})).await.error_for_status().unwrap();
        let pool = stand.settled("scoring").await["properties"].clone();
        assert_eq!((&pool["provisioningState"], &pool["count"]), (&json!(state), &json!(now.0)));
        assert_eq!(stopped(), now.1);
        let listed = stand.ask(Method::GET, &stand.pool("/scoring/machines")).send().await.unwrap();
        let listed: Value = listed.json().await.unwrap();
        assert_eq!(listed["value"].as_array().unwrap().len(), 1);
        assert_eq!(*stand.machines.there.lock().unwrap(), there, "it is the same machine");
    }
    stand.stop().await;
}
