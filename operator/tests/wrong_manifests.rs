//! Wrong schedules, and what tells their authors so: the API server at `kubectl apply`, by the rules of the CRD, or the
//! schedule's condition `Valid`, with a reason of its own. Either way the sentence names the field and what is right.
//!
//! What only the API server can say of a pod, such as the characters of a label, is in the end-to-end tests.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use crds::{ScoringCluster, ScoringSchedule};
use kube::CustomResourceExt;
use kube::core::cel::Validator;
use operator::guard::Guard;
use operator::schedule::validate::{Cluster, check};
use serde_json::{Value, json};

/// Who tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// `kubectl apply` fails.
    Apply,
    /// `Valid=False` with this reason.
    Valid(&'static str),
}
use By::{Apply, Valid};

/// What is wrong, the field, its wrong value, who tells, and two words of the sentence: where, and what is right.
type Case = (&'static str, &'static str, Value, By, [&'static str; 2]);

fn of_ticks() -> Vec<Case> {
    vec![
        ("words for cron", "schedule", json!("every hour"), Valid("InvalidSchedule"), ["schedule", "five fields"]),
        ("a minute too many", "schedule", json!("61 * * * *"), Valid("InvalidSchedule"), ["schedule", "five fields"]),
        ("seconds", "schedule", json!("0 0 * * * *"), Valid("InvalidSchedule"), ["schedule", "five fields"]),
        ("31 February", "schedule", json!("0 0 31 2 *"), Valid("NeverDue"), ["schedule", "no day of the calendar"]),
        ("Mars", "timeZone", json!("Mars/Olympus"), Valid("InvalidTimeZone"), ["timeZone", "Europe/Berlin"]),
        ("no unit", "jitter", json!("5"), Valid("InvalidSpec"), ["spec.jitter", "such as 90s"]),
        ("no time to run", "deadline", json!("0s"), Apply, ["deadline", "longer than 0s"]),
        (
            "a limit of one",
            "catchUp",
            json!({"policy": "Latest", "limit": 2}),
            Apply,
            ["catchUp.limit", "leave it out"],
        ),
    ]
}

fn of_sensors() -> Vec<Case> {
    let (list, matrix) = (|all: Value| json!({ "list": all }), |all: Value| json!({ "matrix": all }));
    let twice = list(json!([{"device": "1", "tag": "1"}, {"tag": "1", "device": "1"}]));
    let odd = list(json!([{"device": "1", "tag": "1"}, {"device": "1"}]));
    let too_many: Vec<Value> = (0..1_001).map(|n| json!({"device": n.to_string(), "tag": "1"})).collect();
    let values: Vec<String> = (0..1_001).map(|n| n.to_string()).collect();
    vec![
        ("a sensor twice", "sensors", twice, Valid("DuplicateSensor"), ["sensors.list", "name each once"]),
        (
            "a value twice",
            "sensors",
            matrix(json!({"device": ["1", "1"], "tag": ["1"]})),
            Valid("DuplicateSensor"),
            ["sensors.matrix", "write each once"],
        ),
        ("other keys", "sensors", odd, Valid("InvalidSensors"), ["sensors.list", "than the first one (device, tag)"]),
        ("none", "sensors", list(json!([])), Valid("InvalidSensors"), ["sensors.list", "name at least one"]),
        ("neither", "sensors", json!({}), Apply, ["sensors", "either list or matrix"]),
        ("both", "sensors", json!({"list": [], "matrix": {}}), Apply, ["sensors", "either list or matrix"]),
        ("too many", "sensors", list(json!(too_many)), Valid("TooManySensors"), ["sensors.list", "use sensors.matrix"]),
        (
            "a million and more",
            "sensors",
            matrix(json!({"device": values, "tag": values})),
            Valid("TooManySensors"),
            ["sensors.matrix", "several schedules"],
        ),
        (
            "a slash",
            "sensors",
            list(json!([{"device": "a/b", "tag": "1"}])),
            Valid("InvalidSensors"),
            ["sensors.list", "without /"],
        ),
    ]
}

fn of_paths() -> Vec<Case> {
    let model = |path: &str| json!({ "path": path });
    vec![
        ("no key", "model", model("models/one"), Valid("NoKey"), ["model.path", "put keys in braces"]),
        ("half a brace", "model", model("m/{device"), Valid("InvalidSpec"), ["spec.model.path", "write a key as"]),
        ("a path out of the store", "model", model("../{device}"), Valid("InvalidSpec"), ["spec.model.path", ".."]),
        (
            "a key of nobody",
            "data",
            json!({"path": "d/{plant}.csv"}),
            Valid("InvalidData"),
            ["data.path", "device, tag"],
        ),
        (
            "a delimiter of two",
            "data",
            json!({"path": "d.csv", "delimiter": "ab"}),
            Valid("InvalidData"),
            ["data.delimiter", "write ;"],
        ),
        ("no URL", "store", json!({"url": "my account"}), Valid("InvalidStoreUrl"), ["store.url", "https://"]),
        (
            "a Secret in capitals",
            "store",
            json!({"url": "az://models", "secretRef": {"name": "Key"}}),
            Valid("InvalidSecretName"),
            ["store.secretRef.name", "a-z"],
        ),
        (
            "a folder out of the store",
            "predictions",
            json!({"path": "../out"}),
            Valid("InvalidPredictions"),
            ["predictions.path", "write it as predictions"],
        ),
        ("a window of nothing", "window", json!({"length": "0s"}), Apply, ["window.length", "longer than 0s"]),
        (
            "a window of ages",
            "window",
            json!({"length": "99999999d"}),
            Valid("InvalidWindow"),
            ["window.length", "write such as 1h"],
        ),
    ]
}

fn of_limits_and_pods() -> Vec<Case> {
    let resources =
        |request: &str, limit: &str| json!({"resources": {"requests": {"cpu": request}, "limits": {"cpu": limit}}});
    let env = |name: &str| json!({"env": [{"name": name, "value": "1"}]});
    let labels = json!({"labels": {"batchscoring.dev/run": "mine"}});
    let failed = "maxFailedSensors";
    vec![
        ("more than all", failed, json!("101%"), Apply, [failed, "from 0% to 100%"]),
        ("less than none", failed, json!(-1), Apply, [failed, "a number such as 5"]),
        ("no number", failed, json!("many"), Apply, [failed, "a number such as 5"]),
        (
            "a full pod",
            "scorer",
            resources("2", "1"),
            Valid("InvalidResources"),
            ["scorer.resources: cpu", "raise the"],
        ),
        ("no amount", "scorer", resources("a lot", "1"), Valid("InvalidResources"), ["scorer.resources", "a lot"]),
        (
            "our volume",
            "scorer",
            json!({"volumes": [{"name": "store", "emptyDir": {}}]}),
            Valid("ReservedName"),
            ["scorer.volumes: the name store", "take another"],
        ),
        (
            "a mount over ours",
            "scorer",
            json!({"volumes": [{"name": "plant", "emptyDir": {}}], "volumeMounts": [{"name": "plant", "mountPath": "/etc"}]}),
            Valid("ReservedName"),
            ["scorer.volumeMounts[0].mountPath: /etc", "/mnt/store"],
        ),
        ("our environment", "scorer", env("POD_UID"), Valid("ReservedName"), ["scorer.env: POD_UID", "leave it out"]),
        (
            "our labels",
            "scorer",
            labels,
            Valid("ReservedName"),
            ["scorer.labels: batchscoring.dev/run", "leave it out"],
        ),
        ("no image", "scorer", json!({"image": " "}), Apply, ["scorer.image", "without spaces"]),
        ("no pool", "clusterRef", json!({"name": "gpu"}), Valid("ClusterNotFound"), ["clusterRef", "name another"]),
    ]
}

/// The schedule with the wrong value; with `*` for all fields of the value.
fn schedule(field: &str, value: &Value) -> Value {
    let mut spec = json!({
        "clusterRef": {"name": "cpu"}, "schedule": "@hourly", "store": {"url": "az://models"},
        "model": {"path": "models/model_{device}_{tag}"}, "data": {"path": "data/sensor_data.csv"},
    });
    match field {
        "*" => value.as_object().unwrap().iter().for_each(|(field, value)| spec[field] = value.clone()),
        field => spec[field] = value.clone(),
    }
    json!({"apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringSchedule", "metadata": {"name": "s"}, "spec": spec})
}

/// What the API server says at `kubectl apply`, by the rules of the CRD.
fn refusal(object: &Value) -> Option<String> {
    let crd = ScoringSchedule::crd();
    let schema = crd.spec.versions[0].schema.as_ref().and_then(|s| s.open_api_v3_schema.as_ref()).unwrap();
    let schema = serde_json::to_value(schema).unwrap();
    Validator::new().validate(&schema, object, None).err().map(|errors| errors.to_string())
}

/// What the operator says of what the API server took.
fn invalid(object: &Value) -> Option<(&'static str, String)> {
    let guard: Guard<ScoringSchedule> = serde_json::from_value(object.clone()).unwrap();
    let schedule = match guard.0 {
        Ok(schedule) => schedule,
        Err(broken) => return Some(("InvalidSpec", broken.to_string())),
    };
    let cluster: ScoringCluster = serde_json::from_value(json!({
        "apiVersion": "batchscoring.dev/v1alpha1", "kind": "ScoringCluster", "metadata": {"name": "cpu"},
        "spec": {"maxNodes": 3, "nodePool": {"aks": {
            "subscriptionId": "", "resourceGroup": "g", "clusterName": "c", "agentPool": "p"}}},
    }))
    .unwrap();
    let known = schedule.spec.cluster_ref.name == "cpu";
    let cluster = if known { Cluster::Known(&cluster) } else { Cluster::Unknown };
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let checked = check(&schedule.spec, cluster, "plant", &BTreeMap::new(), now);
    checked.err().map(|error| (error.reason(), error.to_string()))
}

#[test]
fn each_wrong_manifest_is_told_where_it_is_wrong_and_what_is_right() {
    let all = [of_ticks(), of_sensors(), of_paths(), of_limits_and_pods()].concat();
    let mut complaints = Vec::new();
    for (what, field, value, by, words) in all {
        let object = schedule(field, &value);
        let (told_by, sentence) = match (refusal(&object), invalid(&object)) {
            (Some(sentence), _) => (Some(Apply), sentence),
            (None, Some((reason, sentence))) => (Some(Valid(reason)), sentence),
            (None, None) => (None, String::new()),
        };
        if told_by != Some(by) || !words.iter().all(|word| sentence.contains(word)) {
            complaints.push(format!("{what}: expected {by:?} with {words:?}, but {told_by:?} says: {sentence}"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn a_right_manifest_is_told_nothing() {
    let object = schedule("jitter", &json!("5m"));
    assert_eq!((refusal(&object), invalid(&object)), (None, None));
}
