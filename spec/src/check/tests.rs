#![allow(clippy::needless_pass_by_value, reason = "values are written where they are passed")]

use super::*;
use serde_json::json;

fn work(changes: serde_json::Value) -> Work {
    let mut value = json!({
        "store": {"url": "file:///x"},
        "model": {"path": "models/model_{device}_{tag}"},
        "data": {"path": "data/sensor_data.csv"},
    });
    if let (Some(all), serde_json::Value::Object(more)) = (value.as_object_mut(), changes) {
        all.extend(more);
    }
    serde_json::from_value(value).unwrap()
}

/// Of readings that are to be complete.
fn complete(complete: serde_json::Value) -> serde_json::Value {
    json!({"data": {"path": "d.csv", "complete": complete}, "window": {"length": "1h"}})
}

/// Of readings in a database, with changes of the query and of what stands beside it.
fn sql(changes: serde_json::Value, beside: serde_json::Value) -> serde_json::Value {
    let mut sql = json!({"secretRef": {"name": "db"}, "query": "SELECT ts, value FROM readings WHERE device = $1",
        "parameters": ["{device}"]});
    sql.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let mut data = json!({"sql": sql});
    data.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
    json!({"data": data, "window": {"length": "1h"}})
}

/// Of predictions in a table.
fn table(changes: serde_json::Value) -> serde_json::Value {
    let mut sql = json!({"secretRef": {"name": "db"}, "table": "plant.predictions"});
    sql.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({"predictions": {"sql": sql}})
}

#[test]
fn predictions_may_be_in_a_table_too() {
    work(table(json!({}))).check().unwrap();
    for no_table in ["", "a b", "a.b.c", "1a", "a\"; DROP TABLE b; --"] {
        let sql = table(json!({ "table": no_table }))["predictions"].clone();
        assert!(serde_json::from_value::<Predictions>(sql).is_err(), "{no_table:?}");
    }
}

#[test]
fn readings_are_in_files_or_in_a_database() {
    work(sql(json!({}), json!({}))).check().unwrap();
    work(sql(
        json!({"parameters": ["{device}", "{window.start}", "{window.end}"]}),
        json!({"timeZone": "Europe/Berlin"}),
    ))
    .check()
    .unwrap();
    let complete = json!({"complete": {"watermark": "data/_watermarks"}, "columns": {"time": "at", "value": ["v"]}});
    work(sql(json!({"parameters": []}), complete)).check().unwrap();
}

#[test]
fn the_smallest_work_is_fine() {
    work(json!({})).check().unwrap();
    work(json!({"store": {"url": "az://models"}})).check().unwrap();
    work(json!({"model": {"path": "models/common"}, "sensors": {"list": [{"device": "1"}]}})).check().unwrap();
    work(json!({"model": {"path": "m/{date}"}})).check().unwrap();
    work(json!({"data": {"path": "data/*.csv"}})).check().unwrap();
    let hourly = json!({"data": {"path": "{device}/{yyyy}/{MM}/{dd}/{HH}/*"}, "window": {"length": "1d"}});
    work(hourly).check().unwrap();
}

#[test]
fn readings_are_complete_by_watermarks_or_by_markers() {
    for fine in [
        json!({"watermark": "data/_watermarks/plant/"}),
        json!({"marker": "data/{yyyy}/{MM}/{dd}/{HH}/_SUCCESS", "waitUpTo": "0s", "onTimeout": "Fail"}),
    ] {
        work(complete(fine)).check().unwrap();
    }
    let every_row = json!({"data": {"path": "d.csv", "complete": {"marker": "data/_READY"}}});
    work(every_row).check().unwrap();
}

