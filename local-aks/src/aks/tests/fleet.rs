//! What the state machine answers, told as sentences.

use serde_json::{Value, json};

use super::super::faults::FaultOrder;
use super::super::fleet::{Conditions, Fleet};
use super::super::work::{Outcome, Work};
use super::{at, empty_fleet};

pub(super) const P: &str = "scoring";

pub(super) fn put(fleet: &mut Fleet, properties: Value, now: i64) -> Result<Value, (u16, String)> {
    let mut body = json!({});
    body["properties"] = properties;
    let put = fleet.put(P, &body, &Conditions::default(), at(now));
    put.map(|put| put.body["properties"].clone()).map_err(|error| (error.status, error.code))
}

pub(super) fn get(fleet: &Fleet) -> Value {
    fleet.get(P).unwrap()["properties"].clone()
}

pub(super) fn machines(fleet: &Fleet) -> Vec<String> {
    let page = fleet.machines(P, "", &Default::default()).unwrap();
    page.value.iter().map(|machine| machine["name"].as_str().unwrap().to_owned()).collect()
}

/// Everything goes as asked.
pub(super) fn well(work: &Work) -> Outcome {
    Outcome {
        created: work.create.iter().map(|spec| spec.name.clone()).collect(),
        started: work.start.iter().map(|spec| spec.name.clone()).collect(),
        deallocated: work.deallocate.clone(),
        deleted: work.delete.clone(),
        error: None,
    }
}

/// Lets all operations end, as their work says.
pub(super) fn settle(fleet: &mut Fleet, now: i64) -> Vec<Work> {
    let works = fleet.take_due(at(now));
    for work in &works {
        fleet.finish(&work.operation, well(work), at(now));
    }
    works
}

pub(super) fn order(fleet: &mut Fleet, faults: &Value, now: i64) {
    let faults = FaultOrder::read(&faults.to_string()).unwrap();
    fleet.check(&faults).unwrap();
    fleet.order(&faults, at(now));
}

/// A pool of `count` machines.
pub(super) fn pool_of(count: u64) -> Fleet {
    let mut fleet = empty_fleet(1);
    put(&mut fleet, json!({"count": count, "vmSize": "Standard_D2s_v5"}), 0).unwrap();
    settle(&mut fleet, 20);
    fleet
}

#[test]
fn a_new_pool_is_creating_until_the_provisioning_delay_is_over_and_its_machines_are_there() {
    let mut fleet = empty_fleet(1);
    let body = put(&mut fleet, json!({"count": 2}), 0).unwrap();
    assert_eq!((&body["provisioningState"], &body["count"]), (&json!("Creating"), &json!(2)));
    assert!(fleet.take_due(at(19)).is_empty());
    let work = fleet.take_due(at(20)).pop().unwrap();
    assert_eq!(work.create.len(), 2);
    assert_eq!(get(&fleet)["provisioningState"], "Creating");
    fleet.finish(&work.operation, well(&work), at(25));
    assert_eq!(get(&fleet)["provisioningState"], "Succeeded");
    assert_eq!(machines(&fleet).len(), 2);
}

#[test]
fn nodes_get_the_labels_and_taints_of_their_pool() {
    let mut fleet = empty_fleet(1);
    let properties =
        json!({"count": 1, "nodeLabels": {"a": "b"}, "nodeTaints": ["k=v:NoSchedule"], "scaleSetPriority": "Spot"});
    put(&mut fleet, properties, 0).unwrap();
    let machine = fleet.take_due(at(20)).pop().unwrap().create.pop().unwrap();
    assert_eq!(machine.taints, ["k=v:NoSchedule", "kubernetes.azure.com/scalesetpriority=spot:NoSchedule"]);
    for (key, value) in
        [("agentpool", P), ("kubernetes.azure.com/agentpool", P), ("kubernetes.azure.com/mode", "user"), ("a", "b")]
    {
        assert_eq!(machine.labels[key], value);
    }
}

#[test]
fn a_second_operation_on_a_busy_pool_is_refused_as_aks_does() {
    let mut fleet = pool_of(1);
    put(&mut fleet, json!({"count": 2}), 30).unwrap();
    assert_eq!(get(&fleet)["provisioningState"], "Scaling");
    assert_eq!(put(&mut fleet, json!({"count": 3}), 31), Err((409, "OperationNotAllowed".into())));
    let names = machines(&fleet);
    let refusal = fleet.delete_machines(P, &names, at(31)).unwrap_err();
    assert!(refusal.message.contains("Another agentpool operation (scoring - Scaling) is in progress"), "{refusal}");
}

