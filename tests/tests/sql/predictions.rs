//! Predictions in a table are those of the files, once each.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::plant::{Plant, rows};
use crate::{DATABASE, ROLE, Server, server};

/// A row's keys and time, and what is said of it.
type Scored = BTreeMap<(String, String, String), (f64, String)>;

fn sql(table: &str) -> Value {
    json!({"sql": {"secretRef": {"name": "results"}, "table": table}})
}

fn work(predictions: &Value) -> Value {
    json!({"data": {"path": "data/sensor_data.csv"}, "window": {"length": "20m"}, "predictions": predictions})
}

/// The rows of a table.
async fn in_table(server: &Server, table: &str) -> Scored {
    let query = format!(
        "SELECT device, tag, to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS'), score, prediction FROM {table}"
    );
    let said = server.psql(&query).await;
    said.lines().map(scored).collect()
}

/// The rows of files of predictions as CSV.
fn in_files(files: &BTreeMap<String, Vec<u8>>) -> Scored {
    let texts = files.values().map(|file| std::str::from_utf8(file).unwrap());
    let rows = texts.flat_map(|text| text.lines().skip(1)).map(|line| {
        let columns: Vec<&str> = line.split(',').collect();
        let [time, device, tag, _, score, prediction] = <[&str; 6]>::try_from(columns).unwrap();
        format!("{device},{tag},{time},{score},{prediction}")
    });
    rows.map(|row| scored(&row)).collect()
}

fn scored(row: &str) -> ((String, String, String), (f64, String)) {
    let columns: Vec<String> = row.split(',').map(str::to_owned).collect();
    let [device, tag, time, score, prediction] = <[String; 5]>::try_from(columns).unwrap();
    ((device, tag, time), (score.parse().unwrap(), prediction))
}

