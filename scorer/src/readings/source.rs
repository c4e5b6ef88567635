//! What a file is, by its name and first bytes, and its rows.

use std::io::{BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use spec::work::{DataFormat, DataSource};

use super::ReadingsError;
use super::csv::CsvRecords;
use super::json::JsonRecords;
use super::lines::Lines;
use super::parquet::{ParquetRecords, is_parquet};
use super::record::{OwnedRecord, Records};
use super::time::TimeParser;
use super::zstd::Zstd;

/// Rows from which names and kinds of columns are told.
const SAMPLE: usize = 100;
const BUFFER: usize = 1 << 16;
/// Bytes from which it is told what a file is.
const PEEK: u64 = 256;
const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

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
    pub(super) rest: Box<dyn Records + 'a>,
}

/// Opens a file.
pub(super) fn open<'a>(name: &str, input: impl Read + 'a, encoding: &Encoding) -> Result<Opened<'a>, ReadingsError> {
    let (input, start) = unpack(name, input)?;
    let name = name.to_owned();
    if start.is_empty() {
        return Err(ReadingsError::Empty { file: name });
    }
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        return Err(ReadingsError::Utf16 { file: name });
    }
    let lines = |input| Lines::new(&name, input);
    match encoding.format.unwrap_or_else(|| format_of(&name, &start)) {
        DataFormat::Csv => open_csv(&name, CsvRecords::new(lines(input), encoding.delimiter)?, encoding.names.clone()),
        DataFormat::JsonLines => open_json(JsonRecords::new(lines(input))?),
        DataFormat::Parquet => open_parquet(ParquetRecords::new(&name, input)?),
    }
}

type Input<'a> = Box<dyn BufRead + 'a>;

/// The file without its compression, and its first bytes.
fn unpack<'a>(name: &str, input: impl Read + 'a) -> Result<(Input<'a>, Vec<u8>), ReadingsError> {
    let unreadable = |source| ReadingsError::of_io(name, source);
    let (start, input) = peek(input).map_err(unreadable)?;
    let (start, input) = if start.starts_with(GZIP) {
        peek(MultiGzDecoder::new(input)).map_err(unreadable)?
    } else if start.starts_with(ZSTD) {
        peek(Zstd::new(input)).map_err(unreadable)?
    } else {
        (start, input)
    };
    Ok((input, start))
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
    names: Option<Vec<String>>,
) -> Result<Opened<'a>, ReadingsError> {
    let header = match names {
        Some(names) => names,
        None => {
            let Some(first) = records.next()? else { return Err(ReadingsError::Empty { file: name.to_owned() }) };
            let name_of = |index| {
                let text = std::str::from_utf8(first.trimmed(index).unwrap_or_default());
                let not_utf8 = |_| ReadingsError::NotUtf8 { file: name.to_owned(), line: first.line, index };
                text.map(str::to_owned).map_err(not_utf8)
            };
            (0..first.len()).map(name_of).collect::<Result<_, _>>()?
        }
    };
    let sample = sample(&mut records)?;
    Ok(Opened { header, sample, sample_comes_again: false, rest: Box::new(records) })
}

fn open_json<'a>(mut records: JsonRecords<impl Read + 'a>) -> Result<Opened<'a>, ReadingsError> {
    let sample = sample(&mut records)?;
    Ok(Opened { header: records.close_names(), sample, sample_comes_again: false, rest: Box::new(records) })
}

fn open_parquet<'a>(records: ParquetRecords) -> Result<Opened<'a>, ReadingsError> {
    let sample = records.sample(SAMPLE)?;
    Ok(Opened { header: records.names(), sample, sample_comes_again: true, rest: Box::new(records) })
}

fn sample(records: &mut impl Records) -> Result<Vec<OwnedRecord>, ReadingsError> {
    let mut sample = Vec::new();
    while sample.len() < SAMPLE
        && let Some(record) = records.next()?
    {
        sample.push(record.to_owned());
    }
    Ok(sample)
}

#[cfg(test)]
mod tests;
