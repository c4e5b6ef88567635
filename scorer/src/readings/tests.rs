use std::collections::BTreeSet;

use proptest::prelude::*;
use spec::{SensorKeys, TimeRange};

use super::*;

const FILE: &str = "TS,Device,Tag,Value\n\
    2018-08-28 23:00:05.000,1,1,10.5\n\
    2018-08-28 23:00:05.000,1,2,20\n\
    2018-08-28 23:00:10.000,1,1,11.5\n\
    2018-08-28 23:00:15.000,1,1,nan\n\
    2018-08-28 23:00:20.000,1,1,\n\
    2018-08-28 23:00:25.000,1,1,inf\n\
    2018-08-28 23:00:30.000,1,1,oops\n";

fn sensor(device: &str, tag: &str) -> SensorKeys {
    [("device", device), ("tag", tag)].into_iter().collect()
}

fn keys() -> Vec<String> {
    vec!["device".to_owned(), "tag".to_owned()]
}

fn read(file: &str) -> Result<Readings, ReadingsError> {
    read_csv("f.csv", file.as_bytes(), &Columns::default(), &keys(), &SensorKeys::default(), None, None)
}

fn windowed(file: &str, start: &str, end: &str) -> Result<Readings, ReadingsError> {
    let window = TimeRange { start: start.parse().unwrap(), end: end.parse().unwrap() };
    let wanted = BTreeSet::from([sensor("1", "1"), sensor("9", "9")]);
    let none = SensorKeys::default();
    read_csv("f.csv", file.as_bytes(), &Columns::default(), &keys(), &none, Some(&wanted), Some(window))
}

#[test]
fn rows_go_to_their_sensors_and_bad_values_are_counted() {
    let readings = read(FILE).unwrap();
    assert_eq!(readings.sensors.keys().cloned().collect::<Vec<_>>(), [sensor("1", "1"), sensor("1", "2")]);
    let one = &readings.sensors[&sensor("1", "1")];
    assert_eq!((one.counts.rows, one.counts.bad_rows, one.good.values()), (6, 4, &[10.5, 11.5][..]));
    assert_eq!(one.good.time(1), "2018-08-28 23:00:10.000");
    let columns = readings.head.layout.to_columns();
    assert_eq!((columns.time.as_deref(), columns.value.as_slice()), (Some("TS"), &["Value".to_owned()][..]));
}

#[test]
fn a_window_is_half_open_and_a_sensor_without_rows_is_there_empty() {
    let readings = windowed(FILE, "2018-08-28T23:00:05Z", "2018-08-28T23:00:10Z").unwrap();
    let one = &readings.sensors[&sensor("1", "1")];
    assert_eq!((one.counts.rows, one.counts.outside), (1, 5));
    let unknown = &readings.sensors[&sensor("9", "9")];
    assert_eq!((unknown.counts.rows, unknown.counts.outside), (0, 0), "the file does not know it");
    assert!(!readings.sensors.contains_key(&sensor("1", "2")), "nobody asked for it");
}

#[test]
fn a_row_without_a_time_is_bad_and_a_file_without_any_time_is_an_error() {
    let one_bad = FILE.replace("2018-08-28 23:00:10.000", "soon");
    let readings = windowed(&one_bad, "2018-08-28T00:00:00Z", "2018-08-29T00:00:00Z").unwrap();
    assert_eq!(readings.sensors[&sensor("1", "1")].counts.bad_rows, 5);
    let all_bad = "TS,Device,Tag,Value\nsoon,1,1,2\n";
    let error = windowed(all_bad, "2018-08-28T00:00:00Z", "2018-08-29T00:00:00Z").unwrap_err();
    assert!(error.to_string().contains("line 2: column TS: \"soon\""), "{error}");
}

#[test]
fn columns_have_any_order_case_quotes_and_line_ends() {
    let file = "\u{feff}value,\"time\",DEVICE,tag,note\r\n\"1.5\",2018-08-28T23:00:05Z,1,1,\"a, b\"\r\n";
    let readings = read(file).unwrap();
    assert_eq!(readings.sensors[&sensor("1", "1")].good.values(), [1.5]);
    assert_eq!(readings.head.layout.values.len(), 1, "a column of texts is no value");
}

#[test]
fn several_values_are_a_readings_features_in_the_order_asked_for() {
    let file = "ts,heat,flow,state\n1,2,3,ok\n4,5,x,ok\n";
    let none = SensorKeys::default();
    let columns = Columns { value: vec!["flow".into(), "heat".into()], ..Columns::default() };
    let readings = read_csv("f", file.as_bytes(), &columns, &[], &none, None, None).unwrap();
    let all = &readings.sensors[&none];
    assert_eq!((all.good.values(), all.counts.rows, all.counts.bad_rows), (&[3.0, 2.0][..], 2, 1));
}

#[test]
fn a_key_may_have_a_column_of_another_name_or_one_value_in_the_whole_file() {
    let columns = Columns { keys: [("tag".to_owned(), "Sensor".to_owned())].into(), ..Columns::default() };
    let fixed: SensorKeys = [("device", "7")].into_iter().collect();
    let file = "TS,Sensor,Value\nx,5,1\nx,6,2\n";
    let readings = read_csv("f", file.as_bytes(), &columns, &keys(), &fixed, None, None).unwrap();
    assert_eq!(readings.sensors.keys().cloned().collect::<Vec<_>>(), [sensor("7", "5"), sensor("7", "6")]);
}

