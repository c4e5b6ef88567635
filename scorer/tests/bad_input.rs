//! What docs/readings.md promises of bad input: each kind has its policy, and its words name file and line. The sensor with
//! the bad input stands beside a good one, which it never harms.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::path::Path;

use common::Plant;
use serde_json::Value;

const AT: &str = "2026-01-01T01:00:00Z";
/// Says which column has the value.
const VALUE: &str = ", columns: {value: [value]}";
const GOOD: &str = "ts,value\n2026-01-01T00:00:00Z,50\n2026-01-01T00:00:05Z,51\n2026-01-01T00:00:10Z,52\n";

/// What becomes of a sensor with this file of readings, by the record.
fn read(file: impl AsRef<[u8]>) -> Value {
    read_as("", Some(file.as_ref()))
}

/// The same with further fields of `data`.
fn read_as(data: &str, file: Option<&[u8]>) -> Value {
    let model = std::fs::read(model("sklearn19_one_p4.pkl")).unwrap();
    outcome(data, file, &model)
}

fn model(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(name)
}

fn outcome(data: &str, file: Option<&[u8]>, bad_model: &[u8]) -> Value {
    let plant = Plant::new();
    plant.put("models/good", std::fs::read(model("sklearn19_one_p4.pkl")).unwrap());
    plant.put("data/good", GOOD);
    plant.put("models/bad", bad_model);
    if let Some(file) = file {
        plant.put("data/bad", file);
    }
    let lines = format!(
        "  model: {{path: \"models/{{device}}\"}}\n  data: {{path: \"data/{{device}}\"{data}}}\n  window: {{length: 1h}}\n"
    );
    let record = plant.record(&lines, AT);
    let of = |device: &str| {
        let mut outcomes = record["outcomes"].as_array().unwrap().iter();
        outcomes.find(|outcome| outcome["sensor"]["device"] == device).unwrap().clone()
    };
    assert_eq!(
        (of("good")["status"].as_str(), of("good")["scored"].as_u64()),
        (Some("Succeeded"), Some(3)),
        "{record}"
    );
    let bad = of("bad");
    let written = plant.predictions().iter().any(|folder| folder.ends_with("device=bad"));
    assert_eq!(written, bad["status"] == "Succeeded", "predictions are there whole or not at all: {bad}");
    bad
}

/// The sensor failed for this reason, and the message has these words.
fn failed(outcome: &Value, reason: &str, words: &[&str]) {
    assert_eq!((outcome["status"].as_str(), outcome["reason"].as_str()), (Some("Failed"), Some(reason)), "{outcome}");
    let message = outcome["message"].as_str().unwrap();
    assert!(message.contains("device=bad"), "{message}");
    assert!(words.iter().all(|word| message.contains(word)), "{words:?}: {message}");
}

/// Rows were read, scored and bad; the warning has these words.
fn scored(outcome: &Value, counts: [u64; 3], words: &[&str]) {
    let found = ["rows", "scored", "badRows"].map(|field| outcome[field].as_u64().unwrap());
    assert_eq!((outcome["status"].as_str(), found), (Some("Succeeded"), counts), "{outcome}");
    let warnings = outcome["warnings"].to_string();
    assert!(words.iter().all(|word| warnings.contains(word)), "{words:?}: {warnings}");
}

