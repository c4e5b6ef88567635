use std::io::Cursor;

use proptest::prelude::*;

use super::*;

/// Gives a few bytes at a time.
struct Slow(Cursor<Vec<u8>>, usize);

impl Read for Slow {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let most = out.len().min(self.1);
        self.0.read(&mut out[..most])
    }
}

/// Every row: its line and fields.
fn rows(bytes: &[u8], at_once: usize) -> Result<Vec<(u64, Vec<String>)>, ReadingsError> {
    let mut records = CsvRecords::new(Lines::new("f.csv", Slow(Cursor::new(bytes.to_vec()), at_once)), Some(b','))?;
    let mut rows = Vec::new();
    while let Some(record) = records.next()? {
        let fields = (0..record.len()).map(|i| String::from_utf8_lossy(record.get(i).unwrap()).into_owned());
        rows.push((record.line, fields.collect()));
    }
    Ok(rows)
}

#[test]
fn rows_know_the_line_they_start_on() {
    let file = "\u{feff}a,b\r\n\r\n\"1\n\n2\",\"say \"\"x\"\"\"\r\n3,\n\n,4";
    let expected = [(1, ["a", "b"]), (3, ["1\n\n2", "say \"x\""]), (6, ["3", ""]), (8, ["", "4"])];
    let expected = expected.map(|(line, fields)| (line, fields.map(str::to_owned).to_vec()));
    for at_once in [1, 2, 3, 1000] {
        assert_eq!(rows(file.as_bytes(), at_once).unwrap(), expected, "{at_once} byte(s) at once");
    }
    assert_eq!(rows(b"\xef\xbb\xbf\"a\"", 1).unwrap(), [(1, vec!["a".to_owned()])]);
}

#[test]
fn a_row_without_end_is_refused_before_it_fills_the_memory() {
    for start in ["x", "\"x\n"] {
        let mut records =
            CsvRecords::new(Lines::new("f.csv", start.as_bytes().chain(std::io::repeat(b'y'))), Some(b',')).unwrap();
        let error = loop {
            match records.next() {
                Ok(row) => assert!(row.is_some()),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("f.csv: line 1: the row is longer than"), "{error}");
        assert!(records.lines.buffer.len() <= 2 * MAX_ROW && records.unquoted.len() <= 2 * MAX_ROW);
    }
}

#[test]
fn a_quote_that_is_never_closed_names_its_line() {
    let error = rows(b"a,b\n1,2\n1,\"2\n3,4\n5,6\n", 100).unwrap_err();
    assert!(error.to_string().contains("f.csv: line 3: a quote is never closed"), "{error}");
}

#[test]
fn the_delimiter_is_what_the_first_line_has_most_of() {
    for (line, delimiter) in [
        ("TS,Device,Tag", b','),
        ("TS;Device;Tag, of it", b';'),
        ("TS\tDevice", b'\t'),
        ("a|b|c;d", b'|'),
        ("\"a;b;c\",d", b','),
        ("alone", b','),
    ] {
        assert_eq!(most_usual(line.as_bytes()), delimiter, "{line}");
    }
}

proptest! {
    #[test]
    fn a_byte_is_found_wherever_it_stands(
        text in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b','), Just(b'-'), Just(b'\xac')], 0..60),
        wanted in prop_oneof![any::<u8>(), Just(b',')],
    ) {
        let mut found = Vec::new();
        places(&text, wanted, &mut found);
        let expected: Vec<usize> = (0..text.len()).filter(|at| text[*at] == wanted).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn what_was_written_as_csv_is_read_back(
        written in proptest::collection::vec(proptest::collection::vec("[a-z0-9 ,\"\n\r;é]{0,6}", 2..5), 1..20),
        at_once in 1_usize..50,
        crlf in any::<bool>(),
    ) {
        let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let mut writer = csv::WriterBuilder::new().terminator(terminator).flexible(true).from_writer(Vec::new());
        for row in &written {
            writer.write_record(row).unwrap();
        }
        let bytes = writer.into_inner().unwrap();
        let read: Vec<Vec<String>> = rows(&bytes, at_once).unwrap().into_iter().map(|(_, fields)| fields).collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn arbitrary_bytes_give_the_same_rows_however_they_arrive(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b','), Just(b'"'), Just(b'\n'), Just(b'\r')], 0..200),
        at_once in 1_usize..20,
    ) {
        let (slow, quick) = (rows(&bytes, at_once), rows(&bytes, 1000));
        prop_assert_eq!(slow.map_err(|e| e.to_string()), quick.map_err(|e| e.to_string()));
    }
}
