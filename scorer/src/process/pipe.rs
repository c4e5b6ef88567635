//! The end of a pipe that we read.

use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read};

use tokio::net::unix::pipe::Receiver;

/// Bytes read at once: as many as a pipe holds.
const CHUNK: usize = 64 << 10;
/// The most that is read of what is left in a pipe. It holds no more, unless a privileged program made it so.
const MOST: usize = 1 << 20;

pub(super) struct Pipe {
    end: Receiver,
    /// The same end, to ask it whether it is empty: what the runtime knows may be of a moment ago.
    same: PipeReader,
    buffer: Vec<u8>,
    left: usize,
}

impl Pipe {
    /// A pipe, and its other end.
    pub(super) fn new() -> io::Result<(Self, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        let same = reader.try_clone()?;
        // From here on neither waits.
        let end = Receiver::from_owned_fd(reader.into())?;
        Ok((Self { end, same, buffer: vec![0; CHUNK], left: MOST }, writer))
    }

    /// The next bytes; none at the end. Nothing is lost when the waiting is given up.
    pub(super) async fn read(&mut self) -> io::Result<&[u8]> {
        let read = loop {
            self.end.readable().await?;
            match self.end.try_read(&mut self.buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => break read?,
            }
        };
        Ok(&self.buffer[..read])
    }

    /// What is in the pipe now, piece by piece; nothing once it is empty or has ended.
    pub(super) fn rest(&mut self) -> io::Result<Option<&[u8]>> {
        let most = self.left.min(CHUNK);
        let read = match self.same.read(&mut self.buffer[..most]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            read => read?,
        };
        self.left -= read;
        Ok((read > 0).then_some(&self.buffer[..read]))
    }
}