/// A file whose line 3 is this.
fn with_line(line: &[u8]) -> Vec<u8> {
    let mut file = b"ts,value\n2026-01-01T00:00:00Z,50\n".to_vec();
    file.extend_from_slice(line);
    file.extend_from_slice(b"\n2026-01-01T00:00:10Z,52\n");
    file
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

#[test]
fn a_file_that_is_not_there_fails_the_sensor() {
    failed(&read_as("", None), "DataNotFound", &["data/bad", "data.path"]);
}

#[test]
fn an_empty_file_fails_the_sensor() {
    failed(&read(""), "DataInvalid", &["data/bad", "empty"]);
}

#[test]
fn a_header_without_rows_is_no_readings() {
    failed(&read("ts,value\n"), "NoReadings", &["data/bad", "no reading"]);
}

#[test]
fn no_row_in_the_window_is_no_readings_and_says_how_many_are_outside() {
    let late = "ts,value\n2026-01-01T01:00:00Z,50\n2025-12-31T23:59:59Z,51\n";
    failed(&read(late), "NoReadings", &["data/bad", "2 outside", "window.delay"]);
}

#[test]
fn a_missing_column_fails_the_sensor_and_names_what_there_is() {
    let flow = "ts,flow\n2026-01-01T00:00:00Z,50\n";
    let outcome = read_as(VALUE, Some(flow.as_bytes()));
    failed(&outcome, "ColumnMissing", &["data/bad", "\"value\"", "ts, flow", "columns.value"]);
}

#[test]
fn a_file_without_a_time_is_told_where_a_window_needs_one() {
    failed(&read("value\n50\n"), "ColumnMissing", &["data/bad", "columns.time"]);
}

#[test]
fn two_columns_of_the_wanted_name_are_not_guessed_between() {
    let two = "ts,value,value\n2026-01-01T00:00:00Z,50,51\n";
    failed(&read_as(VALUE, Some(two.as_bytes())), "ColumnAmbiguous", &["data/bad", "value"]);
}

#[test]
fn another_number_of_values_than_the_model_takes_fails_the_sensor() {
    let two = "ts,value,flow\n2026-01-01T00:00:00Z,50,51\n";
    failed(&read(two), "FeaturesMismatch", &["takes 1 value", "has 2", "value, flow"]);
}

#[test]
fn a_row_that_is_too_short_or_too_long_is_a_bad_row() {
    for line in ["2026-01-01T00:00:05Z", "2026-01-01T00:00:05Z,51,1"] {
        scored(&read(with_line(line.as_bytes())), [3, 2, 1], &["line 3", "field(s)"]);
    }
}

#[test]
fn a_file_that_is_cut_short_has_a_bad_row_at_its_end() {
    scored(&read("ts,value\n2026-01-01T00:00:00Z,50\n2026-01-01T00:0"), [2, 1, 1], &["line 3"]);
}

#[test]
fn text_for_a_number_is_a_bad_row() {
    scored(&read(with_line(b"2026-01-01T00:00:05Z,broken")), [3, 2, 1], &["line 3", "column value", "broken"]);
}

#[test]
fn a_missing_value_is_a_bad_row_for_a_model_that_takes_none() {
    for value in ["", "NaN", "nan"] {
        scored(&read(with_line(format!("2026-01-01T00:00:05Z,{value}").as_bytes())), [3, 2, 1], &["line 3"]);
    }
}

#[test]
fn an_infinite_value_is_a_bad_row() {
    for value in ["inf", "-Infinity", "1e999"] {
        scored(&read(with_line(format!("2026-01-01T00:00:05Z,{value}").as_bytes())), [3, 2, 1], &["line 3", value]);
    }
}

#[test]
fn a_time_that_is_none_is_a_bad_row() {
    scored(&read(with_line(b"yesterday,51")), [3, 2, 1], &["line 3", "column ts", "yesterday"]);
}

#[test]
fn a_file_in_which_no_time_can_be_read_fails_the_sensor() {
    failed(
        &read("ts,value\nyesterday,50\ntoday,51\n"),
        "DataInvalid",
        &["data/bad", "line 2", "yesterday", "timeFormat"],
    );
}

#[test]
fn a_value_or_time_that_is_not_utf_8_is_a_bad_row() {
    for line in [b"2026-01-01T00:00:05Z,\xff51".as_slice(), b"2026-01-01T00:00:05\xe9,51"] {
        scored(&read(with_line(line)), [3, 2, 1], &["line 3"]);
    }
}

#[test]
fn a_header_that_is_not_utf_8_fails_the_sensor() {
    failed(&read(b"ts,val\xe9\n2026-01-01T00:00:00Z,50\n"), "DataInvalid", &["data/bad", "line 1", "UTF-8"]);
}

#[test]
fn a_file_in_utf_16_fails_the_sensor() {
    let text: Vec<u8> = std::iter::once(0xfeff).chain(GOOD.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    failed(&read(text), "DataInvalid", &["data/bad", "UTF-16", "UTF-8"]);
}

#[test]
fn bad_rows_alone_fail_the_sensor() {
    let none = "ts,value\n2026-01-01T00:00:00Z,x\n2026-01-01T00:00:05Z,y\n";
    failed(&read_as(VALUE, Some(none.as_bytes())), "DataInvalid", &["data/bad", "none of its 2 rows", "line 2"]);
}

#[test]
fn more_bad_rows_than_allowed_fail_the_sensor() {
    let one = with_line(b"2026-01-01T00:00:05Z,x");
    for (most, fails) in [("0", true), ("1", false), ("33%", true), ("34%", false)] {
        let outcome = read_as(&format!(", maxBadRows: {most}"), Some(&one));
        match fails {
            true => failed(&outcome, "TooManyBadRows", &["data/bad", "1 of 3", most, "line 3"]),
            false => scored(&outcome, [3, 2, 1], &[]),
        }
    }
}

#[test]
fn times_out_of_order_or_twice_are_scored_row_by_row() {
    let file = "ts,value\n2026-01-01T00:00:10Z,50\n2026-01-01T00:00:00Z,51\n2026-01-01T00:00:00Z,51\n";
    scored(&read(file), [3, 3, 0], &[]);
}

#[test]
fn a_quote_that_is_never_closed_fails_the_sensor() {
    let open = "ts,value\n2026-01-01T00:00:00Z,50\n\"2026-01-01T00:00:05Z,51\n2026-01-01T00:00:10Z,52\n";
    failed(&read(open), "DataInvalid", &["data/bad", "line 3", "quote"]);
}

#[test]
fn a_row_without_end_fails_the_sensor() {
    failed(&read(with_line(&vec![b'1'; 2 << 20])), "DataInvalid", &["data/bad", "line 3"]);
}

#[test]
fn gzip_that_is_cut_short_or_damaged_fails_the_sensor() {
    let packed = gzip(GOOD.repeat(50).as_bytes());
    let mut damaged = packed.clone();
    let middle = packed.len() / 2;
    damaged[middle] ^= 0xff;
    for bytes in [&packed[..packed.len() - 9], &damaged] {
        failed(&read(bytes), "DataInvalid", &["data/bad"]);
    }
}

#[test]
fn zstd_that_is_cut_short_fails_the_sensor() {
    let packed = ruzstd::encoding::compress_to_vec(GOOD.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    failed(&read(&packed[..packed.len() - 5]), "DataInvalid", &["data/bad"]);
}

#[test]
fn a_line_of_json_that_is_no_object_is_a_bad_row() {
    let object = "{\"ts\": \"2026-01-01T00:00:00Z\", \"value\": 50}\n";
    // That it is JSON is told by its first byte; the good sensor's is a CSV.
    let outcome = read(format!("{object}not json\n{object}"));
    assert_eq!((outcome["status"].as_str(), outcome["scored"].as_u64()), (Some("Succeeded"), Some(2)), "{outcome}");
    assert!(outcome["warnings"].to_string().contains("line 2"), "{outcome}");
}

/// Lines of JSON, one for each five seconds.
fn objects(count: usize, object: impl Fn(usize, &str) -> String) -> String {
    let time = |row: usize| format!("2026-01-01T00:{:02}:{:02}Z", row / 12, row % 12 * 5);
    (0..count).map(|row| object(row, &time(row)) + "\n").collect()
}

#[test]
fn a_field_that_only_some_objects_have_does_no_harm_to_the_others() {
    for first in [0, 98, 110] {
        let file = objects(120, |row, time| {
            let note = if row == first { ", \"note\": \"x\"" } else { "" };
            format!("{{\"ts\": \"{time}\", \"value\": 50{note}}}")
        });
        scored(&read(&file), [120, 120, 0], &[]);
        scored(&read_as(VALUE, Some(file.as_bytes())), [120, 120, 0], &[]);
    }
}

#[test]
fn an_object_without_the_value_or_the_time_is_a_bad_row_that_names_the_field() {
    for (field, row) in [("value", 99), ("value", 0), ("ts", 99), ("ts", 110)] {
        let file = objects(120, |at, time| match field {
            "value" if at == row => format!("{{\"ts\": \"{time}\"}}"),
            "ts" if at == row => "{\"value\": 50}".to_owned(),
            _ => format!("{{\"ts\": \"{time}\", \"value\": 50}}"),
        });
        let line = format!("line {}: it has no field {field}", row + 1);
        scored(&read(file), [120, 119, 1], &[&line]);
    }
}

#[test]
fn an_array_of_objects_that_is_cut_short_has_a_bad_row_at_its_end() {
    let file = "[{\"ts\": \"2026-01-01T00:00:00Z\", \"value\": 50},\n{\"ts\": \"2026-01-01T00:00:05Z\", \"val";
    scored(&read(file), [2, 1, 1], &["line 2: the file ends in the middle of the object"]);
}

#[test]
fn a_csv_whose_first_row_is_a_reading_is_refused_with_what_to_say() {
    let (_, rows) = GOOD.split_once('\n').unwrap();
    failed(&read(rows), "DataInvalid", &["data/bad", "line 1", "no header", "data.names", "--names"]);
    scored(&read_as(", names: [ts, value]", Some(rows.as_bytes())), [3, 3, 0], &[]);
}

#[test]
fn a_column_that_begins_with_texts_is_a_value_where_most_of_it_are_numbers() {
    let rows = |errors: usize| -> String {
        let value = |row| if row < errors { "ERR".to_owned() } else { "50".to_owned() };
        (0..700).map(|row| format!("2026-01-01T00:{:02}:{:02}Z,{}\n", row / 12, row % 12 * 5, value(row))).collect()
    };
    scored(&read(format!("ts,value\n{}", rows(60))), [700, 640, 60], &["line 2", "ERR"]);
    scored(&read(format!("ts,value\n{}", rows(300))), [700, 400, 300], &["line 2", "ERR"]);
    let most = read(format!("ts,value\n{}", rows(400)));
    failed(&most, "ColumnMissing", &["no column of numbers", "columns.value"]);
}

#[test]
fn a_column_with_a_few_numbers_is_text_and_the_warning_says_so() {
    let file = "ts,value,state\n2026-01-01T00:00:00Z,50,ok\n2026-01-01T00:00:05Z,51,7\n2026-01-01T00:00:10Z,52,ok\n";
    scored(&read(file), [3, 3, 0], &["column state is taken for text", "columns.value"]);
}

#[test]
fn the_row_numbers_of_a_data_frame_are_no_value() {
    let rows: String = GOOD.lines().skip(1).enumerate().map(|(at, row)| format!("{at},{row}\n")).collect();
    for index in ["", "__index_level_0__"] {
        scored(&read(format!("{index},ts,value\n{rows}")), [3, 3, 0], &[]);
    }
}

#[test]
fn what_excel_writes_is_read_or_told() {
    let semicolons = GOOD.replace(',', ";");
    scored(&read(format!("sep=;\r\n{semicolons}")), [3, 3, 0], &[]);
    let commas = semicolons.replace(";5", ";1,5");
    failed(&read(&commas), "ColumnMissing", &["decimal commas, such as 1,50", "write points"]);
    let one = semicolons.replace(";51", ";5,1");
    scored(&read(&one), [3, 2, 1], &["line 3", "5,1", "write a point for the comma"]);
}

#[test]
fn line_ends_of_cr_alone_are_told() {
    failed(&read(GOOD.replace('\n', "\r")), "DataUnsupported", &["data/bad", "CR alone", "LF"]);
}

#[test]
fn containers_that_are_not_read_are_told_by_their_names() {
    for (file, what) in [
        (&b"PK\x03\x04\x14\0"[..], "zip archive"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\0\0\x04", "xz"),
        (&gzip(&gzip(GOOD.as_bytes())), "compressed twice"),
        (&gzip(b"BZh91AY&SY"), "bzip2"),
    ] {
        failed(&read(file), "DataUnsupported", &["data/bad", what, "gzip or zstd"]);
    }
}

#[test]
fn gzip_that_is_padded_with_zeros_is_read() {
    let padded = [gzip(GOOD.as_bytes()), vec![0; 70_000]].concat();
    scored(&read(&padded), [3, 3, 0], &[]);
    failed(&read([padded, b"what is no gzip at all".to_vec()].concat()), "DataInvalid", &["data/bad", "damaged"]);
}

#[test]
fn zstd_that_begins_with_a_frame_to_be_skipped_is_read() {
    let packed = ruzstd::encoding::compress_to_vec(GOOD.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    scored(&read([&b"\x50\x2a\x4d\x18\x04\0\0\0\x01\x02\x03\x04"[..], &packed].concat()), [3, 3, 0], &[]);
}

#[test]
fn zstd_that_asks_for_too_much_memory_is_told_and_not_called_damaged() {
    // A frame's header that says: a window of 2^27 bytes.
    failed(&read(b"\x28\xb5\x2f\xfd\x00\x88\x01\0\0"), "DataUnsupported", &["128 MiB", "without --long"]);
}

#[test]
fn local_times_that_come_twice_are_counted_in_a_warning() {
    let plant = Plant::new();
    plant.put("models/bad", std::fs::read(model("sklearn19_one_p4.pkl")).unwrap());
    let hour = |hour: u8| format!("2020-10-25 {hour:02}:00:00,50\n2020-10-25 {hour:02}:30:00,51\n");
    plant.put("data/bad", ["ts,value\n".to_owned(), hour(1), hour(2), hour(2), hour(3)].concat());
    let run = |at: &str| {
        let lines = "  model: {path: \"models/{device}\"}\n  data: {path: \"data/{device}\", timeZone: Europe/Berlin}\n  \
                     window: {length: 1h}\n";
        plant.record(lines, at)["outcomes"][0].clone()
    };
    scored(&run("2020-10-25T01:00:00Z"), [4, 4, 0], &["4 rows have a local time that comes twice"]);
    failed(&run("2020-10-25T02:00:00Z"), "NoReadings", &["4 of them have a local time that comes twice"]);
    scored(&run("2020-10-25T03:00:00Z"), [2, 2, 0], &["null"]);
}

#[test]
fn a_model_that_is_cut_short_fails_the_sensor() {
    let whole = std::fs::read(model("sklearn19_one_p4.pkl")).unwrap();
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        failed(&outcome("", Some(GOOD.as_bytes()), &whole[..length]), "ModelInvalid", &["models/bad"]);
    }
}

#[test]
fn a_model_of_an_unknown_class_fails_the_sensor_and_names_the_class() {
    // What `pickle.dumps(sklearn.linear_model.LinearRegression)` begins with.
    let pickle = b"\x80\x04\x95\x32\x00\x00\x00\x00\x00\x00\x00\x8c\x14sklearn.linear_model\x94\x8c\x10LinearRegression\x94\x93\x94.";
    let outcome = outcome("", Some(GOOD.as_bytes()), pickle);
    failed(&outcome, "ModelUnsupported", &["models/bad", "LinearRegression"]);
}

/// The readings that pyarrow wrote, of one sensor here.
fn parquet() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readings/pyarrow.parquet")).unwrap()
}

#[test]
fn parquet_that_is_cut_short_or_damaged_fails_the_sensor() {
    let whole = parquet();
    failed(&read(&whole[..whole.len() / 2]), "DataInvalid", &["data/bad", "Parquet file is damaged", "write it again"]);
    // The header of the first page.
    let mut damaged = whole;
    damaged[4..12].fill(0xff);
    failed(&read(&damaged), "DataInvalid", &["data/bad: column TS", "Parquet file is damaged"]);
}

#[test]
fn no_room_for_a_copy_of_parquet_fails_the_sensor_and_says_what_to_mount() {
    let plant = Plant::new();
    plant.put("models/bad", std::fs::read(model("sklearn19_one_p4.pkl")).unwrap());
    plant.put("data/bad", parquet());
    let lines = "  model: {path: \"models/{device}\"}\n  data: {path: \"data/{device}\"}\n";
    let record = plant.record_with(lines, AT, &[("TMPDIR", "/nonexistent")]);
    failed(&record["outcomes"][0], "NoTemporarySpace", &["data/bad", "/nonexistent cannot take", "mount a volume"]);
}

#[test]
fn models_whose_names_no_sensor_can_have_are_left_out_and_told_in_the_record() {
    let plant = Plant::new();
    let model = std::fs::read(model("sklearn19_one_p4.pkl")).unwrap();
    for name in ["good", "pad ", ".", "..", "a\\b", &"x".repeat(200)] {
        plant.put(&format!("models/m_{name}"), &model);
    }
    let padded = GOOD.lines().skip(1).map(|row| format!("{row},good\n{row},pad \n")).collect::<String>();
    plant.put("data/all.csv", format!("ts,value,device\n{padded}"));
    let lines = "  model: {path: \"models/m_{device}\"}\n  data: {path: data/all.csv}\n  window: {length: 1h}\n";
    let record = plant.record(lines, AT);
    let of = |at: usize| &record["outcomes"][at];
    assert_eq!((of(0)["sensor"]["device"].as_str(), of(0)["scored"].as_u64()), (Some("good"), Some(3)), "{record}");
    assert_eq!((of(1)["sensor"]["device"].as_str(), of(1)["reason"].as_str()), (Some("pad "), Some("NoReadings")));
    assert_eq!(record["totals"]["sensors"], 2);
    let warnings = record["warnings"].as_array().unwrap();
    let first = warnings[0].as_str().unwrap();
    assert!(
        first.starts_with("4 model(s) are left out; the first is models/m_") && first.contains("rename"),
        "{first}"
    );
    let second = warnings[1].as_str().unwrap();
    assert!(second.starts_with("1 sensor(s) have white space around a key"), "{second}");
}
