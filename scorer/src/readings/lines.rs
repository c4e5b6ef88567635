//! A buffer over a file, a line at a time, with a bound on how long a row may be.

use std::io::{ErrorKind, Read};

use super::ReadingsError;

/// The longest row. A file without line ends, or with a quote that is never closed, is not taken into memory.
pub(super) const MAX_ROW: usize = 1 << 20;
const BUFFER: usize = 1 << 16;
const BOM: &[u8] = "\u{feff}".as_bytes();

/// A file, line by line.
pub(super) struct Lines<R> {
    pub(super) file: String,
    input: R,
    pub(super) buffer: Vec<u8>,
    /// What of the buffer is still to be read.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether the input has ended.
    pub(super) ended: bool,
    /// The line of `start`, from 1.
    pub(super) line: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(file: &str, input: R) -> Self {
        Self { file: file.to_owned(), input, buffer: vec![0; BUFFER], start: 0, end: 0, ended: false, line: 1 }
    }

    pub(super) fn too_long(&self, line: u64) -> ReadingsError {
        ReadingsError::RowTooLong { file: self.file.clone(), line, limit: MAX_ROW }
    }

    /// What is in the buffer and not yet read.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Reads on behind what is in the buffer; whether anything came.
    pub(super) fn fill(&mut self) -> Result<bool, ReadingsError> {
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
                Ok(n) => self.end += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(ReadingsError::of_io(&self.file, source)),
            }
            return Ok(!self.ended);
        }
    }

    /// Leaves out the mark with which some programs begin UTF-8.
    pub(super) fn skip_bom(&mut self) -> Result<(), ReadingsError> {
        while self.end - self.start < BOM.len() && self.fill()? {}
        if self.rest().starts_with(BOM) {
            self.start += BOM.len();
        }
        Ok(())
    }

    /// Where the line at `start` ends in the buffer, and where the next one starts; none at the end of the file.
    pub(super) fn line_end(&mut self) -> Result<Option<(usize, usize)>, ReadingsError> {
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
}
