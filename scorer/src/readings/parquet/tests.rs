use std::collections::BTreeSet;
use std::path::Path;

use parquet::basic::{Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use spec::work::DataFormat;
use spec::{SensorKeys, TimeRange};

use super::super::{Counts, Encoding, Readings, RowAt, TimeParser, Wanted, read};
use super::*;

/// The files that other programs wrote: see parquet.py beside them.
pub(super) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readings").join(name)).unwrap()
}

/// All of them that hold the readings of `readings.csv`.
pub(super) const SAME: [&str; 19] = [
    "duckdb",
    "duckdb_v2",
    "fastparquet",
    "pandas",
    "polars",
    "pyarrow",
    "pyarrow_brotli",
    "pyarrow_deltas",
    "pyarrow_deltas_v2",
    "pyarrow_gzip",
    "pyarrow_int96",
    "pyarrow_lz4",
    "pyarrow_ms",
    "pyarrow_none",
    "pyarrow_ns",
    "pyarrow_pages_v2",
    "pyarrow_snappy",
    "pyarrow_zstd",
    "pyarrow_nested",
];

pub(super) fn keys() -> Vec<String> {
    vec!["device".to_owned(), "tag".to_owned()]
}

pub(super) fn sensor(device: &str, tag: &str) -> SensorKeys {
    [("device", device), ("tag", tag)].into_iter().collect()
}

pub(super) fn readings(
    name: &str,
    bytes: &[u8],
    window: Option<TimeRange>,
    encoding: &Encoding,
) -> Result<Readings, ReadingsError> {
    let wanted = Wanted { encoding: encoding.clone(), keys: keys(), window, ..Wanted::default() };
    read([(name.to_owned(), bytes)], wanted)
}

/// A column of one file, or why it cannot be had.
fn column(bytes: &[u8], name: &str) -> Result<Vec<String>, ReadingsError> {
    let mut records = ParquetRecords::new("f.parquet", bytes)?;
    let at = records.names().iter().position(|n| n == name).unwrap();
    records.keep(&BTreeSet::from([at]));
    let mut found = Vec::new();
    while let Some(record) = records.next()? {
        found.push(String::from_utf8(record.get(at).unwrap().to_vec()).unwrap());
    }
    Ok(found)
}

#[test]
fn what_others_write_is_what_stands_in_the_csv() {
    let window =
        TimeRange { start: "2018-08-28T23:01:00Z".parse().unwrap(), end: "2018-08-28T23:04:00Z".parse().unwrap() };
    let csv = fixture("readings.csv");
    for window in [None, Some(window)] {
        let expected = readings("readings.csv", &csv, window, &Encoding::default()).unwrap();
        assert_eq!(expected.sensors.len(), 2);
        for name in SAME {
            let name = format!("{name}.parquet");
            let found = readings(&name, &fixture(&name), window, &Encoding::default()).unwrap();
            assert_eq!(found.sensors.keys().collect::<Vec<_>>(), expected.sensors.keys().collect::<Vec<_>>(), "{name}");
            for (sensor, found) in &found.sensors {
                let expected = &expected.sensors[sensor];
                let counts = |of: &Counts| (of.rows, of.bad_rows, of.outside);
                assert_eq!(counts(&found.counts), counts(&expected.counts), "{name}");
                assert_eq!(found.good.values(), expected.good.values(), "{name}");
                for row in 0..expected.good.len() {
                    let [found, expected] = [&found.good, &expected.good]
                        .map(|rows| TimeParser::default().parse(rows.time(row).as_bytes()));
                    assert_eq!(found, expected, "{name}");
                }
                let bad = [&found.counts.first_bad, &expected.counts.first_bad].map(|bad| bad.clone().unwrap());
                let RowAt::Line(line) = bad[1].at else { panic!("{:?}", bad[1]) };
                assert_eq!((bad[0].at, &bad[0].why), (RowAt::Row(line - 1), &bad[1].why), "{name}");
            }
        }
    }
}

