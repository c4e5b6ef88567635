use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::out::testing::START;
use crate::out::{Letter, Letters};

fn record<'a>(offset: i64, key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> Record<'a> {
    Record { partition: 3, offset, stamp: Some(START + 250_000), key, value }
}

fn letter<'a>(record: Record<'a>) -> Letter<'a> {
    Letter { reason: Reason::Late, detail: "its window ended at 00:05", index: 2, record }
}

fn text(chunk: &Chunk) -> &str {
    std::str::from_utf8(&chunk.bytes).unwrap()
}

#[test]
fn a_letter_tells_why_and_where_and_has_the_event_as_it_was_received() {
    let mut letters = Letters::default();
    letters.push(&letter(record(1201, Some(b"1"), Some(b"{\"a\":\"\xc3\xa9\"}"))));
    let expected = "{\"reason\":\"Late\",\"detail\":\"its window ended at 00:05\",\"partition\":3,\"offset\":1201,\"index\":2,\
                    \"timestamp\":\"2026-01-01T00:05:00.25Z\",\"key\":\"1\",\"value\":\"{\\\"a\\\":\\\"\u{e9}\\\"}\"}\n";
    assert_eq!(letters.bytes(), expected.len());
    assert_eq!(text(&letters.take().unwrap()), expected);
}

#[test]
fn a_raw_line_is_a_letter_without_the_reasons() {
    let mut raw = Raw::default();
    raw.push(&record(0, None, Some(b"a\nb")));
    let expected =
        "{\"partition\":3,\"offset\":0,\"timestamp\":\"2026-01-01T00:05:00.25Z\",\"key\":null,\"value\":\"a\\nb\"}\n";
    assert_eq!(text(&raw.take().unwrap()), expected);
}

#[test]
fn what_is_no_text_goes_as_base64_and_what_is_absent_is_null() {
    let mut raw = Raw::default();
    raw.push(&Record { stamp: None, ..record(7, Some(&[0xff, 0]), None) });
    let expected = "{\"partition\":3,\"offset\":7,\"timestamp\":null,\"keyBase64\":\"/wA=\",\"value\":null}\n";
    assert_eq!(text(&raw.take().unwrap()), expected);
}

#[test]
fn a_long_value_is_kept_whole() {
    let value = "x".repeat(1 << 20);
    let mut letters = Letters::default();
    letters.push(&letter(record(7, None, Some(value.as_bytes()))));
    let chunk = letters.take().unwrap();
    let line: Value = serde_json::from_slice(&chunk.bytes).unwrap();
    assert_eq!(line["value"].as_str(), Some(value.as_str()));
}

#[test]
fn lines_are_taken_once_under_the_first_of_them() {
    let mut raw = Raw::default();
    assert!(raw.is_empty() && raw.take().is_none());
    raw.push(&record(12, None, None));
    raw.push(&Record { stamp: None, ..record(15, None, None) });
    assert!(!raw.is_empty());
    let chunk = raw.take().unwrap();
    assert_eq!((chunk.first_offset, chunk.first_stamp, chunk.count), (12, Some(START + 250_000), 2));
    assert!(raw.is_empty() && raw.bytes() == 0 && raw.take().is_none());
}

#[test]
fn a_file_is_named_by_its_partition_and_first_offset_in_the_folder_of_its_time() {
    let folder: Folder = "deadletter/{yyyy}/{MM}/{dd}/{HH}".parse().unwrap();
    let mut raw = Raw::default();
    raw.push(&record(1201, None, None));
    let chunk = raw.take().unwrap();
    assert_eq!(chunk.path(&folder, "readings", 3), "deadletter/2026/01/01/00/readings-0003-00000000000000001201.jsonl");
    let untimed = Chunk { first_stamp: None, ..chunk };
    assert_eq!(
        untimed.path(&folder, "readings", 3),
        "deadletter/1970/01/01/00/readings-0003-00000000000000001201.jsonl"
    );
}

#[test]
fn a_reason_is_in_a_line_as_in_metrics() {
    for reason in Reason::ALL {
        assert_eq!(serde_json::to_value(reason).unwrap(), json!(reason.as_str()));
    }
}

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    let any_bytes = prop::collection::vec(any::<u8>(), 0..20);
    let text = any::<String>().prop_map(String::into_bytes);
    prop::option::of(prop_oneof![any_bytes, text])
}

/// The bytes that a line has.
fn back(line: &Value, name: &str) -> Option<Vec<u8>> {
    match line.get(format!("{name}Base64")) {
        Some(encoded) => Some(STANDARD.decode(encoded.as_str().unwrap()).unwrap()),
        None => line[name].as_str().map(|text| text.as_bytes().to_vec()),
    }
}

proptest! {
    #[test]
    fn nothing_of_a_record_is_lost(key in bytes(), value in bytes(), detail: String, offset in 0..i64::MAX) {
        let mut letters = Letters::default();
        let record = record(offset, key.as_deref(), value.as_deref());
        letters.push(&Letter { detail: &detail, ..letter(record) });
        letters.push(&record);
        let chunk = letters.take().unwrap();
        let lines: Vec<Value> = text(&chunk).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(lines.len(), 2);
        for line in &lines {
            prop_assert_eq!(back(line, "key"), key.clone());
            prop_assert_eq!(back(line, "value"), value.clone());
            prop_assert_eq!(line["offset"].as_i64(), Some(offset));
        }
        prop_assert_eq!(lines[0]["detail"].as_str(), Some(detail.as_str()));
    }
}
