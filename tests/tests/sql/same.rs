//! Rows of a database are scored as the same rows of a file are.

use serde_json::json;

use crate::plant::{Plant, rows};
use crate::server;

const OF_ALL: &str = r#"SELECT "TS", "Device", "Tag", "Value" FROM readings"#;
const OF_ONE: &str =
    r#"SELECT "TS", "Device", "Tag", "Value" FROM typed WHERE "Device" = $1 AND "Tag" = $2 ORDER BY "TS""#;
const OF_DEVICE: &str = r#"SELECT "TS", "Device", "Tag", "Value" FROM typed
    WHERE "TS" >= $2 AND "TS" < $3 AND "Device" = $1 ORDER BY "TS", "Tag""#;

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_database_give_the_predictions_of_the_same_rows_in_a_file_byte_for_byte() {
    let Some(server) = server().await else { return };
    let plant = Plant::new().await;
    let texts = r#""TS" text, "Device" text, "Tag" text, "Value" text"#;
    server.table("readings", texts, &plant.csv).await;
    let files = json!({"data": {"path": "data/sensor_data.csv"}});
    let expected = plant.predictions("files", &files, None).await;
    assert_eq!(expected.len(), 4);
    assert!(
        plant.predictions("rows", &json!({"data": rows(OF_ALL, &[])}), Some(&server.secret_dir())).await == expected
    );

    // With types of their own times are written otherwise, and so they are here.
    let typed = r#""TS" timestamp, "Device" int, "Tag" smallint, "Value" numeric"#;
    server.table("typed", typed, &plant.csv).await;
    plant.put("data/typed.csv", &plant.csv.replace(".000,", ",").replace("2026-01-01 ", "2026-01-01T"));
    let window = json!({"length": "20m"});
    let typed = json!({"data": {"path": "data/typed.csv"}, "window": window});
    let expected = plant.predictions("typed", &typed, None).await;
    assert!(expected.len() == 4 && expected.values().all(|file| file.len() > 5_000), "{:?}", expected.keys());
    for (schedule, query, parameters) in [
        ("each", OF_ONE, &["{device}", "{tag}"][..]),
        ("device", OF_DEVICE, &["{device}", "{window.start}", "{window.end}"]),
    ] {
        let work = json!({"data": rows(query, parameters), "window": window});
        let found = plant.predictions(schedule, &work, Some(&server.secret_dir())).await;
        assert!(found.keys().eq(expected.keys()), "{schedule}: {:?}", found.keys());
        assert!(found == expected, "{schedule}");
    }
    let parquet = json!({"layout": "PerItem", "format": "Parquet"});
    let of = |data: serde_json::Value| json!({"data": data, "window": window, "predictions": parquet});
    let expected = plant.predictions("files-parquet", &of(json!({"path": "data/typed.csv"})), None).await;
    let query = r#"SELECT * FROM typed WHERE "TS" BETWEEN $1 AND $2"#;
    let work = of(rows(query, &["{window.start}", "{window.end}"]));
    assert!(plant.predictions("rows-parquet", &work, Some(&server.secret_dir())).await == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_looks_like_sql_is_a_value_and_nothing_else() {
    let Some(server) = server().await else { return };
    let plant = Plant::new().await;
    std::fs::copy(plant.path("models/model_1_1"), plant.path("models/common")).unwrap();
    server.table("readings", "ts timestamptz, device text, tag text, value float8", "ts,device,tag,value\n").await;
    let devices = ["'; DROP TABLE readings; --", "\" OR 1=1 --", "$1", "{tag}", "%s '' é", "1"];
    for device in devices {
        let insert = format!(
            "INSERT INTO readings SELECT '2026-01-01T00:10:00Z'::timestamptz + n * interval '5s', $hostile${device}$hostile$, 't', n
             FROM generate_series(1, 10) n"
        );
        server.psql(&insert).await;
    }
    let list: Vec<_> = devices.iter().map(|device| json!({"device": device, "tag": "t"})).collect();
    let query = "SELECT ts, value FROM readings WHERE device = $1 AND tag = $2 AND ts < $3 ORDER BY ts";
    let work = json!({
        "data": rows(query, &["{device}", "{tag}", "{window.end}"]), "window": {"length": "20m"},
        "model": {"path": "models/common"}, "sensors": {"list": list},
    });
    let (record, _) = plant.run("hostile", &work, Some(&server.secret_dir())).await.unwrap();
    assert_eq!(
        (record.totals.succeeded, record.totals.failed, record.totals.rows),
        (6, 0, 60),
        "{:#?}",
        record.outcomes
    );
    assert_eq!(server.psql("SELECT count(*) FROM readings").await, "60\n");
    // The same without parameters, split by the columns.
    let work = json!({
        "data": rows("SELECT * FROM readings", &[]), "window": {"length": "20m"},
        "model": {"path": "models/common"}, "sensors": {"list": list}, "packing": {"sensorsPerPod": 10},
    });
    let (record, _) = plant.run("split", &work, Some(&server.secret_dir())).await.unwrap();
    assert_eq!((record.totals.succeeded, record.totals.rows), (6, 60), "{:#?}", record.outcomes);
}

#[tokio::test(flavor = "multi_thread")]
async fn local_times_are_bound_as_clocks_of_the_zone_show_them() {
    let Some(server) = server().await else { return };
    let plant = Plant::new().await;
    // Berlin is an hour ahead in January.
    server.table("readings", r#""TS" timestamp, "Device" text, "Tag" text, "Value" float8"#, &plant.csv).await;
    server.psql(r#"UPDATE readings SET "TS" = "TS" + interval '1h'"#).await;
    let window = json!({"length": "20m"});
    let data = |data: serde_json::Value, zone: &str| {
        let mut data = data;
        data["timeZone"] = zone.into();
        json!({"data": data, "window": window})
    };
    let expected = plant.run("files", &data(json!({"path": "data/sensor_data.csv"}), "UTC"), None).await.unwrap().0;
    let query = r#"SELECT * FROM readings WHERE "TS" >= $1 AND "TS" < $2"#;
    let rows = rows(query, &["{window.start}", "{window.end}"]);
    let found = plant.run("rows", &data(rows.clone(), "Europe/Berlin"), Some(&server.secret_dir())).await.unwrap().0;
    assert_eq!((found.totals.scored, found.totals.anomalies), (expected.totals.scored, expected.totals.anomalies));
    assert_eq!(found.totals.scored, 4 * 240);
    let (record, _) = plant.run("utc", &data(rows, "UTC"), Some(&server.secret_dir())).await.unwrap();
    assert_eq!(record.failures.get("NoReadings"), Some(&4), "an hour later there is nothing");
}
