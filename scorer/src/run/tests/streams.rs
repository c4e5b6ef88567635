//! Readings that do not fit in memory.

use spec::work::{PredictionFormat, PredictionLayout};

use super::*;
use crate::feed::Budget;

/// The readings of all ten sensors, in passes that may hold so many bytes.
fn data(context: &Context, bytes: usize) -> DataFiles {
    let mut sensors = BTreeSet::new();
    for device in ["1", "2"] {
        sensors.extend(["1", "2", "3", "4", "5"].map(|tag| sensor(device, tag)));
    }
    DataFiles::with_budget(&context.request.work.data, sensors, move |_| Budget { bytes, ..Budget::share(1, 1) })
}

#[tokio::test(flavor = "multi_thread")]
async fn predictions_have_the_same_bytes_however_little_memory_there_is() {
    let Some(plant) = plant() else { return };
    for (layout, format) in [
        (PredictionLayout::PerSensor, PredictionFormat::Csv),
        (PredictionLayout::PerSensor, PredictionFormat::Parquet),
        (PredictionLayout::PerItem, PredictionFormat::JsonLines),
        (PredictionLayout::Partitioned, PredictionFormat::Parquet),
    ] {
        let mut found = Vec::new();
        for bytes in [1 << 30, 100_000, 500] {
            let context = plant.context("uid-1", 10, |request| {
                request.work.predictions.layout = layout;
                request.work.predictions.format = format;
                request.work.data.max_bad_rows = Some("50%".parse().unwrap());
            });
            plan(&context).await.unwrap();
            let data = data(&context, bytes);
            let report = item::run(&context, 0, &pod("a"), Some(&data), never().1).await.unwrap();
            assert_eq!((report.succeeded, report.failed), (10, 0), "{report:?}");
            found.push(plant.predictions());
            for folder in ["predictions", "runs"] {
                fs::remove_dir_all(plant.path(folder)).unwrap();
            }
        }
        assert!(found[1] == found[0] && found[2] == found[0], "{layout:?} {format:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sensors_that_are_tried_again_have_one_pass_together() {
    let Some(plant) = plant() else { return };
    let context = plant.context("uid-1", 10, |_| {});
    plan(&context).await.unwrap();
    let data = data(&context, 100_000);
    let mut reads = Vec::new();
    for uid in ["first", "second"] {
        let before = context.store.requests();
        let report = item::run(&context, 0, &pod(uid), Some(&data), never().1).await.unwrap();
        assert_eq!((report.succeeded, report.retry), (10, 0));
        reads.push((context.store.requests() - before).reads);
        // As if nothing had been finished.
        fs::remove_dir_all(plant.path("runs/plant/hourly/hourly-1/outcomes")).unwrap();
    }
    assert_eq!(reads[0], reads[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensor_of_a_shared_file_that_fails_leaves_no_rows_in_it() {
    let Some(plant) = plant() else { return };
    let lines = fs::read_to_string(plant.path("data/sensor_data.csv")).unwrap();
    let last = lines.lines().rfind(|line| line.split(',').skip(1).take(2).eq(["1", "3"])).unwrap().to_owned();
    fs::write(plant.path("data/sensor_data.csv"), lines.replace(&last, &format!("{last}oops"))).unwrap();
    let context = plant.context("uid-1", 10, |request| {
        request.work.predictions.layout = PredictionLayout::PerItem;
        request.work.data.max_bad_rows = Some("0".parse().unwrap());
    });
    plan(&context).await.unwrap();
    let report = item::run(&context, 0, &pod("a"), Some(&data(&context, 1_000)), never().1).await.unwrap();
    assert_eq!((report.succeeded, report.failures[0].reason.as_str()), (9, "TooManyBadRows"));
    let (_, file) = plant.predictions().remove(0);
    let text = String::from_utf8(file).unwrap();
    assert!(text.lines().count() > 1 && text.lines().all(|line| !line.split(',').skip(1).take(2).eq(["1", "3"])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensor_without_a_good_row_has_no_predictions() {
    let Some(plant) = plant() else { return };
    fs::write(plant.path("data/sensor_data.csv"), "TS,Device,Tag,Value\nx,1,1,oops\nx,1,2,20\nx,1,2,21\n").unwrap();
    for layout in [PredictionLayout::PerSensor, PredictionLayout::PerItem] {
        let context = plant.context("uid-1", 10, |request| request.work.predictions.layout = layout);
        plan(&context).await.unwrap();
        let report = item::run(&context, 0, &pod("a"), None, never().1).await.unwrap();
        assert_eq!((report.succeeded, report.failed), (1, 9));
        let failure = report.failures.iter().find(|f| f.message.contains("device=1, tag=1")).unwrap();
        assert_eq!(failure.reason, "DataInvalid");
        let says = "none of its 1 rows is good; the first is line 2: column Value: \"oops\" is no number";
        assert!(failure.message.contains(says), "{failure:?}");
        assert_eq!(plant.predictions().len(), 1);
        for folder in ["predictions", "runs"] {
            fs::remove_dir_all(plant.path(folder)).unwrap();
        }
    }
}
