//! Listing a folder of the file system, whatever people have put there.

use std::path::PathBuf;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, ObjectStore};
use spec::Location;
use walkdir::WalkDir;

use super::{File, Place, Store, file};
use crate::StoreError;

/// Files looked at one by one, so many at once.
const AT_ONCE: usize = 16;

impl Store {
    pub(super) async fn list_folder(&self, prefix: &str, limit: usize) -> Result<Vec<File>, StoreError> {
        self.inner.counter.list();
        match self.list_clean(prefix, limit).await {
            // object_store ends a listing at the first entry that it cannot name, or that leads in a circle.
            Err(Listing::Entry(error)) => {
                tracing::debug!(%error, "the folder is listed entry by entry");
                self.list_careful(prefix, limit).await
            }
            Err(Listing::Store(error)) => Err(error),
            Ok(files) => Ok(files),
        }
    }

    /// A listing in which every entry is a usable file.
    async fn list_clean(&self, prefix: &str, limit: usize) -> Result<Vec<File>, Listing> {
        let Some(start) = self.start(prefix)? else { return Ok(Vec::new()) };
        let root = self.folder_path("")?;
        let mut files = Vec::new();
        let mut found = self.inner.folder.list(Some(&start));
        while let Some(meta) = found.try_next().await.map_err(Listing::Entry)? {
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

    /// A listing that leaves out what cannot be a file of the store, and says so.
    async fn list_careful(&self, prefix: &str, limit: usize) -> Result<Vec<File>, StoreError> {
        let (Some(start), Location::Folder(root)) = (self.start(prefix)?, &self.inner.location) else {
            return Ok(Vec::new());
        };
        let (start, root) = (PathBuf::from(format!("/{start}")), root.clone());
        let walked = tokio::task::spawn_blocking(move || walk(&start, &root)).await;
        let broke = |source| self.error(prefix, &Error::Generic { store: "LocalFileSystem", source });
        let paths = walked.map_err(|e| broke(e.into()))?.map_err(|e| broke(e.into()))?;
        let wanted: Vec<String> = paths.into_iter().filter(|path| path.starts_with(prefix)).collect();
        self.within(prefix, wanted.len().saturating_sub(1), limit)?;
        let looked_at = futures::stream::iter(wanted).map(|path| async move { self.head(&path).await });
        let files: Vec<Option<File>> = looked_at.buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(files.into_iter().flatten().collect())
    }

    /// The folder that holds all that begins with the prefix.
    fn start(&self, prefix: &str) -> Result<Option<Path>, StoreError> {
        let (folder, _) = prefix.rsplit_once('/').unwrap_or_default();
        Ok(match self.place(folder)? {
            Place::Folder(start) => Some(start),
            Place::Blob(..) => None,
        })
    }
}

/// Why a listing ended early.
enum Listing {
    Entry(Error),
    Store(StoreError),
}

impl From<StoreError> for Listing {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The paths below the root of all usable files of a folder.
fn walk(start: &std::path::Path, root: &std::path::Path) -> Result<Vec<String>, walkdir::Error> {
    let mut paths = Vec::new();
    for entry in WalkDir::new(start).min_depth(1).follow_links(true) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if error.loop_ancestor().is_some() => {
                tracing::warn!(%error, "a link that leads in a circle is left out");
                continue;
            }
            Err(error) if error.io_error().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound) => continue,
            Err(error) => return Err(error),
        };
        if !entry.file_type().is_file() || is_upload(entry.file_name()) {
            continue;
        }
        let path = entry.path().strip_prefix(root).ok().and_then(std::path::Path::to_str);
        match path.filter(|path| Path::parse(path).is_ok()) {
            Some(path) => paths.push(path.to_owned()),
            None => tracing::warn!("{:?} is left out: its name cannot be part of a path; rename it", entry.path()),
        }
    }
    Ok(paths)
}

/// Whether a file is an upload under way: `NAME#1`.
fn is_upload(name: &std::ffi::OsStr) -> bool {
    let part = name.to_str().and_then(|name| name.rsplit_once('#')).map(|(_, part)| part);
    part.is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}