#[test]
fn what_is_wrong_is_said_with_file_line_and_column() {
    for (file, reason, says) in [
        (&b""[..], "DataInvalid", "f.csv: the file is empty"),
        (
            b"TS,Device,Value\n",
            "ColumnMissing",
            "no column \"tag\" for the key \"tag\"; its columns are TS, Device, Value",
        ),
        (b"TS,Device,T\xff\n", "DataInvalid", "f.csv: line 1: field 3 is not UTF-8"),
        (b"TS,Device,Tag,Tag,Value\n", "ColumnAmbiguous", "2 columns are named \"tag\""),
        (b"TS,Device,Tag\nx,1,1\n", "ColumnMissing", "no column of numbers"),
        (
            b"TS,Device,Tag,Value\n\nx,1,1,2\nx,1,1,\"2\nx,1,1,3\n",
            "DataInvalid",
            "f.csv: line 4: a quote is never closed",
        ),
    ] {
        let error =
            read_csv("f.csv", file, &Columns::default(), &keys(), &SensorKeys::default(), None, None).unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let named = Columns { value: vec!["Val".into()], ..Columns::default() };
    let error = read_csv("f.csv", FILE.as_bytes(), &named, &keys(), &SensorKeys::default(), None, None).unwrap_err();
    assert!(error.to_string().contains("no column \"Val\""), "{error}");
}

#[test]
fn the_first_bad_row_is_told_with_line_column_and_what_stands_there() {
    let start = "TS,Device,Tag,Value\n2018-08-28 23:00:05,1,1,1.5\n";
    for (row, says) in [
        ("x,1,1,oops", "line 3: column Value: \"oops\" is no number"),
        ("x,1,1,", "line 3: column Value: \"\" is no number"),
        ("x,1,1,-inf", "line 3: column Value: \"-inf\" is no finite number"),
        ("x,1,1,\"1\n2\"", "line 3: column Value: \"1\\n2\" is no number"),
        ("x,1,1,2,3", "line 3: it has 5 field(s), the header 4"),
    ] {
        let one = read(&format!("{start}{row}\nx,1,1,2\n")).unwrap().sensors.remove(&sensor("1", "1")).unwrap();
        assert_eq!((one.counts.rows, one.counts.bad_rows, one.good.len()), (3, 1, 2), "{row}");
        assert!(one.counts.first_bad.as_ref().unwrap().to_string().starts_with(says), "{one:?}");
    }
}

#[test]
fn a_row_whose_keys_cannot_be_told_is_nobodys_and_counted() {
    let start = "TS,Device,Tag,Value\nx,1,1,1.5\n";
    for (row, says) in [
        (&b"x,1,1"[..], "line 3: it has 3 field(s), the header 4; is it cut short"),
        (b"x", "line 3: it has 1 field(s)"),
        (b"x,1,\xff,2", "line 3: a key is not UTF-8"),
    ] {
        let file = [start.as_bytes(), row].concat();
        for sensors in [None, Some(BTreeSet::from([sensor("1", "1")]))] {
            let none = SensorKeys::default();
            let readings =
                read_csv("f", &file[..], &Columns::default(), &keys(), &none, sensors.as_ref(), None).unwrap();
            assert_eq!((readings.unplaced.rows, readings.sensors[&sensor("1", "1")].counts.rows), (1, 1));
            assert!(readings.unplaced.first.unwrap().to_string().starts_with(says));
        }
    }
}

#[test]
fn columns_that_nobody_asked_for_may_hold_anything() {
    let file = b"TS,Device,Tag,Value,Note\nx,1,1,1.5,\xe9\xff\n";
    let columns = Columns { value: vec!["Value".into()], ..Columns::default() };
    let readings = read_csv("f", &file[..], &columns, &keys(), &SensorKeys::default(), None, None).unwrap();
    assert_eq!(readings.sensors[&sensor("1", "1")].good.values(), [1.5]);
}

#[test]
fn a_header_alone_is_a_file_without_sensors() {
    assert!(read("TS,Device,Tag,Value\n").unwrap().sensors.is_empty());
}

proptest! {
    #[test]
    fn every_row_is_counted_once(rows in proptest::collection::vec((0_u8..3, 0_u8..3, proptest::option::of(-1e6..1e6_f64)), 1..200)) {
        let lines = rows.iter().map(|(d, t, v)| format!("x,{d},{t},{}\n", v.map_or(String::new(), |v| v.to_string())));
        let file = format!("TS,Device,Tag,Value\n{}", lines.collect::<String>());
        let readings = read(&file).unwrap();
        prop_assert_eq!(readings.sensors.values().map(|s| s.counts.rows).sum::<u64>(), rows.len() as u64);
        let bad = rows.iter().filter(|(.., v)| v.is_none()).count() as u64;
        prop_assert_eq!(readings.sensors.values().map(|s| s.counts.bad_rows).sum::<u64>(), bad);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let window = TimeRange { start: "2018-01-01T00:00:00Z".parse().unwrap(), end: "2019-01-01T00:00:00Z".parse().unwrap() };
        for start in ["", "ts,device,tag,v\n"] {
            let file = [start.as_bytes(), &bytes].concat();
            let _ = read_csv("f", file.as_slice(), &Columns::default(), &keys(), &SensorKeys::default(), None, Some(window));
        }
    }
}