#[test]
fn what_a_put_leaves_out_stays_and_what_is_unknown_is_kept() {
    let mut fleet = pool_of(0);
    put(&mut fleet, json!({"nodeTaints": ["k=v:NoSchedule"], "laterProperty": {"x": 1}}), 30).unwrap();
    settle(&mut fleet, 40);
    let body = put(&mut fleet, json!({"count": 1}), 50).unwrap();
    assert_eq!((&body["nodeTaints"], &body["laterProperty"]), (&json!(["k=v:NoSchedule"]), &json!({"x": 1})));
}

#[test]
fn read_only_properties_sent_back_are_ignored() {
    let mut fleet = pool_of(1);
    let mut whole = get(&fleet);
    whole["provisioningState"] = json!("Failed");
    whole["nodeImageVersion"] = json!("mine");
    whole["count"] = json!(2);
    let body = put(&mut fleet, whole, 30).unwrap();
    assert_eq!(body["provisioningState"], "Scaling");
    assert_ne!(body["nodeImageVersion"], "mine");
}

#[test]
fn what_aks_fills_in_can_be_sent_back() {
    let mut fleet = empty_fleet(1);
    let body = put(&mut fleet, json!({"count": 0, "localDNSProfile": {"mode": "Required"}}), 0).unwrap();
    assert_eq!((&body["kubeletDiskType"], &body["localDNSProfile"]["state"]), (&json!("OS"), &json!("Enabled")));
    settle(&mut fleet, 20);
    let mut whole = get(&fleet);
    assert_eq!(put(&mut fleet, whole.clone(), 30).unwrap()["provisioningState"], "Succeeded", "nothing changed");
    whole["localDNSProfile"]["mode"] = json!("Disabled");
    assert_eq!(
        put(&mut fleet, whole, 40).unwrap()["localDNSProfile"],
        json!({"mode": "Disabled", "state": "Disabled"})
    );
}

#[test]
fn pools_of_virtual_machines_count_by_size() {
    let fixed = json!({"manual": [{"size": "Standard_D2_v3", "count": 2}, {"size": "Standard_D4_v3", "count": 1}]});
    let scaled = json!({"autoscale": [{"size": "Standard_D2_v3", "minCount": 1, "maxCount": 4}]});
    for (scale, count) in [(fixed, 3), (scaled, 1)] {
        let mut fleet = empty_fleet(1);
        let pool = json!({"type": "VirtualMachines", "virtualMachinesProfile": {"scale": scale}});
        let body = put(&mut fleet, pool, 0).unwrap();
        assert_eq!(body["virtualMachineNodesStatus"][0]["size"], "Standard_D2_v3");
        settle(&mut fleet, 20);
        assert_eq!(machines(&fleet).len(), count);
    }
}

#[test]
fn what_is_fixed_at_creation_cannot_be_changed() {
    let mut fleet = pool_of(0);
    for change in [json!({"vmSize": "Standard_D8s_v5"}), json!({"osType": "Windows"}), json!({"maxPods": 30})] {
        assert_eq!(put(&mut fleet, change, 30), Err((400, "PropertyChangeNotAllowed".into())));
    }
    assert!(put(&mut fleet, json!({"vmSize": "standard_d2s_v5"}), 30).is_ok(), "only the case differs");
}

#[test]
fn counts_have_bounds() {
    let mut fleet = pool_of(0);
    for count in [json!(-1), json!(1001), json!("3"), json!(1.5)] {
        assert_eq!(put(&mut fleet, json!({"count": count}), 30), Err((400, "InvalidParameter".into())));
    }
    let body = json!({"properties": {"mode": "System", "count": 0}});
    let refusal = fleet.put("system", &body, &Conditions::default(), at(30)).unwrap_err();
    assert!(refusal.message.contains("from 1 to 1000"), "{refusal}");
}

#[test]
fn a_put_that_changes_nothing_starts_nothing() {
    let mut fleet = pool_of(1);
    let etag = get(&fleet)["eTag"].clone();
    assert_eq!(put(&mut fleet, json!({"count": 1}), 30).unwrap()["provisioningState"], "Succeeded");
    assert_eq!(get(&fleet)["eTag"], etag);
}

