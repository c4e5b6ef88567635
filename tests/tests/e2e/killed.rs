//! A sensor with which its pod dies, each time, and one for which there is not enough memory: they fail, alone, and the
//! logs tell why.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use spec::SensorKeys;
use store::{Outcome, Record, Status};

use crate::cluster::{Shared, tell, until};
use crate::inputs::sensor;
use crate::processes::kill_pod;
use crate::{manifests, python};

const NAMESPACE: &str = "e2e-killed";
const RUN: &str = "deadly-now";
/// Attempts at an item.
const ATTEMPTS: usize = 3;
/// Those of one item, in its order.
const SENSORS: [(u32, u32); 6] = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)];
const DEADLY: (u32, u32) = (1, 3);
const GREEDY: (u32, u32) = (2, 3);
const PROGRAM: &str = r#"
import os, shutil, time
sensor = os.environ["SCORING_KEY_DEVICE"], os.environ["SCORING_KEY_TAG"]
print("scoring", *sensor, flush=True)
if sensor == ("1", "3"):
    time.sleep(600)
if sensor == ("2", "3"):
    kept = [os.urandom(1 << 20) for _ in range(1 << 10)]
shutil.copyfile(os.environ["SCORING_INPUT"], os.environ["SCORING_OUTPUT"])
"#;

pub(crate) async fn test(cluster: Shared) -> Result<()> {
    cluster.inputs().await?;
    let image = python::image(&cluster).await?;
    cluster.namespace(NAMESPACE).await?;
    cluster.apply(&cluster.pool("3s")).await?;
    let sensors = SENSORS.map(|(device, tag)| sensor(device, tag));
    let (deadly, greedy) = (sensor(DEADLY.0, DEADLY.1), sensor(GREEDY.0, GREEDY.1));
    let schedule = cluster.schedule(NAMESPACE, "deadly", "0 0 1 1 *");
    let mut schedule = manifests::with_sensors(schedule, &sensors);
    schedule["spec"]["retries"] = json!(ATTEMPTS - 1);
    schedule["spec"]["packing"] = json!({"sensorsPerPod": SENSORS.len()});
    schedule["spec"]["scorer"] = json!({
        "image": image, "command": ["python3", "-c", PROGRAM],
        "resources": {"requests": {"cpu": "200m"}, "limits": {"memory": "128Mi"}},
    });
    cluster.apply(&schedule).await?;
    cluster.apply(&manifests::run_now(NAMESPACE, RUN, "deadly")).await?;

    let folder = format!("logs/{NAMESPACE}/deadly/{RUN}");
    let mut killed = BTreeSet::new();
    while killed.len() < ATTEMPTS {
        let uid = until("the next attempt at the deadly sensor to print", 180, async || {
            let logs = cluster.blobs.below(&folder).await?;
            let mut printed = logs.iter().filter(|(_, log)| String::from_utf8_lossy(log).contains("scoring 1 3"));
            Ok(printed.find_map(|(path, _)| uid(path).filter(|uid| !killed.contains(*uid)).map(str::to_owned)))
        })
        .await?;
        ensure!(kill_pod(&uid)?, "nothing runs in pod {uid}");
        killed.insert(uid);
    }
    cluster.ended(NAMESPACE, RUN).await?;

    let record = cluster.record(NAMESPACE, "deadly", RUN).await?;
    for sensor in &sensors {
        let outcome = outcome(&record, sensor)?;
        let failed = [&deadly, &greedy].contains(&sensor);
        ensure!(outcome.status == if failed { Status::Failed } else { Status::Succeeded }, "{outcome:?}");
    }
    let starved = outcome(&record, &greedy)?;
    let told = starved.message.as_deref().unwrap_or_default();
    ensure!(starved.reason.as_deref() == Some("CommandKilled") && told.contains("limits.memory"), "{starved:?}");
    let dead = outcome(&record, &deadly)?;
    ensure!(dead.message.as_ref().is_some_and(|told| told.contains("exit code 137")), "{dead:?}");

    ensure!(record.pod_ends.len() == ATTEMPTS, "the item was tried {} times", record.pod_ends.len());
    let logs = cluster.blobs.below(&folder).await?;
    let of = |sensor: &SensorKeys| {
        let name = format!("/{}.", sensor.slug());
        logs.iter().filter(move |(path, _)| path.contains(&name))
    };
    for end in &record.pod_ends {
        ensure!(end.image.contains("sha256:"), "its image is {:?}", end.image);
        let log = of(&deadly).find(|(path, _)| uid(path) == Some(end.uid.as_str()));
        let (_, log) = log.with_context(|| format!("{deadly} has no log of {}: {:?}", end.pod, logs.keys()))?;
        let log = String::from_utf8_lossy(log);
        for word in [" START ", "scoring 1 3", " POD ", "exit code 137", end.node.as_str()] {
            ensure!(log.contains(word), "no {word:?} in {log}");
        }
    }
    let others = sensors.iter().filter(|sensor| ![&deadly, &greedy].contains(sensor));
    let attempts: usize = others.map(|sensor| of(sensor).count()).sum();
    tell(&format!("killed: {ATTEMPTS} pods at {deadly}; {attempts} attempts at the {} others", SENSORS.len() - 2));
    // What the first had finished a moment before its end may not have been written down yet.
    ensure!(attempts <= SENSORS.len(), "the others were scored {attempts} times");
    cluster.pool_is_empty().await
}

/// The UID of the pod in a log's path.
fn uid(path: &str) -> Option<&str> {
    path.rsplit('/').next()?.rsplit('.').nth(1)
}

fn outcome<'a>(record: &'a Record, sensor: &SensorKeys) -> Result<&'a Outcome> {
    let found = record.outcomes.iter().find(|outcome| outcome.sensor == *sensor);
    found.with_context(|| format!("{sensor} has no outcome"))
}
