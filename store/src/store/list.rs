//! Listing by a text prefix: exactly that in Blob Storage, page by page; in a folder, what is below and begins so.

use object_store::Error;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use spec::Location;

use super::{File, Store, file};
use crate::StoreError;

/// What a store has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Its objects, sorted by path.
    pub files: Vec<File>,
    /// The paths of files in a folder that can be no object's, sorted: with control characters, or not UTF-8 (which is
    /// replaced here).
    pub unusable: Vec<String>,
}

impl Store {
    /// Every object whose path starts with `prefix` (a text, not only whole segments), sorted by path. Files that cannot
    /// be objects for their names are left out and logged.
    ///
    /// # Errors
    /// When there are more than `limit`, or the store fails.
    pub async fn list(&self, prefix: &str, limit: usize) -> Result<Vec<File>, StoreError> {
        let Listing { files, unusable } = self.list_all(prefix, limit).await?;
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
        let mut listing = match &self.inner.location {
            Location::Folder(_) => self.list_folder(prefix, limit).await?,
            Location::Account { .. } => {
                Listing { files: self.list_container(prefix, limit).await?, unusable: Vec::new() }
            }
        };
        listing.files.sort_by(|a, b| a.path.cmp(&b.path));
        listing.unusable.sort();
        Ok(listing)
    }

    async fn list_container(&self, prefix: &str, limit: usize) -> Result<Vec<File>, StoreError> {
        let Location::Account { container, prefix: inside, .. } = &self.inner.location else { return Ok(Vec::new()) };
        let (name, rest) = match container {
            Some(name) => (name.as_str(), prefix),
            None => prefix.split_once('/').ok_or_else(|| self.no_container(prefix))?,
        };
        let client = self.client(name)?;
        let sought = if inside.is_empty() { rest.to_owned() } else { format!("{inside}/{rest}") };
        let before = if container.is_some() { String::new() } else { format!("{name}/") };
        let mut files = Vec::new();
        let mut page_token = None;
        loop {
            let options = PaginatedListOptions { page_token, ..PaginatedListOptions::default() };
            let page =
                client.list_paginated(Some(&sought), options).await.map_err(|e| self.listing_error(prefix, &e))?;
            for meta in page.result.objects {
                self.within(prefix, files.len(), limit)?;
                let at = meta.location.as_ref();
                let at = if inside.is_empty() { at } else { at.strip_prefix(inside).map_or(at, |r| &r[1..]) };
                files.push(file(format!("{before}{at}"), meta));
            }
            page_token = page.page_token;
            if page_token.is_none() {
                return Ok(files);
            }
        }
    }

    /// object_store ends a listing at the first name that it cannot have.
    fn listing_error(&self, prefix: &str, error: &Error) -> StoreError {
        match self.error(prefix, error) {
            StoreError::InvalidPath { why, .. } => self.invalid(
                prefix,
                &format!("begins the name of a blob that cannot be used ({why}); rename or delete it"),
            ),
            other => other,
        }
    }

    pub(super) fn within(&self, prefix: &str, found: usize, limit: usize) -> Result<(), StoreError> {
        if found < limit { Ok(()) } else { Err(StoreError::TooMany { uri: self.uri(prefix), limit }) }
    }
}
