use std::path::PathBuf;
use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};
use store::{Clock, Credentials, Watermark};
use tokio::time::Instant;

use super::*;

const START: &str = "2018-08-29T01:00:00Z";

/// A clock that goes with tokio's, which jumps to the next timer where nothing else is to be done.
fn clock() -> Clock {
    let (start, began): (Timestamp, _) = (START.parse().unwrap(), Instant::now());
    Arc::new(move || start + SignedDuration::try_from(began.elapsed()).unwrap())
}

struct Plant {
    dir: tempfile::TempDir,
}

impl Plant {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.dir.path().join(inside)
    }

    /// A run of the two hours up to 01:00.
    fn context(&self, complete: &Value, wait_until: Option<&str>) -> Context {
        let request = json!({
            "namespace": "plant", "schedule": "hourly", "run": "now", "runUid": "u", "tick": START,
            "window": {"start": "2018-08-28T23:00:00Z", "end": START}, "waitUntil": wait_until,
            "work": {
                "store": {"url": format!("file://{}", self.dir.path().display())},
                "model": {"path": "models/{device}"}, "window": {"length": "2h"},
                "data": {"path": "data/d.csv", "complete": complete},
            },
        });
        Context::open(serde_json::from_value(request).unwrap(), &Credentials::none(), clock()).unwrap()
    }

    fn write(&self, inside: &str, content: &str) {
        std::fs::create_dir_all(self.path(inside).parent().unwrap()).unwrap();
        std::fs::write(self.path(inside), content).unwrap();
    }

    fn tell(&self, partition: u32, partitions: u32, watermark: &str) {
        let watermark = Watermark {
            partitions,
            partition,
            watermark: Some(watermark.parse().unwrap()),
            offset: 1,
            metadata: String::new(),
            updated: START.parse().unwrap(),
        };
        self.write(&format!("w/{partition}.json"), &serde_json::to_string(&watermark).unwrap());
    }
}

/// Waits while `meanwhile` happens; how long that took, and what came of it.
async fn waited(context: &Context, meanwhile: impl Future<Output = ()>) -> (u64, Result<Option<String>, StepError>) {
    let began = Instant::now();
    let waiting = async {
        let ended = wait(context).await;
        (began.elapsed().as_secs(), ended)
    };
    tokio::join!(waiting, meanwhile).0
}

