//! Wrong manifests: what the API server can decide it refuses; of the rest the schedule itself tells. Either way the
//! answer says what to do, and nobody else's schedule suffers.

use anyhow::{Context, Result, ensure};
use crds::{ScoringCluster, ScoringSchedule};
use kube::Api;
use serde_json::{Value, json};

use crate::cluster::{Cluster, Shared, tell, until};
use crate::inputs::sensor;
use crate::manifests;

const NAMESPACE: &str = "e2e-wrong";

/// What is wrong, the path of the field, the wrong value, and a word that a good answer holds.
type Case = (&'static str, &'static str, Value, &'static str);

fn cases() -> Vec<Case> {
    vec![
        ("a name that is too long for its children", "/metadata/name", json!("s".repeat(45)), "44"),
        ("a minute that no hour has", "/spec/schedule", json!("61 * * * *"), "schedule"),
        ("words instead of cron", "/spec/schedule", json!("every morning"), "schedule"),
        ("a day that no year has", "/spec/schedule", json!("0 0 31 2 *"), "schedule"),
        ("a time zone that is not on Earth", "/spec/timeZone", json!("Mars/Olympus"), "Mars/Olympus"),
        ("a brace without its partner", "/spec/model/path", json!("models/model_{device"), "spec.model.path"),
        ("a path out of the store", "/spec/model/path", json!("../model_{device}"), "spec.model.path"),
        ("two keys with nothing between them", "/spec/model/path", json!("models/{device}{tag}"), "between"),
        ("a key in capitals", "/spec/data/path", json!("data/{Device}.csv"), "spec.data.path: {Device}"),
        ("a window without unit", "/spec/window", json!({"length": "5"}), "length"),
        ("a window of no length", "/spec/window", json!({"length": "0s"}), "longer than 0s"),
        ("a window longer than time", "/spec/window", json!({"length": "99999999999999999999s"}), "spec.window.length"),
        ("an empty duration", "/spec/deadline", json!(""), "deadline"),
        ("no sensor in a pod", "/spec/packing", json!({"sensorsPerPod": 0}), "sensorsPerPod"),
        ("a field that does not exist", "/spec/modle", json!("x"), "modle"),
        ("an unknown policy", "/spec/concurrencyPolicy", json!("Sometimes"), "Sometimes"),
        (
            "sensors both listed and as a matrix",
            "/spec/sensors",
            json!({"list": [], "matrix": {"device": ["1"]}}),
            "list",
        ),
        ("a store that is no URL", "/spec/store/url", json!("my account"), "url"),
        ("half of the sensors and a bit", "/spec/maxFailedSensors", json!("150%"), "maxFailedSensors"),
        ("a sensor twice", "/spec/sensors", json!({"list": [sensor(1, 1), sensor(1, 1)]}), "DuplicateSensor"),
        ("a model of nobody", "/spec/model/path", json!("models/one"), "NoKey"),
        ("no time to start in", "/spec/startingDeadlineSeconds", json!(0), "greater than or equal to 1"),
        ("a Secret with capitals", "/spec/store/secretRef", json!({"name": "Key"}), "store.secretRef.name"),
        ("a cluster that does not exist", "/spec/clusterRef/name", json!("nowhere"), "nowhere"),
    ]
}

/// What would make no valid pod: the field of the scorer, its wrong value, and a word that a good answer holds.
fn of_pods() -> Vec<Case> {
    let variable = |name: &str, more: Value| {
        let mut variable = json!({"name": name, "value": "1"});
        if !more.is_null() {
            variable["valueFrom"] = more;
        }
        json!([variable])
    };
    let full = json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}});
    let field = json!({"fieldRef": {"fieldPath": "metadata.name"}});
    let cases = [
        ("a request above its limit", "resources", full, "scorer.resources: cpu"),
        ("a negative request", "resources", json!({"requests": {"memory": "-1Gi"}}), "scorer.resources"),
        ("a resource of no domain", "resources", json!({"limits": {"gpu": "1"}}), "scorer.resources"),
        ("a variable with a = in its name", "env", variable("A=B", Value::Null), "scorer.env[0].name"),
        ("a variable with two values", "env", variable("A", field), "scorer.env[0].valueFrom"),
        ("a variable of the operator's", "env", variable("POD_UID", Value::Null), "ReservedName"),
        ("a label with a space", "labels", json!({"team": "line one"}), "scorer.labels"),
        ("a ServiceAccount with capitals", "serviceAccountName", json!("Scorer"), "scorer.serviceAccountName"),
        ("an image with a space", "image", json!(" scorer:1"), "scorer.image"),
    ];
    cases.map(|(what, field, value, word)| (what, "/spec/scorer", json!({ field: value }), word)).to_vec()
}

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let mut complaints = Vec::new();
    for (number, (what, path, value, word)) in cases().into_iter().chain(of_pods()).enumerate() {
        let name = format!("wrong-{number}");
        let mut manifest = cluster.schedule(NAMESPACE, &name, "0 0 1 1 *");
        set(&mut manifest, path, value)?;
        match answer(&cluster, &manifest).await {
            Ok(answer) if answer.to_lowercase().contains(&word.to_lowercase()) => tell(&format!("{what}: {answer}")),
            Ok(answer) => complaints.push(format!("{what}: the answer holds no {word:?}: {answer}")),
            Err(error) => complaints.push(format!("{what}: {error:#}")),
        }
    }
    complaints.extend(cluster_cases(&cluster).await);
    complaints.extend(runs_are_fixed(&cluster).await.err().map(|error| format!("{error:#}")));
    ensure!(
        complaints.is_empty(),
        "{} wrong manifests had no good answer:\n  {}",
        complaints.len(),
        complaints.join("\n  ")
    );
    // Among all these, a right one is told so.
    let good = cluster.schedule(NAMESPACE, "right", "0 0 1 1 *");
    cluster.apply(&good).await?;
    valid(&cluster, "right", "True").await.context("a right schedule among wrong ones")?;
    cluster.delete_namespace(NAMESPACE).await
}

