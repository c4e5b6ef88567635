//! Files of readings: CSV and JSON, compressed or not, with what a schedule may say of them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use scorer::readings::{
    Encoding, Head, Limits, Pass, Readings, ReadingsError, RowAt, Rows, Selection, Sink, TimeParser, Wanted, read,
};
use spec::work::{Columns, DataFormat};
use spec::{SensorKeys, TimeRange};

/// The first byte says what is said of the file, the second how its bytes come; the rest is the file. However they come,
/// in whatever blocks the rows go on, and packed or not, the same rows are found; every row is good or bad.
pub fn readings(input: &[u8]) {
    let [said, chunk, file @ ..] = input else { return };
    let (name, wanted) = asked(*said);
    let whole = read([(name.to_owned(), file)], wanted.clone());
    let cut = read([(name.to_owned(), Cut { rest: file, most: usize::from(*chunk) + 1 })], wanted.clone());
    same(&whole, &cut);
    // What is packed already would be packed twice, and is refused as that.
    let packed = is_packed(file);
    if chunk % 4 == 0 && !packed {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(file).expect("memory takes it");
        let gzip = gzip.finish().expect("memory takes it");
        same(&whole, &read([(name.to_owned(), gzip.as_slice())], wanted.clone()));
    }
    let Ok(whole) = whole else { return };
    let lines = file.iter().filter(|b| **b == b'\n').count() as u64 + 1;
    for (sensor, found) in &whole.sensors {
        let (counts, good) = (&found.counts, &found.good);
        assert_eq!(counts.rows, counts.bad_rows + good.len() as u64, "{sensor}");
        assert_eq!(counts.bad_rows == 0, counts.first_bad.is_none(), "{sensor}");
        assert_eq!(good.values().len(), good.len() * whole.head.layout.values.len());
        assert!(good.values().iter().all(|v| v.is_finite()));
        if let Some(RowAt::Line(line)) = counts.first_bad.as_ref().map(|bad| bad.at) {
            assert!(packed || (1..=lines).contains(&line), "line {line} of {lines}");
        }
    }
    in_blocks(name, file, wanted, usize::from(*chunk), &whole);
}

/// Whether a file begins as gzip or zstd does, or with a frame that zstd passes over.
fn is_packed(file: &[u8]) -> bool {
    file.starts_with(b"\x1f\x8b")
        || file.starts_with(b"\x28\xb5\x2f\xfd")
        || matches!(file, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

fn same(whole: &Result<Readings, ReadingsError>, other: &Result<Readings, ReadingsError>) {
    match (whole, other) {
        (Ok(whole), Ok(other)) => assert_eq!(whole, other),
        (Err(whole), Err(other)) => assert_eq!(whole.reason(), other.reason(), "{whole}; {other}"),
        _ => panic!("{whole:?}, but {other:?}"),
    }
}

/// What is asked of the file, a bit for each question.
fn asked(said: u8) -> (&'static str, Wanted) {
    let bit = |number: u8| said & (1 << number) != 0;
    let text = |text: &str| text.to_owned();
    let name = ["data", "data.csv", "data.jsonl", "data"][usize::from(said & 3)];
    let mut wanted = Wanted::default();
    if said & 3 == 3 {
        wanted.encoding = Encoding {
            format: Some(DataFormat::Csv),
            names: Some(["ts", "device", "tag", "a", "b"].map(text).to_vec()),
            ..Encoding::default()
        };
    }
    if bit(2) {
        wanted.encoding.delimiter = Some(b';');
    }
    if bit(3) {
        let time = |text: &str| text.parse().expect("a time");
        wanted.window = Some(TimeRange { start: time("2018-08-28T23:00:00Z"), end: time("2018-08-29T00:00:00Z") });
    }
    if bit(4) {
        wanted.encoding.times = TimeParser::new(Some("Europe/Berlin"), Some("%d.%m.%Y %H:%M:%S"));
    }
    if !bit(6) {
        wanted.keys = ["device", "tag"].map(text).to_vec();
        if bit(5) {
            let sensor = |tag: &str| -> SensorKeys { [("device", "1"), ("tag", tag)].into_iter().collect() };
            wanted.sensors = Some(["5", "6"].map(sensor).into_iter().collect());
        } else {
            wanted.fixed = [("device", "1")].into_iter().collect();
        }
    }
    if bit(7) {
        let keys = if bit(6) { BTreeMap::new() } else { [(text("tag"), text("b"))].into_iter().collect() };
        wanted.columns = Columns { time: Some(text("ts")), value: vec![text("a")], keys };
    }
    (name, wanted)
}

/// A file that comes a few bytes at a time.
struct Cut<'a> {
    rest: &'a [u8],
    most: usize,
}

impl Read for Cut<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let most = out.len().min(self.most);
        self.rest.read(&mut out[..most])
    }
}

/// Reads the file in blocks of so many bytes, and compares.
pub(crate) fn in_blocks(name: &str, file: &[u8], wanted: Wanted, block: usize, whole: &Readings) {
    let mut sink = Blocks::default();
    let mut pass = Pass::new(wanted, vec![name.to_owned()], Limits { block, open: block * 2 });
    assert_eq!(pass.file(file, &mut sink).ok(), Some(ControlFlow::Continue(())), "as before");
    let totals = pass.end(&mut sink).expect("as before");
    assert_eq!(totals.sensors.len(), whole.sensors.len());
    for (number, (sensor, counts)) in totals.sensors.iter().enumerate() {
        let (rows, bad) = sink.sensors.get(&number).cloned().unwrap_or_default();
        let found = &whole.sensors[sensor];
        assert_eq!(rows, found.good, "{sensor}");
        assert_eq!((counts.rows, counts.bad_rows + bad), (found.counts.rows, found.counts.bad_rows), "{sensor}");
    }
}

/// Puts the blocks of each sensor together again, and counts the bad rows in them.
#[derive(Default)]
struct Blocks {
    head: Option<Arc<Head>>,
    sensors: BTreeMap<usize, (Rows, u64)>,
}

impl Sink for Blocks {
    fn begin(&mut self, head: &Arc<Head>) {
        assert!(self.head.replace(Arc::clone(head)).is_none(), "told once");
    }

    fn rows(&mut self, sensor: usize, rows: Rows) -> ControlFlow<()> {
        assert!(!rows.is_empty());
        let head = self.head.as_ref().expect("told before any rows");
        let usable = rows.usable(head, &Selection::all(&head.layout));
        let (good, bad) = self.sensors.entry(sensor).or_default();
        good.append(&usable.rows);
        *bad += usable.bad_rows;
        ControlFlow::Continue(())
    }
}
