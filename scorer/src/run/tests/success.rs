//! Telling those who wait for predictions.

use store::latest::Success;

use super::*;

impl Plant {
    fn told(&self, inside: &str) -> Option<Success> {
        let text = fs::read(self.path(&format!("predictions/plant/hourly/_runs/{inside}"))).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }
}

fn run_at(run: &str, tick: &str) -> impl FnOnce(&mut RunRequest) {
    let (run, tick) = (run.to_owned(), tick.parse().unwrap());
    move |request| (request.run, request.tick) = (run, tick)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_sensors_all_ended_is_told_with_its_counts_and_where_its_predictions_are() {
    let Some(plant) = plant() else { return };
    fs::write(plant.path("models/model_2_2"), b"\x80\x03not a model").unwrap();
    let (record, _) = plant.run(&plant.context("local-1", 5, |_| {})).await.unwrap();
    let success = plant.told("20180829T010000Z/_SUCCESS").unwrap();
    assert_eq!((success.run.as_str(), success.sensors, success.succeeded, success.failed), ("hourly-1", 10, 9, 1));
    assert_eq!((success.rows, success.anomalies), (record.totals.scored, record.totals.anomalies));
    assert!(success.record.ends_with("runs/plant/hourly/hourly-1/record.json"), "{}", success.record);
    assert!(
        success.predictions.ends_with("predictions/plant/hourly/*/20180829T010000Z.csv"),
        "{}",
        success.predictions
    );
    assert_eq!(plant.told("latest.json"), Some(success));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_left_a_sensor_without_outcome_is_not_told() {
    let Some(plant) = plant() else { return };
    let context = plant.context("uid-1", 5, |_| {});
    plan(&context).await.unwrap();
    item::run(&context, 0, &pod("a"), None, never().1).await.unwrap();
    archive(&context, &PodEnds::default()).await.unwrap();
    assert_eq!(plant.told("latest.json"), None);
    item::run(&context, 1, &pod("b"), None, never().1).await.unwrap();
    archive(&context, &PodEnds::default()).await.unwrap();
    assert_eq!(plant.told("latest.json").unwrap().succeeded, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_any_prediction_is_not_told() {
    let Some(plant) = plant() else { return };
    fs::remove_file(plant.path("data/sensor_data.csv")).unwrap();
    let (record, _) = plant.run(&plant.context("local-1", 5, |_| {})).await.unwrap();
    assert_eq!(record.totals.failed, 10);
    assert!(!plant.path("predictions").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_run_does_not_go_back_when_an_older_one_ends_later() {
    let Some(plant) = plant() else { return };
    plant.run(&plant.context("local-1", 10, run_at("new", "2018-08-29T02:00:00Z"))).await.unwrap();
    let before = plant.context("local-2", 10, run_at("old", "2018-08-29T01:00:00Z"));
    plant.run(&before).await.unwrap();
    assert_eq!(plant.told("latest.json").unwrap().run, "new");
    assert_eq!(plant.told("20180829T010000Z/_SUCCESS").unwrap().run, "old");
    plant.run(&plant.context("local-3", 10, run_at("again", "2018-08-29T02:00:00Z"))).await.unwrap();
    assert_eq!(plant.told("latest.json").unwrap().run, "again", "of one window the last run counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn telling_costs_two_writes_a_run_and_none_a_sensor() {
    let Some(plant) = plant() else { return };
    let context = plant.context("uid-1", 10, |_| {});
    plan(&context).await.unwrap();
    item::run(&context, 0, &pod("a"), None, never().1).await.unwrap();
    let own = plant.context("uid-1", 10, |_| {});
    archive(&own, &PodEnds::default()).await.unwrap();
    assert_eq!(own.store.requests().writes, 3, "the record, _SUCCESS and latest.json");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_latest_run_that_nobody_can_read_is_replaced() {
    let Some(plant) = plant() else { return };
    let latest = plant.path("predictions/plant/hourly/_runs/latest.json");
    fs::create_dir_all(latest.parent().unwrap()).unwrap();
    fs::write(&latest, "{").unwrap();
    plant.run(&plant.context("local-1", 10, |_| {})).await.unwrap();
    assert_eq!(plant.told("latest.json").unwrap().run, "hourly-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_tells_which_sensors_are_new_and_which_vanished_since_the_run_before() {
    let Some(plant) = plant() else { return };
    let (first, _) = plant.run(&plant.context("local-1", 5, |_| {})).await.unwrap();
    assert_eq!(first.changes, None, "there is no run before");
    let again = run_at("hourly-2", "2018-08-29T02:00:00Z");
    assert_eq!(plant.run(&plant.context("local-2", 3, again)).await.unwrap().0.changes, None, "they are the same");

    let (from, to) = (plant.path("models/model_2_2"), plant.path("models/model_99_99"));
    fs::rename(from, to).unwrap();
    let later = run_at("hourly-3", "2018-08-29T03:00:00Z");
    let changes = plant.run(&plant.context("local-3", 3, later)).await.unwrap().0.changes.unwrap();
    assert_eq!((changes.since.as_str(), changes.new, changes.vanished), ("hourly-2", 1, 1));
    assert_eq!((changes.first_new, changes.first_vanished), (vec![sensor("99", "99")], vec![sensor("2", "2")]));
}
