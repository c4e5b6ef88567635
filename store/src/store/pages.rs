//! Listings that are looked at page by page, and that end early: for what is too much to be held at once.

use std::borrow::Cow;

use object_store::list::PaginatedListOptions;
use spec::Location;
use walkdir::WalkDir;

use super::folder::named;
use super::list::{Blobs, Page};
use super::{File, Store};
use crate::StoreError;

/// Files of the first page: most listings end in it, and a small one comes sooner.
const FIRST_PAGE: usize = 500;
/// Names of a folder that are looked at in one go.
const AT_ONCE: usize = 1_000;

/// What a path says, before anything else is known of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// It may be wanted.
    Take,
    /// It is not.
    Skip,
    /// It is not, and neither is any that sorts after it.
    End,
}

/// A listing under way.
pub struct Pages {
    store: Store,
    prefix: String,
    rest: Rest,
}

enum Rest {
    Blobs { blobs: Blobs, deep: bool, page_token: Option<String> },
    Folder(walkdir::IntoIter),
    Nothing,
}

impl Store {
    /// A listing of the files whose paths start with `prefix`: all of them, or (not `deep`) without those in folders.
    ///
    /// # Errors
    /// When the prefix is no path of the store.
    pub fn pages(&self, prefix: &str, deep: bool) -> Result<Pages, StoreError> {
        let rest = match self.blobs(prefix)? {
            Some(blobs) => Rest::Blobs { blobs, deep, page_token: None },
            None => {
                self.inner.counter.list();
                Rest::Folder(self.walk(prefix, if deep { usize::MAX } else { 1 })?)
            }
        };
        Ok(Pages { store: self.clone(), prefix: prefix.to_owned(), rest })
    }

    /// The folders directly in a folder (whose path ends with `/`), sorted, with their whole paths.
    ///
    /// # Errors
    /// When there are more than `limit`, or the store fails.
    pub async fn folders(&self, folder: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        let mut folders = Vec::new();
        match self.blobs(folder)? {
            Some(blobs) => {
                let mut page_token = None;
                loop {
                    let delimiter = Some(Cow::Borrowed("/"));
                    let options = PaginatedListOptions { page_token, delimiter, ..Default::default() };
                    let page = self.page(&blobs, folder, options).await?;
                    folders.extend(page.folders);
                    self.within(folder, folders.len().saturating_sub(1), limit)?;
                    page_token = page.next;
                    if page_token.is_none() {
                        break;
                    }
                }
            }
            None => {
                self.inner.counter.list();
                let (root, walk) = (self.root(), self.walk(folder, 1)?);
                let names = self.blocking(folder, move || {
                    let named = walk.filter_map(|entry| usable(named(entry, &root, true)));
                    named.take(limit.saturating_add(1)).collect::<Result<Vec<_>, _>>()
                });
                folders = names.await?;
                self.within(folder, folders.len().saturating_sub(1), limit)?;
            }
        }
        folders.sort_unstable();
        Ok(folders)
    }

    fn root(&self) -> std::path::PathBuf {
        match &self.inner.location {
            Location::Folder(root) => root.clone(),
            Location::Account { .. } | Location::Bucket { .. } => std::path::PathBuf::new(),
        }
    }

    /// What is below the folder that holds all that begins with a prefix.
    fn walk(&self, prefix: &str, depth: usize) -> Result<walkdir::IntoIter, StoreError> {
        let start = self.start(prefix)?.unwrap_or_default();
        Ok(WalkDir::new(format!("/{start}")).min_depth(1).max_depth(depth).follow_links(true).into_iter())
    }
}

impl Pages {
    /// The next files that are wanted by their paths; none when the listing is at its end. In a container or bucket a page is
    /// one request, and files come in the order of their paths.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next(&mut self, seek: impl Fn(&str) -> Seek) -> Result<Option<Vec<File>>, StoreError> {
        match std::mem::replace(&mut self.rest, Rest::Nothing) {
            Rest::Nothing => Ok(None),
            Rest::Blobs { blobs, deep, page_token } => {
                let max_keys = page_token.is_none().then_some(FIRST_PAGE);
                let delimiter = (!deep).then_some(Cow::Borrowed("/"));
                let options = PaginatedListOptions { page_token, delimiter, max_keys, ..Default::default() };
                let Page { mut files, next, .. } = self.store.page(&blobs, &self.prefix, options).await?;
                let end = files.iter().position(|file| seek(&file.path) == Seek::End);
                files.truncate(end.unwrap_or(files.len()));
                files.retain(|file| seek(&file.path) == Seek::Take);
                if end.is_none() && next.is_some() {
                    self.rest = Rest::Blobs { blobs, deep, page_token: next };
                }
                Ok(Some(files))
            }
            Rest::Folder(mut walk) => {
                let (root, prefix) = (self.store.root(), self.prefix.clone());
                let looked_at = self.store.blocking(&self.prefix, move || {
                    let named = walk.by_ref().filter_map(|entry| usable(named(entry, &root, false)));
                    let paths = named.take(AT_ONCE).collect::<Result<Vec<_>, _>>()?;
                    Ok((paths, walk))
                });
                let (mut paths, walk) = looked_at.await?;
                if paths.is_empty() {
                    return Ok(None);
                }
                self.rest = Rest::Folder(walk);
                paths.retain(|path| path.starts_with(&prefix) && seek(path) == Seek::Take);
                Ok(Some(self.store.look_at(paths).await?))
            }
        }
    }
}

/// What a store cannot name is nobody's.
fn usable<E>(named: Result<Option<Result<String, String>>, E>) -> Option<Result<String, E>> {
    named.map(|found| found.and_then(Result::ok)).transpose()
}
