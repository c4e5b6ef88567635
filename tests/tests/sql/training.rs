//! Training on rows of a database.

use serde_json::{Value, json};

use crate::plant::{Plant, rows};
use crate::server;

/// The hash of the values that each model was fitted to, by its index of versions.
fn hashes(plant: &Plant) -> Vec<Value> {
    let files = tests::blobs::files_below(&plant.path("models")).unwrap();
    let indices = files.iter().filter(|(path, _)| path.ends_with("/index.json"));
    indices
        .map(|(_, bytes)| {
            let index: Value = serde_json::from_slice(bytes).unwrap();
            index["versions"].as_array().unwrap().last().unwrap()["dataHash"].clone()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_trained_on_the_rows_of_a_database_as_on_those_of_a_file_and_the_rows_tell_the_sensors() {
    let Some(server) = server().await else { return };
    let plant = Plant::new().await;
    let of_file = hashes(&plant);
    assert_eq!(of_file.len(), 4);
    server.table("readings", r#""TS" timestamp, "Device" int, "Tag" int, "Value" float8"#, &plant.csv).await;
    std::fs::remove_dir_all(plant.path("models")).unwrap();
    let query = r#"SELECT * FROM readings ORDER BY "TS""#;
    let work = json!({"task": "Train", "data": rows(query, &[])});
    let (record, _) = plant.run("sql", &work, Some(&server.secret_dir())).await.unwrap();
    assert_eq!((record.totals.succeeded, record.totals.failed), (4, 0), "{:#?}", record.outcomes);
    assert_eq!(hashes(&plant), of_file);

    // Without models and names nothing tells of whom a query with keys could be asked.
    std::fs::remove_dir_all(plant.path("models")).unwrap();
    let query = r#"SELECT * FROM readings WHERE "Device" = $1 AND "Tag" = $2"#;
    let mut work = json!({"task": "Train", "data": rows(query, &["{device}", "{tag}"])});
    assert_eq!(plant.run("each", &work, Some(&server.secret_dir())).await.unwrap_err().reason(), "NoSensors");
    work["sensors"] = json!({"matrix": {"device": ["1", "2"], "tag": ["1", "2"]}});
    let (record, _) = plant.run("named", &work, Some(&server.secret_dir())).await.unwrap();
    assert_eq!(record.totals.succeeded, 4, "{:#?}", record.outcomes);
    assert_eq!(hashes(&plant), of_file);
}
