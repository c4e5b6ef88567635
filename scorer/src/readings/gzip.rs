//! gzip, of all members of a file.

use std::io::{BufRead, Error, Read};

use flate2::bufread::GzDecoder;

const BLOCK: usize = 1 << 16;

/// The content of a gzip file. Zeros behind its members are passed over, as gzip does: tapes and uploads pad with them.
pub(super) struct Gzip<R> {
    /// None once the file has ended.
    member: Option<GzDecoder<Blocks<R>>>,
}

impl<R: Read> Gzip<R> {
    pub(super) fn new(input: R) -> Self {
        Self { member: Some(GzDecoder::new(Blocks::new(input))) }
    }
}

impl<R: Read> Read for Gzip<R> {
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

/// An input in blocks of one size, however its bytes come. The decoder forgets what it has unpacked of a block in which it
/// then meets damage: in other blocks, the same file would be refused for another reason.
struct Blocks<R> {
    input: R,
    block: Vec<u8>,
    /// How much of the block was taken.
    taken: usize,
    /// What the input failed with behind the block.
    failed: Option<Error>,
}

impl<R: Read> Blocks<R> {
    fn new(input: R) -> Self {
        Self { input, block: Vec::new(), taken: 0, failed: None }
    }
}

impl<R: Read> Read for Blocks<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: Read> BufRead for Blocks<R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.taken == self.block.len() {
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            self.block.clear();
            self.taken = 0;
            match self.input.by_ref().take(BLOCK as u64).read_to_end(&mut self.block) {
                Err(error) if self.block.is_empty() => return Err(error),
                read => self.failed = read.err(),
            }
        }
        Ok(&self.block[self.taken..])
    }

    fn consume(&mut self, bytes: usize) {
        self.taken += bytes;
    }
}
