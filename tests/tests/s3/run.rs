//! A whole run in a bucket leaves what it leaves in a folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use local_aks::images::{self, Platform};
use serde_json::Value;
use store::{Credentials, Store};
use tests::blobs::files_below;
use tests::control_plane::workspace;
use tests::local::tell;
use tokio::process::Command;

use super::gateway;

const MANIFEST: &str = r#"
apiVersion: batchscoring.dev/v1alpha1
kind: ScoringSchedule
metadata: {name: plant}
spec:
  clusterRef: {name: none}
  schedule: "@hourly"
  store: {url: STORE}
  model: {path: "models/model_{device}_{tag}"}
  data: {path: data/sensor_data.csv}
  window: {length: 1h}
  packing: {sensorsPerPod: 3}
"#;

/// Simulates a plant, trains on it and scores it, all in a store.
async fn run(scorer: &Path, store: &str, environment: &[(&str, &str)], folder: &Path) {
    let manifest = folder.join("schedule.yaml");
    std::fs::write(&manifest, MANIFEST.replace("STORE", store)).unwrap();
    let ask = async |args: &[&str]| {
        let mut ask = Command::new(scorer);
        ask.args(args).envs(environment.iter().copied()).stdin(Stdio::null());
        let done = ask.output().await.unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        let said = [done.stdout, done.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let secret = environment.iter().find(|(name, _)| *name == "AWS_SECRET_ACCESS_KEY");
        assert!(secret.is_none_or(|(_, secret)| !said.contains(secret)), "the key is in what was said");
    };
    let start = "2026-01-01T00:00:00Z";
    ask(&[
        "simulate",
        "--store",
        store,
        "--devices",
        "2",
        "--tags",
        "3",
        "--start",
        start,
        "--length",
        "2h",
        "--seed",
        "5",
    ])
    .await;
    // One whose model is not there.
    ask(&["train", "--store", store, "--models", "models/model_{device}_{tag}"]).await;
    let get = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    let opened = Store::open(store, &Credentials::find(None, &get).unwrap()).unwrap();
    opened.put("models/model_1_none", "no model").await.unwrap();
    let manifest = manifest.to_str().unwrap();
    ask(&["run", "-f", manifest, "--at", "2026-01-01T02:00:00Z", "--output", "json"]).await;
}

/// The outcomes of the one run of a store, without what differs between any two runs.
fn outcomes(files: &BTreeMap<String, Vec<u8>>, store: &str) -> Vec<Value> {
    let record = files.iter().find(|(path, _)| path.ends_with("/record.json")).unwrap().1;
    let record = String::from_utf8(record.clone()).unwrap().replace(store, "STORE");
    let mut record: Value = serde_json::from_str(&record).unwrap();
    let outcomes = record["outcomes"].as_array_mut().unwrap();
    for outcome in outcomes.iter_mut() {
        let outcome = outcome.as_object_mut().unwrap();
        for own in ["started", "seconds", "log", "podUid"] {
            outcome.remove(own).unwrap();
        }
    }
    std::mem::take(outcomes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_a_bucket_leaves_the_predictions_and_outcomes_of_one_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = gateway(folder.path()).await else { return };
    let platform = Platform::here().unwrap();
    let built = images::build_for(&workspace(), &[platform], &["scorer"], "release", |line| tell("s3", line)).await;
    let built = built.unwrap();
    let scorer = built.scorer().unwrap();
    let plain = folder.path().join("plain");
    let stores = [format!("file://{}", plain.display()), "s3://plant/line-1".to_owned()];
    run(scorer, &stores[0], &[], folder.path()).await;
    run(scorer, &stores[1], &server.environment(), folder.path()).await;

    let (here, there) = (files_below(&plain).unwrap(), files_below(&server.folder("plant").join("line-1")).unwrap());
    let same = |start: &str| {
        let of = |files: &BTreeMap<String, Vec<u8>>| {
            let chosen = files.iter().filter(|(path, _)| path.starts_with(start) && !path.contains("/_"));
            chosen.map(|(path, bytes)| (path.clone(), bytes.clone())).collect::<BTreeMap<_, _>>()
        };
        let (here, there) = (of(&here), of(&there));
        assert!(!here.is_empty(), "nothing is below {start}");
        assert!(here.keys().eq(there.keys()), "{:?}\n{:?}", here.keys(), there.keys());
        assert!(here == there, "what is below {start} differs");
    };
    for start in ["data/", "models/", "predictions/"] {
        same(start);
    }
    let scored = outcomes(&here, &stores[0]);
    assert_eq!(scored.len(), 7);
    assert_eq!(scored, outcomes(&there, &stores[1]));
    let failed: Vec<_> = scored.iter().filter(|outcome| outcome["status"] == "Failed").collect();
    assert!(failed.len() == 1 && failed[0]["sensor"]["tag"] == "none", "{failed:?}");
    let done = |files: &BTreeMap<String, Vec<u8>>| files.keys().filter(|path| path.ends_with("/_SUCCESS")).count();
    assert_eq!((done(&here), done(&there)), (1, 1));
}
