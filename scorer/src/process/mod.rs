//! A program of the user's: started in a process group of its own, heard while it runs, waited for, and ended.

mod children;
mod pipe;
mod tail;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use futures::FutureExt;
use nix::sys::signal::Signal;
use store::Stream;
use tokio::sync::watch;
use wait4::ResUse;

use children::Child;
use pipe::Pipe;
use tail::Tail;

/// How long the last words of a program that was told to end may take to be heard.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A program and its environment.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// What is set besides the environment of this process.
    pub env: BTreeMap<String, OsString>,
    /// What is taken out of that.
    pub without: Vec<OsString>,
}

/// Hears what a program prints.
pub trait Hear {
    /// Takes some bytes of a stream. The program waits meanwhile, once its pipe is full.
    fn hear(&self, stream: Stream, bytes: &[u8]) -> impl Future<Output = ()>;
}

/// How a program ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code or signal.
    pub how: How,
    /// Whether it was told to end.
    pub told: bool,
    /// What it took.
    pub usage: Usage,
    /// The last that it printed on stderr; where it printed nothing there, on stdout.
    pub last_words: String,
}

/// The end of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It ended by itself, with this exit code.
    Exited(i32),
    /// A signal ended it.
    Killed(i32),
}

/// What a program took, with those of its children that it waited for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Processor time.
    pub cpu_seconds: f64,
    /// The most memory of one of its processes.
    pub peak_memory_bytes: u64,
}

impl How {
    fn of(status: ExitStatus) -> Self {
        status.code().map_or_else(|| Self::Killed(status.signal().unwrap_or(0)), Self::Exited)
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Killed(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "{signal}"),
                Err(_) => write!(f, "signal {number}"),
            },
        }
    }
}

/// Runs a program to its end, and then ends what it left running in its process group. When `stop` is done the group gets
/// SIGTERM, and SIGKILL after `grace`. Once it has ended, `stop` bounds how long its last words may take to be heard.
///
/// # Errors
/// When it cannot be started, or what it prints cannot be read.
pub async fn run(
    program: &Program,
    hear: &impl Hear,
    grace: Duration,
    stop: impl Future<Output = ()>,
) -> io::Result<Ended> {
    let (out, stdout) = Pipe::new()?;
    let (err, stderr) = Pipe::new()?;
    let mut command = Command::new(program.words.first().map_or("", String::as_str));
    command.args(program.words.iter().skip(1));
    for name in &program.without {
        command.env_remove(name);
    }
    command.envs(&program.env).stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0);
    let child = Child::start(&mut command)?;
    // With it go our copies of the other ends of its pipes: else these would never end.
    drop(command);
    let stop = stop.shared();
    let stops = stop.clone();
    let (done, ended) = watch::channel(false);
    let (out, err) = (Listener::new(out, Stream::Stdout), Listener::new(err, Stream::Stderr));
    let listen = async { tokio::join!(out.listen(hear, ended.clone()), err.listen(hear, ended.clone())) };
    let wait = async {
        let waited = wait(child, grace, stops).await;
        let _ = done.send(true);
        waited
    };
    tokio::pin!(listen, wait);
    let ((told, ResUse { status, rusage }), heard) = tokio::select! {
        waited = &mut wait => {
            // Whoever is told to end has little time, and a store that is away must not take it.
            let most = async {
                stop.await;
                tokio::time::sleep(LAST_WORDS).await;
            };
            let heard = tokio::select! {
                biased;
                heard = listen => Some(heard),
                () = most => None,
            };
            (waited?, heard)
        }
        heard = &mut listen => (wait.await?, Some(heard)),
    };
    let last_words = match heard {
        Some((out, err)) => [err?, out?].iter().find(|tail| !tail.is_empty()).map_or_else(String::new, Tail::text),
        None => String::new(),
    };
    let cpu_seconds = (rusage.utime + rusage.stime).as_secs_f64();
    let usage = Usage { cpu_seconds, peak_memory_bytes: rusage.maxrss };
    Ok(Ended { how: How::of(status), told, usage, last_words })
}

/// Waits for the end of a program, which is told to end when `stop` is done.
async fn wait(mut child: Child, grace: Duration, stop: impl Future<Output = ()>) -> io::Result<(bool, ResUse)> {
    tokio::select! {
        ended = child.ended() => return Ok((false, ended?)),
        () = stop => child.signal(Signal::SIGTERM),
    }
    if let Ok(ended) = tokio::time::timeout(grace, child.ended()).await {
        return Ok((true, ended?));
    }
    tracing::warn!("the command did not end within {} s: SIGKILL", grace.as_secs());
    child.signal(Signal::SIGKILL);
    Ok((true, child.ended().await?))
}

/// Hears one stream.
struct Listener {
    pipe: Pipe,
    stream: Stream,
    tail: Tail,
}

impl Listener {
    fn new(pipe: Pipe, stream: Stream) -> Self {
        Self { pipe, stream, tail: Tail::default() }
    }

    /// Hears the stream to its end. Once the program has ended, only what is in the pipe then: somebody who left the group
    /// may hold its other end open for ever.
    async fn listen(mut self, hear: &impl Hear, mut ended: watch::Receiver<bool>) -> io::Result<Tail> {
        loop {
            let bytes = tokio::select! {
                bytes = self.pipe.read() => bytes?,
                _ = ended.wait_for(|ended| *ended) => break,
            };
            if bytes.is_empty() {
                return Ok(self.tail);
            }
            self.tail.push(bytes);
            hear.hear(self.stream, bytes).await;
        }
        while let Some(bytes) = self.pipe.rest()? {
            self.tail.push(bytes);
            hear.hear(self.stream, bytes).await;
        }
        Ok(self.tail)
    }
}

#[cfg(test)]
mod tests;
