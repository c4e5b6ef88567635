//! Temporary files, removed when the process is told to stop.

use std::collections::BTreeSet;
use std::io::{Error, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tempfile::NamedTempFile;
use tokio::signal::unix::{SignalKind, signal};

/// The files that are there now.
static FILES: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn files() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that vanishes when it is dropped, and when SIGTERM or Ctrl-C ends the process.
pub(super) struct Temporary {
    /// None once it has been moved to its place.
    file: Option<NamedTempFile>,
    path: PathBuf,
}

impl Temporary {
    /// Makes one.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub(super) fn new(make: impl FnOnce() -> Result<NamedTempFile, Error>) -> Result<Self, Error> {
        static WATCHED: Once = Once::new();
        WATCHED.call_once(|| {
            if let Err(error) = watch() {
                tracing::warn!(%error, "signals will not be noticed; a temporary file may be left");
            }
        });
        let mut files = files();
        let file = make()?;
        let path = file.path().to_owned();
        files.insert(path.clone());
        Ok(Self { file: Some(file), path })
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
    }

    /// Moves the file to its place, over one that is there if that may be.
    ///
    /// # Errors
    /// When it cannot be; what was there is then untouched.
    pub(super) fn persist(mut self, path: &Path, over: bool) -> Result<(), Error> {
        let Some(file) = self.file.take() else { return Ok(()) };
        file.as_file().sync_all()?;
        let moved = if over { file.persist(path) } else { file.persist_noclobber(path) };
        moved.map(|_| ()).map_err(|e| e.error)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.file = None;
        files().remove(&self.path);
    }
}

/// Ends the process at SIGTERM or Ctrl-C, as the system would have, but without its files.
fn watch() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let wait = move || {
        // What a shell gives for a process that a signal has ended.
        let code = runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => 128 + 15,
                _ = interrupt.recv() => 128 + 2,
            }
        });
        // Held to the end: no file is made any more.
        let files = files();
        for path in files.iter() {
            let _ = std::fs::remove_file(path);
        }
        std::process::exit(code);
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map(|_| ())
}
