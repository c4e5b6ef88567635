//! `examples/stream-analytics`: files in the layout of a Stream Analytics job, scored by the example as it stands.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use common::{Plant, TRAINED};
use serde_json::Value;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/stream-analytics/schedule.yaml");
/// Ticks of the example; each run's window is the hour that ended five minutes earlier.
const TICKS: [&str; 2] = ["2026-01-01T01:05:00Z", "2026-01-01T02:05:00Z"];
/// The same hours, for a schedule without delay.
const HOURS: [&str; 2] = ["2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z"];
const SENSORS: u64 = 4;
/// Windows of five seconds in an hour.
const WINDOWS: u64 = 720;

/// What the query gives for a window of a sensor.
struct Row {
    /// The window's end.
    ts: String,
    device: String,
    tag: String,
    value: String,
}

impl Row {
    fn json(&self) -> String {
        let Self { ts, device, tag, value } = self;
        format!(r#"{{"TS":"{ts}","Device":{device},"Tag":{tag},"Value":{value}}}"#)
    }
}

/// A plant with models, and its windows of two hours, and of the first minute behind them, by hour.
fn plant() -> (Plant, BTreeMap<String, Vec<Row>>) {
    let plant = Plant::new();
    let start = ["--start", "2026-01-01T00:00:00Z", "--length", "121m", "--seed", "5"];
    plant.scorer(&[&["simulate", "--devices", "2", "--tags", "2"][..], &start].concat());
    plant.scorer(&["train"]);
    let text = fs::read_to_string(plant.path().join("data/sensor_data.csv")).unwrap();
    let mut hours: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let (ts, device, tag, value) = (fields[0], fields[1], fields[2], fields[3]);
        // 2026-01-01 00:00:05.000 is 2026-01-01T00:00:05.0000000Z there.
        let row = Row {
            ts: format!("{}0000Z", ts.replace(' ', "T")),
            device: device.into(),
            tag: tag.into(),
            value: value.into(),
        };
        hours.entry(format!("{}/{}", ts[..10].replace('-', "/"), &ts[11..13])).or_default().push(row);
    }
    (plant, hours)
}

/// A file as Stream Analytics names it.
fn put(plant: &Plant, hour: &str, writer: u128, ending: &str, text: &str) {
    plant.put(&format!("data/{hour}/0_{writer:032x}_1.{ending}"), text);
}

fn lines(rows: &[Row]) -> String {
    rows.iter().map(|row| row.json() + "\r\n").collect()
}

/// An array of all rows, as it is before it is closed.
fn open_array(rows: &[Row]) -> String {
    format!("[{}", rows.iter().map(Row::json).collect::<Vec<_>>().join(",\r\n"))
}

fn csv(rows: &[Row]) -> String {
    let line = |row: &Row| format!("{},{},{},{}\r\n", row.ts, row.device, row.tag, row.value);
    format!("TS,Device,Tag,Value\r\n{}", rows.iter().map(line).collect::<String>())
}

/// The outcomes of a run of a manifest.
fn outcomes(plant: &Plant, manifest: &str, schedule: &str, tick: &str) -> Vec<Value> {
    let summary = plant.scorer(&["run", "--json", "-f", manifest, "--at", tick]);
    assert_eq!(summary["state"], "Complete", "{summary}");
    let folder = plant.path().join("runs/default").join(schedule).join(summary["run"].as_str().unwrap());
    let record: Value = serde_json::from_slice(&fs::read(folder.join("record.json")).unwrap()).unwrap();
    let outcomes = record["outcomes"].as_array().unwrap().clone();
    assert_eq!(outcomes.len() as u64, SENSORS, "{record}");
    outcomes
}

fn of_example(plant: &Plant, tick: &str) -> Vec<Value> {
    outcomes(plant, EXAMPLE, "stream-analytics", tick)
}

/// Sensor, rows and anomalies of each outcome.
fn told(outcomes: &[Value]) -> Vec<[&Value; 3]> {
    outcomes.iter().map(|outcome| ["sensor", "scored", "anomalies"].map(|field| &outcome[field])).collect()
}

/// The same windows in one file of all readings.
fn expected(plant: &Plant, hour: &str) -> Vec<Value> {
    let all = plant.record(&format!("{TRAINED}  window: {{length: 1h}}\n"), hour);
    all["outcomes"].as_array().unwrap().clone()
}

