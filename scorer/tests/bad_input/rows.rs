//! Rows of CSV, one by one: each that cannot be used is counted, and none harms the others.

use super::*;

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
