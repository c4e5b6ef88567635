//! Files that are written once the readings beside them are.

use futures::{StreamExt, TryStreamExt};
use spec::FilePattern;
use store::{Store, StoreError};

use super::AT_ONCE;

/// The markers of a window, in order.
pub(super) struct Markers<'a> {
    store: &'a Store,
    paths: Vec<String>,
    /// How many of the first are known to be there; they are not asked for again.
    there: usize,
}

impl<'a> Markers<'a> {
    pub(super) fn new(store: &'a Store, files: &[FilePattern]) -> Self {
        Self { store, paths: files.iter().map(ToString::to_string).collect(), there: 0 }
    }

    /// What is not there yet. Hours end one after the other, so nothing is asked of those behind the first that lacks its own.
    pub(super) async fn lacks(&mut self) -> Result<Option<String>, StoreError> {
        while let Some(next) = self.paths.get(self.there..).filter(|rest| !rest.is_empty()) {
            let store = self.store;
            let heads = next
                .iter()
                .take(AT_ONCE)
                .map(|path| async move { Ok::<_, StoreError>(store.head(path).await?.is_some()) });
            let found: Vec<bool> = futures::stream::iter(heads).buffered(AT_ONCE).try_collect().await?;
            let there = found.iter().take_while(|found| **found).count();
            self.there += there;
            if there < found.len() {
                break;
            }
        }
        let Some(first) = self.paths.get(self.there) else { return Ok(None) };
        Ok(Some(format!("{first} is not there yet ({} of {} are)", self.there, self.paths.len())))
    }
}
