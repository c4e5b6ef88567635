//! Readings in many files for a window.

use spec::TimeRange;
use store::Outcome;

use super::*;

/// A plant whose readings stand in a folder for each hour, two files to an hour, as Stream Analytics writes them.
fn hourly() -> Option<Plant> {
    let plant = plant()?;
    let all = fs::read_to_string(plant.path("data/sensor_data.csv")).unwrap();
    let (header, rows) = all.split_once('\n').unwrap();
    for (number, row) in rows.lines().enumerate() {
        // 2018-08-28 23:00:05.000
        let (day, hour) = (row[..10].replace('-', "/"), &row[11..13]);
        put(&plant, &format!("hours/{day}/{hour}/0_{}.csv", number % 2), header, row);
    }
    Some(plant)
}

/// Adds a row to a file, which begins with a header.
fn put(plant: &Plant, path: &str, header: &str, row: &str) {
    let path = plant.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let begun = path.exists();
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    if !begun {
        writeln!(file, "{header}").unwrap();
    }
    writeln!(file, "{row}").unwrap();
}

fn reads(path: &str, start: &str, end: &str) -> impl FnOnce(&mut RunRequest) {
    let window = TimeRange { start: start.parse().unwrap(), end: end.parse().unwrap() };
    let path = Some(path.parse().unwrap());
    move |request: &mut RunRequest| {
        request.work.data.path = path;
        request.work.window = Some(serde_json::from_value(serde_json::json!({"length": "1h"})).unwrap());
        request.window = Some(window);
    }
}

const HOURS: &str = "hours/{yyyy}/{MM}/{dd}/{HH}/*.csv";
const DAY: [&str; 2] = ["2018-08-28T00:00:00Z", "2018-08-30T00:00:00Z"];

fn counts(record: &Record) -> Vec<(SensorKeys, u64, u64)> {
    record.outcomes.iter().map(|o: &Outcome| (o.sensor.clone(), o.rows, o.anomalies)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_files_are_scored_as_one() {
    let Some(plant) = hourly() else { return };
    let (one, _) =
        plant.run(&plant.context("local-1", 4, reads("data/sensor_data.csv", DAY[0], DAY[1]))).await.unwrap();
    // Markers and hidden files are not read, nor are files of other names.
    for name in ["_SUCCESS", "_started.csv", ".hidden.csv", "notes.txt"] {
        fs::write(plant.path("hours/2018/08/28/23").join(name), "not,readings").unwrap();
    }
    fs::write(plant.path("hours/2018/08/28/23/0_9.csv"), "").unwrap();
    let (many, _) = plant.run(&plant.context("local-2", 4, reads(HOURS, DAY[0], DAY[1]))).await.unwrap();
    assert_eq!(many.totals.succeeded, 10);
    assert_eq!(counts(&many), counts(&one));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_reads_its_own_hours_and_an_hour_may_be_absent() {
    let Some(plant) = hourly() else { return };
    let window = ["2018-08-28T23:00:00Z", "2018-08-29T00:00:00Z"];
    let (one, _) =
        plant.run(&plant.context("local-1", 4, reads("data/sensor_data.csv", window[0], window[1]))).await.unwrap();
    // A file of the hour before would fail the run, if it were read.
    let before = plant.path("hours/2018/08/28/22");
    fs::create_dir_all(&before).unwrap();
    fs::write(before.join("0_0.csv"), "no readings at all").unwrap();
    let (many, _) = plant.run(&plant.context("local-2", 4, reads(HOURS, window[0], window[1]))).await.unwrap();
    assert_eq!(counts(&many), counts(&one));
    // Exact names, of which the second hour's is not there.
    fs::copy(plant.path("data/sensor_data.csv"), plant.path("data/2018082823.csv")).unwrap();
    let exact = reads("data/{yyyy}{MM}{dd}{HH}.csv", window[0], "2018-08-29T00:00:00.001Z");
    let (named, _) = plant.run(&plant.context("local-3", 4, exact)).await.unwrap();
    let rows = |record: &Record| record.outcomes.iter().map(|o| o.rows).collect::<Vec<_>>();
    assert!(rows(&named).iter().zip(rows(&one)).all(|(more, rows)| *more >= rows), "{named:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_at_all_says_what_was_looked_for() {
    let Some(plant) = hourly() else { return };
    let path = "hours/{yyyy}/{MM}/{dd}/{HH}/{device}-*.csv";
    let (record, _) = plant.run(&plant.context("local-1", 4, reads(path, DAY[0], DAY[1]))).await.unwrap();
    let failed = &record.outcomes[0];
    assert_eq!(failed.reason.as_deref(), Some("DataNotFound"));
    let message = failed.message.as_deref().unwrap();
    for words in ["48 path(s) were looked for", "hours/2018/08/28/00/1-*.csv", "correct data.path"] {
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_files_alone_are_said_to_be_empty() {
    let Some(plant) = hourly() else { return };
    for name in ["a.csv", "b.csv"] {
        fs::write(plant.path("data").join(name), "").unwrap();
    }
    let (record, _) = plant
        .run(&plant.context("local-1", 4, |r| r.work.data.path = Some("data/*.csv".parse().unwrap())))
        .await
        .unwrap();
    assert_eq!(record.totals.succeeded, 10, "the file beside them has readings");
    fs::remove_file(plant.path("data/sensor_data.csv")).unwrap();
    let (record, _) = plant
        .run(&plant.context("local-2", 4, |r| r.work.data.path = Some("data/*.csv".parse().unwrap())))
        .await
        .unwrap();
    let message = record.outcomes[0].message.as_deref().unwrap();
    assert!(message.contains("data/a.csv: the file is empty"), "{message}");
}
