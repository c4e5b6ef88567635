//! What is read back from the store, from a ConfigMap or from a pod: JSON that another version, or somebody else, may
//! have written.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use spec::report::{ArchiveReport, ItemReport, MAX_BYTES, PlanReport, Report};
use spec::request::PodEnds;
use spec::{RunRequest, SensorKeys};
use store::latest::Success;
use store::outcome::Attempted;
use store::paths::{FlatLog, pod_of_outcomes};
use store::{Claim, ManifestIndex, PodUid, Record, RunPaths, Shard, Swept, Watermark};

/// Bytes are refused, or they are an object that is written as one that reads back the same.
pub fn stored(bytes: &[u8]) {
    if let Some(index) = again::<ManifestIndex>(bytes) {
        for item in [0, 1, index.items.saturating_sub(1), index.items, u32::MAX] {
            assert_eq!(index.shard_of(item).is_some(), item < index.items);
        }
    }
    again::<Shard>(bytes);
    again::<Claim>(bytes);
    again::<Success>(bytes);
    again::<Record>(bytes);
    again::<Swept>(bytes);
    again::<Watermark>(bytes);
    again::<PodEnds>(bytes);
    report::<PlanReport>(bytes);
    report::<ItemReport>(bytes);
    report::<ArchiveReport>(bytes);
    if let Some(request) = again::<RunRequest>(bytes) {
        paths(&request);
    }
    if let Ok(attempted) = Attempted::from_ndjson(bytes) {
        let written = attempted.to_ndjson().expect("it serialises");
        let back = Attempted::from_ndjson(&written).expect("what was written is read");
        assert_eq!(back.outcomes.len(), attempted.outcomes.len());
        assert_eq!((&back.run_uid, back.attempt.is_some()), (&attempted.run_uid, attempted.attempt.is_some()));
        assert_eq!(back.under_way, attempted.under_way);
    }
}

/// What an object is written as. serde_json may be off by a bit in how it reads a number, so the texts are compared,
/// from the second on.
fn again<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&value).expect("it serialises");
    let back: T = serde_json::from_slice(&written).expect("what was written is read");
    let numbers_aside = |value: &T| {
        let mut value = serde_json::to_value(value).expect("it serialises");
        round(&mut value);
        value
    };
    assert_eq!(numbers_aside(&back), numbers_aside(&value));
    Some(value)
}

fn round(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::Number(number) if number.is_f64() => *value = Value::Null,
        Value::Array(values) => values.iter_mut().for_each(round),
        Value::Object(values) => values.values_mut().for_each(round),
        _ => {}
    }
}

fn report<T: Report + PartialEq + Debug>(bytes: &[u8]) {
    let Some(report) = again::<T>(bytes) else { return };
    let message = report.to_message().expect("it serialises");
    let _: T = serde_json::from_str(&message).expect("what is told is read");
    assert!(message.len() <= MAX_BYTES || bytes.len() > MAX_BYTES, "{} bytes", message.len());
}

fn paths(request: &RunRequest) {
    let _ = request.work.check();
    let Ok(paths) = RunPaths::of(request) else { return };
    let pod = PodUid::parse("a-pod").expect("a UID");
    let sensor: SensorKeys = [("device", "../1")].into_iter().collect();
    let all = [
        paths.claim(),
        paths.manifest(),
        paths.shard(1),
        paths.outcome(1, &pod),
        paths.record(),
        paths.log(&sensor, &pod, 1),
        paths.prediction(1, &sensor),
        paths.success(),
        paths.latest(),
        paths.retention(),
    ];
    for path in &all {
        let _ = (paths.window_of(path), paths.window_of_folder(path), paths.tick_of(path));
        let _ = (FlatLog::of(path), pod_of_outcomes(path));
    }
    for path in all {
        let climbs = |part: &str| part.is_empty() || part == "." || part == "..";
        assert!(!path.split('/').any(climbs) && !path.contains('\\'), "{path:?}");
    }
}
