use proptest::prelude::*;
use spec::SensorKeys;
use spec::work::Columns;

use super::*;

fn outcome(tag: &str, scored: u64, anomalies: u64, means: &[f64]) -> Outcome {
    let sensor: SensorKeys = [("tag", tag)].into_iter().collect();
    let columns = Columns { value: vec!["Value".into(), "Flow".into()], ..Columns::default() };
    let json = serde_json::json!({
        "sensor": sensor, "status": "Succeeded", "scored": scored, "anomalies": anomalies, "inputMeans": means,
        "started": "2026-01-01T00:00:00Z", "seconds": 0.1, "columns": columns,
    });
    serde_json::from_value(json).unwrap()
}

fn run(hour: i64) -> SeenRun {
    SeenRun { run: format!("hourly-{hour}"), up_to: Timestamp::from_second(hour * 3_600).unwrap() }
}

/// The bands after so many runs in which a sensor had 1 to 3 anomalies in 100 rows and a mean of about 20.
fn settled(runs: i64) -> Bands {
    let mut bands = Bands::default();
    for hour in 0..runs {
        let wobble = hour % 3;
        let usual = outcome("1", 100, 1 + wobble.unsigned_abs(), &[20.0 + 0.1 * wobble as f64]);
        assert_eq!(bands.fold(run(hour), &[usual]), Some(Vec::new()));
    }
    bands
}

#[test]
fn a_rate_or_a_mean_that_leaves_its_band_is_told() {
    let mut bands = settled(40);
    assert_eq!(bands.runs.len(), RUNS);
    let told = bands.fold(run(40), &[outcome("1", 100, 40, &[25.0])]).unwrap();
    let (place, drift) = &told[0];
    assert_eq!((*place, drift.len(), drift[0].of.as_str(), drift[1].of.as_str()), (0, 2, "anomalyRate", "Value"));
    assert!(drift[0].sentence().starts_with("its anomaly rate is 40.00 %, outside of 0.00 % to "));
    assert!(drift[1].sentence().contains("input Value is 25.000000, outside of 19."), "{}", drift[1].sentence());
    assert_eq!(bands.fold(run(41), &[outcome("1", 100, 2, &[20.1])]), Some(Vec::new()), "one does not move the band");
}

#[test]
fn means_have_a_band_where_rows_are_not_counted() {
    let mut bands = Bands::default();
    for hour in 0..12 {
        assert_eq!(bands.fold(run(hour), &[outcome("1", 0, 0, &[20.0 + 0.1 * (hour % 3) as f64])]), Some(Vec::new()));
    }
    assert_eq!(bands.sensors["tag=1"][0], vec![None; 12]);
    let told = bands.fold(run(12), &[outcome("1", 0, 0, &[25.0])]).unwrap();
    assert_eq!(told[0].1.iter().map(|drift| drift.of.as_str()).collect::<Vec<_>>(), ["Value"]);
}

#[test]
fn few_runs_tell_nothing() {
    let mut bands = settled(9);
    assert_eq!(bands.fold(run(9), &[outcome("1", 100, 90, &[500.0])]), Some(Vec::new()));
    assert_eq!(bands.fold(run(10), &[outcome("1", 100, 90, &[500.0])]).unwrap().len(), 1);
}

#[test]
fn a_run_that_is_not_later_is_neither_judged_nor_kept() {
    let mut bands = settled(20);
    let before = bands.clone();
    for hour in [3, 18] {
        let earlier = SeenRun { run: "again".into(), ..run(hour) };
        assert_eq!(bands.fold(earlier, &[outcome("1", 100, 90, &[0.0])]), None);
    }
    assert_eq!(bands, before);
}

#[test]
fn a_run_that_is_archived_again_is_told_the_same_and_counts_once() {
    let mut bands = settled(20);
    let odd = [outcome("1", 100, 90, &[20.0]), outcome("2", 10, 0, &[1.0])];
    let first = bands.fold(run(20), &odd);
    let once = bands.clone();
    assert_eq!(bands.fold(run(20), &odd), first);
    assert_eq!((bands, first.unwrap().len()), (once, 1));
}

#[test]
fn a_sensor_that_was_not_scored_has_no_number_and_goes_when_it_has_none_left() {
    let mut bands = settled(1);
    for hour in 1..30 {
        bands.fold(run(hour), &[outcome("2", 10, 0, &[])]).unwrap();
    }
    assert_eq!((bands.sensors.len(), bands.sensors["tag=1"][0].len()), (2, 30));
    bands.fold(run(30), &[]).unwrap();
    assert_eq!(bands.sensors.keys().collect::<Vec<_>>(), ["tag=2"]);
}

#[test]
fn other_inputs_begin_anew_and_the_rate_goes_on() {
    let mut bands = settled(20);
    let told = bands.fold(run(20), &[outcome("1", 100, 90, &[1.0, 2.0])]).unwrap();
    assert_eq!(told[0].1.iter().map(|d| d.of.as_str()).collect::<Vec<_>>(), ["anomalyRate"]);
}

#[test]
fn of_a_thousand_sensors_thirty_runs_are_less_than_a_megabyte() {
    let mut bands = Bands::default();
    let outcomes: Vec<Outcome> =
        (0..1_000).map(|tag| outcome(&tag.to_string(), 720, tag % 20, &[0.123_456_789 * tag as f64])).collect();
    for hour in 0..31 {
        bands.fold(run(hour), &outcomes).unwrap();
    }
    let bytes = serde_json::to_vec(&bands).unwrap();
    assert!(bytes.len() < 1_000_000, "{} bytes", bytes.len());
    assert_eq!(serde_json::from_slice::<Bands>(&bytes).unwrap(), bands);
}

proptest! {
    #[test]
    fn what_never_changes_is_never_told(value in -1e30f64..1e30, rate in 0u64..=100, runs in 1i64..40) {
        let mut bands = Bands::default();
        for hour in 0..runs {
            prop_assert_eq!(bands.fold(run(hour), &[outcome("1", 100, rate, &[value])]), Some(Vec::new()));
        }
    }

    #[test]
    fn a_band_has_its_middle_and_no_number_far_off_widens_it(
        past in prop::collection::vec(-1.0f64..1.0, 11..40), far in -1e9f64..1e9,
    ) {
        let (low, high) = band(&past, |_| 1e-3).unwrap();
        prop_assert!(past.iter().any(|x| (low..=high).contains(x)));
        let mut odd = past;
        odd[0] = far;
        let (low, high) = band(&odd, |_| 1e-3).unwrap();
        prop_assert!(-20.0 < low && low < high && high < 20.0, "{low} to {high}");
    }

    #[test]
    fn bands_are_as_long_as_their_runs_whatever_comes(
        hours in prop::collection::vec((0i64..60, 0u64..3, 0usize..4), 0..60),
    ) {
        let mut bands = Bands::default();
        for (hour, tag, width) in hours {
            bands.fold(run(hour), &[outcome(&tag.to_string(), 10, 1, &vec![1.0; width])]);
            prop_assert!(bands.runs.len() <= RUNS && bands.runs.is_sorted_by(|a, b| a.up_to < b.up_to));
            let lengths = bands.sensors.values().flatten().map(Vec::len);
            prop_assert!(lengths.into_iter().all(|length| length == bands.runs.len()));
        }
    }
}
