//! Where the words of a command go.

use std::io::{self, Write};

use store::{LogFile, Stream};

use crate::process::Hear;

/// Where the words of a command go besides the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Echo {
    /// To this process' own streams, where `kubectl logs` finds them.
    #[default]
    Streams,
    /// To stderr, since stdout has something else to tell.
    Stderr,
}

pub(super) struct Ears<'a> {
    log: &'a LogFile,
    echo: Echo,
}

impl<'a> Ears<'a> {
    pub(super) fn new(log: &'a LogFile, echo: Echo) -> Self {
        Self { log, echo }
    }
}

impl Hear for Ears<'_> {
    async fn hear(&self, stream: Stream, bytes: &[u8]) {
        let (to_stdout, again) = (stream == Stream::Stdout && self.echo == Echo::Streams, bytes.to_vec());
        let echoed = tokio::task::spawn_blocking(move || match to_stdout {
            true => write(&mut io::stdout().lock(), &again),
            false => write(&mut io::stderr().lock(), &again),
        });
        self.log.output(stream, bytes).await;
        let _ = echoed.await;
    }
}

/// Nobody may be there to read it; it is in the log.
fn write(out: &mut impl Write, bytes: &[u8]) {
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}
