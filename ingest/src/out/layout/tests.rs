use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::{Field, Row as Found};
use bytes::Bytes;
use proptest::prelude::*;
use scorer::readings::{Readings, Wanted, read};
use spec::SensorKeys;

use super::*;
use crate::out::testing::{START, config, row, slice};
use crate::window::Row;

fn layout(more: &str) -> Layout {
    Layout::new(&config(more)).unwrap()
}

fn format(format: &str) -> Layout {
    layout(&format!("files: {{format: {format}}}\nwindows: {{aggregates: [avg, count]}}\n"))
}

fn texts(layout: &Layout, rows: Vec<Row>) -> Vec<String> {
    layout.encode(&slice(rows)).unwrap().into_iter().map(|part| String::from_utf8(part).unwrap()).collect()
}

fn parquet(bytes: Vec<u8>) -> Vec<Found> {
    let file = SerializedFileReader::new(Bytes::from(bytes)).unwrap();
    file.get_row_iter(None).unwrap().map(Result::unwrap).collect()
}

fn fields(row: &Found) -> Vec<Field> {
    row.get_column_iter().map(|(_, field)| field.clone()).collect()
}

/// What the scorer makes of a file.
fn scored(layout: &Layout, slice: &Slice) -> Readings {
    let files = layout.encode(slice).unwrap().into_iter().enumerate();
    let files = files.map(|(part, bytes)| (layout.path(slice.start, Some(3), part), std::io::Cursor::new(bytes)));
    let columns = spec::work::Columns { value: vec!["avg".to_owned()], ..spec::work::Columns::default() };
    let wanted = Wanted { columns, keys: vec!["device".to_owned(), "tag".to_owned()], ..Wanted::default() };
    read(files, wanted).unwrap()
}

fn sensor(device: &str, tag: &str) -> SensorKeys {
    SensorKeys([("device", device), ("tag", tag)].map(|(key, value)| (key.to_owned(), value.to_owned())).into())
}

#[test]
fn csv_has_a_header_and_whatever_is_not_finite_is_empty() {
    let rows = vec![
        row(0, &["1", "a,\"b\""], &[0.1, 12.0]),
        row(5, &["", "x"], &[f64::NAN, 1.0]),
        row(5, &["2", "x"], &[f64::INFINITY, 1.0]),
    ];
    let expected = "TS,Device,Tag,avg,count\n2026-01-01T00:05:00Z,1,\"a,\"\"b\"\"\",0.1,12\n\
                    2026-01-01T00:05:05Z,,x,,1\n2026-01-01T00:05:05Z,2,x,,1\n";
    assert_eq!(texts(&format("Csv"), rows), [expected]);
}

#[test]
fn json_has_an_object_a_line_and_whatever_is_not_finite_is_null() {
    let rows = vec![row(0, &["1", "a \"b\""], &[-1e-7, 12.0]), row(5, &["2", "x"], &[f64::NAN, 1.0])];
    let expected = "{\"TS\":\"2026-01-01T00:05:00Z\",\"Device\":\"1\",\"Tag\":\"a \\\"b\\\"\",\"avg\":-1e-7,\"count\":12}\n\
                    {\"TS\":\"2026-01-01T00:05:05Z\",\"Device\":\"2\",\"Tag\":\"x\",\"avg\":null,\"count\":1}\n";
    assert_eq!(texts(&format("JsonLines"), rows), [expected]);
}

#[test]
fn parquet_has_an_instant_texts_and_numbers_and_whatever_is_not_finite_is_nan() {
    let rows = vec![row(0, &["1", "a"], &[0.1, 12.0]), row(5, &["2", "x"], &[f64::NEG_INFINITY, 1.0])];
    let [bytes] = <[Vec<u8>; 1]>::try_from(format("Parquet").encode(&slice(rows)).unwrap()).unwrap();
    let rows = parquet(bytes);
    let names: Vec<&str> = rows[0].get_column_iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["TS", "Device", "Tag", "avg", "count"]);
    let expected = [
        Field::TimestampMicros(START),
        Field::Str("1".to_owned()),
        Field::Str("a".to_owned()),
        Field::Double(0.1),
        Field::Long(12),
    ];
    assert_eq!(fields(&rows[0]), expected);
    assert!(matches!(fields(&rows[1])[3], Field::Double(value) if value.is_nan()));
    assert_eq!(rows.len(), 2);
}

