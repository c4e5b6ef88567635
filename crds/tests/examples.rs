//! Every manifest in examples/ is what its custom resource takes: nothing misspelt is silently dropped.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use crds::{ScoringCluster, ScoringRun, ScoringSchedule};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

fn read<K: Serialize + DeserializeOwned>(text: &str) -> Value {
    serde_json::to_value(serde_saphyr::from_str::<K>(text).unwrap()).unwrap()
}

/// Whether all that is written is kept, wherever defaults were added.
fn keeps(read: &Value, written: &Value) -> bool {
    match (read, written) {
        (Value::Object(read), Value::Object(written)) => {
            written.iter().all(|(key, value)| read.get(key).is_some_and(|kept| keeps(kept, value)))
        }
        (read, written) => read == written,
    }
}

/// The manifests below a folder.
fn manifests(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { manifests(&path) } else { vec![path] };
    paths.flat_map(below).filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).collect()
}

#[test]
fn the_examples_are_read_whole() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut seen = 0;
    for path in manifests(&folder) {
        let text = std::fs::read_to_string(&path).unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        // Autoscalers have kinds of others.
        let is_ours = |document: &Value| document["apiVersion"].as_str().unwrap().starts_with("batchscoring.dev/");
        if !documents.iter().any(is_ours) {
            continue;
        }
        let [written] = &documents[..] else { panic!("{}: {} documents", path.display(), documents.len()) };
        let read = match written["kind"].as_str().unwrap() {
            "ScoringCluster" => read::<ScoringCluster>(&text),
            "ScoringSchedule" => read::<ScoringSchedule>(&text),
            "ScoringRun" => read::<ScoringRun>(&text),
            other => panic!("{}: {other}", path.display()),
        };
        assert!(keeps(&read, written), "{} loses something:\n{written:#}\n{read:#}", path.display());
        seen += 1;
    }
    assert!(seen >= 3, "{seen} examples");
}
