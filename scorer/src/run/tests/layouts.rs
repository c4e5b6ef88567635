//! Sensors of an item that share a file.

use spec::work::{PredictionFormat, PredictionLayout};

use super::*;

/// A plant whose devices have a file of readings each: without the folder of one, the store fails for its sensors.
fn two_files() -> Option<Plant> {
    let plant = plant()?;
    for device in ["1", "2"] {
        fs::create_dir(plant.path(&format!("data/{device}"))).unwrap();
        fs::copy(plant.path("data/sensor_data.csv"), plant.path(&format!("data/{device}/readings.csv"))).unwrap();
    }
    Some(plant)
}

/// Takes the readings of a device away in such a way that another attempt may find them.
fn away(plant: &Plant, device: &str) {
    fs::rename(plant.path(&format!("data/{device}")), plant.path(&format!("data/{device}.away"))).unwrap();
    fs::write(plant.path(&format!("data/{device}")), "in the way").unwrap();
}

fn back(plant: &Plant, device: &str) {
    fs::remove_file(plant.path(&format!("data/{device}"))).unwrap();
    fs::rename(plant.path(&format!("data/{device}.away")), plant.path(&format!("data/{device}"))).unwrap();
}

fn per_item(request: &mut RunRequest) {
    request.work.predictions.layout = PredictionLayout::PerItem;
    request.work.data.path = Some("data/{device}/readings.csv".parse().unwrap());
}

fn lines(csv: &[u8]) -> Vec<String> {
    String::from_utf8(csv.to_vec()).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_items_file_has_the_rows_of_its_sensors_in_the_manifests_order() {
    let Some(plant) = plant() else { return };
    plant.run(&plant.context("local-1", 4, |_| {})).await.unwrap();
    let own = plant.predictions();
    fs::remove_dir_all(plant.path("predictions")).unwrap();
    let context = plant.context("local-2", 4, |r| r.work.predictions.layout = PredictionLayout::PerItem);
    let (record, _) = plant.run(&context).await.unwrap();
    let shared = plant.predictions();
    let names: Vec<_> = shared.iter().map(|(path, _)| path.strip_prefix(plant.path("predictions")).unwrap()).collect();
    let file = |n: u32| PathBuf::from(format!("plant/hourly/20180829T010000Z/{n:05}.csv"));
    assert_eq!(names, [file(0), file(1), file(2)]);
    assert_eq!(record.totals.succeeded, 10);
    let first = record.outcomes[0].predictions.as_deref().unwrap();
    assert!(first.ends_with("predictions/plant/hourly/20180829T010000Z/00000.csv"), "{first}");
    let rows = |files: &[(PathBuf, Vec<u8>)]| -> Vec<String> {
        files.iter().flat_map(|(_, csv)| lines(csv).into_iter().skip(1)).collect()
    };
    assert_eq!(rows(&shared), rows(&own));
    for (_, csv) in &shared {
        assert_eq!(lines(csv)[0], "time,device,tag,Value,score,prediction");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_attempt_adds_what_the_first_could_not_score_and_loses_nothing() {
    let Some(plant) = two_files() else { return };
    plant.run(&plant.context("local-1", 10, per_item)).await.unwrap();
    let undisturbed = plant.predictions();
    for folder in ["predictions", "runs"] {
        fs::remove_dir_all(plant.path(folder)).unwrap();
    }

    let context = plant.context("uid-1", 10, per_item);
    plan(&context).await.unwrap();
    away(&plant, "2");
    let report = item::run(&context, 0, &pod("a"), None, never().1).await.unwrap();
    assert_eq!((report.succeeded, report.failed, report.retry), (5, 0, 5));
    let half = plant.predictions();
    assert_eq!(half.len(), 1);
    assert!(lines(&half[0].1)[1..].iter().all(|row| row.split(',').nth(1) == Some("1")));

    back(&plant, "2");
    away(&plant, "1");
    let report = item::run(&context, 0, &pod("b"), None, never().1).await.unwrap();
    assert_eq!((report.succeeded, report.retry), (5, 5), "{report:?}");
    assert_eq!(report.failures[0].reason, "PredictionsKept");
    assert_eq!(plant.predictions(), half, "a file that lacks what is there does not replace it");

    back(&plant, "1");
    let report = item::run(&context, 0, &pod("c"), None, never().1).await.unwrap();
    assert_eq!((report.succeeded, report.failed, report.retry), (10, 0, 0));
    assert_eq!(plant.predictions(), undisturbed);
    let before = fs::read_dir(plant.path("runs/plant/hourly/hourly-1/outcomes")).unwrap().count();
    item::run(&context, 0, &pod("d"), None, never().1).await.unwrap();
    let after = fs::read_dir(plant.path("runs/plant/hourly/hourly-1/outcomes")).unwrap().count();
    assert_eq!(after, before, "nothing is left to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_attempt_leaves_no_part_of_a_file_and_no_success() {
    let Some(plant) = two_files() else { return };
    let context = plant.context("uid-1", 10, per_item);
    plan(&context).await.unwrap();
    let (send, stop) = never();
    send.send(true).unwrap();
    let report = item::run(&context, 0, &pod("a"), None, stop).await.unwrap();
    assert_eq!((report.succeeded, report.retry), (0, 10));
    assert!(!plant.path("predictions").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensor_with_other_columns_than_its_items_file_fails_alone() {
    let Some(plant) = two_files() else { return };
    let file = plant.path("data/2/readings.csv");
    let other = fs::read_to_string(&file).unwrap().replacen("Value", "Pressure", 1);
    fs::write(&file, other).unwrap();
    let (record, _) = plant.run(&plant.context("local-1", 10, per_item)).await.unwrap();
    assert_eq!((record.totals.succeeded, record.totals.failed), (5, 5));
    let failed = record.outcomes.iter().find(|o| o.status == Status::Failed).unwrap();
    assert_eq!(failed.reason.as_deref(), Some("PredictionsInvalid"));
    let message = failed.message.as_deref().unwrap();
    assert!(
        message.contains("time, device, tag, Pressure, score, prediction") && message.contains("PerSensor"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_named_after_the_windows_start_and_runs_of_one_window_overwrite_each_other() {
    let Some(plant) = plant() else { return };
    let partitioned = |r: &mut RunRequest| {
        r.work.predictions.layout = PredictionLayout::Partitioned;
        r.work.predictions.format = PredictionFormat::Parquet;
        let (start, end) = ("2018-08-28T23:00:00Z".parse().unwrap(), "2018-08-29T01:00:00Z".parse().unwrap());
        r.window = Some(spec::TimeRange { start, end });
    };
    plant.run(&plant.context("local-1", 5, partitioned)).await.unwrap();
    let first = plant.predictions();
    let folder = plant.path("predictions/plant/hourly/date=2018-08-28/hour=23");
    let files: Vec<_> = first.iter().map(|(path, _)| path.strip_prefix(&folder).unwrap().to_str().unwrap()).collect();
    assert_eq!(files, ["20180828T230000Z.00000.parquet", "20180828T230000Z.00001.parquet"]);
    let again = |r: &mut RunRequest| {
        partitioned(r);
        (r.run, r.tick) = ("by-hand".to_owned(), "2020-01-01T00:00:00Z".parse().unwrap());
    };
    plant.run(&plant.context("local-2", 5, again)).await.unwrap();
    assert_eq!(plant.predictions(), first);
}
