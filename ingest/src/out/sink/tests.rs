use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use store::Credentials;

use super::*;
use crate::out::testing::{START, config, row, slice};
use crate::out::{Letter, Letters, Raw, Reason, Record};
use crate::window::Slice;

fn store(folder: &Path) -> Store {
    Store::open(&format!("file://{}", folder.display()), &Credentials::none()).unwrap()
}

/// All files below a folder, by their paths in it.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                    found.insert(name, std::fs::read_to_string(path).unwrap());
                }
            }
        }
    }
    found
}

fn batch() -> Batch {
    let record = Record { partition: 3, offset: 7, stamp: Some(START), key: None, value: Some(b"x") };
    let (mut letters, mut raw) = (Letters::default(), Raw::default());
    letters.push(&Letter { reason: Reason::Malformed, detail: "no JSON", index: 0, record });
    raw.push(&record);
    let minute = |at: i64| Slice { start: START + at * 60_000_000, rows: vec![row(60 * at, &["1", "a"], &[0.5])] };
    Batch {
        windows: Windows::Finished(vec![minute(0), slice(Vec::new()), minute(1)]),
        letters: letters.take(),
        raw: raw.take(),
    }
}

/// As its caller does it.
async fn write(sink: &Sink, batch: &Batch) -> Result<Written, SinkError> {
    let seen = sink.look(3, batch).await?;
    sink.write(3, batch, &seen).await
}

#[tokio::test]
async fn all_of_a_batch_is_in_the_store_and_written_again_it_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new(store(folder.path()), None, &config("archive: {path: \"raw/{yyyy}\"}\n"));
    let sink = Arc::new(sink);
    let task = Arc::clone(&sink);
    let written = tokio::spawn(async move { write(&task, &batch()).await }).await.unwrap().unwrap();
    let found = files(folder.path());
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    let expected = [
        "data/2026/01/01/00/20260101T000500-readings-0003.csv",
        "data/2026/01/01/00/20260101T000600-readings-0003.csv",
        "deadletter/2026/01/01/00/readings-0003-00000000000000000007.jsonl",
        "raw/2026/readings-0003-00000000000000000007.jsonl",
    ];
    assert_eq!(names, expected);
    assert_eq!(found[expected[0]], "TS,Device,Tag,avg\n2026-01-01T00:05:00Z,1,a,0.5\n");
    let bytes = found.values().map(|file| file.len() as u64).sum();
    assert_eq!(written, Written { files: 4, bytes, rows: 2 });
    assert_eq!(write(&sink, &batch()).await.unwrap(), written);
    assert_eq!(files(folder.path()), found);
}

#[tokio::test]
async fn a_batch_of_nothing_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new(store(folder.path()), None, &config(""));
    assert_eq!(write(&sink, &Batch::default()).await.unwrap(), Written::default());
    assert!(files(folder.path()).is_empty());
}

#[tokio::test]
async fn a_store_that_refuses_is_told_by_its_category() {
    let folder = tempfile::tempdir().unwrap();
    // A file where a folder would have to be.
    std::fs::write(folder.path().join("data"), "").unwrap();
    let sink = Sink::new(store(folder.path()), None, &config(""));
    let error = write(&sink, &batch()).await.unwrap_err();
    assert!(matches!(error, SinkError::Store(_)), "{error}");
    assert!(error.to_string().contains("/data/2026/01/01/00/20260101T0005"), "{error}");
    assert!(!error.category().is_empty());
}

#[test]
fn a_database_that_is_away_is_tried_again_and_one_that_refuses_is_not() {
    let (server, detail) = ("postgres://x".to_owned(), "gone".to_owned());
    let away = SinkError::from(SqlError::Unavailable { server: server.clone(), detail: detail.clone() });
    let ended = SinkError::from(SqlError::Canceled { server: server.clone(), detail });
    let refused = SinkError::from(SqlError::Refused { server, what: "windows is another table".to_owned() });
    assert_eq!(away.category(), "SqlUnavailable");
    assert_eq!(ended.category(), "SqlCanceled");
    assert_eq!(refused.category(), "SqlRefused");
    assert_eq!(refused.to_string(), "sql.table: postgres://x: windows is another table");
}

#[tokio::test]
async fn lines_that_somebody_else_has_written_meanwhile_stay() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::new(store(folder.path()), None, &config(""));
    let seen = sink.look(3, &batch()).await.unwrap();
    let path = "deadletter/2026/01/01/00/readings-0003-00000000000000000007.jsonl";
    store(folder.path()).put(path, "more lines").await.unwrap();
    let error = sink.write(3, &batch(), &seen).await.unwrap_err();
    assert!(error.category() == "Overtaken" && error.to_string().contains(path), "{error}");
    assert_eq!(files(folder.path())[path], "more lines");
}
