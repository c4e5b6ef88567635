//! What a file is, by its name and first bytes, and its rows.

use std::io::{BufRead, BufReader, Cursor, Read};

use spec::number;
use spec::time::TimeParser;
use spec::work::{DataFormat, DataSource};

use super::ReadingsError;
use super::csv::CsvRecords;
use super::gzip::Gzip;
use super::json::{JsonRecords, ends_in_array};
use super::lines::Lines;
use super::parquet::{ParquetRecords, is_parquet};
use super::record::{OwnedRecord, Record, Records};
use super::zstd::{Zstd, is_zstd};
use crate::shown;

/// Rows from which names and kinds of columns are told, and up to how many where these do not tell.
const SAMPLE: usize = 100;
const MOST_SAMPLE: Room = Room { rows: 10_000, bytes: 4 << 20 };
const BUFFER: usize = 1 << 16;
/// Bytes from which it is told what a file is.
const PEEK: u64 = 256;
const GZIP: &[u8] = b"\x1f\x8b";
/// How files begin that are not read, and what they are.
const OTHERS: [(&[u8], &str); 6] = [
    (b"PK\x03\x04", "a zip archive, as .xlsx files are"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x04\x22\x4d\x18", "compressed with lz4"),
    (b"\x1f\x9d", "compressed with compress"),
];

/// How the readings are written, as far as it was said.
#[derive(Clone, Debug, Default)]
pub struct Encoding {
    /// The format; absent: told by name and first bytes.
    pub format: Option<DataFormat>,
    /// What stands between the fields of a CSV; absent: told by its first line.
    pub delimiter: Option<u8>,
    /// The columns of a CSV without a header.
    pub names: Option<Vec<String>>,
    /// How times are written.
    pub times: TimeParser,
}

impl Encoding {
    /// As a schedule says it; call after [`spec::Work::check`].
    #[must_use]
    pub fn of(source: &DataSource) -> Self {
        Self {
            format: source.format,
            delimiter: source.delimiter.as_ref().and_then(spec::work::Delimiter::byte),
            names: source.names.clone(),
            times: TimeParser::new(source.time_zone.as_deref(), source.time_format.as_deref()),
        }
    }
}

/// A file that is open: its columns, and its rows.
pub(super) struct Opened<'a> {
    pub(super) header: Vec<String>,
    /// The first rows, from which it is told which columns are numbers.
    pub(super) sample: Vec<OwnedRecord>,
    /// Whether the rest begins with the sample again.
    pub(super) sample_comes_again: bool,
    /// Whether the sample is all that there is.
    ended: bool,
    pub(super) rest: Box<dyn Records + 'a>,
}

/// How many rows and bytes a sample may have.
#[derive(Clone, Copy)]
pub(super) struct Room {
    rows: usize,
    bytes: usize,
}

impl Room {
    /// What is left beside rows that are held already.
    pub(super) fn beside(held: &[&OwnedRecord]) -> Self {
        let bytes: usize = held.iter().map(|row| row.bytes()).sum();
        let Self { rows, bytes: most } = MOST_SAMPLE;
        Self { rows: rows.saturating_sub(held.len()), bytes: most.saturating_sub(bytes) }
    }

    /// Whether more rows than these may be held.
    pub(super) fn has_some(self, beside: &[OwnedRecord]) -> bool {
        beside.len() < self.rows && beside.iter().map(OwnedRecord::bytes).sum::<usize>() < self.bytes
    }
}

impl<'a> Opened<'a> {
    /// Of rows that come one after the other.
    pub(super) fn of(header: Vec<String>, records: impl Records + 'a) -> Result<Self, ReadingsError> {
        let rest = Box::new(records);
        let mut opened = Self { header, sample: Vec::new(), sample_comes_again: false, ended: false, rest };
        opened.sample_up_to(SAMPLE)?;
        Ok(opened)
    }

    /// Takes as many rows again into the sample, if there is room; whether there were any.
    pub(super) fn sample_more(&mut self, room: &Room) -> Result<bool, ReadingsError> {
        let before = self.sample.len();
        if room.has_some(&self.sample) {
            self.sample_up_to((before * 2).min(room.rows))?;
        }
        Ok(self.sample.len() > before)
    }