#[test]
fn what_cannot_work_names_its_field_and_what_to_write() {
    for (changes, field, hint) in [
        (json!({"model": {"path": "models/common"}}), "model.path", "braces"),
        (json!({"data": {"path": "data/{plant}.csv"}}), "data.path", "device, tag"),
        (json!({"data": {"path": "data/{yyyy}.csv"}}), "data.path", "only a window tells which"),
        (json!({"retention": {"runs": "90d", "logs": "23h"}}), "retention.logs", "not in 1d to 36500d"),
        (json!({"retention": {"predictions": "99999d"}}), "retention.predictions", "leave it out"),
        (json!({"data": {"path": "{yyyy}{MM}{dd}{HH}{mm}"}, "window": {"length": "70d"}}), "data.path", "100000 files"),
        (
            json!({"model": {"path": "m/{dd}"}, "data": {"path": "{yyyy}/{MM}/{dd}"}, "window": {"length": "1h"}}),
            "data.path",
            "rename the key",
        ),
        (json!({"sensors": {}}), "sensors", "neither"),
        (json!({"sensors": {"list": [{"device": "1", "tag": "1"}], "matrix": {"device": ["1"]}}}), "sensors", "both"),
        (json!({"sensors": {"list": []}}), "sensors.list", "empty"),
        (json!({"sensors": {"list": [{"device": "1"}]}}), "model.path", "{tag}"),
        (json!({"sensors": {"list": [{"device": "1", "tag": "1"}, {"device": "1"}]}}), "sensors.list", "other keys"),
        (
            json!({"sensors": {"list": [{"device": "1", "tag": "1"}, {"device": "1", "tag": "1"}]}}),
            "sensors.list",
            "twice",
        ),
        (json!({"sensors": {"list": [{"Device": "1", "tag": "1"}]}}), "sensors.list", "a-z"),
        (json!({"sensors": {"list": [{"device": "", "tag": "1"}]}}), "sensors.list", "value"),
        (json!({"sensors": {"list": [{"device": "..", "tag": "1"}]}}), "sensors.list", ".."),
        (json!({"sensors": {"list": [{"device": "a/b", "tag": "1"}]}}), "sensors.list", "without /"),
        (json!({"sensors": {"list": [{"device": "x".repeat(300), "tag": "1"}]}}), "sensors.list", "too long"),
        (json!({"sensors": {"matrix": {}}}), "sensors.matrix", "empty"),
        (json!({"sensors": {"matrix": {"device": ["1", "1"], "tag": ["1"]}}}), "sensors.matrix", "twice"),
        (json!({"sensors": {"matrix": {"device": [], "tag": ["1"]}}}), "sensors.matrix", "without values"),
        (json!({"store": {"url": "https://x.y"}}), "store.url", "names no account"),
        (json!({"store": {"url": "az://C"}}), "store.url", "container name"),
        (json!({"store": {"url": "az://c1c", "secretRef": {"name": "Key"}}}), "store.secretRef.name", "a-z"),
        (json!({"store": {"url": "az://c1c", "secretRef": {"name": "a..b"}}}), "store.secretRef.name", "a-z"),
        (json!({"store": {"url": "az://c1c", "secretRef": {"name": "a-"}}}), "store.secretRef.name", "a-z"),
        (json!({"window": {"length": "0s"}}), "window.length", "from tick to tick"),
        (json!({"window": {"length": "99999999999d"}}), "window.length", "longer than 36500d"),
        (json!({"window": {"length": "1h", "delay": "36501d"}}), "window.delay", "longer than 36500d"),
        (json!({"training": {}}), "training", "write task: Train"),
        (json!({"task": "Train", "model": {"path": "m/{tag}", "version": "v1"}}), "model.version", "leave it out"),
        (json!({"task": "Train", "training": {"nu": 0.0}}), "training.nu", "above 0"),
        (json!({"predictions": {"path": "../x"}}), "predictions.path", "folder"),
        (
            json!({"model": {"path": "m/{date}"}, "predictions": {"layout": "Partitioned"}}),
            "predictions",
            "rename the key",
        ),
        (json!({"model": {"path": "m/{score}"}, "predictions": {"format": "Parquet"}}), "predictions", "called score"),
        (json!({"data": {"path": "d.csv", "columns": {"keys": {"plant": "P"}}}}), "data.columns.keys", "plant"),
        (json!({"data": {}}), "data", "neither path nor sql"),
        (sql(json!({}), json!({"path": "d.csv"})), "data", "both path and sql"),
        (sql(json!({"secretRef": {"name": "A"}}), json!({})), "data.sql.secretRef.name", "no name of a Secret"),
        (sql(json!({"query": " \n"}), json!({})), "data.sql.query", "write a SELECT"),
        (sql(json!({"query": "SELECT \u{0}"}), json!({})), "data.sql.query", "NUL"),
        (sql(json!({"query": "SELECT '{device}'"}), json!({})), "data.sql.query", "write $1 there"),
        (sql(json!({"query": "ts < {window.end}"}), json!({})), "data.sql.query", "{window.end} into parameters"),
        (sql(json!({"parameters": ["{plant}"]}), json!({})), "data.sql.parameters", "{plant} is no key"),
        (sql(json!({"parameters": vec!["x"; 101]}), json!({})), "data.sql.parameters", "more than 100"),
        (
            json!({"data": {"sql": {"secretRef": {"name": "db"}, "query": "x", "parameters": ["{window.end}"]}}}),
            "data.sql.parameters",
            "give window",
        ),
        (sql(json!({}), json!({"format": "Csv"})), "data.format", "a file's"),
        (sql(json!({}), json!({"delimiter": ";"})), "data.delimiter", "a file's"),
        (sql(json!({}), json!({"names": ["a"]})), "data.names", "a file's"),
        (
            {
                let mut work = sql(json!({}), json!({}));
                work["command"] = json!({"command": ["predict"], "input": "Files"});
                work
            },
            "scorer.input",
            "write Rows",
        ),
        (table(json!({"secretRef": {"name": "A"}})), "predictions.sql.secretRef.name", "no name of a Secret"),
        (
            json!({"model": {"path": "m/{run}"}, "predictions": table(json!({}))["predictions"]}),
            "predictions.sql",
            "the key run cannot be a column",
        ),
        (
            json!({"task": "Train", "predictions": table(json!({}))["predictions"]}),
            "predictions.sql",
            "leave it out with task: Train",
        ),
        (
            json!({"command": {"command": ["predict"]}, "predictions": table(json!({}))["predictions"]}),
            "predictions.sql",
            "with scorer.command",
        ),
        (complete(json!({})), "data.complete", "neither watermark nor marker"),
        (complete(json!({"watermark": "w", "marker": "{yyyy}/m"})), "data.complete", "keep one"),
        (complete(json!({"watermark": "/w"})), "data.complete.watermark", "no folder"),
        (complete(json!({"watermark": "w/{device}"})), "data.complete.watermark", "no folder"),
        (json!({"data": {"path": "d.csv", "complete": {"watermark": "w"}}}), "data.complete.watermark", "give window"),
        (complete(json!({"marker": "{device}/_SUCCESS"})), "data.complete.marker", "for all sensors"),
        (complete(json!({"marker": "{yyyy}/*"})), "data.complete.marker", "write its name"),
        (complete(json!({"marker": "data/_SUCCESS"})), "data.complete.marker", "names no times"),
        (
            json!({"data": {"path": "d.csv", "complete": {"marker": "{yyyy}/_SUCCESS"}}}),
            "data.complete.marker",
            "only a window tells which",
        ),
        (complete(json!({"watermark": "w", "waitUpTo": "36501d"})), "data.complete.waitUpTo", "such as 10m"),
    ] {
        let error = work(changes.clone()).check().unwrap_err();
        assert_eq!(error.field, field, "{changes}: {error}");
        assert!(error.to_string().contains(hint), "{changes}: {error}");
    }
}

#[test]
fn a_matrix_names_every_combination_once() {
    let work = work(json!({"sensors": {"matrix": {"device": ["1", "2"], "tag": ["a", "b", "c"]}}}));
    work.check().unwrap();
    let all = work.sensors.unwrap().all();
    assert_eq!(all.len(), 6);
    assert!(all.contains(&[("device", "2"), ("tag", "c")].into_iter().collect()));
}
