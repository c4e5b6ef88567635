//! Traces that people may bring.

use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Trace {
    parse(text.as_bytes(), None).unwrap()
}

fn rows(text: &str) -> Vec<(i64, u32, f64)> {
    read(text).rows.iter().map(|row| (row.at, row.sensors, row.seconds)).collect()
}

fn wrong(text: &str) -> (usize, Problem) {
    let error = parse(text.as_bytes(), None).unwrap_err();
    (error.line, error.problem)
}

#[test]
fn with_and_without_a_header_in_any_order_and_with_any_separator() {
    let expected = [(0, 10, 1.5), (3_600, 20, 2.0)];
    for text in [
        "0,10,1.5\n3600,20,2\n",
        "3600,20,2\r\n0,10,1.5",
        "\u{feff}time,sensors,seconds per sensor\n0,10,1.5\n\n# later\n3600,20,2\n",
        "Seconds_Per_Sensor;Site;Time;Sensors\n1.5;a;2026-01-01T00:00:00Z;10\n2;b;2026-01-01T02:00:00+01:00;20.0",
        "\"time\"\t\"sensors\"\t\"seconds\"\n\"2026-01-01 00:00:00\"\t10\t1.5\n2026-01-01T01:00:00.25\t20\t2",
        "1767225600.9,10,1.5\n1767229200,20,2",
        "\"time\",\"note, and \"\"more\"\"\",sensors,seconds\n0,\"a, \"\"b\"\"\",10,1.5\n3600,,20,2",
    ] {
        assert_eq!(rows(text), expected, "{text}");
    }
}

#[test]
fn dates_tell_when_it_starts_and_rows_without_sensors_are_no_runs() {
    let trace = read("2026-01-01T00:05:00Z,0,1\n2026-01-01T00:10:00Z,5,1\n");
    assert_eq!(trace.start, Some("2026-01-01T00:05:00Z".parse().unwrap()));
    assert_eq!((trace.rows[0].at, trace.empty, trace.span().as_secs()), (300, 1, 300));
}

#[test]
fn what_a_sensor_takes_may_be_told_elsewhere() {
    assert_eq!(parse(b"0,10\n60,20", Some(4.0)).unwrap().rows[1].seconds, 4.0);
    assert_eq!(parse(b"time,sensors\n0,10", Some(4.0)).unwrap().rows[0].seconds, 4.0);
    assert_eq!(wrong("0,10\n60,20"), (1, Problem::Fields { found: 2, wanted: 3 }));
    assert_eq!(wrong("# mine\ntime,sensors\n0,10"), (2, Problem::NoSeconds("time, sensors".to_owned())));
    let assumed = |text: &str| parse(text.as_bytes(), Some(4.0)).unwrap().seconds_assumed;
    assert_eq!([assumed("0,10"), assumed("time,sensors\n0,10"), assumed("0,10,1")], [true, true, false]);
}

#[test]
fn how_long_a_sensor_takes_is_found_under_every_name_that_says_seconds() {
    for name in [
        "seconds per sensor",
        "Seconds per sensor (s)",
        "seconds/sensor",
        "sensor_seconds",
        "sec_per_sensor",
        "secPerSensor",
        "duration_s",
        "DURATION",
        "durationSeconds",
        "secs",
        "runtime",
    ] {
        let trace = read(&format!("time,sensors,{name}\n0,10,60"));
        assert_eq!((trace.rows[0].seconds, trace.seconds_assumed), (60.0, false), "{name}");
    }
}

#[test]
fn a_column_of_another_name_is_never_taken_for_a_second() {
    for name in ["duration_ms", "minutes per sensor", "site", "cost", "runtime (min)"] {
        let text = format!("time,sensors,{name}\n0,10,60");
        assert_eq!(wrong(&text), (1, Problem::NoSeconds(format!("time, sensors, {name}"))), "{name}");
        assert_eq!(parse(text.as_bytes(), Some(4.0)).unwrap().rows[0].seconds, 4.0);
    }
}

#[test]
fn of_many_columns_a_message_names_the_first() {
    let wide = format!("time,sensors{}\n0,1", ",a column of whatever".repeat(1_000));
    let error = parse(wide.as_bytes(), None).unwrap_err().to_string();
    assert!(error.len() < 1_000 && error.contains("a column of whatever, … says how many seconds"), "{error}");
}

#[test]
fn of_two_columns_of_one_meaning_none_is_guessed() {
    let doubled = |one: &str, other: &str| Problem::Doubled { one: one.to_owned(), other: other.to_owned() };
    assert_eq!(wrong("time,sensors,seconds,Sensors\n0,1,1,2"), (1, doubled("sensors", "Sensors")));
    assert_eq!(wrong("date,start,sensors,seconds\n0,1,1,2"), (1, doubled("date", "start")));
    assert_eq!(wrong("time,sensors,sec,duration\n0,1,1,2"), (1, doubled("sec", "duration")));
    // The very names leave no doubt.
    let sure = "start,time,sensors,count,duration,seconds per sensor\n9,0,1,9,9,2\n9,5,3,9,9,4";
    assert_eq!(rows(sure), [(0, 1, 2.0), (5, 3, 4.0)]);
}

