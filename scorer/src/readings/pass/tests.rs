use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::{Readings, read};
use super::*;

fn wanted(keys: &[&str]) -> Wanted {
    Wanted { keys: keys.iter().map(|k| (*k).to_owned()).collect(), ..Wanted::default() }
}

fn read_all(files: &[&str], wanted: Wanted) -> Result<Readings, ReadingsError> {
    read(files.iter().enumerate().map(|(i, file)| (format!("f{i}.csv"), file.as_bytes())), wanted)
}

/// Keeps the blocks as they come.
#[derive(Default)]
struct Blocks {
    heads: usize,
    blocks: BTreeMap<usize, Vec<Rows>>,
    /// How many are enough.
    most: Option<usize>,
    taken: usize,
}

impl Sink for Blocks {
    fn begin(&mut self, _head: &Arc<Head>) {
        self.heads += 1;
    }

    fn rows(&mut self, sensor: usize, rows: Rows) -> ControlFlow<()> {
        self.taken += 1;
        self.blocks.entry(sensor).or_default().push(rows);
        if Some(self.taken) == self.most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn blocks(file: &str, limits: Limits, most: Option<usize>) -> (ControlFlow<()>, Blocks) {
    let mut pass = Pass::new(wanted(&["tag"]), vec!["f.csv".to_owned()], limits);
    let mut sink = Blocks { most, ..Blocks::default() };
    let flow = pass.file(file.as_bytes(), &mut sink).unwrap();
    if flow.is_continue() {
        pass.end(&mut sink).unwrap();
    }
    (flow, sink)
}

#[test]
fn files_are_read_as_one_whatever_the_order_of_their_columns() {
    let files = ["TS,Tag,Heat,Flow\na,1,1,2\nb,2,3,4\n", "Flow,Note,Heat,Tag,time\n6,5,5,1,c\n"];
    let readings = read_all(&files, wanted(&["tag"])).unwrap();
    let one = &readings.sensors[&[("tag", "1")].into_iter().collect()];
    assert_eq!((one.good.values(), one.good.time(1)), (&[1.0, 2.0, 5.0, 6.0][..], "c"));
    assert_eq!(readings.head.layout.to_columns().time.as_deref(), Some("TS"), "the first file tells the names");
}

#[test]
fn a_first_file_that_does_not_tell_which_columns_are_numbers_waits_for_one_that_does() {
    for first in ["TS,Tag,A,B\n", "TS,Tag,A,B\nx,1,ok,ERR\n", "TS,Tag,A,B\nx,1,ok,\n"] {
        let readings =
            read_all(&[first, first, "TS,Tag,A,B\na,1,ok,2\nb,1,ok,3\nc,1,ok,4\n"], wanted(&["tag"])).unwrap();
        let one = &readings.sensors[&[("tag", "1")].into_iter().collect()];
        assert_eq!(one.good.values(), [2.0, 3.0, 4.0], "{first}");
        let bad = 2 * (first.lines().count() as u64 - 1);
        assert_eq!((one.counts.rows, one.counts.bad_rows), (3 + bad, bad));
        let place = one.counts.first_bad.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(bad == 0 || place.starts_with("f0.csv: line 2: column B"), "{place}");
    }
    let error = read_all(&["TS,A\nx,ok\n", "TS,A\nx,no\n"], wanted(&[])).unwrap_err();
    assert!(error.to_string().starts_with("f0.csv: no column of numbers"), "{error}");
    let readings = read_all(&["TS,A\n", "TS,A\n"], wanted(&[])).unwrap();
    assert_eq!(readings.head.layout.values.len(), 1, "files without rows are files without readings");
}

#[test]
fn files_that_have_neither_columns_nor_rows_are_passed_over_unless_all_have_none() {
    let good = "TS,Value\na,1\n";
    let packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default()).finish().unwrap();
    let none = include_bytes!("../../../tests/readings/no_columns.parquet").as_slice();
    for (name, empty) in [
        ("e.csv", b"".as_slice()),
        ("e.csv", b"\n\r\n"),
        ("e.csv", b"  \n \n"),
        ("e.csv", b"\xef\xbb\xbf"),
        ("e.csv.gz", &packed),
        ("e.json", b"[]"),
        ("e.json", b"\n"),
        ("e.json", b"[\n]\n"),
        ("e.parquet", none),
    ] {
        let file = |name: &str, bytes| (name.to_owned(), bytes);
        let (empty, good) = (file(name, empty), file("good.csv", good.as_bytes()));
        for files in [[empty.clone(), good.clone()], [good, empty.clone()]] {
            let readings = read(files, wanted(&[])).unwrap();
            let counts = &readings.sensors.values().next().unwrap().counts;
            assert_eq!((counts.rows, counts.bad_rows), (1, 0), "{name}");
        }
        for files in [vec![empty.clone()], vec![empty.clone(), empty]] {
            let error = read(files, wanted(&[])).unwrap_err();
            assert_eq!(error.reason(), "DataInvalid");
            assert!(error.to_string().starts_with(&format!("{name}: the file is empty")), "{error}");
        }
    }
}

#[test]
fn an_array_of_json_that_ends_before_its_first_object_is_a_bad_row_and_no_file_fails_for_it() {
    let good = "{\"TS\":\"a\",\"Value\":1,\"tag\":\"5\"}\n";
    for cut in ["[", " [\n", "[{", "[\n{\"TS\":\"a\",\"Val"] {
        for several in [vec![cut, good], vec![good, cut], vec![cut, good, cut, "[]"]] {
            let bad = several.iter().filter(|file| **file == cut).count() as u64;
            let files = || several.iter().enumerate().map(|(i, file)| (format!("f{i}.json"), file.as_bytes()));
            let readings = read(files(), wanted(&[])).unwrap();
            let counts = &readings.sensors.values().next().unwrap().counts;
            assert_eq!((counts.rows, counts.bad_rows, readings.unplaced.rows), (1 + bad, bad, 0), "{several:?}");
            let readings = read(files(), wanted(&["tag"])).unwrap();
            let (sensor, found) = readings.sensors.first_key_value().unwrap();
            assert_eq!((sensor.to_string().as_str(), found.counts.rows, readings.sensors.len()), ("tag=5", 1, 1));
            assert_eq!(readings.unplaced.rows, bad);
            let first = readings.unplaced.first.unwrap().to_string();
            assert!(first.contains(".json: line ") && first.contains("the file ends"), "{first}");
        }
        let error = read([("f.json".to_owned(), cut.as_bytes())], wanted(&[])).unwrap_err();
        assert!(error.reason() == "DataInvalid" && error.to_string().starts_with("f.json: line "), "{error}");
    }
}

#[test]
fn a_bad_row_of_several_files_is_told_with_its_file() {
    let files = ["TS,Value\na,1\n", "TS,Value\nb,2\nc,oops\n", "TS,Value\nd\n"];
    let readings = read_all(&files, wanted(&[])).unwrap();
    let all = readings.sensors.values().next().unwrap();
    assert_eq!((all.counts.rows, all.counts.bad_rows), (4, 2));
    let first = all.counts.first_bad.as_ref().unwrap().to_string();
    assert_eq!(first, "f1.csv: line 3: column Value: \"oops\" is no number");
}

#[test]
fn a_file_with_other_columns_than_the_first_is_refused_with_both_names() {
    let first = "TS,Heat\na,1\n";
    for (second, says) in [
        ("TS,Flow\nb,2\n", "has no column \"Heat\"; its columns are TS, Flow"),
        ("Heat\n2\n", "has no column of times"),
    ] {
        let error = read_all(&[first, second], wanted(&[])).unwrap_err();
        assert_eq!(error.reason(), "ColumnMissing");
        let message = error.to_string();
        assert!(message.starts_with("f1.csv ") && message.contains("f0.csv") && message.contains(says), "{message}");
    }
}

#[test]
fn a_time_that_can_be_read_in_one_file_is_enough() {
    let window =
        TimeRange { start: "2018-01-01T00:00:00Z".parse().unwrap(), end: "2019-01-01T00:00:00Z".parse().unwrap() };
    let wanted = || Wanted { window: Some(window), ..wanted(&[]) };
    let (bad, good) = ("TS,Value\nsoon,1\n", "TS,Value\n2018-08-28 23:00:05,1\n");
    let readings = read_all(&[bad, good], wanted()).unwrap();
    let counts = &readings.sensors.values().next().unwrap().counts;
    assert_eq!((counts.rows, counts.bad_rows), (2, 1));
    assert!(read_all(&[bad, bad], wanted()).unwrap_err().to_string().starts_with("f0.csv: line 2"));
}

#[test]
fn a_sink_that_has_enough_ends_the_pass() {
    let file = format!("TS,Tag,Value\n{}", "x,1,1\n".repeat(100));
    let (flow, sink) = blocks(&file, Limits { block: 1, open: 1 }, Some(3));
    assert!(flow.is_break());
    assert_eq!((sink.heads, sink.taken), (1, 3));
}

#[test]
fn of_many_sensors_the_largest_blocks_are_given_away_first() {
    let file = format!("TS,Tag,Value\nx,2,1\n{}", "x,1,1\n".repeat(200));
    let (_, sink) = blocks(&file, Limits { block: usize::MAX, open: 1_000 }, None);
    assert_eq!(sink.blocks[&0].len(), 1, "a small one waits for more");
    assert!(sink.blocks[&1].len() > 1);
}

proptest! {
    #[test]
    fn blocks_of_any_size_hold_the_rows_of_the_whole(
        rows in proptest::collection::vec((0_u8..4, proptest::option::of(-1e6..1e6_f64)), 1..200),
        block in 1_usize..2_000,
        open in 1_usize..4_000,
    ) {
        let lines = rows.iter().enumerate().map(|(at, (tag, value))| {
            format!("{at},{tag},{}\n", value.map_or(String::new(), |v| v.to_string()))
        });
        let file = format!("TS,Tag,Value\n{}", lines.collect::<String>());
        let whole = blocks(&file, Limits { block: usize::MAX, open: usize::MAX }, None).1;
        let (_, split) = blocks(&file, Limits { block, open }, None);
        prop_assert_eq!(whole.blocks.len(), split.blocks.len());
        for (sensor, blocks) in split.blocks {
            let mut joined = Rows::default();
            blocks.iter().for_each(|rows| joined.append(rows));
            // As texts: NaN is not itself.
            prop_assert_eq!(format!("{joined:?}"), format!("{:?}", whole.blocks[&sensor][0]));
        }
    }

    #[test]
    fn values_side_by_side_read_as_those_with_spaces_around_them(
        rows in proptest::collection::vec([cell(), cell(), cell()], 1..50),
    ) {
        let read = |space: &str| {
            let line = |(at, cells): (usize, &[String; 3])| {
                let cells = cells.each_ref().map(|cell| format!("{space}{cell}{space}")).join(",");
                format!("{at},1,{cells}\n")
            };
            let lines: String = rows.iter().enumerate().map(line).collect();
            let limits = Limits { block: usize::MAX, open: usize::MAX };
            format!("{:?}", blocks(&format!("TS,Tag,A,B,C\nx,1,1,2,3\n{lines}"), limits, None).1.blocks)
        };
        prop_assert_eq!(read(""), read(" "));
    }
}

fn cell() -> impl Strategy<Value = String> {
    let number = any::<f64>().prop_map(|number| number.to_string());
    prop_oneof![8 => number, 1 => proptest::sample::select(vec!["", "nan", "oops", "1e999", "é"]).prop_map(str::to_owned)]
}