#[test]
fn files_of_lines_appended_by_several_writers_are_scored_as_one_file_of_all_is() {
    let (plant, hours) = plant();
    for (hour, rows) in &hours {
        // Two writers for an hour, and a third after a restart; some begin with a byte order mark.
        let third = rows.len() / 3;
        put(&plant, hour, 0xf1, "json", &format!("\u{feff}{}", lines(&rows[..third])));
        put(&plant, hour, 0x2a, "json", &lines(&rows[third..2 * third]));
        put(&plant, hour, 0x9b, "json", &lines(&rows[2 * third..]));
    }
    for (tick, hour) in TICKS.iter().zip(HOURS) {
        let found = of_example(&plant, tick);
        assert_eq!(told(&found), told(&expected(&plant, hour)));
        for outcome in &found {
            assert_eq!((&outcome["scored"], &outcome["badRows"]), (&WINDOWS.into(), &0.into()), "{outcome}");
        }
    }
}

#[test]
fn arrays_are_scored_too_and_the_last_one_while_it_grows() {
    let (plant, hours) = plant();
    let hour = "2026/01/01/00";
    let (before, after) = hours[hour].split_at(hours[hour].len() / 2);
    put(&plant, hour, 0xc0, "json", &format!("{}]", open_array(before)));
    put(&plant, hour, 0xd1, "json", &open_array(after));
    // A writer that has begun, and has no row yet.
    put(&plant, hour, 0xe2, "json", "");
    let found = of_example(&plant, TICKS[0]);
    assert_eq!(told(&found), told(&expected(&plant, HOURS[0])));
    for outcome in &found {
        assert_eq!(outcome["scored"], WINDOWS, "{outcome}");
        // It may be any sensor's row that is not there yet.
        assert!(outcome["warnings"].to_string().contains("the file ends before its array does"), "{outcome}");
    }
}

#[test]
fn the_row_that_ends_on_the_hour_is_scored_once_and_with_the_hour_of_its_folder() {
    let (plant, hours) = plant();
    for (hour, rows) in &hours {
        put(&plant, hour, 0x11, "json", &lines(rows));
    }
    let ends = |hour: usize| {
        of_example(&plant, TICKS[hour]);
        let name = format!("20260101T{hour:02}0000Z.csv");
        let file = plant.path().join("predictions/default/stream-analytics/device=1,tag=1").join(name);
        let text = fs::read_to_string(file).unwrap();
        let times: Vec<String> = text.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect();
        (times[0].clone(), times[times.len() - 1].clone())
    };
    assert_eq!(ends(0), ("2026-01-01T00:00:00.0000000Z".into(), "2026-01-01T00:59:55.0000000Z".into()));
    assert_eq!(ends(1), ("2026-01-01T01:00:00.0000000Z".into(), "2026-01-01T01:59:55.0000000Z".into()));
}

#[test]
fn csv_with_its_header_takes_nothing_but_another_end_of_the_path() {
    let (plant, hours) = plant();
    for (hour, rows) in &hours {
        let (one, other) = rows.split_at(rows.len() / 2);
        put(&plant, hour, 0xa1, "csv", &csv(one));
        put(&plant, hour, 0xb2, "csv", &csv(other));
    }
    let example = fs::read_to_string(EXAMPLE).unwrap();
    assert_eq!(example.matches("/*.json").count(), 1);
    plant.put("csv.yaml", example.replace("/*.json", "/*.csv"));
    let found = outcomes(&plant, plant.path().join("csv.yaml").to_str().unwrap(), "stream-analytics", TICKS[0]);
    assert_eq!(told(&found), told(&expected(&plant, HOURS[0])));
}

#[test]
fn the_query_gives_the_columns_and_the_output_the_folders_that_the_schedule_reads() {
    let folder = Path::new(EXAMPLE).parent().unwrap();
    let query = fs::read_to_string(folder.join("query.sql")).unwrap();
    let output: Value = serde_json::from_slice(&fs::read(folder.join("output.json")).unwrap()).unwrap();
    let schedule: Value = serde_saphyr::from_str(&fs::read_to_string(EXAMPLE).unwrap()).unwrap();
    let data = &schedule["spec"]["data"];
    for (column, by) in [(&data["columns"]["time"], "System.Timestamp()"), (&data["columns"]["value"][0], "AVG(Value)")]
    {
        assert!(query.contains(&format!("{by} AS {}", column.as_str().unwrap())), "{column}");
    }
    assert!(query.contains(&format!("[{}]", output["name"].as_str().unwrap())));
    let to = &output["properties"]["datasource"]["properties"];
    let folders = to["pathPattern"].as_str().unwrap();
    let folders = folders.replace("{date}", "{yyyy}/{MM}/{dd}").replace("{time}", "{HH}");
    assert_eq!(data["path"], format!("{folders}/*.json"));
    assert_eq!((&to["dateFormat"], &to["timeFormat"]), (&"yyyy/MM/dd".into(), &"HH".into()));
    let store = schedule["spec"]["store"]["url"].as_str().unwrap();
    assert!(store.ends_with(&format!("/{}", to["container"].as_str().unwrap())), "{store}");
}