#[test]
fn each_type_becomes_the_text_that_a_csv_would_have() {
    let types = fixture("types.parquet");
    for (name, texts) in [
        ("int8", ["-8", ""]),
        ("uint32", ["4294967295", ""]),
        ("uint64", ["18446744073709551615", ""]),
        ("int64", ["-9223372036854775808", ""]),
        ("float", ["0.10000000149011612", ""]),
        ("double", ["0.1", "NaN"]),
        ("large", ["1e300", "inf"]),
        ("bool", ["1", "0"]),
        ("text", ["grün, \"quoted\"\n", ""]),
        ("category", ["a", ""]),
        ("date", ["2018-08-28T00:00:00", ""]),
        ("seconds", ["2018-08-28T23:00:05Z", ""]),
        ("micros", ["2018-08-28T23:00:05.123456Z", ""]),
        ("nanos", ["2018-08-28T23:00:05.123456789", ""]),
        ("small", ["-0.05", ""]),
        ("wide", ["-12345678901234567890.123456789", ""]),
        ("uuid", ["01234567-89ab-cdef-0123-456789abcdef", ""]),
    ] {
        assert_eq!(column(&types, name).unwrap(), texts, "{name}");
    }
    for (name, says) in [("clock", "a time of day"), ("list", "nested"), ("struct", "nested"), ("half", "holds bytes")]
    {
        let error = column(&types, name).unwrap_err();
        assert_eq!(error.reason(), "DataUnsupported");
        assert!(error.to_string().starts_with(&format!("f.parquet: column {name}: it")), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_file_without_rows_has_its_sensors_without_rows() {
    let sensors = Some(BTreeSet::from([sensor("1", "1")]));
    let wanted = Wanted { keys: keys(), sensors, ..Wanted::default() };
    let found = read([("empty.parquet".to_owned(), &fixture("empty.parquet")[..])], wanted).unwrap();
    assert_eq!(found.sensors[&sensor("1", "1")].counts.rows, 0);
}

#[test]
fn a_key_may_be_fixed_by_the_path() {
    let fixed: SensorKeys = [("device", "1"), ("tag", "2")].into_iter().collect();
    let wanted = Wanted { keys: keys(), fixed, ..Wanted::default() };
    let found = read([("f".to_owned(), &fixture("pyarrow.parquet")[..])], wanted).unwrap();
    assert_eq!(found.sensors.keys().collect::<Vec<_>>(), [&sensor("1", "2")]);
    assert_eq!(found.sensors[&sensor("1", "2")].counts.rows, 60);
}

#[test]
fn files_of_several_formats_are_read_as_one() {
    let window =
        TimeRange { start: "2018-08-28T00:00:00Z".parse().unwrap(), end: "2018-08-29T00:00:00Z".parse().unwrap() };
    // A file with a format's times between files with instants.
    let names = ["pyarrow_none.parquet", "readings.csv", "duckdb.parquet"];
    let files = names.map(|name| (name.to_owned(), std::io::Cursor::new(fixture(name))));
    let times = TimeParser::new(None, Some("%Y-%m-%d %H:%M:%S%.f"));
    let encoding = Encoding { times, ..Encoding::default() };
    let found = read(files, Wanted { encoding, keys: keys(), window: Some(window), ..Wanted::default() }).unwrap();
    let first = &found.sensors[&sensor("1", "1")].counts;
    assert_eq!((first.rows, first.outside), (180, 0));
    assert!(first.first_bad.as_ref().unwrap().to_string().starts_with("pyarrow_none.parquet: row "), "{first:?}");
}

#[test]
fn a_clock_on_the_wall_is_of_the_zone_that_is_said_and_an_instant_is_not_of_the_format() {
    let times = TimeParser::new(Some("Europe/Berlin"), Some("%d.%m.%Y"));
    let encoding = Encoding { times, ..Encoding::default() };
    let hour = |start: &str| {
        let start: jiff::Timestamp = start.parse().unwrap();
        TimeRange { start, end: start + jiff::SignedDuration::from_hours(1) }
    };
    for (name, start) in [("pyarrow.parquet", "2018-08-28T21:00:00Z"), ("pyarrow_none.parquet", "2018-08-28T23:00:00Z")]
    {
        let found = readings(name, &fixture(name), Some(hour(start)), &encoding).unwrap();
        assert_eq!(found.sensors[&sensor("1", "1")].counts.rows, 60, "{name}");
    }
}

#[test]
fn parquet_is_told_by_its_name_by_its_first_bytes_or_by_the_user() {
    let bytes = fixture("pyarrow.parquet");
    for name in ["a.parquet", "a.PARQUET", "a", "a.csv"] {
        assert_eq!(readings(name, &bytes, None, &Encoding::default()).unwrap().sensors.len(), 2, "{name}");
    }
    let csv = b"PAR1,device,tag\n1,2,3\n";
    assert_eq!(readings("a", csv, None, &Encoding::default()).unwrap().sensors.len(), 1);
    let said = Encoding { format: Some(DataFormat::Parquet), ..Encoding::default() };
    for (name, encoding) in [("a.parquet", &Encoding::default()), ("a", &said)] {
        let error = readings(name, csv, None, encoding).unwrap_err();
        assert_eq!(error.reason(), "DataInvalid");
        assert!(error.to_string().contains("does not end as Parquet does"), "{error}");
    }
}

/// A file of one column, in one page.
pub(super) fn one_column<T: DataType>(physical: Physical, values: &[T::T]) -> Vec<u8> {
    let field = Type::primitive_type_builder("value", physical).with_repetition(Repetition::REQUIRED).build().unwrap();
    let schema = Type::group_type_builder("readings").with_fields(vec![Arc::new(field)]).build().unwrap();
    let properties = WriterProperties::builder().set_dictionary_enabled(false).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn a_value_longer_than_a_row_may_be_is_refused() {
    let long = one_column::<ByteArrayType>(Physical::BYTE_ARRAY, &[ByteArray::from(vec![b'1'; MAX_ROW + 1])]);
    let error = column(&long, "value").unwrap_err();
    assert!(error.to_string().contains("column value: a value is longer than 1048576 bytes"), "{error}");
}

#[test]
fn pages_that_take_too_much_memory_are_refused() {
    let large = one_column::<DoubleType>(Physical::DOUBLE, &[1.5]);
    column(&large, "value").unwrap();
    let records = ParquetRecords::new("f", &large[..]).unwrap();
    records.held.store(file::MAX_PAGE, std::sync::atomic::Ordering::Relaxed);
    let error = records.sample(1).unwrap_err();
    assert_eq!(error.reason(), "DataUnsupported");
    assert!(error.to_string().contains("write smaller pages or row groups"), "{error}");
}
