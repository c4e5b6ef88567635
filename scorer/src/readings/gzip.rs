//! gzip, of all members of a file.

use std::io::{BufRead, Read};

use flate2::bufread::GzDecoder;

/// The content of a gzip file. Zeros behind its members are passed over, as gzip does: tapes and uploads pad with them.
pub(super) struct Gzip<R> {
    /// None once the file has ended.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gzip<R> {
    pub(super) fn new(input: R) -> Self {
        Self { member: Some(GzDecoder::new(input)) }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while let Some(mut member) = self.member.take() {
            let read = member.read(out)?;
            if read > 0 || out.is_empty() {
                self.member = Some(member);
                return Ok(read);
            }
            let mut input = member.into_inner();
            self.member = goes_on(&mut input)?.then(|| GzDecoder::new(input));
        }
        Ok(0)
    }
}

/// Passes over zeros; whether anything follows.
fn goes_on(input: &mut impl BufRead) -> std::io::Result<bool> {
    loop {
        let rest = input.fill_buf()?;
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        if zeros < rest.len() || zeros == 0 {
            let more = !rest.is_empty();
            input.consume(zeros);
            return Ok(more);
        }
        input.consume(zeros);
    }
}
