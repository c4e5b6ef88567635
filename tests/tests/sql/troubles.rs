//! A database that goes away, in the middle of its rows and before.

use std::time::Duration;

use scorer::context::Context;
use scorer::item::{self, Pod};
use scorer::plan::plan;
use serde_json::json;
use spec::report::{DATA_UNAVAILABLE, ItemReport, is_of_store};
use store::PodUid;
use tokio::sync::watch;

use crate::plant::{Plant, rows};
use crate::{Server, server};

/// Rows that take their time.
const SLOWLY: &str = r#"SELECT "TS", "Device", "Tag", "Value", pg_sleep(0.002)::text AS slept FROM readings"#;

pub(crate) async fn work_on(context: &Context, uid: &str) -> ItemReport {
    let pod = Pod { uid: PodUid::parse(uid).unwrap(), node: String::new(), image: String::new() };
    let (_keep, stop) = watch::channel(false);
    item::run(context, 0, &pod, None, stop).await.unwrap()
}

/// Returns once the query is asked.
pub(crate) async fn asked(server: &Server) {
    let active = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'batchscoring' AND state = 'active'";
    while server.psql(active).await == "0\n" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_killed_in_the_middle_of_its_rows_is_one_that_is_away_and_is_asked_again() {
    let Some(mut server) = server().await else { return };
    let plant = Plant::new().await;
    let texts = r#""TS" text, "Device" text, "Tag" text, "Value" text"#;
    server.table("readings", texts, &plant.csv).await;
    let expected = plant.predictions("files", &json!({"data": {"path": "data/sensor_data.csv"}}), None).await;

    let columns = json!({"value": ["Value"]});
    let mut work = json!({"data": rows(SLOWLY, &[]), "packing": {"sensorsPerPod": 4}});
    work["data"]["columns"] = columns;
    let context = plant.context("rows", &work, Some(&server.secret_dir()));
    assert_eq!(plan(&context).await.unwrap().items, 1);
    let killed = async {
        asked(&server).await;
        server.postgres.kill().await.unwrap();
    };
    // Who asks anew for what broke off bears with it for half a minute.
    let (report, ()) = tokio::join!(work_on(&context, "pod-1"), killed);
    assert_eq!((report.succeeded, report.failed, report.retry), (0, 0, 4), "{report:?}");
    let why = report.store.unwrap();
    assert_eq!(why.reason, DATA_UNAVAILABLE, "{}", why.message);
    assert!(is_of_store(&why.reason) && why.message.contains("data.sql: postgres://127.0.0.1:"), "{}", why.message);
    assert!(plant.predictions_of("rows").is_empty(), "nothing is written of readings that broke off");

    server.postgres.restart().await.unwrap();
    let context = plant.context("rows", &work, Some(&server.secret_dir()));
    let report = work_on(&context, "pod-2").await;
    assert_eq!((report.succeeded, report.store), (4, None));
    assert!(plant.predictions_of("rows") == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_starts_late_is_waited_for() {
    let Some(mut server) = server().await else { return };
    let plant = Plant::new().await;
    let texts = r#""TS" text, "Device" text, "Tag" text, "Value" text"#;
    server.table("readings", texts, &plant.csv).await;
    server.postgres.stop().await.unwrap();
    let work = json!({"data": rows("SELECT * FROM readings", &[])});
    let context = plant.context("rows", &work, Some(&server.secret_dir()));
    plan(&context).await.unwrap();
    let late = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        server.postgres.restart().await.unwrap();
    };
    let (report, ()) = tokio::join!(work_on(&context, "pod-1"), late);
    assert_eq!((report.succeeded, report.retry), (1, 0), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sensors_that_are_not_begun_since_the_database_is_away_wait_for_it_without_a_retry() {
    let Some(mut server) = server().await else { return };
    let plant = Plant::new().await;
    std::fs::copy(plant.path("models/model_1_1"), plant.path("models/common")).unwrap();
    server.table("readings", "ts timestamptz, device text, value float8", "ts,device,value\n").await;
    server.psql("INSERT INTO readings SELECT now() - n * interval '1s', n % 7, n FROM generate_series(1, 700) n").await;
    server.postgres.stop().await.unwrap();
    // More than are worked on at once.
    let list: Vec<_> = (0..7).map(|device| json!({"device": device.to_string()})).collect();
    let context = |layout: &str| {
        let work = json!({
            "data": rows("SELECT ts, value FROM readings WHERE device = $1", &["{device}"]),
            "model": {"path": "models/common"}, "sensors": {"list": list}, "packing": {"sensorsPerPod": 7},
            "predictions": {"layout": layout},
        });
        plant.context(&layout.to_lowercase(), &work, Some(&server.secret_dir()))
    };
    let (each, shared) = (context("PerSensor"), context("PerItem"));
    plan(&each).await.unwrap();
    plan(&shared).await.unwrap();
    let reports = tokio::join!(work_on(&each, "pod-1"), work_on(&shared, "pod-1"));
    for report in [reports.0, reports.1] {
        assert_eq!((report.succeeded, report.failed, report.retry), (0, 0, 7), "{report:?}");
        assert_eq!(report.store.unwrap().reason, DATA_UNAVAILABLE);
    }
    let (each, shared) = (context("PerSensor"), context("PerItem"));
    server.postgres.restart().await.unwrap();
    for context in [each, shared] {
        let report = work_on(&context, "pod-2").await;
        assert_eq!((report.succeeded, report.store), (7, None));
    }
}