#[test]
fn a_zone_in_brackets_counts() {
    let start = |text: &str| read(&format!("{text},1,1")).start.map(|start| start.to_string());
    assert_eq!(start("2026-01-01T00:00:00[Europe/Berlin]").as_deref(), Some("2025-12-31T23:00:00Z"));
    assert_eq!(start("2026-07-01T00:00:00+02:00[Europe/Berlin]").as_deref(), Some("2026-06-30T22:00:00Z"));
    for text in ["2026-01-01T00:00:00[Mars/Olympus]", "2026-01-01T00:00:00+05:00[Europe/Berlin]"] {
        assert_eq!(wrong(&format!("{text},1,1")), (1, Problem::Time(text.to_owned())));
    }
}

#[test]
fn rows_know_their_lines_whatever_their_order() {
    let lines: Vec<usize> = read("time,sensors,seconds\n60,1,1\n\n0,2,1").rows.iter().map(|row| row.line).collect();
    assert_eq!(lines, [4, 2]);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let text = |text: &str| text.to_owned();
    let cases = [
        ("", 1, Problem::Nothing),
        ("time,sensors,seconds\n", 1, Problem::Nothing),
        ("when,what\n0,1,1", 1, Problem::Column("time")),
        ("time,what,seconds\n0,1,1", 1, Problem::Column("sensors")),
        ("0,1,1\n1,2\n", 2, Problem::Fields { found: 2, wanted: 3 }),
        ("0,1,1\n1,2,3,4\n", 2, Problem::Fields { found: 4, wanted: 3 }),
        ("0,1,1\n\"1,2,3\n", 2, Problem::Quote),
        ("0,1,1\n\"1\"x,2,3\n", 2, Problem::Quote),
        ("yesterday,1,1", 1, Problem::Time(text("yesterday"))),
        ("0,1,1\n-5,1,1", 2, Problem::Time(text("-5"))),
        ("0,1,1\n1767225600000,1,1", 2, Problem::Time(text("1767225600000"))),
        ("0,1,1\nNaN,1,1", 2, Problem::Time(text("NaN"))),
        ("0,1,1\n2026-01-01T00:00:00Z,1,1", 2, Problem::Mixed(text("2026-01-01T00:00:00Z"))),
        ("0,-1,1", 1, Problem::Sensors(text("-1"))),
        ("0,1.5,1", 1, Problem::Sensors(text("1.5"))),
        ("0,99999999999999999999,1", 1, Problem::Sensors(text("99999999999999999999"))),
        ("0,1000001,1", 1, Problem::Sensors(text("1000001"))),
        ("0,1,0", 1, Problem::Seconds(text("0"))),
        ("0,1,1e308", 1, Problem::Seconds(text("1e308"))),
        ("0,1,inf", 1, Problem::Seconds(text("inf"))),
        ("0,1,", 1, Problem::Seconds(text(""))),
        ("400000000,1,1\n0,1,1", 1, Problem::Span),
    ];
    for (text, line, problem) in cases {
        assert_eq!(wrong(text), (line, problem), "{text:?}");
    }
    assert_eq!(parse(b"0,1,1\n\xff\xfe,1,1", None).unwrap_err(), TraceError { line: 2, problem: Problem::Utf8 });
}

#[test]
fn a_trace_that_is_too_large_is_refused() {
    let rows = "0,1,1\n".repeat(MAX_ROWS + 1);
    assert_eq!(wrong(&rows), (MAX_ROWS + 1, Problem::Rows));
    assert_eq!(parse(&vec![b'#'; MAX_BYTES + 1], None).unwrap_err().problem, Problem::Bytes);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _read = parse(&bytes, Some(1.0));
    }

    #[test]
    fn nothing_that_looks_like_a_trace_makes_it_panic(text in "([-0-9a-zé.,;\t\":TZ+ #\r\n]{0,12}\n){0,8}") {
        if let Ok(trace) = parse(text.as_bytes(), Some(1.0)) {
            prop_assert!(trace.rows.iter().all(|row| (0..=MAX_SPAN).contains(&row.at) && row.sensors > 0));
            prop_assert!(trace.rows.is_sorted_by_key(|row| row.at));
        }
    }

    #[test]
    fn what_was_written_is_read_whatever_the_order(
        mut written in proptest::collection::vec((0i64..1_000_000, 1u32..10_000, 1u32..1_000), 1..20), header in any::<bool>()
    ) {
        let lines = written.iter().map(|(at, sensors, seconds)| format!("{at},{sensors},{seconds}\n"));
        let text: String = header.then(|| "time,sensors,seconds\n".to_owned()).into_iter().chain(lines).collect();
        written.sort_by_key(|(at, ..)| *at);
        let first = written[0].0;
        let expected: Vec<_> = written.into_iter().map(|(at, sensors, seconds)| (at - first, sensors, f64::from(seconds))).collect();
        prop_assert_eq!(rows(&text), expected);
    }
}