#[test]
fn if_match_holds_until_anything_changes() {
    let mut fleet = pool_of(0);
    let etag = get(&fleet)["eTag"].as_str().unwrap().to_owned();
    let when = |etag: &str| Conditions { if_match: Some(etag.to_owned()), if_none_match: None };
    let body = json!({"properties": {"count": 1}});
    fleet.put(P, &body, &when(&format!("\"{etag}\"")), at(30)).unwrap();
    settle(&mut fleet, 60);
    let stale = fleet.put(P, &json!({"properties": {"count": 2}}), &when(&etag), at(61)).unwrap_err();
    assert_eq!((stale.status, stale.code.as_str()), (412, "PreconditionFailed"));
    assert_eq!(machines(&fleet).len(), 1);
    assert!(fleet.put(P, &body, &when("*"), at(62)).is_ok());
}

#[test]
fn if_none_match_star_only_creates() {
    let mut fleet = empty_fleet(1);
    let only_new = Conditions { if_match: None, if_none_match: Some("*".into()) };
    let body = json!({"properties": {"count": 0}});
    assert!(fleet.put(P, &body, &only_new, at(0)).unwrap().created);
    settle(&mut fleet, 20);
    assert_eq!(fleet.put(P, &body, &only_new, at(21)).unwrap_err().status, 412);
    let with_etag = Conditions { if_match: Some("x".into()), if_none_match: None };
    assert_eq!(fleet.put("other", &body, &with_etag, at(21)).unwrap_err().status, 412);
}

#[test]
fn delete_machines_takes_exactly_those_named_and_the_count_falls() {
    let mut fleet = pool_of(3);
    let names = machines(&fleet);
    fleet.delete_machines(P, &names[1..2], at(30)).unwrap();
    assert_eq!(settle(&mut fleet, 40).pop().unwrap().delete, names[1..2]);
    assert_eq!(machines(&fleet), [names[0].clone(), names[2].clone()]);
    assert_eq!(get(&fleet)["count"], 2);
}

#[test]
fn or_the_count_stays_and_the_next_put_of_it_makes_the_machine_again() {
    let mut fleet = pool_of(3);
    fleet.settings.count_falls = false;
    let gone = machines(&fleet)[..1].to_vec();
    fleet.delete_machines(P, &gone, at(30)).unwrap();
    settle(&mut fleet, 40);
    assert_eq!((&get(&fleet)["count"], machines(&fleet).len()), (&json!(3), 2));
    put(&mut fleet, json!({"count": 3}), 50).unwrap();
    let made = settle(&mut fleet, 80).pop().unwrap().create;
    assert_eq!(made.len(), 1);
    assert_ne!(made[0].name, gone[0], "names are not used again");
}

#[test]
fn unknown_machines_are_refused_and_nothing_is_deleted() {
    let mut fleet = pool_of(1);
    let mut names = machines(&fleet);
    names.push("aks-scoring-00000000-vmss000009".into());
    let refusal = fleet.delete_machines(P, &names, at(30)).unwrap_err();
    assert_eq!((refusal.status, refusal.code.as_str()), (400, "InvalidParameter"));
    assert!(refusal.message.contains("vmss000009"), "{refusal}");
    assert!(fleet.delete_machines(P, &[], at(30)).is_err());
    assert_eq!(fleet.delete_machines("nowhere", &names, at(30)).unwrap_err().status, 404);
    assert_eq!(get(&fleet)["provisioningState"], "Succeeded");
}

#[test]
fn a_system_pool_keeps_a_machine_and_a_cluster_a_system_pool() {
    let mut fleet = empty_fleet(1);
    fleet.found("system", &json!({"properties": {"mode": "System", "count": 1}}), at(0)).unwrap();
    let work = settle(&mut fleet, 0).pop().unwrap();
    let refusal = fleet.delete_machines("system", &[work.create[0].name.clone()], at(1)).unwrap_err();
    assert_eq!(refusal.code, "OperationNotAllowed");
    assert!(fleet.delete_pool("system", &Conditions::default(), at(1)).is_err());
    let body = json!({"properties": {"mode": "User"}});
    assert!(fleet.put("system", &body, &Conditions::default(), at(1)).is_err());
}

