//! The rows of a CSV, sliced out of a buffer: a row without quotes is never copied.

use std::io::Read;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, Terminator};

use super::ReadingsError;
use super::record::{Record, Records};

/// The longest row. A file without line ends, or with a quote that is never closed, is not taken into memory.
pub(super) const MAX_ROW: usize = 1 << 20;
const BUFFER: usize = 1 << 16;
const BOM: &[u8] = "\u{feff}".as_bytes();

/// The rows of a CSV. Blank lines are none.
pub(super) struct CsvRecords<R> {
    file: String,
    input: R,
    delimiter: u8,
    buffer: Vec<u8>,
    /// What of the buffer is still to be read.
    start: usize,
    end: usize,
    /// Whether the input has ended.
    ended: bool,
    /// The line of `start`, from 1.
    line: u64,
    ends: Vec<usize>,
    /// For rows with quotes.
    quoted: Reader,
    unquoted: Vec<u8>,
}

impl<R: Read> CsvRecords<R> {
    pub(super) fn new(file: &str, input: R, delimiter: u8) -> Self {
        Self {
            file: file.to_owned(),
            input,
            delimiter,
            buffer: vec![0; BUFFER],
            start: 0,
            end: 0,
            ended: false,
            line: 1,
            ends: Vec::new(),
            quoted: ReaderBuilder::new().delimiter(delimiter).terminator(Terminator::Any(b'\n')).build(),
            unquoted: Vec::new(),
        }
    }

    fn too_long(&self, line: u64) -> ReadingsError {
        ReadingsError::RowTooLong { file: self.file.clone(), line, limit: MAX_ROW }
    }

    /// Reads on behind what is in the buffer; whether anything came.
    fn fill(&mut self) -> Result<bool, ReadingsError> {
        if self.ended {
            return Ok(false);
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            if self.end >= MAX_ROW {
                return Err(self.too_long(self.line));
            }
            self.buffer.resize(self.end * 2, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(n) => {
                    self.end += n;
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(ReadingsError::Unreadable { file: self.file.clone(), source }),
            }
            return Ok(!self.ended);
        }
    }

    /// Where the line at `start` ends in the buffer, and where the next one starts; none at the end of the file.
    fn line_end(&mut self) -> Result<Option<(usize, usize)>, ReadingsError> {
        let mut seen = 0;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.start + seen..self.end]) {
                let end = self.start + seen + at;
                return Ok(Some((end, end + 1)));
            }
            seen = self.end - self.start;
            if !self.fill()? {
                return Ok((seen > 0).then_some((self.end, self.end)));
            }
        }
    }

    /// Takes the quotes off the row at `start`, which may go over several lines.
    fn read_quoted(&mut self) -> Result<(), ReadingsError> {
        self.quoted.reset();
        let (mut written, mut fields) = (0, 0);
        let line = self.line;
        let mut quotes = 0;
        // What the row is read from ends with; the line end may be cut in two.
        let mut tail = [0; 2];
        let resized = |size: usize| if size == 0 { 256 } else { size * 2 };
        loop {
            if self.start == self.end {
                self.fill()?;
            }
            let input = &self.buffer[self.start..self.end];
            let (result, read, wrote, found) =
                self.quoted.read_record(input, &mut self.unquoted[written..], &mut self.ends[fields..]);
            self.line += memchr::memchr_iter(b'\n', &input[..read]).count() as u64;
            quotes += memchr::memchr_iter(b'"', &input[..read]).count();
            for byte in &input[read.saturating_sub(2)..read] {
                tail = [tail[1], *byte];
            }
            self.start += read;
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
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => return Err(self.too_long(line)),
                ReadRecordResult::Record | ReadRecordResult::End => break,
            }
        }
        // csv-core takes the end of the file for the end of the quotes; all rows behind would be lost in one field.
        if self.ended && self.start == self.end && quotes % 2 == 1 && self.line > line + 1 {
            return Err(ReadingsError::QuoteOpen { file: self.file.clone(), line });
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

impl<R: Read> Records for CsvRecords<R> {
    fn next(&mut self) -> Result<Option<Record<'_>>, ReadingsError> {
        let (start, end) = loop {
            let Some((mut end, next)) = self.line_end()? else { return Ok(None) };
            if self.line == 1 && self.buffer[self.start..end].starts_with(BOM) {
                self.start += BOM.len();
            }
            let start = self.start;
            if memchr::memchr(b'"', &self.buffer[start..end]).is_some() {
                let line = self.line;
                self.read_quoted()?;
                return Ok(Some(Record { text: &self.unquoted, ends: &self.ends, gap: 0, line }));
            }
            if end > start && self.buffer[end - 1] == b'\r' {
                end -= 1;
            }
            self.start = next;
            self.line += 1;
            if end > start {
                break (start, end);
            }
        };
        let text = &self.buffer[start..end];
        self.ends.clear();
        for (at, byte) in text.iter().enumerate() {
            if *byte == self.delimiter {
                self.ends.push(at);
            }
        }
        self.ends.push(text.len());
        Ok(Some(Record { text, ends: &self.ends, gap: 1, line: self.line - 1 }))
    }
}

#[cfg(test)]
mod tests;
