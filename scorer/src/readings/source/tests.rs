use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use spec::SensorKeys;

use super::super::{Readings, Wanted, read};
use super::*;

const CSV: &str = "TS,Value\n2018-08-28 23:00:05,1.5\n2018-08-28 23:00:10,2.5\n";

fn readings(name: &str, bytes: &[u8], encoding: &Encoding) -> Result<Readings, ReadingsError> {
    read([(name.to_owned(), bytes)], Wanted { encoding: encoding.clone(), ..Wanted::default() })
}

fn values(name: &str, bytes: &[u8]) -> Vec<f64> {
    let readings = readings(name, bytes, &Encoding::default()).unwrap();
    readings.sensors[&SensorKeys::default()].good.values().to_vec()
}

fn gzip(content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &str) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
}

#[test]
fn the_format_is_told_by_name_and_by_the_first_bytes() {
    let lines = "{\"ts\":\"2018-08-28T23:00:05Z\",\"value\":1.5}\n{\"ts\":\"x\",\"value\":2.5}\n";
    let array = "[{\"ts\":\"2018-08-28T23:00:05Z\",\"value\":1.5},\n{\"ts\":\"x\",\"value\":2.5}]";
    for (name, text) in [
        ("a.csv", CSV),
        ("a", CSV),
        ("a.TSV", &CSV.replace(',', "\t")),
        ("a.txt", &CSV.replace(',', ";")),
        ("a.json", lines),
        ("a.json", array),
        ("a", lines),
        ("a.blob", array),
    ] {
        assert_eq!(values(name, text.as_bytes()), [1.5, 2.5], "{name}");
        for (ending, packed) in [(".gz", gzip(text)), (".zst", zstd(text)), ("", gzip(text))] {
            assert_eq!(values(&format!("{name}{ending}"), &packed), [1.5, 2.5], "{name}{ending}");
        }
    }
}

#[test]
fn all_members_of_a_gzip_and_all_frames_of_a_zstd_are_read() {
    let (first, second) = CSV.split_at(40);
    assert_eq!(values("a.csv.gz", &[gzip(first), gzip(second)].concat()), [1.5, 2.5]);
    let skipped = [&0x184D_2A50_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), b"abc"].concat();
    assert_eq!(values("a.csv.zst", &[zstd(first), skipped, zstd(second)].concat()), [1.5, 2.5]);
}

#[test]
fn compressed_data_that_is_cut_short_or_damaged_is_an_error_wherever_it_is() {
    let long = format!("{CSV}{}", "2018-08-28 23:00:15,3.5\n".repeat(10_000));
    for (name, packed) in [("a.csv.gz", gzip(&long)), ("a.csv.zst", zstd(&long))] {
        for cut in [5, 20, packed.len() / 2, packed.len() - 1] {
            let error = readings(name, &packed[..cut], &Encoding::default()).unwrap_err();
            assert_eq!(error.reason(), "DataInvalid");
            assert!(error.to_string().starts_with(name), "{error}");
            assert!(error.to_string().contains("the compressed data"), "{error}");
        }
        let mut damaged = packed.clone();
        let middle = packed.len() / 2;
        damaged[middle] ^= 0x55;
        assert!(readings(name, &damaged, &Encoding::default()).is_err(), "{name}");
    }
}

/// A file of which so many bytes come at once.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let most = out.len().min(self.1);
        self.0.read(&mut out[..most])
    }
}

#[test]
fn what_is_wrong_with_compressed_data_is_told_the_same_however_its_bytes_come() {
    let rows: Vec<u8> = (0..300_u32).flat_map(|n| format!("{},{}\n", n * 7919, n * 104_729).into_bytes()).collect();
    let text = [CSV.as_bytes(), &rows].concat();
    let skipped = [&0x184D_2A51_u32.to_le_bytes()[..], &9_u32.to_le_bytes(), &gzip("x")].concat();
    let zstd = |content: &[u8]| ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest);
    // Many small blocks: damage to one of them comes after the rows that tell that a column is missing.
    let mut blocks = GzEncoder::new(Vec::new(), Compression::default());
    for part in text.chunks(100) {
        blocks.write_all(part).unwrap();
        blocks.flush().unwrap();
    }
    let blocks = blocks.finish().unwrap();
    let files = [gzip(&text), zstd(&text), gzip(gzip(&text)), zstd(&gzip(&text)), gzip(zstd(&text)), skipped, blocks];
    for packed in files {
        let length = packed.len();
        for at in (1..length).step_by(length / 150 + 1) {
            let mut damaged = packed.clone();
            damaged[at.min(length - 1)] ^= 0x55;
            for file in [&packed[..at.min(length)], &damaged[..]] {
                let told = |most| {
                    let files = [("a".to_owned(), Slow(file, most))];
                    let wanted = Wanted { keys: vec!["tag".to_owned()], ..Wanted::default() };
                    read(files, wanted).map(|_| ()).map_err(|error| error.to_string())
                };
                let whole = told(usize::MAX);
                for most in [1, 300] {
                    assert_eq!(told(most), whole, "{at} of {length}, {most} bytes at once");
                }
            }
        }
    }
}

