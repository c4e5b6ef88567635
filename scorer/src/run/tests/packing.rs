//! How many sensors an item has, where the schedule leaves it to the run.

use serde_json::Value;
use spec::packing::PerPod;

use super::*;

/// A context whose run packs by itself, for a pool with room for four pods.
fn auto(plant: &Plant, run: &str, tick: &str) -> Context {
    plant.context(&format!("local-{run}"), 1, |request| {
        run.clone_into(&mut request.run);
        request.tick = tick.parse().unwrap();
        request.work.packing.sensors_per_pod = PerPod::Auto;
        request.slots = Some(4);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_packs_by_the_slots_of_the_pool_and_the_seconds_per_sensor_of_the_run_before() {
    let Some(plant) = plant() else { return };
    let (record, _) = plant.run(&auto(&plant, "hourly-1", "2018-08-29T01:00:00Z")).await.unwrap();
    assert_eq!((record.totals.sensors, record.totals.items), (10, 4));
    let path = plant.path("predictions/plant/hourly/_runs/latest.json");
    let mut latest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let took = latest["secondsPerSensor"].as_f64().unwrap();
    let by_attempts: f64 = record.attempts.iter().map(|attempt| attempt.seconds).sum();
    assert!((took - by_attempts / 10.0).abs() < 1e-6, "{took} {by_attempts}");

    // Of work that takes a minute each, a pod has one.
    latest["secondsPerSensor"] = 60.0.into();
    fs::write(&path, latest.to_string()).unwrap();
    let (record, _) = plant.run(&auto(&plant, "hourly-2", "2018-08-29T02:00:00Z")).await.unwrap();
    assert_eq!(record.totals.items, 10);
}