    fn sample_up_to(&mut self, rows: usize) -> Result<(), ReadingsError> {
        while !self.ended && !self.sample_comes_again && self.sample.len() < rows {
            match self.rest.next()? {
                Some(record) => self.sample.push(record.to_owned()),
                None => self.ended = true,
            }
        }
        if let Some(names) = self.rest.names(false) {
            names.clone_into(&mut self.header);
        }
        Ok(())
    }

    /// Whether the sample is the whole file.
    pub(super) fn is_whole(&self) -> bool {
        self.ended
    }

    /// Whether the file has neither columns nor rows: as a CSV blank lines alone, as JSON an array of nothing.
    fn is_empty(&self) -> bool {
        let blank = |row: &OwnedRecord| row.as_record().is_blank();
        match self.header.as_slice() {
            [] => self.sample.is_empty() || self.sample_comes_again,
            [name] => name.is_empty() && self.ended && self.sample.iter().all(blank),
            _ => false,
        }
    }

    /// The only row of a file of JSON that ends in its array before the first object does; and that there is no other.
    pub(super) fn cut_short(&self, file: &str) -> Option<(&OwnedRecord, ReadingsError)> {
        let [row] = self.sample.as_slice() else { return None };
        let why = row.as_record().broken.filter(|why| self.ended && ends_in_array(why))?;
        Some((row, ReadingsError::NoObjects { file: file.to_owned(), line: row.as_record().line, why }))
    }

    /// Ends the sample: the columns are those of its rows, of which one at least must be a row then.
    pub(super) fn close(&mut self, file: &str) -> Result<(), ReadingsError> {
        if let Some(names) = self.rest.names(true) {
            names.clone_into(&mut self.header);
            self.sample.iter_mut().for_each(|row| row.widen(names.len()));
        }
        let first = self.sample.first().map(OwnedRecord::as_record).filter(|_| self.header.is_empty());
        match first.and_then(|row| Some((row.line, row.broken?))) {
            Some((line, why)) => Err(ReadingsError::NoObjects { file: file.to_owned(), line, why }),
            None => Ok(()),
        }
    }
}

/// Opens a file.
pub(super) fn open<'a>(name: &str, input: impl Read + 'a, encoding: &Encoding) -> Result<Opened<'a>, ReadingsError> {
    let (input, start) = unpack(name, input)?;
    let name = name.to_owned();
    if start.is_empty() {
        return Err(ReadingsError::Empty { file: name });
    }
    if is_utf16(&start) {
        return Err(ReadingsError::Utf16 { file: name });
    }
    let lines = |input| Lines::new(&name, input);
    let opened = match encoding.format.unwrap_or_else(|| format_of(&name, &start)) {
        DataFormat::Csv => open_csv(&name, CsvRecords::new(lines(input), encoding.delimiter)?, encoding),
        DataFormat::JsonLines => Opened::of(Vec::new(), JsonRecords::new(lines(input))?),
        DataFormat::Parquet => open_parquet(ParquetRecords::new(&name, input)?),
    }?;
    if opened.is_empty() { Err(ReadingsError::Empty { file: name }) } else { Ok(opened) }
}

/// Whether a file begins with the mark of UTF-16; or without one as its texts do, in which every other byte is zero.
fn is_utf16(start: &[u8]) -> bool {
    let zeros = |from| start.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    start.starts_with(b"\xff\xfe")
        || start.starts_with(b"\xfe\xff")
        || (!is_parquet(start) && even.min(odd) == 0 && even.max(odd) * 4 > start.len())
}

type Input<'a> = Box<dyn BufRead + 'a>;

/// The file without its compression, and its first bytes.
fn unpack<'a>(name: &str, input: impl Read + 'a) -> Result<(Input<'a>, Vec<u8>), ReadingsError> {
    let unreadable = |source| ReadingsError::of_io(name, source);
    let (start, input) = peek(input).map_err(unreadable)?;
    let packed = |start: &[u8]| start.starts_with(GZIP) || is_zstd(start);
    let (start, input) = match packed(&start) {
        true if start.starts_with(GZIP) => peek(Gzip::new(input)).map_err(unreadable)?,
        true => peek(Zstd::new(input)).map_err(unreadable)?,
        false => (start, input),
    };
    let other = OTHERS.iter().find(|(begins, _)| start.starts_with(begins)).map(|(_, what)| *what);
    match other.or(packed(&start).then_some("compressed twice")) {
        Some(what) => {
            let what = format!("the file is {what}, which is not read; unpack it, or compress it with gzip or zstd");
            Err(ReadingsError::Unsupported { file: name.to_owned(), what })
        }
        None => Ok((input, start)),
    }
}

