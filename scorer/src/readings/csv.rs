//! The rows of a CSV, sliced out of a buffer: a row without quotes is never copied.

use std::io::Read;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

use super::ReadingsError;
use super::lines::{Lines, MAX_ROW};
use super::record::{Record, Records};

/// What may stand between fields, the most usual first.
pub(super) const DELIMITERS: [u8; 4] = *b",;\t|";

/// The rows of a CSV. Blank lines are none.
pub(super) struct CsvRecords<R> {
    lines: Lines<R>,
    delimiter: u8,
    ends: Vec<usize>,
    /// For rows with quotes.
    quoted: Reader,
    unquoted: Vec<u8>,
}

impl<R: Read> CsvRecords<R> {
    /// The rows of a file; without a delimiter that one of `,`, `;`, tab and `|` which its first line has most of.
    pub(super) fn new(mut lines: Lines<R>, delimiter: Option<u8>) -> Result<Self, ReadingsError> {
        lines.skip_bom()?;
        let said = delimiter.or(excel(&mut lines)?);
        let delimiter = match said {
            Some(delimiter) => delimiter,
            None => match lines.line_end()? {
                Some((end, _)) => most_usual(&lines.buffer[lines.start..end]),
                None => DELIMITERS[0],
            },
        };
        let quoted = ReaderBuilder::new().delimiter(delimiter).terminator(Terminator::Any(b'\n')).build();
        Ok(Self { lines, delimiter, ends: Vec::new(), quoted, unquoted: Vec::new() })
    }

    /// Takes the quotes off the row at `start`, which may go over several lines.
    fn read_quoted(&mut self) -> Result<(), ReadingsError> {
        let lines = &mut self.lines;
        self.quoted.reset();
        let (mut written, mut fields) = (0, 0);
        let line = lines.line;
        let mut quotes = 0;
        // What the row is read from ends with; the line end may be cut in two.
        let mut tail = [0; 2];
        let resized = |size: usize| if size == 0 { 256 } else { size * 2 };
        loop {
            if lines.start == lines.end {
                lines.fill()?;
            }
            let input = &lines.buffer[lines.start..lines.end];
            let (result, read, wrote, found) =
                self.quoted.read_record(input, &mut self.unquoted[written..], &mut self.ends[fields..]);
            let input = &input[..read];
            lines.line += memchr::memchr_iter(b'\n', input).count() as u64;
            quotes += memchr::memchr_iter(b'"', input).count();
            for byte in &input[read.saturating_sub(2)..] {
                tail = [tail[1], *byte];
            }
            lines.start += read;
            written += wrote;
            fields += found;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.unquoted.len() < MAX_ROW => {
                    self.unquoted.resize(resized(self.unquoted.len()), 0);
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() < MAX_ROW => {
                    self.ends.resize(resized(self.ends.len()), 0);
                }
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => return Err(lines.too_long(line)),
                ReadRecordResult::Record | ReadRecordResult::End => break,
            }
        }
        // csv-core takes the end of the file for the end of the quotes; all rows behind would be lost in one field.
        if lines.ended && lines.start == lines.end && quotes % 2 == 1 && lines.line > line + 1 {
            return Err(ReadingsError::QuoteOpen { file: lines.file.clone(), line });
        }
        self.ends.truncate(fields);
        let before = self.ends.len().checked_sub(2).map_or(0, |at| self.ends[at]);
        if (tail == *b"\r\n" || tail[1] == b'\r')
            && let Some(last) = self.ends.last_mut()
            && *last > before
        {
            *last -= 1;
        }
        Ok(())
    }
}

/// The delimiter that Excel says in a line before the header, which is passed over: `sep=;`.
fn excel<R: Read>(lines: &mut Lines<R>) -> Result<Option<u8>, ReadingsError> {
    const SAYS: &[u8] = b"sep=";
    while lines.rest().len() < SAYS.len() && lines.fill()? {}
    if !lines.rest().get(..SAYS.len()).is_some_and(|start| start.eq_ignore_ascii_case(SAYS)) {
        return Ok(None);
    }
    let Some((end, next)) = lines.line_end()? else { return Ok(None) };
    let said = &lines.buffer[lines.start + SAYS.len()..end];
    let delimiter = match said.strip_suffix(b"\r").unwrap_or(said) {
        [byte] if byte.is_ascii() => *byte,
        _ => return Ok(None),
    };
    lines.start = next;
    lines.line += 1;
    Ok(Some(delimiter))
}

/// The delimiter that stands most often in a line, not counting what is in quotes.
fn most_usual(line: &[u8]) -> u8 {
    let mut counts = [0_usize; DELIMITERS.len()];
    let mut quoted = false;
    for byte in line {
        quoted ^= *byte == b'"';
        if !quoted && let Some(at) = DELIMITERS.iter().position(|d| d == byte) {
            counts[at] += 1;
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    let found = DELIMITERS.iter().zip(counts).find(|(_, count)| *count == most);
    found.map_or(DELIMITERS[0], |(delimiter, _)| *delimiter)
}

/// Notes where a byte stands in a text; eight bytes are looked at together.
fn places(text: &[u8], wanted: u8, noted: &mut Vec<usize>) {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let pattern = u64::from_le_bytes([wanted; 8]);
    let (words, rest) = text.as_chunks::<8>();
    for (at, word) in (0..).step_by(8).zip(words) {
        let other = u64::from_le_bytes(*word) ^ pattern;
        // The highest bit of each byte that is zero in `other`; no byte's sum carries into the next one.
        let mut found = !(((other & LOW) + LOW) | other | LOW);
        while found != 0 {
            noted.push(at + found.trailing_zeros() as usize / 8);
            found &= found - 1;
        }
    }
    let start = text.len() - rest.len();
    noted.extend((start..).zip(rest).filter(|(_, byte)| **byte == wanted).map(|(at, _)| at));
}

impl<R: Read> Records for CsvRecords<R> {
    fn next(&mut self) -> Result<Option<Record<'_>>, ReadingsError> {
        let (start, end) = loop {
            let Some((mut end, next)) = self.lines.line_end()? else { return Ok(None) };
            let start = self.lines.start;
            if memchr::memchr(b'"', &self.lines.buffer[start..end]).is_some() {
                let line = self.lines.line;
                self.read_quoted()?;
                return Ok(Some(Record {
                    text: &self.unquoted,
                    ends: &self.ends,
                    gap: 0,
                    line,
                    broken: None,
                    absent: &[],
                }));
            }
            if end > start && self.lines.buffer[end - 1] == b'\r' {
                end -= 1;
            }
            self.lines.start = next;
            self.lines.line += 1;
            if end > start {
                break (start, end);
            }
        };
        let text = &self.lines.buffer[start..end];
        self.ends.clear();
        places(text, self.delimiter, &mut self.ends);
        self.ends.push(text.len());
        Ok(Some(Record { text, ends: &self.ends, gap: 1, line: self.lines.line - 1, broken: None, absent: &[] }))
    }
}

#[cfg(test)]
mod tests;