#[tokio::test(flavor = "multi_thread")]
async fn predictions_are_in_the_table_as_in_the_files_and_a_window_that_is_scored_again_doubles_none() {
    let Some(server) = server().await else { return };
    let (plant, secret) = (Plant::new().await, server.secret_dir());
    let expected = in_files(&plant.predictions("files", &work(&json!({})), None).await);
    assert_eq!(expected.len(), 4 * 240);
    for (schedule, layout) in [("each", "PerSensor"), ("item", "PerItem")] {
        let mut predictions = sql(schedule);
        predictions["layout"] = layout.into();
        let mut work = work(&predictions);
        work["packing"] = json!({"sensorsPerPod": 3});
        let files = plant.predictions(schedule, &work, Some(&secret)).await;
        assert!(in_files(&files) == expected, "{schedule}: the files");
        assert!(in_table(&server, schedule).await == expected, "{schedule}: the table");
        let again = plant.predictions(&format!("{schedule}-again"), &work, Some(&secret)).await;
        assert!(in_files(&again) == expected && in_table(&server, schedule).await == expected, "{schedule}: again");
        let runs = server.psql(&format!("SELECT DISTINCT run FROM {schedule}")).await;
        assert_eq!(runs, format!("{schedule}-again-1\n"));
    }
    let columns = "SELECT column_name, udt_name, is_nullable FROM information_schema.columns WHERE table_name = 'each'
                   ORDER BY ordinal_position";
    let columns = server.psql(columns).await;
    let expected =
        "device,text,NO\ntag,text,NO\ntime,timestamptz,NO\nscore,float8,YES\nprediction,int2,YES\nrun,text,YES\n";
    assert_eq!(columns, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_gets_what_it_lacks_and_one_that_is_another_is_refused_before_anything_is_scored() {
    let Some(server) = server().await else { return };
    let (plant, secret) = (Plant::new().await, server.secret_dir());
    let make = format!(
        "SET ROLE \"{ROLE}\";
         CREATE TABLE older (note text, time timestamptz, tag text, device text, score float8, UNIQUE (time, device, tag));
         CREATE TABLE typed (device int, tag text, time timestamptz, PRIMARY KEY (device, tag, time));
         CREATE TABLE keyless (device text, tag text, time timestamptz);
         CREATE TABLE carried (device text, tag text, time timestamptz);
         CREATE UNIQUE INDEX ON carried (device, tag) INCLUDE (time);
         CREATE TABLE deferred (device text, tag text, time timestamptz, UNIQUE (device, tag, time) DEFERRABLE)"
    );
    server.psql(&make).await;
    plant.predictions("older", &work(&sql("public.older")), Some(&secret)).await;
    assert_eq!(
        server.psql("SELECT count(*), count(prediction), count(run), count(note) FROM older").await,
        "960,960,960,0\n"
    );
    for (table, why) in [
        ("typed", "its column \"device\" is of the type int4, and not text"),
        ("keyless", "no unique index of exactly these columns"),
        ("carried", "no unique index of exactly these columns"),
        ("deferred", "no unique index of exactly these columns is checked at once"),
        ("absent.table", "schema \"absent\" does not exist"),
    ] {
        let error = plant.run(&table.replace('.', "-"), &work(&sql(table)), Some(&secret)).await.unwrap_err();
        assert_eq!((error.reason(), error.exit_code()), ("InvalidSql", spec::report::exit::INVALID), "{error}");
        assert!(
            error.to_string().contains(why) && error.to_string().starts_with("predictions.sql: postgres://"),
            "{error}"
        );
        assert!(plant.predictions_of(&table.replace('.', "-")).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_takes_no_writes_is_one_that_is_away() {
    let Some(server) = server().await else { return };
    let (plant, secret) = (Plant::new().await, server.secret_dir());
    let set = async |how: &str| {
        server.postgres.sql("postgres", &format!("ALTER DATABASE {DATABASE} {how}")).await.unwrap();
    };
    set("SET default_transaction_read_only = on").await;
    let error = plant.run("standby", &work(&sql("predictions")), Some(&secret)).await.unwrap_err();
    assert_eq!((error.reason(), error.exit_code()), ("DataUnavailable", spec::report::exit::AWAY), "{error}");
    assert!(error.to_string().contains("it takes no writes now"), "{error}");
    set("RESET default_transaction_read_only").await;
    plant.predictions("standby", &work(&sql("predictions")), Some(&secret)).await;
    assert_eq!(server.psql("SELECT count(*) FROM predictions").await, "960\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensor_that_fails_leaves_no_rows_and_of_two_readings_of_one_time_the_last_stays() {
    let Some(server) = server().await else { return };
    let (plant, secret) = (Plant::new().await, server.secret_dir());
    plant.put("data/sensor_data.csv", &format!("{}2026-01-01 00:10:00.000,1,1,no number\n", plant.csv));
    let mut failing = work(&sql("failing"));
    failing["data"]["maxBadRows"] = json!(0);
    let (record, _) = plant.run("failing", &failing, Some(&secret)).await.unwrap();
    assert_eq!((record.totals.succeeded, record.failures.get("TooManyBadRows")), (3, Some(&1)));
    assert_eq!(server.psql("SELECT count(*), count(DISTINCT (device, tag)) FROM failing").await, "720,3\n");

    let first = plant.csv.lines().find(|line| line.contains(" 00:10:00.000,1,1,")).unwrap();
    let twice = format!("{}{first}\n{}\n", plant.csv, first.replace(",1,1,", ",1,1,9"));
    plant.put("data/sensor_data.csv", &twice);
    let files = plant.predictions("twice", &work(&sql("twice")), Some(&secret)).await;
    let (files, table) = (in_files(&files), in_table(&server, "twice").await);
    assert!(files == table, "the map of the files has the last, too");
    assert_eq!(table.len(), 960);
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_cannot_be_read_or_are_not_there_cannot_name_rows() {
    let Some(server) = server().await else { return };
    let (plant, secret) = (Plant::new().await, server.secret_dir());
    let of_all = |data: &str| json!({"data": {"path": data}, "predictions": sql("predictions")});
    plant.put("data/untimed.csv", &plant.csv.replace("2026-01-01 00:10:00", "soon"));
    let (reason, message) = plant.failure("untimed", &of_all("data/untimed.csv"), &secret).await;
    assert_eq!(reason, "PredictionsInvalid");
    assert!(
        message.contains("\"soon.000\" cannot be read, and predictions.sql names rows by their times"),
        "{message}"
    );
    plant.put("data/timeless.csv", &plant.csv.replace("TS,", "Note,"));
    let mut timeless = of_all("data/timeless.csv");
    timeless["data"]["columns"] = json!({"value": ["Value"]});
    let (reason, message) = plant.failure("timeless", &timeless, &secret).await;
    assert_eq!((reason.as_str(), message.contains("data.columns.time")), ("PredictionsInvalid", true), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_killed_while_predictions_come_has_them_whole_in_the_end() {
    let Some(mut server) = server().await else { return };
    let (plant, secret) = (Plant::new().await, server.secret_dir());
    let expected = in_files(&plant.predictions("files", &work(&json!({})), None).await);
    let texts = r#""TS" text, "Device" text, "Tag" text, "Value" text"#;
    server.table("readings", texts, &plant.csv).await;
    // Rows come slowly from the same server, so it dies with both under way.
    let slowly = r#"SELECT "TS", "Device", "Tag", "Value", pg_sleep(0.001)::text AS slept FROM readings"#;
    let mut work = work(&sql("predictions"));
    work["data"] = rows(slowly, &[]);
    work["data"]["columns"] = json!({"value": ["Value"]});
    work["packing"] = json!({"sensorsPerPod": 4});
    let context = plant.context("rows", &work, Some(&secret));
    assert_eq!(scorer::plan::plan(&context).await.unwrap().items, 1);
    let killed = async {
        crate::troubles::asked(&server).await;
        server.postgres.kill().await.unwrap();
    };
    let (report, ()) = tokio::join!(crate::troubles::work_on(&context, "pod-1"), killed);
    assert_eq!((report.succeeded, report.failed, report.retry), (0, 0, 4), "{report:?}");
    server.postgres.restart().await.unwrap();
    assert_eq!(server.psql("SELECT count(*) FROM predictions").await, "0\n", "all of a sensor's or none");
    let context = plant.context("rows", &work, Some(&secret));
    let report = crate::troubles::work_on(&context, "pod-2").await;
    assert_eq!((report.succeeded, report.store), (4, None));
    assert!(in_table(&server, "predictions").await == expected);
}