async fn after(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_complete_is_not_waited_for() {
    let plant = Plant::new();
    plant.tell(0, 2, START);
    plant.tell(1, 2, "2018-08-29T05:00:00Z");
    for folder in ["w", "w/"] {
        let (took, ended) = waited(&plant.context(&json!({"watermark": folder}), None), async {}).await;
        assert_eq!((took, ended.unwrap()), (0, None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_waits_for_the_last_partition() {
    let plant = Plant::new();
    plant.tell(0, 2, START);
    let context = plant.context(&json!({"watermark": "w"}), None);
    let late = async {
        after(60).await;
        plant.tell(1, 2, "2018-08-29T00:59:55Z");
        after(60).await;
        plant.tell(1, 2, START);
    };
    let (took, ended) = waited(&context, late).await;
    assert_eq!(ended.unwrap(), None);
    assert!((120..=135).contains(&took), "it is looked at every 15 s: {took}");
}

#[tokio::test(start_paused = true)]
async fn what_is_late_is_scored_with_a_warning_or_not_at_all_as_the_schedule_says() {
    let plant = Plant::new();
    plant.tell(0, 2, START);
    plant.tell(1, 2, "2018-08-29T00:59:55Z");
    let (took, ended) = waited(&plant.context(&json!({"watermark": "w", "waitUpTo": "5m"}), None), async {}).await;
    assert_eq!(took, 300);
    assert_eq!(
        ended.unwrap().unwrap(),
        "the readings were not complete by 2018-08-29T01:05:00Z; waited for the watermarks in w to reach \
         2018-08-29T01:00:00Z: 1 of 2 partitions have; the last is partition 1, at 2018-08-29T00:59:55Z"
    );
    let (_, ended) = waited(&plant.context(&json!({"watermark": "w", "onTimeout": "Fail"}), None), async {}).await;
    let error = ended.unwrap_err();
    assert_eq!((error.reason(), error.exit_code()), ("DataIncomplete", spec::report::exit::INVALID));
    assert!(error.to_string().contains("raise data.complete.waitUpTo"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_comes_after_another_looks_once_more_and_does_not_wait_anew() {
    let plant = Plant::new();
    let context = plant.context(&json!({"watermark": "w"}), Some("2018-08-29T00:59:00Z"));
    let (took, ended) = waited(&context, async {}).await;
    assert_eq!(took, 0);
    assert!(ended.unwrap().unwrap().ends_with("there is none yet"));
    plant.tell(0, 1, START);
    assert_eq!(wait(&context).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn each_hour_of_the_window_needs_its_marker() {
    let plant = Plant::new();
    let complete = json!({"marker": "d/{yyyy}/{MM}/{dd}/{HH}/_SUCCESS", "waitUpTo": "10s"});
    plant.write("d/2018/08/29/00/_SUCCESS", "");
    let (_, ended) = waited(&plant.context(&complete, None), async {}).await;
    let why = ended.unwrap().unwrap();
    assert!(why.ends_with("d/2018/08/28/23/_SUCCESS is not there yet (0 of 2 are)"), "{why}");
    let late = async {
        after(5).await;
        plant.write("d/2018/08/28/23/_SUCCESS", "");
    };
    let (took, ended) = waited(&plant.context(&complete, None), late).await;
    assert_eq!(ended.unwrap(), None);
    assert!((5..=10).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_got_more_partitions_is_told_until_all_say_so() {
    let plant = Plant::new();
    plant.tell(0, 1, START);
    plant.tell(1, 2, START);
    let context = plant.context(&json!({"watermark": "w", "waitUpTo": "1m"}), None);
    let why = wait(&context).await.unwrap().unwrap();
    assert!(why.contains("0.json says that there are 1 partitions, and 1.json says 2"), "{why}");
    let again = async {
        after(20).await;
        plant.tell(0, 2, START);
    };
    let context = plant.context(&json!({"watermark": "w", "waitUpTo": "1m"}), None);
    assert_eq!(waited(&context, again).await.1.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_watermark_ends_the_wait_at_once_with_its_name() {
    let plant = Plant::new();
    plant.tell(0, 2, START);
    plant.write("w/1.json", "{\"partitions\": 2");
    plant.write("w/README.md", "not read");
    let error = wait(&plant.context(&json!({"watermark": "w"}), None)).await.unwrap_err();
    assert_eq!(error.exit_code(), spec::report::exit::INVALID);
    assert!(error.to_string().contains("/w/1.json is no valid watermark: EOF"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn looks_become_rarer_and_what_is_known_is_not_asked_for_again() {
    let plant = Plant::new();
    for partition in 0..3 {
        plant.tell(partition, 4, START);
    }
    let context = plant.context(&json!({"watermark": "w"}), None);
    wait(&context).await.unwrap().unwrap();
    let requests = context.store.requests();
    // 2, 3, 4.5, 6.75 and 10.125 s, then every 15 s for ten minutes.
    assert_eq!((requests.lists, requests.reads), (45, 3));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_told_as_always_and_is_no_lateness() {
    let mut context = Plant::new().context(&json!({"watermark": "data/w"}), None);
    let key = Credentials::account_key("a2V5");
    context.store = store::Store::open("http://127.0.0.1:1/account", &key).unwrap();
    let error = wait(&context).await.unwrap_err();
    assert_eq!((error.reason(), error.exit_code()), ("StoreUnavailable", spec::report::exit::AWAY));
}