#[test]
fn a_slice_without_rows_has_no_file_in_any_format() {
    for name in ["Csv", "JsonLines", "Parquet"] {
        assert!(format(name).encode(&slice(Vec::new())).unwrap().is_empty(), "{name}");
    }
}

#[test]
fn a_path_tells_all_of_the_time_and_the_partition_and_which_part() {
    let path = |more: &str, part| layout(more).path(START, Some(3), part);
    assert_eq!(path("", 0), "data/2026/01/01/00/20260101T000500-readings-0003.csv");
    assert_eq!(path("", 2), "data/2026/01/01/00/20260101T000500-readings-0003-2.csv");
    assert_eq!(path("files: {path: plant, format: Parquet}\n", 0), "plant/20260101T000500-readings-0003.parquet");
    assert_eq!(layout("").path(START, Some(12_345), 0), "data/2026/01/01/00/20260101T000500-readings-12345.csv");
    assert_eq!(layout("").path(START, None, 1), "data/2026/01/01/00/20260101T000500-readings-all-1.csv");
}

#[test]
fn without_files_there_is_no_layout() {
    assert!(Layout::new(&config("sql: {table: windows}\n")).is_none());
}

#[test]
fn every_part_of_a_csv_has_the_header_and_no_more_than_it_may() {
    let rows: Vec<Row> = (0..50).map(|second| row(second, &["1", "a"], &[0.5, 1.0])).collect();
    let parts = texts(&format("Csv").with_most(400), rows.clone());
    let lines: Vec<&str> = parts.iter().flat_map(|part| part.lines().skip(1)).collect();
    let whole = texts(&format("Csv"), rows).concat();
    assert_eq!(lines, whole.lines().skip(1).collect::<Vec<_>>());
    assert!(parts.iter().all(|part| part.len() <= 400 && part.starts_with("TS,Device,Tag,avg,count\n")));
    assert!(parts.iter().rev().skip(1).all(|part| part.len() > 350), "they are filled");
}