/// The first bytes of an input, and all of it.
fn peek<'a>(mut input: impl Read + 'a) -> std::io::Result<(Vec<u8>, Input<'a>)> {
    let mut start = Vec::new();
    input.by_ref().take(PEEK).read_to_end(&mut start)?;
    let input = Cursor::new(start.clone()).chain(BufReader::with_capacity(BUFFER, input));
    Ok((start, Box::new(input)))
}

/// The format that a file's name says, else its first bytes; nothing else begins as Parquet does.
fn format_of(name: &str, start: &[u8]) -> DataFormat {
    if is_parquet(start) {
        return DataFormat::Parquet;
    }
    let name = name.to_ascii_lowercase();
    let name = name.trim_end_matches(".gz").trim_end_matches(".zst").trim_end_matches(".gzip");
    let is = |endings: &[&str]| endings.iter().any(|e| name.ends_with(e));
    if is(&[".csv", ".tsv", ".txt"]) {
        return DataFormat::Csv;
    }
    if is(&[".json", ".jsonl", ".ndjson"]) {
        return DataFormat::JsonLines;
    }
    if is(&[".parquet"]) {
        return DataFormat::Parquet;
    }
    let start = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start).trim_ascii_start();
    if start.starts_with(b"{") || start.starts_with(b"[") { DataFormat::JsonLines } else { DataFormat::Csv }
}

fn open_csv<'a>(
    name: &str,
    mut records: CsvRecords<impl Read + 'a>,
    encoding: &Encoding,
) -> Result<Opened<'a>, ReadingsError> {
    let header = match &encoding.names {
        Some(names) => names.clone(),
        None => {
            let Some(first) = records.next()? else { return Err(ReadingsError::Empty { file: name.to_owned() }) };
            let name_of = |index| {
                let text = std::str::from_utf8(first.trimmed(index).unwrap_or_default());
                let not_utf8 = |_| ReadingsError::NotUtf8 { file: name.to_owned(), line: first.line, index };
                text.map(str::to_owned).map_err(not_utf8)
            };
            let header = (0..first.len()).map(name_of).collect::<Result<Vec<_>, _>>()?;
            if header.iter().any(|name| name.contains('\r')) {
                let what = "its lines end with CR alone; write them with LF, or CR LF, at their ends".to_owned();
                return Err(ReadingsError::Unsupported { file: name.to_owned(), what });
            }
            if is_reading(first, &encoding.times) {
                let row = shown::names(&header);
                return Err(ReadingsError::NoHeader { file: name.to_owned(), line: first.line, row });
            }
            header
        }
    };
    Opened::of(header, records)
}

/// Whether a text has digits and what stands between those of numbers and times, in whatever order.
fn is_digits(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit) && text.iter().all(|b| b.is_ascii_digit() || b" .,;:/+-".contains(b))
}

/// Whether the first row of a CSV is one of numbers and times alone, and so no header; but pandas calls columns 0, 1, 2
/// that have no names.
fn is_reading(row: Record<'_>, times: &TimeParser) -> bool {
    let mut fields: Vec<&[u8]> = (0..row.len()).filter_map(|index| row.trimmed(index)).collect();
    let numbered = |fields: &[&[u8]], from: usize| {
        !fields.is_empty() && fields.iter().zip(from..).all(|(field, number)| *field == number.to_string().as_bytes())
    };
    // Before them stands the name of the row numbers, which have none.
    let named = fields.strip_prefix(&[&b""[..]]).unwrap_or(&fields);
    if numbered(named, 0) || numbered(named, 1) {
        return false;
    }
    fields.retain(|field| !field.is_empty());
    !fields.is_empty()
        && fields.iter().all(|field| is_digits(field) || number::is_number(field) || times.parse(field).is_some())
}

fn open_parquet<'a>(records: ParquetRecords) -> Result<Opened<'a>, ReadingsError> {
    let sample = records.sample(SAMPLE)?;
    let header = records.names().to_vec();
    Ok(Opened { header, sample, sample_comes_again: true, ended: false, rest: Box::new(records) })
}

#[cfg(test)]
mod tests;
