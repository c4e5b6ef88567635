//! Objects of JSON.

use super::*;

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
    let between = file.split_once('\n').unwrap().0;
    scored(&read(between), [2, 1, 1], &["line 1: the file ends before its array does"]);
    failed(&read_as(", maxBadRows: 0", Some(between.as_bytes())), "TooManyBadRows", &["data/bad", "line 1"]);
}