#[test]
fn a_csv_without_header_has_the_names_that_are_said() {
    let encoding = Encoding { names: Some(vec!["TS".into(), "Value".into()]), ..Encoding::default() };
    let found = readings("a.csv", b"2018-08-28 23:00:05,1.5\n2018-08-28 23:00:10,2.5\n", &encoding).unwrap();
    assert_eq!(found.sensors[&SensorKeys::default()].good.values(), [1.5, 2.5]);
    assert_eq!(found.head.layout.values[0].name, "Value");
}

#[test]
fn other_encodings_are_named() {
    for (bytes, says) in [
        (&b"\xff\xfeT\0S\0"[..], "UTF-16; save it as UTF-8"),
        (b"PAR1\x15\x04", "the Parquet file is damaged (it is too short)"),
        (b"T\0S\0,\0v\0\n\x001\0,\x002\0\n\0", "UTF-16; save it as UTF-8"),
        (b"\0T\0S\0,\0v\0\n", "UTF-16; save it as UTF-8"),
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
    ] {
        let error = readings("a", bytes, &Encoding::default()).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn a_first_row_of_numbers_and_times_is_no_header_but_for_the_names_that_pandas_gives() {
    for header in ["0,1", "1,2", ",0,1", "0", "a,1", "TS,2018"] {
        let width = header.split(',').count();
        let row = vec!["1.5"; width].join(",");
        let said = Encoding::default();
        readings("a.csv", format!("{header}\n{row}\n").as_bytes(), &said).unwrap();
    }
    for first in [
        "2018-08-28 23:00:05,1.5",
        "1535497205;1;5;2.5",
        "28.08.2018 23:00;1,5",
        "2,3",
        "1.5",
        ",1,2.5",
        "\"2018-08-28T23:00:05Z\",NaN",
        "0,0",
    ] {
        let error = readings("a.csv", format!("{first}\n{first}\n").as_bytes(), &Encoding::default()).unwrap_err();
        assert_eq!(error.reason(), "DataInvalid", "{first}");
        assert!(error.to_string().starts_with("a.csv: line 1: the first row is no header"), "{error}");
    }
    let german = Encoding { times: TimeParser::new(None, Some("%d.%m.%Y")), ..Encoding::default() };
    assert!(readings("a.csv", b"28.08.2018,1\n29.08.2018,2\n", &german).is_err());
}

#[test]
fn json_without_a_single_object_is_told_with_what_it_may_be() {
    for (text, line) in [("TS,v\n1,2\n", 1), ("\n{\n  \"v\": 3,\n  \"TS\": \"a\"\n}\n", 2)] {
        let error = readings("a.json", text.as_bytes(), &Encoding::default()).unwrap_err();
        assert_eq!(error.reason(), "DataInvalid");
        let message = error.to_string();
        assert!(message.starts_with(&format!("a.json: line {line}: it is no JSON object")), "{message}");
        assert!(message.contains("must stand in an array") && message.contains("--input-format csv"), "{message}");
    }
}

#[test]
fn a_header_that_may_be_divided_at_another_delimiter_is_told_with_how_to_say_it() {
    let message = |text: &str| readings("a.csv", text.as_bytes(), &Encoding::default()).unwrap_err().to_string();
    let wrong = message("TS;v;temp (a,b,c,d)\nx;1;2\n");
    assert!(wrong.contains("data.delimiter (--delimiter)"), "{wrong}");
    let right = message("TS,v\nx,y\n");
    assert!(!right.contains("delimiter"), "{right}");
}
