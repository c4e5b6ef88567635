//! Listing a folder of the file system, whatever people have put there.

use std::path::PathBuf;

use futures::{StreamExt, TryStreamExt};
use object_store::Error;
use object_store::path::Path;
use spec::Location;
use walkdir::{DirEntry, WalkDir};

use super::{File, Listing, Store, file};
use crate::StoreError;

/// Files looked at one by one, so many at once.
const AT_ONCE: usize = 16;

impl Store {
    pub(super) async fn list_folder(
        &self,
        prefix: &str,
        limit: usize,
        tell_uploads: bool,
    ) -> Result<Listing, StoreError> {
        self.inner.counter.list();
        if let Some(start) = self.start(prefix)? {
            let reached = self.inner.folder.reach(&format!("/{start}")).await;
            reached.map_err(|error| self.error(prefix, &error))?;
        }
        match self.list_clean(prefix, limit).await {
            // object_store ends a listing at the first entry that it cannot name, or that leads in a circle.
            Err(Ended::Entry(error)) => {
                tracing::debug!(%error, "the folder is listed entry by entry");
                self.list_careful(prefix, limit).await
            }
            Err(Ended::Store(error)) => Err(error),
            // object_store says nothing of uploads, so their names are looked for once more.
            Ok(files) if tell_uploads => {
                Ok(Listing { files, uploads: self.walked(prefix).await?.uploads, ..Listing::default() })
            }
            Ok(files) => Ok(Listing { files, ..Listing::default() }),
        }
    }

    /// A listing in which every entry is a usable file.
    async fn list_clean(&self, prefix: &str, limit: usize) -> Result<Vec<File>, Ended> {
        let Some(start) = self.start(prefix)? else { return Ok(Vec::new()) };
        let root = self.folder_path("")?;
        let mut files = Vec::new();
        let mut found = self.inner.folder.list(&start);
        while let Some(meta) = found.try_next().await.map_err(Ended::Entry)? {
            let at = meta.location.as_ref();
            let path = if root.is_root() {
                at
            } else {
                at.strip_prefix(root.as_ref()).map_or(at, |rest| rest.trim_start_matches('/'))
            };
            if path.starts_with(prefix) {
                self.within(prefix, files.len(), limit)?;
                files.push(file(path.to_owned(), meta));
            }
        }
        Ok(files)
    }

    /// A listing that leaves out what cannot be a file of the store.
    async fn list_careful(&self, prefix: &str, limit: usize) -> Result<Listing, StoreError> {
        let Walked { paths, unusable, uploads } = self.walked(prefix).await?;
        self.within(prefix, paths.len().saturating_sub(1), limit)?;
        Ok(Listing { files: self.look_at(paths).await?, unusable, uploads })
    }

    /// The paths of all files that start with a prefix.
    async fn walked(&self, prefix: &str) -> Result<Walked, StoreError> {
        let (Some(start), Location::Folder(root)) = (self.start(prefix)?, &self.inner.location) else {
            return Ok(Walked::default());
        };
        let (start, root) = (PathBuf::from(format!("/{start}")), root.clone());
        let mut walked = self.blocking(prefix, move || walk(&start, &root)).await?;
        let Walked { paths, unusable, uploads } = &mut walked;
        for paths in [paths, unusable, uploads] {
            paths.retain(|path| path.starts_with(prefix));
        }
        Ok(walked)
    }

    /// Walks in a folder, on a thread that may wait.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        prefix: &str,
        walk: impl FnOnce() -> Result<T, walkdir::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let walked = tokio::task::spawn_blocking(walk).await;
        let broke = |source| self.error(prefix, &Error::Generic { store: "LocalFileSystem", source });
        walked.map_err(|e| broke(e.into()))?.map_err(|e| broke(e.into()))
    }

    /// The properties of files, without those that are gone.
    pub(super) async fn look_at(&self, paths: Vec<String>) -> Result<Vec<File>, StoreError> {
        let looked_at = futures::stream::iter(paths).map(|path| async move { self.head(&path).await });
        let files: Vec<Option<File>> = looked_at.buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(files.into_iter().flatten().collect())
    }

    /// The folder that holds all that begins with the prefix.
    pub(super) fn start(&self, prefix: &str) -> Result<Option<Path>, StoreError> {
        let (folder, _) = prefix.rsplit_once('/').unwrap_or_default();
        match &self.inner.location {
            Location::Folder(_) => self.folder_path(folder).map(Some),
            Location::Account { .. } | Location::Bucket { .. } => Ok(None),
        }
    }
}

/// Why a listing ended early.
enum Ended {
    Entry(Error),
    Store(StoreError),
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The paths below the root of all files of a folder.
#[derive(Default)]
struct Walked {
    /// Those that can be objects'.
    paths: Vec<String>,
    /// Those that cannot.
    unusable: Vec<String>,
    /// Those that are called as uploads under way are.
    uploads: Vec<String>,
}

fn walk(start: &std::path::Path, root: &std::path::Path) -> Result<Walked, walkdir::Error> {
    let mut walked = Walked::default();
    for entry in WalkDir::new(start).min_depth(1).follow_links(true) {
        if let Some(upload) = entry.as_ref().ok().filter(|entry| is_upload_at(entry)) {
            walked.uploads.push(below(upload, root).to_string_lossy().into_owned());
            continue;
        }
        match named(entry, root, false)? {
            Some(Ok(path)) => walked.paths.push(path),
            Some(Err(path)) => walked.unusable.push(path),
            None => {}
        }
    }
    Ok(walked)
}

fn below<'a>(entry: &'a DirEntry, root: &std::path::Path) -> &'a std::path::Path {
    entry.path().strip_prefix(root).unwrap_or(entry.path())
}

/// The path below the root of what was found, if it is a file (or a folder); an error where it can be no object's.
pub(super) fn named(
    entry: Result<DirEntry, walkdir::Error>,
    root: &std::path::Path,
    folder: bool,
) -> Result<Option<Result<String, String>>, walkdir::Error> {
    let entry = match entry {
        Ok(entry) => entry,
        Err(error) if error.loop_ancestor().is_some() => {
            tracing::warn!(%error, "a link that leads in a circle is left out");
            return Ok(None);
        }
        Err(error) if error.io_error().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    let kind = entry.file_type();
    if !(if folder { kind.is_dir() } else { kind.is_file() && !is_upload_at(&entry) }) {
        return Ok(None);
    }
    let path = below(&entry, root);
    Ok(Some(match path.to_str().filter(|path| Path::parse(path).is_ok()) {
        Some(path) => Ok(path.to_owned()),
        None => Err(path.to_string_lossy().into_owned()),
    }))
}

fn is_upload_at(entry: &DirEntry) -> bool {
    entry.file_type().is_file() && entry.file_name().to_str().is_some_and(is_upload)
}

/// Whether a file's name is that of an upload under way, as object_store calls them: `NAME#1`, and not `NAME#a#1`.
pub(super) fn is_upload(name: &str) -> bool {
    let part = name.split_once('#').map(|(_, part)| part);
    part.is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}
