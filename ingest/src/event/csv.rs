//! Records of CSV: a line, or several, without a header.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

use super::fields::{Fields, Raw, recycled};
use super::malformed::Malformed;
use super::reading::Reading;
use super::{Decoded, Enough, Found};
use crate::config::EventConfig;

/// Reads lines.
pub(super) struct Csv {
    delimiter: u8,
    /// Of each column the number of its field, if it matters.
    columns: Vec<Option<usize>>,
    /// For lines with quotes.
    quoted: Reader,
    unquoted: Vec<u8>,
    ends: Vec<usize>,
}

impl std::fmt::Debug for Csv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Csv")
            .field("delimiter", &self.delimiter)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

impl Csv {
    pub(super) fn new(config: &EventConfig, fields: &Fields) -> Self {
        let delimiter = config.delimiter.as_ref().and_then(|text| text.bytes().next()).unwrap_or(b',');
        let columns = config.names.iter().map(|name| fields.find(name.as_bytes(), 0)).collect();
        // The end of a CRLF stays, and is white space at the end of a field.
        let quoted = ReaderBuilder::new().delimiter(delimiter).terminator(Terminator::Any(b'\n')).build();
        Self { delimiter, columns, quoted, unquoted: Vec::new(), ends: Vec::new() }
    }

    /// Reads a record.
    pub(super) fn decode<F: FnMut(u32, Decoded<'_>)>(
        &mut self,
        text: &[u8],
        reading: &mut Reading,
        raws: &mut Vec<Raw<'static>>,
        found: &mut Found<F>,
    ) {
        let mut rest = text;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let (line, behind) = rest.split_at(end);
            let told = if memchr::memchr(b'"', line).is_some() {
                let Some((read, fields)) = self.unquote(rest) else {
                    let _ = found.tell(Decoded::Malformed(Malformed::OpenQuote));
                    return;
                };
                rest = rest.get(read..).unwrap_or_default();
                self.tell_unquoted(fields, reading, raws, found)
            } else {
                rest = behind.get(1..).unwrap_or_default();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let delimiter = self.delimiter;
                tell(&self.columns, line.split(|byte| *byte == delimiter), reading, raws, found)
            };
            if told.is_err() {
                return;
            }
        }
    }

    /// Takes the quotes off the first row of a text, which may go over several lines, and tells how many bytes it has, and how many
    /// fields. `None`: its quotes are not closed.
    fn unquote(&mut self, text: &[u8]) -> Option<(usize, usize)> {
        self.quoted.reset();
        let (mut read, mut written, mut fields) = (0, 0, 0);
        // csv-core takes the end of a text for the end of quotes. A line end behind it tells: quotes take it in.
        let mut inputs = [text, b"\n"].into_iter();
        let mut input = inputs.next()?;
        loop {
            let (out, ends) = (self.unquoted.get_mut(written..)?, self.ends.get_mut(fields..)?);
            let (result, taken, wrote, more) = self.quoted.read_record(input, out, ends);
            input = input.get(taken..)?;
            read += taken;
            written += wrote;
            fields += more;
            match result {
                ReadRecordResult::Record => return Some((read.min(text.len()), fields)),
                ReadRecordResult::OutputFull => self.unquoted.resize(written * 2 + 256, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(fields * 2 + 16, 0),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::End => return None,
            }
            if input.is_empty() {
                input = inputs.next()?;
            }
        }
    }

    fn tell_unquoted<F: FnMut(u32, Decoded<'_>)>(
        &self,
        fields: usize,
        reading: &mut Reading,
        raws: &mut Vec<Raw<'static>>,
        found: &mut Found<F>,
    ) -> Result<(), Enough> {
        let mut start = 0;
        let fields = self.ends.iter().take(fields).map(|end| {
            let field = self.unquoted.get(start..*end).unwrap_or_default();
            start = *end;
            field
        });
        tell(&self.columns, fields, reading, raws, found)
    }
}

/// Tells of a line what it is.
fn tell<'a, F: FnMut(u32, Decoded<'_>)>(
    columns: &[Option<usize>],
    fields: impl Iterator<Item = &'a [u8]>,
    reading: &mut Reading,
    raws: &mut Vec<Raw<'static>>,
    found: &mut Found<F>,
) -> Result<(), Enough> {
    let mut here: Vec<Raw<'a>> = recycled(std::mem::take(raws));
    here.resize(reading.fields.len(), Raw::Absent);
    let mut count = 0;
    for field in fields {
        if let Some(Some(number)) = columns.get(count)
            && let Some(raw) = here.get_mut(*number)
        {
            *raw = Raw::Text(field.trim_ascii());
        }
        count += 1;
    }
    let told = if count == columns.len() {
        found.tell(reading.read(&here))
    } else {
        found.tell(Decoded::Malformed(Malformed::FieldCount { found: count, expected: columns.len() }))
    };
    *raws = recycled(here);
    told
}