#[test]
fn a_large_parquet_goes_on_in_other_files_of_about_the_size_that_it_may_have() {
    let most = 64 << 10;
    // Nothing repeats, so nothing is packed away.
    let value = |at: i64| f64::from_bits((at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2);
    let rows: Vec<Row> =
        (0..20_000).map(|at| row(at / 1000, &[&format!("{:x}", at * 7919), "a"], &[value(at), 1.0])).collect();
    let parts = format("Parquet").with_most(most).encode(&slice(rows.clone())).unwrap();
    assert!(parts.len() > 2 && parts.iter().all(|part| part.len() < most * 5 / 4), "{:?}", parts.len());
    assert!(parts.iter().rev().skip(1).all(|part| part.len() > most / 2), "they are filled");
    let values = parts.into_iter().flat_map(parquet).map(|row| fields(&row)[3].clone());
    assert!(values.eq(rows.iter().map(|row| Field::Double(row.values[0]))));
}

#[test]
fn the_scorer_reads_what_is_written_in_each_format() {
    let rows = vec![
        row(0, &["1", "a, b"], &[0.1, 12.0]),
        row(0, &["2", "\u{e9}\"x\""], &[-3.0, 1.0]),
        row(5, &["1", "a, b"], &[1e300, 3.0]),
        row(5, &["2", "\u{e9}\"x\""], &[f64::NAN, 1.0]),
    ];
    for name in ["Csv", "JsonLines", "Parquet"] {
        for most in [1 << 20, 100] {
            let readings = scored(&format(name).with_most(most), &slice(rows.clone()));
            let good = |device, tag| &readings.sensors[&sensor(device, tag)].good;
            assert_eq!(good("1", "a, b").values(), [0.1, 1e300], "{name}");
            assert_eq!(good("2", "\u{e9}\"x\"").values(), [-3.0], "{name}: one without a value is bad");
            assert_eq!(good("1", "a, b").time(1), "2026-01-01T00:05:05Z", "{name}");
            assert_eq!(readings.head.layout.time.as_ref().unwrap().name, "TS", "{name}");
        }
    }
}

/// Numbers of all sizes, and none.
fn values() -> impl Strategy<Value = f64> {
    prop_oneof![8 => any::<f64>(), 1 => Just(f64::NAN), 1 => -100.0..100.0]
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let key = || "[^\\x00-\\x1f]{0,6}";
    let row = (0..60_i64, key(), key(), values(), 1..1_000_000_u32)
        .prop_map(|(second, device, tag, avg, count)| row(second, &[&device, &tag], &[avg, count.into()]));
    prop::collection::vec(row, 0..40)
}

/// A number as it comes back.
fn same(found: f64, written: f64) -> bool {
    match written.is_finite() {
        true => found == written,
        false => found.is_nan(),
    }
}

proptest! {
    #[test]
    fn csv_reads_back_equal(rows in rows(), most in 40_usize..2000) {
        let slice = slice(rows);
        let layout = format("Csv").with_most(most);
        let parts = layout.encode(&slice).unwrap();
        prop_assert_eq!(&parts, &layout.encode(&slice).unwrap());
        let found: Vec<::csv::StringRecord> = parts
            .iter()
            .flat_map(|part| ::csv::Reader::from_reader(part.as_slice()).into_records().map(Result::unwrap))
            .collect();
        prop_assert_eq!(found.len(), slice.rows.len());
        for (found, row) in found.iter().zip(&slice.rows) {
            let time: jiff::Timestamp = found[0].parse().unwrap();
            prop_assert_eq!(time.as_microsecond(), row.start);
            let keys: Vec<&str> = crate::event::keys(&row.sensor).collect();
            prop_assert_eq!(vec![&found[1], &found[2]], keys);
            let avg = if found[3].is_empty() { f64::NAN } else { found[3].parse().unwrap() };
            prop_assert!(same(avg, row.values[0]), "{}", &found[3]);
            prop_assert_eq!(&found[4], format!("{}", row.values[1] as u32));
        }
    }

    #[test]
    fn parquet_reads_back_equal(rows in rows(), most in 400_usize..20_000) {
        let slice = slice(rows);
        let layout = format("Parquet").with_most(most);
        let parts = layout.encode(&slice).unwrap();
        prop_assert_eq!(&parts, &layout.encode(&slice).unwrap());
        let found: Vec<Found> = parts.into_iter().flat_map(parquet).collect();
        prop_assert_eq!(found.len(), slice.rows.len());
        for (found, row) in found.iter().zip(&slice.rows) {
            let found = fields(found);
            let keys = crate::event::keys(&row.sensor).map(|key| Field::Str(key.to_owned()));
            let before = [Field::TimestampMicros(row.start)].into_iter().chain(keys);
            prop_assert_eq!(&found[..3], before.collect::<Vec<_>>());
            prop_assert!(matches!(found[3], Field::Double(avg) if same(avg, row.values[0])));
            prop_assert_eq!(&found[4], &Field::Long(row.values[1] as i64));
        }
    }

    #[test]
    fn each_json_line_is_an_object_with_every_column(rows in rows(), most in 40_usize..2000) {
        let slice = slice(rows);
        let layout = format("JsonLines").with_most(most);
        let text = texts(&layout, slice.rows.clone()).concat();
        prop_assert_eq!(text.lines().count(), slice.rows.len());
        for (line, row) in text.lines().zip(&slice.rows) {
            let found: serde_json::Value = serde_json::from_str(line).unwrap();
            let keys: Vec<&str> = crate::event::keys(&row.sensor).collect();
            prop_assert_eq!(vec![found["Device"].as_str().unwrap(), found["Tag"].as_str().unwrap()], keys);
            prop_assert_eq!(found["count"].as_u64(), Some(row.values[1] as u64));
            prop_assert_eq!(found["avg"].is_null(), !row.values[0].is_finite());
        }
    }
}
