use std::io::Cursor;

use proptest::prelude::*;

use spec::SensorKeys;
use spec::work::Columns;

use super::*;

struct Slow(Cursor<Vec<u8>>, usize);

impl Read for Slow {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let most = out.len().min(self.1);
        self.0.read(&mut out[..most])
    }
}

/// A row: its line, and its fields or none where it is broken.
type Row = (u64, Option<Vec<String>>);

fn rows(bytes: &[u8], at_once: usize) -> Result<(Vec<String>, Vec<Row>), String> {
    let lines = Lines::new("f.json", Slow(Cursor::new(bytes.to_vec()), at_once));
    let mut records = JsonRecords::new(lines).map_err(|e| e.to_string())?;
    let mut rows = Vec::new();
    while let Some(record) = records.next().map_err(|e| e.to_string())? {
        let fields = (0..record.len()).map(|i| String::from_utf8_lossy(record.get(i).unwrap()).into_owned());
        rows.push((record.line, record.broken.is_none().then(|| fields.collect())));
    }
    Ok((records.names(true).unwrap_or_default().to_vec(), rows))
}

fn texts(row: &[&str]) -> Option<Vec<String>> {
    Some(row.iter().map(|t| (*t).to_owned()).collect())
}

#[test]
fn objects_stand_on_lines_or_in_an_array() {
    let lines = "\u{feff}{\"a\": 10.50, \"b\": \"x\\\"\\n}y\"}\r\n\n{\"b\":null,\"a\":1e3,\"c\":true}\n";
    let array = "[{\"a\": 10.50,\n \"b\": \"x\\\"\\n}y\"},\n{\"b\":null,\"a\":1e3,\"c\":true}]\n";
    for at_once in [1, 7, 1000] {
        let (names, found) = rows(lines.as_bytes(), at_once).unwrap();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(found, [(1, texts(&["10.50", "x\"\n}y"])), (3, texts(&["1e3", "", "true"]))]);
        let (_, found) = rows(array.as_bytes(), at_once).unwrap();
        assert_eq!(found, [(1, texts(&["10.50", "x\"\n}y"])), (3, texts(&["1e3", "", "true"]))]);
    }
}

#[test]
fn what_is_no_object_is_one_broken_row() {
    let (_, found) = rows(b"{\"a\":1}\n{\"a\":\n17\n{\"a\":2} x\n{\"a\":3}\n{\"a\"", 3).unwrap();
    let expected = [(1, texts(&["1"])), (2, None), (3, None), (4, None), (5, texts(&["3"])), (6, None)];
    assert_eq!(found, expected);
    let (_, found) = rows(b"[{\"a\":1},\n17,\n{\"a\":2},{\"a\":", 3).unwrap();
    assert_eq!(found, [(1, texts(&["1"])), (2, None), (3, texts(&["2"])), (3, None)]);
}

#[test]
fn an_array_that_the_file_ends_in_has_one_broken_row_more() {
    for end in ["", ",", " ,\n", "\n"] {
        for at_once in [1, 1000] {
            let (_, found) = rows(format!("[{{\"a\":1}},\n{{\"a\":2}}{end}").as_bytes(), at_once).unwrap();
            let line = if end.ends_with('\n') { 3 } else { 2 };
            assert_eq!(found, [(1, texts(&["1"])), (2, texts(&["2"])), (line, None)], "{end:?}");
        }
    }
    assert_eq!(rows(b" [", 9).unwrap().1, [(1, None)]);
    let closed = [&b"[]"[..], b"[{\"a\":1}]\n\n", b"[{\"a\":1}]\n[{\"a\":1}]", b"[{\"a\":1},\n17 ]\r\n"];
    for (file, broken) in closed.into_iter().zip([0, 0, 0, 1]) {
        let (_, found) = rows(file, 9).unwrap();
        assert_eq!(found.iter().filter(|(_, row)| row.is_none()).count(), broken, "{}", String::from_utf8_lossy(file));
    }
}

#[test]
fn an_object_without_end_is_refused_before_it_fills_the_memory() {
    for start in ["{\"a\":\"", "[{\"a\":\""] {
        let lines = Lines::new("f.json", start.as_bytes().chain(std::io::repeat(b'y')));
        let error = JsonRecords::new(lines).unwrap().next().map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("f.json: line 1: the row is longer than"), "{error}");
    }
}

proptest! {
    #[test]
    fn what_was_written_as_json_is_read_back(
        written in proptest::collection::vec(("\\PC{0,6}", any::<i64>(), "[\"\\\\{}\\[\\],\n a]{0,6}"), 1..20),
        at_once in 1_usize..50,
        array in any::<bool>(),
    ) {
        let objects: Vec<String> =
            written.iter().map(|(a, b, c)| serde_json::json!({"a": a, "b": b, "c": c}).to_string()).collect();
        let text = if array { format!("[{}]", objects.join(",\r\n")) } else { objects.join("\n") };
        let (names, found) = rows(text.as_bytes(), at_once).unwrap();
        prop_assert_eq!(names, ["a", "b", "c"]);
        let expected: Vec<_> =
            written.iter().map(|(a, b, c)| texts(&[a, &b.to_string(), c])).collect();
        prop_assert_eq!(found.into_iter().map(|(_, fields)| fields).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn arbitrary_bytes_give_the_same_rows_however_they_arrive(
        bytes in proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(b'{'), Just(b'}'), Just(b'['), Just(b'"'), Just(b'\n'), Just(b','), Just(b':')], 0..200),
        at_once in 1_usize..20,
    ) {
        prop_assert_eq!(rows(&bytes, at_once), rows(&bytes, 1000));
    }
}

#[test]
fn half_a_character_makes_a_bad_row_where_it_is_asked_for() {
    let text = "{\"v\":1,\"TS\":\"a\",\"note\":\"\\ud83d\"}\n{\"v\":3,\"TS\":\"a\\ud83db\",\"note\":\"\"}\n";
    let columns = Columns { value: vec!["v".to_owned()], ..Columns::default() };
    let readings = super::super::read_csv("a.json", text.as_bytes(), &columns, &[], &SensorKeys::default(), None, None);
    let readings = readings.unwrap();
    let all = readings.sensors.values().next().unwrap();
    assert_eq!((all.counts.rows, all.counts.bad_rows), (2, 1));
    let first = all.counts.first_bad.as_ref().unwrap().to_string();
    assert!(first.starts_with("line 2: column TS: \"a\\\\ud83db"), "{first}");
}
