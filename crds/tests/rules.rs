//! What the API server refuses, by the very rules that are in the chart's CRDs.
#![allow(clippy::unwrap_used)]

use crds::{ScoringCluster, ScoringRun, ScoringSchedule};
use kube::CustomResourceExt;
use kube::core::cel::Validator;
use serde_json::{Value, json};

/// The refusals, as people read them; nothing when the object is accepted.
fn refusals<K: CustomResourceExt>(object: &Value, old: Option<&Value>) -> Vec<String> {
    let crd = K::crd();
    let schema = crd.spec.versions[0].schema.as_ref().and_then(|s| s.open_api_v3_schema.as_ref()).unwrap();
    let schema = serde_json::to_value(schema).unwrap();
    match Validator::new().validate(&schema, object, old) {
        Ok(()) => Vec::new(),
        Err(errors) => vec![errors.to_string()],
    }
}

fn run(patch: &Value) -> Value {
    let mut spec = json!({"scheduleName": "hourly", "cancel": false});
    merge(&mut spec, patch);
    json!({"metadata": {"name": "hourly-29000000"}, "spec": spec})
}

fn schedule(name: &str, patch: &Value) -> Value {
    let mut spec = json!({
        "clusterRef": {"name": "cpu"}, "schedule": "@hourly", "store": {"url": "file:///mnt"},
        "model": {"path": "models/model_{device}_{tag}"}, "data": {"path": "data/sensor_data.csv"},
    });
    merge(&mut spec, patch);
    json!({"metadata": {"name": name}, "spec": spec})
}

fn cluster(patch: &Value) -> Value {
    let mut spec = json!({"nodePool": {"aks": {}}, "minNodes": 0, "maxNodes": 3});
    merge(&mut spec, patch);
    json!({"metadata": {"name": "cpu"}, "spec": spec})
}

fn merge(into: &mut Value, patch: &Value) {
    for (key, value) in patch.as_object().unwrap() {
        into[key] = value.clone();
    }
}

fn accepted<K: CustomResourceExt>(object: &Value, old: Option<&Value>) {
    assert_eq!(refusals::<K>(object, old), Vec::<String>::new());
}

fn refused<K: CustomResourceExt>(object: &Value, old: Option<&Value>, sentence: &str) {
    let refusals = refusals::<K>(object, old);
    assert!(refusals.iter().any(|r| r.contains(sentence)), "expected {sentence:?}, got {refusals:?}");
}

#[test]
fn the_smallest_of_each_is_accepted() {
    accepted::<ScoringRun>(&run(&json!({})), None);
    accepted::<ScoringSchedule>(&schedule("hourly", &json!({})), None);
    accepted::<ScoringCluster>(&cluster(&json!({})), None);
}

