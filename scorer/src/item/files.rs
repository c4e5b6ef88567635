//! The files of a data path, as they are in the store.

use std::collections::BTreeMap;

use futures::{FutureExt, StreamExt, TryStreamExt};
use spec::data_path::MAX_FILES;
use spec::{DataPath, FilePattern};
use store::{File, Listing, Store, StoreError};

use crate::context::Context;
use crate::problem::Problem;

/// Requests under way at once.
const AT_ONCE: usize = 16;

/// The files of a sensor's data path for the run's window, in the order in which they are read: that of their paths. A
/// part of them may be absent, as may an hour's without readings, and empty ones are left out; but there is one at least.
pub(crate) async fn files_of(context: &Context, path: &str) -> Result<Vec<String>, Problem> {
    if !context.request.work.data.path.as_ref().is_some_and(DataPath::is_pattern) {
        return Ok(vec![path.to_owned()]);
    }
    let invalid = |error: &dyn std::fmt::Display| Problem::failed("InvalidRequest", error.to_string());
    let parsed: DataPath = path.parse().map_err(|e| invalid(&e))?;
    let patterns = parsed.files(context.request.window).map_err(|e| invalid(&e))?;
    let too_many = |why: &dyn std::fmt::Display| {
        let message = format!("{why}; make the window shorter, or data.path name fewer files");
        Problem::failed("TooManyFiles", message)
    };
    let found = find(&context.store, &patterns).await.map_err(|error| match error {
        StoreError::TooMany { .. } => too_many(&error),
        other => Problem::of_data(&other),
    })?;
    if found.len() > MAX_FILES {
        return Err(too_many(&format_args!("{path} names {} files, more than {MAX_FILES}", found.len())));
    }
    let filled: Vec<String> = found.iter().filter(|(_, size)| **size > 0).map(|(path, _)| path.clone()).collect();
    match (filled.is_empty(), found.into_keys().next()) {
        (false, _) => Ok(filled),
        // It is said to be empty when it is read.
        (true, Some(empty)) => Ok(vec![empty]),
        (true, None) => Err(Problem::failed(
            "DataNotFound",
            format!(
                "{} has no file: {} path(s) were looked for, the first of them {}; correct data.path, or write the \
                 readings there before the tick",
                context.store.uri(path),
                patterns.len(),
                patterns.first().map(ToString::to_string).unwrap_or_default(),
            ),
        )),
    }
}

/// The files that patterns mean, with their sizes.
async fn find(store: &Store, patterns: &[FilePattern]) -> Result<BTreeMap<String, u64>, StoreError> {
    // One listing serves all patterns that begin alike.
    let mut listings: BTreeMap<String, Vec<FilePattern>> = BTreeMap::new();
    let mut paths = Vec::new();
    for pattern in patterns {
        match pattern.path() {
            Some(path) => paths.push(path.to_owned()),
            None => listings.entry(pattern.prefix().to_owned()).or_default().push(pattern.clone()),
        }
    }
    let head = |path: String| {
        let store = store.clone();
        async move { store.head(&path).await.map(Vec::from_iter) }
    };
    let list = |(prefix, patterns): (String, Vec<FilePattern>)| {
        let store = store.clone();
        async move {
            let Listing { mut files, unusable, uploads } = store.list_all(&prefix, MAX_FILES).await?;
            let is_wanted = |path: &str| patterns.iter().any(|pattern| pattern.matches(path));
            for path in unusable.iter().chain(&uploads).filter(|path| is_wanted(path)) {
                tracing::warn!(
                    "{path:?} is not read: its name has control characters, is not UTF-8, or ends with # and \
                                digits as a file's does that is being written; rename it if it has readings"
                );
            }
            files.retain(|file| is_wanted(&file.path));
            Ok::<_, StoreError>(files)
        }
    };
    let looks = paths.into_iter().map(|path| head(path).boxed());
    let looks: Vec<_> = looks.chain(listings.into_iter().map(|listing| list(listing).boxed())).collect();
    let found: Vec<Vec<File>> = futures::stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().map(|file| (file.path, file.size)).collect())
}
