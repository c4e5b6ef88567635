//! Sensors that leave what is usual for them.

use jiff::ToSpan;
use store::bands::Bands;

use super::training::{bare, trained};
use super::*;

/// The schedule's own run of a tick so many tens of minutes after two o'clock.
fn tens(number: i64) -> impl Fn(&mut RunRequest) {
    move |request| {
        request.tick = "2026-01-01T02:00:00Z".parse::<Timestamp>().unwrap() + (10 * number).minutes();
        request.schedule = "often".into();
        request.run = format!("often-{}", request.tick.as_second() / 60);
        request.work.window = Some(serde_json::from_value(serde_json::json!({"length": "10m"})).unwrap());
        request.window = request.work.window.map(|window| window.at(request.tick, None).unwrap());
    }
}

async fn scored(plant: &Plant, number: i64, uid: &str) -> Record {
    plant.run(&plant.context(uid, 2, tens(number))).await.unwrap().0
}

fn bands(plant: &Plant) -> Bands {
    serde_json::from_slice(&fs::read(plant.path("runs/plant/often/_bands.json")).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensor_whose_readings_shift_is_told_of_and_a_run_that_is_repeated_or_late_counts_once() {
    let plant = bare();
    trained(&plant, 2, serde_json::json!({})).await;
    // Each scores its own ten minutes.
    for number in 0..=10 {
        let record = scored(&plant, number, "local-1").await;
        assert_eq!((record.totals.succeeded, record.totals.drifted), (3, 0), "{:?}", record.warnings);
        let outcome = &record.outcomes[0];
        assert!(outcome.input_means[0].is_some_and(f64::is_finite), "{outcome:?}");
    }
    assert_eq!(bands(&plant).runs.len(), 11);
    let all = fs::read_to_string(plant.path("data/sensor_data.csv")).unwrap();
    let shifted = |line: &str| match line.split(',').collect::<Vec<_>>().as_slice() {
        [at, device, "2", value] => format!("{at},{device},2,{}\n", value.parse::<f64>().unwrap() + 1_000.0),
        _ => format!("{line}\n"),
    };
    fs::write(plant.path("data/sensor_data.csv"), all.lines().map(shifted).collect::<String>()).unwrap();
    let record = scored(&plant, 11, "local-2").await;
    assert_eq!(record.totals.drifted, 1);
    let drift = &record.outcomes[1].drift;
    assert_eq!(drift.iter().map(|d| d.of.as_str()).collect::<Vec<_>>(), ["anomalyRate", "Value"]);
    assert!(record.warnings[0].starts_with("sensor device=1, tag=2: its anomaly rate is 100.00 %, outside of"));
    assert_eq!(record.totals.warned, 1);
    let kept = bands(&plant);
    assert_eq!(kept.runs.len(), 12);

    // Again, and an earlier window again: told the same, and not told.
    let again = scored(&plant, 11, "local-3").await;
    assert_eq!((&again.outcomes[1].drift, again.totals.drifted), (drift, 1));
    assert_eq!(scored(&plant, 4, "local-4").await.totals.drifted, 0);
    // A run by hand, and one of what failed, are no ticks.
    let by_hand = plant.context("local-5", 2, |request| {
        tens(12)(request);
        request.run = "now".into();
    });
    assert_eq!(plant.run(&by_hand).await.unwrap().0.totals.drifted, 0);
    assert_eq!(bands(&plant), kept);
}
