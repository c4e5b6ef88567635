//! A folder, perhaps on a share of another machine: what its server does not answer is asked again for a while.

use std::fs::File;
use std::future::Future;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload,
};
use tokio::time::{Instant, sleep, timeout};

use crate::error::{is_away, lacks_links};
use crate::heard::{Heard, LAST_WAIT, PATIENCE};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The least that a share is reckoned to write in a second.
const BYTES_A_SECOND: u64 = 1 << 20;

/// The file system.
pub(crate) struct Share {
    files: LocalFileSystem,
    heard: Arc<Heard>,
}

impl Share {
    pub(crate) fn new(heard: Arc<Heard>) -> Self {
        // A store has no folders without files.
        Self { files: LocalFileSystem::new().with_automatic_cleanup(true), heard }
    }

    pub(crate) fn files(&self) -> &LocalFileSystem {
        &self.files
    }

    pub(crate) async fn head(&self, at: &Path) -> Result<ObjectMeta, Error> {
        self.ask(0, || self.files.head(at)).await
    }

    pub(crate) async fn get(&self, at: &Path, options: GetOptions) -> Result<GetResult, Error> {
        self.ask(0, || self.files.get_opts(at, options.clone())).await
    }

    pub(crate) async fn put(&self, at: &Path, payload: PutPayload, mode: PutMode) -> Result<(), Error> {
        let size = payload.content_length() as u64;
        let put = || self.files.put_opts(at, payload.clone(), mode.clone().into());
        match self.ask(size, put).await {
            Err(error) if mode == PutMode::Create && lacks_links(&error) => {
                self.ask(size, || self.create(at, payload.clone())).await
            }
            done => done.map(drop),
        }
    }

    /// Makes a file that is not there, where there are no hard links, by which it would be there whole: of two that make it one
    /// is first all the same, but whoever reads it at that moment may find it empty.
    async fn create(&self, at: &Path, payload: PutPayload) -> Result<(), Error> {
        let path = self.files.path_to_filesystem(at)?;
        let name = at.to_string();
        let made = tokio::task::spawn_blocking(move || {
            let mut file = File::options().write(true).create_new(true).open(&path)?;
            let written = payload.iter().try_for_each(|part| file.write_all(part)).and_then(|()| file.sync_all());
            written.inspect_err(|_| drop(std::fs::remove_file(&path)))
        });
        let broke = |source| Error::Generic { store: "LocalFileSystem", source };
        match made.await.map_err(|e| broke(e.into()))? {
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::AlreadyExists { path: name, source: source.into() })
            }
            made => made.map_err(|e| broke(e.into())),
        }
    }

    pub(crate) async fn put_multipart(&self, at: &Path) -> Result<Box<dyn MultipartUpload>, Error> {
        self.ask(0, || self.files.put_multipart(at)).await
    }

    /// Waits until a folder can be looked at, if it is there: a listing itself is not begun again.
    pub(crate) async fn reach(&self, folder: &str) -> Result<(), Error> {
        let look = || async {
            match tokio::fs::metadata(folder).await {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    Err(Error::Generic { store: "LocalFileSystem", source: source.into() })
                }
                _ => Ok(()),
            }
        };
        match self.ask(0, look).await {
            Err(error) if is_away(&error) => Err(error),
            // What else is wrong with it the listing tells better.
            _ => Ok(()),
        }
    }

    pub(crate) fn list(&self, start: &Path) -> BoxStream<'static, Result<ObjectMeta, Error>> {
        self.files.list(Some(start))
    }

    /// Does it, and again while the file system does not answer and that is borne. One that hangs counts as such: a mount
    /// may wait for its server for ever.
    async fn ask<T, F>(&self, bytes: u64, what: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let (first, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let made = Instant::now();
            let wait = if self.heard.is_away() { LAST_WAIT } else { PATIENCE };
            let done = timeout(wait + Duration::from_secs(bytes / BYTES_A_SECOND), what()).await;
            let done = done.unwrap_or_else(|_| Err(hangs()));
            if !done.as_ref().is_err_and(is_away) {
                self.heard.answered();
                return done;
            }
            if self.heard.failed(made) || first.elapsed() >= PATIENCE {
                return done;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn hangs() -> Error {
    let why = io::Error::new(io::ErrorKind::TimedOut, "the file system does not answer");
    Error::Generic { store: "LocalFileSystem", source: Box::new(why) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn broken(code: i32) -> Error {
        Error::Generic { store: "LocalFileSystem", source: Box::new(io::Error::from_raw_os_error(code)) }
    }

    const ESTALE: i32 = 116;
    const ENOTCONN: i32 = 107;
    const ENOSPC: i32 = 28;

    #[tokio::test]
    async fn without_hard_links_one_of_two_creates_a_file_too() {
        let dir = tempfile::tempdir().unwrap();
        let (share, at) =
            (Share::new(Arc::default()), Path::from_absolute_path(dir.path()).unwrap().join("claim.json"));
        share.create(&at, PutPayload::from_static(b"one")).await.unwrap();
        let second = share.create(&at, PutPayload::from_static(b"other")).await.unwrap_err();
        assert!(matches!(second, Error::AlreadyExists { .. }), "{second}");
        assert_eq!(std::fs::read(dir.path().join("claim.json")).unwrap(), b"one");
        for (code, lacks) in [(95, true), (38, true), (1, true), (13, false), (28, false)] {
            assert_eq!(lacks_links(&broken(code)), lacks, "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_whose_server_comes_back_soon_is_not_noticed() {
        for code in [ESTALE, ENOTCONN, 5] {
            let (share, asked) = (Share::new(Arc::default()), AtomicU32::new(0));
            let answer = share.ask(0, || async {
                if asked.fetch_add(1, Ordering::Relaxed) < 5 { Err(broken(code)) } else { Ok("here") }
            });
            assert_eq!(answer.await.unwrap(), "here");
            assert!(!share.heard.was_away());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_share_that_stays_away_is_given_up_and_what_comes_then_asks_once() {
        let (share, asked) = (Share::new(Arc::default()), AtomicU32::new(0));
        let ask = || {
            share.ask(0, || async {
                asked.fetch_add(1, Ordering::Relaxed);
                Err::<(), _>(broken(ENOTCONN))
            })
        };
        let started = Instant::now();
        ask().await.unwrap_err();
        assert!(share.heard.was_away() && started.elapsed() < PATIENCE + LONGEST_PAUSE, "{:?}", started.elapsed());
        let before = asked.load(Ordering::Relaxed);
        ask().await.unwrap_err();
        assert_eq!(asked.load(Ordering::Relaxed), before + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_mount_that_hangs_is_given_up_too() {
        let share = Share::new(Arc::default());
        let started = Instant::now();
        share.ask(0, std::future::pending::<Result<(), Error>>).await.unwrap_err();
        assert!(share.heard.is_away() && started.elapsed() <= PATIENCE + LAST_WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_share_refuses_is_told_at_once() {
        let share = Share::new(Arc::default());
        let started = Instant::now();
        share.ask(0, || async { Err::<(), _>(broken(ENOSPC)) }).await.unwrap_err();
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