#[test]
fn a_run_is_fixed_but_can_be_cancelled_once_and_for_all() {
    let (goes_on, cancelled) = (run(&json!({})), run(&json!({"cancel": true})));
    accepted::<ScoringRun>(&cancelled, Some(&goes_on));
    refused::<ScoringRun>(&goes_on, Some(&cancelled), "cancel cannot be taken back");
    for change in [
        json!({"scheduleName": "daily"}),
        json!({"tick": "2026-01-01T00:00:00Z"}),
        json!({"rerunFailedOf": "hourly-1"}),
        json!({"ttlSecondsAfterFinished": 60}),
        json!({"backfill": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z", "step": "1h"}}),
        json!({"window": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}}),
    ] {
        refused::<ScoringRun>(&run(&change), Some(&goes_on), "fixed once created");
    }
}

#[test]
fn a_backfill_has_a_range_and_a_step_and_nothing_that_says_otherwise() {
    let backfill = |end: &str, step: &str, patch: Value| {
        let mut spec = json!({"backfill": {"start": "2026-01-01T00:00:00Z", "end": end, "step": step}});
        merge(&mut spec, &patch);
        run(&spec)
    };
    accepted::<ScoringRun>(&backfill("2026-01-02T00:00:00Z", "1h", json!({})), None);
    refused::<ScoringRun>(&backfill("2026-01-01T00:00:00Z", "1h", json!({})), None, "start must be before");
    refused::<ScoringRun>(&backfill("2026-01-02T00:00:00Z", "0s", json!({})), None, "longer than 0s");
    accepted::<ScoringRun>(&backfill("2026-01-02T00:00:00.000Z", "1h", json!({})), None);
    for end in ["2026-01-01T00:00:00.5Z", "2026-01-02T00:00:00.001Z"] {
        refused::<ScoringRun>(&backfill(end, "1h", json!({})), None, "whole seconds");
    }
    let tick = json!({"tick": "2026-01-01T00:00:00Z"});
    refused::<ScoringRun>(&backfill("2026-01-02T00:00:00Z", "1h", tick), None, "windows of its own");
    let mut long = backfill("2026-01-02T00:00:00Z", "1h", json!({}));
    long["metadata"]["name"] = "a".repeat(49).into();
    refused::<ScoringRun>(&long, None, "at most 48 characters");
}

#[test]
fn a_window_that_ends_before_it_starts_is_refused() {
    let window = json!({"window": {"start": "2026-01-01T01:00:00Z", "end": "2026-01-01T00:00:00Z"}});
    refused::<ScoringRun>(&run(&window), None, "window.start must be before window.end");
}

#[test]
fn a_schedules_name_leaves_room_for_its_runs_names() {
    accepted::<ScoringSchedule>(&schedule(&"a".repeat(44), &json!({})), None);
    refused::<ScoringSchedule>(&schedule(&"a".repeat(45), &json!({})), None, "at most 44 characters");
    refused::<ScoringSchedule>(&schedule("a.b", &json!({})), None, "DNS label");
}

#[test]
fn sensors_are_a_list_or_a_matrix() {
    let (list, matrix) = (json!([{"device": "1"}]), json!({"device": ["1", "2"]}));
    accepted::<ScoringSchedule>(&schedule("s", &json!({"sensors": {"list": list}})), None);
    accepted::<ScoringSchedule>(&schedule("s", &json!({"sensors": {"matrix": matrix}})), None);
    for sensors in [json!({}), json!({"list": list, "matrix": matrix})] {
        refused::<ScoringSchedule>(&schedule("s", &json!({ "sensors": sensors })), None, "either list or matrix");
    }
}

#[test]
fn readings_are_in_files_or_in_a_database() {
    let sql = json!({"secretRef": {"name": "db"}, "query": "SELECT 1", "parameters": ["{device}"]});
    accepted::<ScoringSchedule>(&schedule("s", &json!({"data": {"sql": sql}})), None);
    for data in [json!({}), json!({"path": "d.csv", "sql": sql})] {
        refused::<ScoringSchedule>(&schedule("s", &json!({ "data": data })), None, "either path or sql");
    }
}

#[test]
fn readings_are_complete_by_watermarks_or_by_markers() {
    let of = |complete: Value| schedule("s", &json!({"data": {"path": "d.csv", "complete": complete}}));
    accepted::<ScoringSchedule>(&of(json!({"watermark": "data/_watermarks"})), None);
    accepted::<ScoringSchedule>(
        &of(json!({"marker": "d/{yyyy}/_SUCCESS", "waitUpTo": "5m", "onTimeout": "Fail"})),
        None,
    );
    for complete in [json!({"waitUpTo": "5m"}), json!({"watermark": "w", "marker": "{yyyy}/m"})] {
        refused::<ScoringSchedule>(&of(complete), None, "either watermark or marker");
    }
}

#[test]
fn a_command_needs_an_image_and_what_belongs_to_it_needs_a_command() {
    let of = |scorer: Value| schedule("s", &json!({ "scorer": scorer }));
    accepted::<ScoringSchedule>(&of(json!({"image": "own:1", "command": ["predict"]})), None);
    let whole = json!({"image": "own:1", "command": ["predict"], "args": ["{device}"], "perItem": true, "input": "Files",
        "terminationGracePeriodSeconds": 60, "timeoutSeconds": 600});
    accepted::<ScoringSchedule>(&of(whole), None);
    refused::<ScoringSchedule>(&of(json!({"command": ["predict"]})), None, "name it with scorer.image");
    for field in
        [json!({"args": []}), json!({"perItem": false}), json!({"input": "Rows"}), json!({"timeoutSeconds": 5})]
    {
        refused::<ScoringSchedule>(&of(field), None, "belong to scorer.command");
    }
    accepted::<ScoringSchedule>(&of(json!({"terminationGracePeriodSeconds": 60})), None);
}

#[test]
fn lengths_of_nothing_are_refused() {
    refused::<ScoringSchedule>(&schedule("s", &json!({"window": {"length": "0s"}})), None, "longer than 0s");
    refused::<ScoringSchedule>(&schedule("s", &json!({"deadline": "0m"})), None, "longer than 0s");
    accepted::<ScoringSchedule>(&schedule("s", &json!({"window": {"length": "1h"}, "deadline": "10m"})), None);
}

#[test]
fn what_a_run_leaves_is_kept_for_a_day_at_least() {
    let of = |retention: Value| schedule("s", &json!({ "retention": retention }));
    accepted::<ScoringSchedule>(&of(json!({})), None);
    accepted::<ScoringSchedule>(&of(json!({"runs": "90d", "logs": "24h", "predictions": "1d12h"})), None);
    accepted::<ScoringSchedule>(&of(json!({"logs": "100h", "runs": "010d"})), None);
    accepted::<ScoringSchedule>(&of(json!({"runs": "1440m", "logs": "23h60m", "predictions": "0d24h"})), None);
    accepted::<ScoringSchedule>(&of(json!({"runs": "86400s", "logs": "99999999h"})), None);
    for (field, short) in
        [("runs", "0d"), ("logs", "23h"), ("predictions", "90s"), ("logs", "0d20h"), ("logs", "1439m")]
    {
        let sentence = format!("retention.{field} must be at least 1d");
        refused::<ScoringSchedule>(&of(json!({ field: short })), None, &sentence);
    }
}

#[test]
fn a_window_may_reach_from_tick_to_tick() {
    accepted::<ScoringSchedule>(&schedule("s", &json!({"window": {}})), None);
    accepted::<ScoringSchedule>(&schedule("s", &json!({"window": {"delay": "5m"}})), None);
}

#[test]
fn a_limit_is_for_catching_up_all() {
    let of = |catch_up: Value| schedule("s", &json!({ "catchUp": catch_up }));
    accepted::<ScoringSchedule>(&of(json!({"policy": "None"})), None);
    accepted::<ScoringSchedule>(&of(json!({"policy": "Latest"})), None);
    accepted::<ScoringSchedule>(&of(json!({"policy": "All", "limit": 24})), None);
    refused::<ScoringSchedule>(&of(json!({"policy": "Latest", "limit": 2})), None, "leave it out with None and Latest");
}

#[test]
fn how_to_train_is_for_schedules_that_train() {
    let of = |training: Value| schedule("s", &json!({"task": "Train", "training": training}));
    let whole = |patch: Value| {
        let mut training = json!({"nu": 0.1, "margin": 0.5, "holdOut": "20%"});
        merge(&mut training, &patch);
        of(training)
    };
    accepted::<ScoringSchedule>(&schedule("s", &json!({"task": "Train"})), None);
    accepted::<ScoringSchedule>(&whole(json!({})), None);
    accepted::<ScoringSchedule>(&whole(json!({"gamma": 0.25, "nu": 1.0, "margin": 0.0, "holdOut": "50%"})), None);
    for (patch, sentence) in [
        (json!({"nu": 0.0}), "nu is a number above 0"),
        (json!({"gamma": 0.0}), "gamma is a number above 0"),
        (json!({"margin": 1.0}), "margin is a number from 0"),
        (json!({"holdOut": "0%"}), "a share from 1% to 50%"),
        (json!({"holdOut": 20}), "a share from 1% to 50%"),
    ] {
        refused::<ScoringSchedule>(&whole(patch), None, sentence);
    }
    refused::<ScoringSchedule>(&schedule("s", &json!({"training": {"nu": 0.1}})), None, "or write task: Train");
    let version = |version: &str| json!({"model": {"path": "m/{tag}", "version": version}});
    accepted::<ScoringSchedule>(&schedule("s", &version("20260101T020000Z")), None);
    refused::<ScoringSchedule>(&schedule("s", &version("../m")), None, "a version is named by letters, digits");
    let challenger = json!({"model": {"path": "m/{tag}", "challenger": {"version": "v2"}}});
    accepted::<ScoringSchedule>(&schedule("s", &challenger), None);
    for mut train in [version("v1"), challenger] {
        merge(&mut train, &json!({"task": "Train"}));
        refused::<ScoringSchedule>(&schedule("s", &train), None, "or write task: Score");
    }
}

#[test]
fn an_image_has_a_name_without_spaces() {
    let of = |image: &str| schedule("s", &json!({"scorer": {"image": image}}));
    accepted::<ScoringSchedule>(&of("registry.example/team/scorer:1.0@sha256:00"), None);
    for image in ["", " scorer:1", "scorer:1\n"] {
        refused::<ScoringSchedule>(&of(image), None, "without spaces");
    }
}

#[test]
fn max_failed_sensors_is_a_number_or_a_percentage() {
    for good in [json!(0), json!(5), json!("0%"), json!("10%"), json!("100%")] {
        accepted::<ScoringSchedule>(&schedule("s", &json!({ "maxFailedSensors": good })), None);
    }
    for bad in [json!(-1), json!("101%"), json!("many")] {
        refused::<ScoringSchedule>(
            &schedule("s", &json!({ "maxFailedSensors": bad })),
            None,
            "it must be a number such as 5",
        );
        let data = json!({"path": "data/d.csv", "maxBadRows": bad});
        refused::<ScoringSchedule>(&schedule("s", &json!({ "data": data })), None, "it must be a number such as 5");
    }
}

#[test]
fn a_pool_is_not_smaller_than_its_minimum_and_its_capacity_is_in_quantities() {
    refused::<ScoringCluster>(&cluster(&json!({"minNodes": 4})), None, "minNodes must not be greater");
    accepted::<ScoringCluster>(&cluster(&json!({"nodeCapacity": {"cpu": "3800m", "memory": "12Gi"}})), None);
    refused::<ScoringCluster>(&cluster(&json!({"nodeCapacity": {"cpu": "much"}})), None, "are quantities");
    refused::<ScoringCluster>(&cluster(&json!({"nodeCapacity": {"cpu": "-1"}})), None, "not negative");
    accepted::<ScoringCluster>(&cluster(&json!({"nodeCapacity": {"nvidia.com/gpu": "0"}})), None);
}

#[test]
fn money_is_a_decimal_in_quotes_or_a_whole_number_and_a_budget_needs_a_price() {
    for amount in [json!("0.192"), json!(2), json!("0"), json!("250.50")] {
        let priced = json!({"price": {"nodeHour": amount, "currency": "EUR"}, "budget": {"month": amount}});
        accepted::<ScoringCluster>(&cluster(&priced), None);
    }
    for amount in [json!("-1"), json!(-1), json!("1e3"), json!("NaN"), json!("1,5"), json!("0.0000001"), json!("")] {
        let priced = json!({"price": {"nodeHour": amount}});
        refused::<ScoringCluster>(&cluster(&priced), None, "it must be a decimal in quotes");
    }
    refused::<ScoringCluster>(&cluster(&json!({"budget": {"month": 5}})), None, "budget needs price.nodeHour");
}

#[test]
fn nodes_come_before_their_tick_by_a_word_or_a_duration() {
    for prewarm in ["Auto", "Off", "5m"] {
        accepted::<ScoringCluster>(&cluster(&json!({"prewarm": prewarm})), None);
    }
    accepted::<ScoringCluster>(&cluster(&json!({"scaleDown": {"policy": "BreakEven"}})), None);
}

#[test]
fn a_pool_is_an_agent_pool_or_nodes_of_somebody_else() {
    let of = |pool: Value| cluster(&json!({ "nodePool": pool }));
    let external = json!({"nodeSelector": {"karpenter.sh/nodepool": "scoring"}});
    accepted::<ScoringCluster>(&of(json!({ "external": external })), None);
    for pool in [json!({}), json!({"aks": {"agentPool": "scoring"}, "external": external})] {
        refused::<ScoringCluster>(&of(pool), None, "nodePool is either aks or external");
    }
    let one_at_least = cluster(&json!({"nodePool": {"external": external}, "minNodes": 1}));
    refused::<ScoringCluster>(&one_at_least, None, "minNodes is for nodePool.aks");
    let other = of(json!({"external": {"nodeSelector": {"team": "plant"}}}));
    refused::<ScoringCluster>(&other, Some(&of(json!({ "external": external }))), "nodePool is fixed once created");
}

#[test]
fn a_cluster_keeps_its_agent_pool_and_may_be_changed_otherwise() {
    let of = |pool: &str, most: u32| cluster(&json!({"maxNodes": most, "nodePool": {"aks": {"agentPool": pool}}}));
    accepted::<ScoringCluster>(&of("spot", 9), Some(&of("spot", 3)));
    refused::<ScoringCluster>(&of("other", 3), Some(&of("spot", 3)), "nodePool is fixed once created");
}

#[test]
fn how_long_a_node_stays_idle_is_said_with_the_policy_that_uses_it() {
    for scale_down in
        [json!({}), json!({"after": "5m"}), json!({"policy": "After", "after": "5m"}), json!({"policy": "Never"})]
    {
        accepted::<ScoringCluster>(&cluster(&json!({"scaleDown": scale_down})), None);
    }
    let both = json!({"scaleDown": {"policy": "BreakEven", "after": "5m"}});
    refused::<ScoringCluster>(&cluster(&both), None, "leave it out, or set policy: After");
}