#[test]
fn lowering_the_count_takes_victims_at_random_but_the_same_for_the_same_seed() {
    let victims = |seed| {
        let mut fleet = empty_fleet(seed);
        put(&mut fleet, json!({"count": 10}), 0).unwrap();
        settle(&mut fleet, 20);
        put(&mut fleet, json!({"count": 7}), 30).unwrap();
        let taken = settle(&mut fleet, 40).pop().unwrap().delete;
        taken.iter().map(|name| name.chars().last().unwrap()).collect::<String>()
    };
    assert_eq!(victims(7), victims(7));
    let all: std::collections::BTreeSet<String> = (0..20).map(victims).collect();
    assert!(all.len() > 10, "{all:?}");
}

#[test]
fn a_quota_error_fails_the_operation_and_the_pool_says_so_until_the_next_success() {
    let mut fleet = pool_of(0);
    order(&mut fleet, &json!({"provisioning": [{"kind": "quota", "machines": 1}]}), 30);
    put(&mut fleet, json!({"count": 3}), 30).unwrap();
    let work = settle(&mut fleet, 60).pop().unwrap();
    assert_eq!(fleet.operation(&work.operation).unwrap().render("i", "a")["error"]["code"], "QuotaExceeded");
    let pool = get(&fleet);
    assert_eq!((&pool["provisioningState"], &pool["count"]), (&json!("Failed"), &json!(1)));
    assert_eq!(pool["status"]["provisioningError"]["code"], "QuotaExceeded");
    put(&mut fleet, json!({"count": 3}), 70).unwrap();
    settle(&mut fleet, 100);
    assert_eq!((&get(&fleet)["provisioningState"], machines(&fleet).len()), (&json!("Succeeded"), 3));
    assert!(get(&fleet).get("status").is_none());
}

#[test]
fn changed_taints_and_labels_reach_the_nodes_that_are_there() {
    let mut fleet = pool_of(2);
    put(&mut fleet, json!({"nodeTaints": ["a=1:NoSchedule"], "nodeLabels": {"l": "1"}}), 30).unwrap();
    settle(&mut fleet, 40);
    put(&mut fleet, json!({"nodeTaints": ["b=2:NoSchedule"], "nodeLabels": {}, "count": 3}), 50).unwrap();
    let work = settle(&mut fleet, 80).pop().unwrap();
    let change = work.restyle.unwrap();
    assert_eq!((change.nodes.len(), work.create.len()), (2, 1));
    assert_eq!((change.remove_taints[0].key.as_str(), change.add_taints[0].key.as_str()), ("a", "b"));
    assert_eq!(change.remove_labels, ["l"]);
    assert_eq!(work.create[0].taints, ["b=2:NoSchedule"]);
}

#[test]
fn a_stopped_pool_has_no_machines_and_remembers_its_count() {
    let mut fleet = pool_of(2);
    assert_eq!(
        put(&mut fleet, json!({"powerState": {"code": "Stopped"}}), 30).unwrap()["provisioningState"],
        "Stopping"
    );
    settle(&mut fleet, 60);
    assert_eq!((machines(&fleet).len(), &get(&fleet)["count"]), (0, &json!(2)));
    assert_eq!(
        put(&mut fleet, json!({"powerState": {"code": "Running"}}), 70).unwrap()["provisioningState"],
        "Starting"
    );
    settle(&mut fleet, 100);
    assert_eq!(machines(&fleet).len(), 2);
}

#[test]
fn an_aborted_operation_leaves_the_pool_canceled_with_what_it_had() {
    let mut fleet = pool_of(1);
    put(&mut fleet, json!({"count": 4}), 30).unwrap();
    assert!(fleet.abort(P, at(31)).unwrap().is_some());
    assert_eq!((&get(&fleet)["provisioningState"], &get(&fleet)["count"]), (&json!("Canceled"), &json!(1)));
    assert!(settle(&mut fleet, 100).is_empty());
    assert!(fleet.abort(P, at(101)).unwrap().is_none());
}

#[test]
fn a_deleted_pool_is_gone_with_its_machines() {
    let mut fleet = pool_of(2);
    let names = machines(&fleet);
    fleet.delete_pool(P, &Conditions::default(), at(30)).unwrap().unwrap();
    assert_eq!(get(&fleet)["provisioningState"], "Deleting");
    assert_eq!(settle(&mut fleet, 40).pop().unwrap().delete, names);
    assert_eq!(fleet.get(P).unwrap_err().status, 404);
    assert!(fleet.delete_pool(P, &Conditions::default(), at(50)).unwrap().is_none());
}
