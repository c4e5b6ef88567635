use spec::RunRequest;
use store::{Credentials, PodUid};

use super::*;

fn context(dir: &std::path::Path) -> Context {
    let request: RunRequest = serde_json::from_value(serde_json::json!({
        "namespace": "plant", "schedule": "hourly", "run": "hourly-1", "runUid": "u", "tick": "2018-08-29T01:00:00Z",
        "work": {
            "store": {"url": format!("file://{}", dir.display())}, "model": {"path": "models/{device}"},
            "data": {"path": "data/d.csv"},
        },
    }))
    .unwrap();
    Context::open(request, &Credentials::none(), std::sync::Arc::new(|| Timestamp::UNIX_EPOCH)).unwrap()
}

fn ledger(context: &Context) -> Ledger {
    let pod = Pod { uid: PodUid::parse("a").unwrap(), node: String::new(), image: String::new() };
    Ledger::start(context, 0, &pod, RequestCounts::default())
}

fn sensor(device: u32) -> SensorKeys {
    [("device", device.to_string())].into_iter().collect()
}

fn succeeded(device: u32) -> Outcome {
    outcome(sensor(device), Status::Succeeded, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH)
}

async fn written(context: &Context) -> Option<Attempted> {
    let bytes = context.store.get("runs/plant/hourly/hourly-1/outcomes/0.a.ndjson", 1 << 20).await.ok()?;
    Some(Attempted::from_ndjson(&bytes).unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_in_the_store_soon_though_no_other_sensor_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (context, started) = (context(dir.path()), Instant::now());
    let ledger = ledger(&context);
    let working = async {
        ledger.begins(&sensor(1));
        ledger.begins(&sensor(2));
        ledger.add(succeeded(1));
        let found = loop {
            match written(&context).await {
                Some(found) => break found,
                None => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        ledger.close();
        found
    };
    let (found, ()) = tokio::join!(working, ledger.keep_written());
    assert!(started.elapsed() < FIRST_WAIT * 2, "{:?}", started.elapsed());
    assert_eq!((&found.outcomes[0].sensor, found.outcomes.len()), (&sensor(1), 1));
    let under_way = found.under_way.unwrap();
    assert_eq!((under_way.sensors, under_way.alone), (vec![sensor(2)], false));
}

#[tokio::test(start_paused = true)]
async fn outcomes_that_come_all_the_time_are_written_now_and_then_and_one_that_comes_late_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path());
    let ledger = ledger(&context);
    let working = async {
        for device in 0..3_600 {
            ledger.add(succeeded(device));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let writes = context.store.requests().writes;
        assert!((60..70).contains(&writes), "{writes}");
        tokio::time::sleep(LONGEST_WAIT * 2).await;
        ledger.add(succeeded(3_600));
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(written(&context).await.unwrap().outcomes.len(), 3_601);
        ledger.close();
    };
    tokio::join!(working, ledger.keep_written());
}

#[tokio::test(start_paused = true)]
async fn what_is_announced_is_in_the_store_with_all_that_ended_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path());
    let ledger = ledger(&context);
    ledger.announce(std::iter::empty()).await.unwrap();
    let first = written(&context).await.unwrap();
    assert_eq!(first.under_way, Some(UnderWay { pod_uid: "a".into(), ..UnderWay::default() }));
    ledger.add(succeeded(1));
    ledger.announce(std::iter::once(&sensor(2))).await.unwrap();
    ledger.begins(&sensor(2));
    let second = written(&context).await.unwrap();
    assert_eq!((second.outcomes.len(), second.attempt), (1, None));
    let under_way = second.under_way.unwrap();
    assert_eq!((under_way.sensors, under_way.alone), (vec![sensor(2)], true));
    ledger.add(succeeded(2));
    ledger.end().await.unwrap();
    let last = written(&context).await.unwrap();
    assert_eq!((last.outcomes.len(), last.under_way, last.attempt.is_some()), (2, None, true));
}
