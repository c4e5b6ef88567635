//! Listing by a text prefix: exactly that in a container or bucket, page by page; in a folder, what is below and begins so.

use std::sync::Arc;

use object_store::list::PaginatedListOptions;
use object_store::{Error, ObjectMeta};
use spec::Location;

use super::{File, Remote, Store, file};
use crate::StoreError;

/// What a store has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Its objects, sorted by path.
    pub files: Vec<File>,
    /// The paths of files in a folder that can be no object's, sorted: with control characters, or not UTF-8 (which is
    /// replaced here).
    pub unusable: Vec<String>,
    /// The paths of files in a folder that are called as uploads under way are, `NAME#1`, sorted: nothing tells whether
    /// they are any.
    pub uploads: Vec<String>,
}

impl Store {
    /// Every object whose path starts with `prefix` (a text, not only whole segments), sorted by path. Files that cannot
    /// be objects for their names are left out and logged; uploads under way are left out.
    ///
    /// # Errors
    /// When there are more than `limit`, or the store fails.
    pub async fn list(&self, prefix: &str, limit: usize) -> Result<Vec<File>, StoreError> {
        let Listing { files, unusable, .. } = self.found(prefix, limit, false).await?;
        for path in unusable {
            tracing::warn!("{path:?} is left out: its name cannot be part of a path; rename it");
        }
        Ok(files)
    }

    /// The same, for those who tell of the files that are left out.
    ///
    /// # Errors
    /// As [`Store::list`].
    pub async fn list_all(&self, prefix: &str, limit: usize) -> Result<Listing, StoreError> {
        self.found(prefix, limit, true).await
    }

    async fn found(&self, prefix: &str, limit: usize, uploads: bool) -> Result<Listing, StoreError> {
        let mut listing = match self.blobs(prefix)? {
            None => self.list_folder(prefix, limit, uploads).await?,
            Some(blobs) => {
                let files = self.list_container(&blobs, prefix, limit).await?;
                Listing { files: self.without_markers(files).await?, ..Listing::default() }
            }
        };
        listing.files.sort_by(|a, b| a.path.cmp(&b.path));
        listing.files.dedup_by(|a, b| a.path == b.path);
        listing.unusable.sort();
        listing.uploads.sort();
        Ok(listing)
    }

    async fn list_container(&self, blobs: &Blobs, prefix: &str, limit: usize) -> Result<Vec<File>, StoreError> {
        let mut files = Vec::new();
        let mut page_token = None;
        loop {
            let options = PaginatedListOptions { page_token, ..PaginatedListOptions::default() };
            let page = self.page(blobs, prefix, options).await?;
            for file in page.files {
                self.within(prefix, files.len(), limit)?;
                files.push(file);
            }
            page_token = page.next;
            if page_token.is_none() {
                return Ok(files);
            }
        }
    }

    /// Leaves out what stands for a folder: consoles make an empty object `models/` for it, which object_store lists as
    /// `models`. What is empty is looked at by its name.
    async fn without_markers(&self, files: Vec<File>) -> Result<Vec<File>, StoreError> {
        if !matches!(self.inner.location, Location::Bucket { .. }) {
            return Ok(files);
        }
        let (empty, mut files): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.size == 0);
        files.extend(self.look_at(empty.into_iter().map(|file| file.path).collect()).await?);
        Ok(files)
    }

    /// Where blobs that start with a prefix are; none in a folder.
    pub(super) fn blobs(&self, prefix: &str) -> Result<Option<Blobs>, StoreError> {
        let (container, inside) = match &self.inner.location {
            Location::Folder(_) => return Ok(None),
            Location::Account { container, prefix, .. } => (container.as_ref(), prefix),
            Location::Bucket { bucket, prefix, .. } => (Some(bucket), prefix),
        };
        let (name, rest) = match container {
            Some(name) => (name.as_str(), prefix),
            None => prefix.split_once('/').ok_or_else(|| self.no_container(prefix))?,
        };
        Ok(Some(Blobs {
            client: self.client(name)?,
            sought: if inside.is_empty() { rest.to_owned() } else { format!("{inside}/{rest}") },
            before: if container.is_some() { String::new() } else { format!("{name}/") },
            inside: inside.clone(),
        }))
    }

    /// One page of a listing: one request.
    pub(super) async fn page(
        &self,
        blobs: &Blobs,
        prefix: &str,
        options: PaginatedListOptions,
    ) -> Result<Page, StoreError> {
        let page = blobs.client.list_paginated(Some(&blobs.sought), options).await;
        let page = page.map_err(|e| self.listing_error(prefix, &e))?;
        let files = page.result.objects.into_iter().map(|meta| blobs.file(meta));
        // A folder's own marker has lost the slash by which the prefix ends.
        let files = files.filter(|file| file.path.starts_with(prefix)).collect();
        let folders = page.result.common_prefixes.iter().map(|at| blobs.path(at.as_ref())).collect();
        Ok(Page { files, folders, next: page.page_token })
    }

    /// object_store ends a listing at the first name that it cannot have.
    fn listing_error(&self, prefix: &str, error: &Error) -> StoreError {
        match self.error(prefix, error) {
            StoreError::InvalidPath { why, .. } => self.invalid(
                prefix,
                &format!("begins the name of an object that cannot be used ({why}); rename or delete it"),
            ),
            other => other,
        }
    }

    pub(super) fn within(&self, prefix: &str, found: usize, limit: usize) -> Result<(), StoreError> {
        if found < limit { Ok(()) } else { Err(StoreError::TooMany { uri: self.uri(prefix), limit }) }
    }
}

/// The blobs of a container that start with a text.
pub(super) struct Blobs {
    client: Arc<dyn Remote>,
    /// What their names start with in the container.
    sought: String,
    /// What paths in the store have before names in the container.
    before: String,
    /// What names in the container have before paths in the store.
    inside: String,
}

impl Blobs {
    fn path(&self, at: &str) -> String {
        let inside = self.inside.as_str();
        let at = if inside.is_empty() {
            at
        } else {
            at.strip_prefix(inside).map_or(at, |rest| rest.trim_start_matches('/'))
        };
        format!("{}{at}", self.before)
    }

    fn file(&self, meta: ObjectMeta) -> File {
        file(self.path(meta.location.as_ref()), meta)
    }
}

/// A page of a listing, in the order of names.
pub(super) struct Page {
    pub(super) files: Vec<File>,
    /// Folders, where the listing does not go into them.
    pub(super) folders: Vec<String>,
    pub(super) next: Option<String>,
}
