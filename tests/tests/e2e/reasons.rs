//! A thousand sensors, of which thirty fail for ten reasons: each reason is told, and a rerun touches just those.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use serde_json::json;
use spec::SensorKeys;
use store::Status;

use crate::cluster::Shared;
use crate::manifests;

const NAMESPACE: &str = "e2e-reasons";
const SENSORS: usize = 1_000;
/// Requests to the store under way at once.
const AT_ONCE: usize = 16;

/// A model of one value.
const MODEL: &[u8] = include_bytes!("../../../scorer/tests/models/sklearn19_one_p4.pkl");
/// A model of three.
const OF_THREE: &[u8] = include_bytes!("../../../scorer/tests/models/sklearn19_auto_p4.pkl");
/// A pickle that would start a program.
const HOSTILE: &[u8] = b"\x80\x02cos\nsystem\n)R.";

/// A sensor's model and readings; absent is a file that is not there.
type Files = (Option<Vec<u8>>, Option<Vec<u8>>);

/// What is wrong, by the reason that it is told with.
const REASONS: [&str; 10] = [
    "ColumnAmbiguous",
    "ColumnMissing",
    "DataInvalid",
    "DataNotFound",
    "FeaturesMismatch",
    "ModelInvalid",
    "ModelNotFound",
    "ModelUnsupported",
    "NoReadings",
    "TooManyBadRows",
];

/// Twelve readings, five seconds apart, in the window or outside of it.
fn readings(header: &str, hour: u32, value: impl Fn(u32) -> String) -> Vec<u8> {
    let row = |n: u32| format!("2026-01-01T{hour:02}:00:{:02}Z,{}\n", n * 5, value(n));
    std::iter::once(format!("{header}\n")).chain((0..12).map(row)).collect::<String>().into_bytes()
}

fn good(_: u32) -> String {
    "49.5".to_owned()
}

/// The files of a sensor that fails for this reason; `None` is a good one's.
fn files(reason: Option<&str>) -> Files {
    let data = || Some(readings("time,value", 0, good));
    let model = || Some(MODEL.to_vec());
    match reason {
        Some("ColumnAmbiguous") => (model(), Some(readings("time,value,value", 0, |_| "49.5,49.5".to_owned()))),
        Some("ColumnMissing") => (model(), Some(readings("time,level", 0, good))),
        Some("DataInvalid") => (model(), Some(Vec::new())),
        Some("DataNotFound") => (model(), None),
        Some("FeaturesMismatch") => (Some(OF_THREE.to_vec()), data()),
        Some("ModelInvalid") => (Some(b"\x80\x03this was a model once".to_vec()), data()),
        Some("ModelNotFound") => (None, data()),
        Some("ModelUnsupported") => (Some(HOSTILE.to_vec()), data()),
        Some("NoReadings") => (model(), Some(readings("time,value", 5, good))),
        Some("TooManyBadRows") => {
            let half_bad = |n: u32| if n.is_multiple_of(2) { "broken".to_owned() } else { good(n) };
            (model(), Some(readings("time,value", 0, half_bad)))
        }
        _ => (model(), data()),
    }
}

/// Every sensor, with what is wrong with it: three for each reason, far from each other.
fn plant() -> BTreeMap<SensorKeys, Option<&'static str>> {
    let sensor = |n: usize| [("device", format!("{n:04}"))].into_iter().collect();
    let wrong = |n: usize| (n % 33 == 7).then_some(n / 33).filter(|nth| *nth < 30).map(|nth| REASONS[nth % 10]);
    (0..SENSORS).map(|n| (sensor(n), wrong(n))).collect()
}

async fn write(cluster: &Shared, sensors: impl Iterator<Item = (&SensorKeys, Files)>) -> Result<()> {
    let mut blobs = Vec::new();
    for (sensor, (model, data)) in sensors {
        let device = sensor.get("device").context("a sensor has a device")?;
        blobs.extend(model.map(|bytes| (format!("models/reasons/{device}.pkl"), bytes)));
        blobs.extend(data.map(|bytes| (format!("data/reasons/{device}.csv"), bytes)));
    }
    let puts = blobs.into_iter().map(|(path, bytes)| async move { cluster.blobs.put(&path, bytes).await });
    futures::stream::iter(puts).buffer_unordered(AT_ONCE).try_collect().await
}

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let plant = plant();
    write(&cluster, plant.iter().map(|(sensor, wrong)| (sensor, files(*wrong)))).await?;
    let schedule = cluster.schedule(NAMESPACE, "many", "0 0 1 1 *");
    let sensors: Vec<SensorKeys> = plant.keys().cloned().collect();
    let mut schedule = manifests::with_sensors(schedule, &sensors);
    schedule["spec"]["model"]["path"] = "models/reasons/{device}.pkl".into();
    schedule["spec"]["data"] =
        json!({"path": "data/reasons/{device}.csv", "columns": {"time": "time", "value": ["value"]}, "maxBadRows": 5});
    schedule["spec"]["packing"] = json!({"sensorsPerPod": 100});
    schedule["spec"]["maxFailedSensors"] = "5%".into();
    cluster.apply(&schedule).await?;

    let mut run = manifests::run_now(NAMESPACE, "first", "many");
    run["spec"]["window"] = json!({"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"});
    cluster.kubectl_with(&["create", "-f", "-"], &run).await?;
    let first = cluster.complete(NAMESPACE, "first", &sensors).await?;
    for (sensor, wrong) in &plant {
        let outcome = first.record.outcomes.iter().find(|outcome| outcome.sensor == *sensor);
        let outcome = outcome.with_context(|| format!("no outcome for {sensor}"))?;
        ensure!(outcome.reason.as_deref() == *wrong, "{sensor} is to fail for {wrong:?}: {outcome:?}");
    }
    let expected: BTreeMap<String, u32> = REASONS.iter().map(|reason| ((*reason).to_owned(), 3)).collect();
    ensure!(first.record.failures == expected, "{:?}", first.record.failures);

    let broken = || plant.iter().filter(|(_, wrong)| wrong.is_some()).map(|(sensor, _)| sensor);
    write(&cluster, broken().map(|sensor| (sensor, files(None)))).await?;
    let mut rerun = manifests::run_now(NAMESPACE, "again", "many");
    rerun["spec"]["rerunFailedOf"] = "first".into();
    cluster.kubectl_with(&["create", "-f", "-"], &rerun).await?;
    cluster.ended(NAMESPACE, "again").await?;
    let record = cluster.record(NAMESPACE, "many", "again").await?;
    ensure!(
        record.outcomes.iter().map(|outcome| &outcome.sensor).eq(broken()),
        "it scored others: {:?}",
        record.totals
    );
    ensure!(record.outcomes.iter().all(|outcome| outcome.status == Status::Succeeded), "{:?}", record.failures);
    ensure!(record.window == first.record.window, "another window: {:?}", record.window);
    let written = crate::whole::without_hidden(cluster.blobs.below(&format!("predictions/{NAMESPACE}/many")).await?);
    ensure!(written.len() == SENSORS, "{} files of predictions", written.len());
    ensure!(first.predictions.iter().all(|(path, bytes)| written.get(path) == Some(bytes)), "it touched another file");
    cluster.pool_is_empty().await
}
