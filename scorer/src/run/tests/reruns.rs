//! Scoring again what failed.

use super::*;

fn rerun(of: &str) -> impl FnOnce(&mut RunRequest) {
    let of = of.to_owned();
    move |request| {
        request.run = "again".to_owned();
        request.work.predictions.layout = spec::work::PredictionLayout::PerItem;
        request.rerun_failed_of = Some(of);
    }
}

fn per_item(request: &mut RunRequest) {
    request.work.predictions.layout = spec::work::PredictionLayout::PerItem;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rerun_touches_just_the_sensors_that_failed_and_joins_their_predictions() {
    let Some(plant) = plant() else { return };
    let model = fs::read(plant.path("models/model_2_2")).unwrap();
    fs::write(plant.path("models/model_2_2"), b"\x80\x03not a model").unwrap();
    let (record, _) = plant.run(&plant.context("local-1", 5, per_item)).await.unwrap();
    assert_eq!((record.totals.succeeded, record.totals.failed), (9, 1));
    let before = plant.predictions();

    fs::write(plant.path("models/model_2_2"), model).unwrap();
    let (again, _) = plant.run(&plant.context("local-2", 5, rerun("hourly-1"))).await.unwrap();
    let sensors: Vec<_> = again.outcomes.iter().map(|o| (o.sensor.clone(), o.status)).collect();
    assert_eq!(sensors, [(sensor("2", "2"), Status::Succeeded)]);
    assert_eq!(again.rerun_failed_of.as_deref(), Some("hourly-1"));
    let after = plant.predictions();
    assert_eq!(after.len(), before.len() + 1, "one file more, and the others as they were");
    assert!(before.iter().all(|file| after.contains(file)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rerun_of_a_run_without_failures_says_that_there_is_nothing_to_do() {
    let Some(plant) = plant() else { return };
    plant.run(&plant.context("local-1", 5, |_| {})).await.unwrap();
    let error = plant.run(&plant.context("local-2", 5, rerun("hourly-1"))).await.unwrap_err();
    assert_eq!(error.reason(), "NothingFailed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rerun_of_a_run_without_record_names_the_run_and_the_record_that_is_missing() {
    let Some(plant) = plant() else { return };
    let error = plant.run(&plant.context("local-2", 5, rerun("hourly-9"))).await.unwrap_err();
    assert_eq!(error.reason(), "RunNotFound");
    for word in ["runs/plant/hourly/hourly-9/record.json", "run \"hourly-9\"", "namespace plant"] {
        assert!(error.to_string().contains(word), "no {word} in: {error}");
    }
}