/// The refusal, or what the schedule's `Valid` condition says once it is False.
async fn answer(cluster: &Cluster, manifest: &Value) -> Result<String> {
    match cluster.apply(manifest).await {
        Err(refusal) => {
            let text = format!("{refusal:#}");
            ensure!(text.contains("is invalid") || text.contains("BadRequest") || text.contains("unknown field"), text);
            Ok(text.split_once(": ").map_or(text.clone(), |(_, said)| format!("refused: {said}")))
        }
        Ok(()) => {
            let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
            valid(cluster, name, "False").await
        }
    }
}

async fn valid(cluster: &Cluster, name: &str, status: &str) -> Result<String> {
    // As text: a value that our own types refuse must not hide the answer.
    let schedules: Api<kube::api::DynamicObject> =
        Api::namespaced_with(cluster.client.clone(), NAMESPACE, &kube::api::ApiResource::erase::<ScoringSchedule>(&()));
    until(&format!("schedule {name} to be Valid={status}"), 15, async || {
        let schedule = schedules.get(name).await?;
        let conditions = schedule.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let is = |condition: &&Value| condition["type"] == "Valid" && condition["status"] == status;
        Ok(conditions.iter().find(is).map(|c| format!("Valid={status}, {}: {}", c["reason"], c["message"])))
    })
    .await
}

/// The same for ScoringClusters: all of these are for the API server to refuse.
async fn cluster_cases(cluster: &Cluster) -> Vec<String> {
    let cases: [Case; 5] = [
        ("more nodes at least than at most", "/spec/minNodes", json!(4), "minNodes"),
        ("no pool", "/spec/nodePool", json!({}), "aks"),
        ("a pool's name that Azure does not have", "/spec/nodePool/aks/agentPool", json!("Scoring_Pool"), "agentPool"),
        ("no number of nodes", "/spec/maxNodes", json!("three"), "maxNodes"),
        ("a quantity that is none", "/spec/nodeCapacity", json!({"cpu": "much"}), "quantities"),
    ];
    let clusters: Api<ScoringCluster> = Api::all(cluster.client.clone());
    let mut complaints = Vec::new();
    for (what, path, value, word) in cases {
        let mut manifest = manifests::cluster(&cluster.facts, "wrong", "3s");
        if let Err(error) = set(&mut manifest, path, value) {
            complaints.push(format!("{what}: {error:#}"));
            continue;
        }
        match cluster.apply(&manifest).await {
            Err(refusal) if format!("{refusal:#}").contains(word) => {}
            Err(refusal) => complaints.push(format!("{what}: the refusal holds no {word:?}: {refusal:#}")),
            Ok(()) => {
                complaints.push(format!("{what}: not refused"));
                let _ = clusters.delete("wrong", &kube::api::DeleteParams::default()).await;
            }
        }
    }
    complaints
}

/// A run is what it was made for; all that can change is `cancel`, once.
async fn runs_are_fixed(cluster: &Cluster) -> Result<()> {
    let idle = cluster.schedule(NAMESPACE, "idle", "0 0 1 1 *");
    let idle = manifests::with_sensors(idle, &[sensor(1, 1)]);
    cluster.apply(&idle).await?;
    let mut run = manifests::run_now(NAMESPACE, "fixed", "idle");
    run["spec"]["cancel"] = json!(true);
    cluster.kubectl_with(&["create", "-f", "-"], &run).await.context("make a run that is cancelled from the start")?;
    for (patch, word) in
        [(json!({"spec": {"cancel": false}}), "taken back"), (json!({"spec": {"scheduleName": "x"}}), "fixed")]
    {
        let patch = patch.to_string();
        let patched =
            cluster.kubectl(&["patch", "scoringrun", "fixed", "-n", NAMESPACE, "--type=merge", "-p", &patch]).await;
        let refusal = patched.err().with_context(|| format!("{patch} was not refused"))?;
        ensure!(format!("{refusal:#}").contains(word), "{patch}: {refusal:#}");
    }
    Ok(())
}

/// Sets a field by its JSON pointer; the parent must be there.
fn set(manifest: &mut Value, path: &str, value: Value) -> Result<()> {
    let (parent, field) = path.rsplit_once('/').context("a pointer has a slash")?;
    let parent = manifest.pointer_mut(parent).with_context(|| format!("no {parent} in the manifest"))?;
    parent[field] = value;
    Ok(())
}
