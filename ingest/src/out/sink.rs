//! Writes a partition's outputs, and says when they are durable.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use sql::SqlError;
use store::{Seen, Store, StoreError};

use super::{Batch, EncodeError, Finished, Shares, Table, Windows};
use crate::config::{Config, Folder};

/// Objects that are written at the same time, of one batch.
const AT_ONCE: usize = 8;

/// Where outputs go.
#[derive(Debug)]
pub struct Sink {
    /// Where whole windows go.
    pub finished: Finished,
    /// Where windows go that have to be put together yet.
    pub shares: Shares,
    store: Store,
    letters: Folder,
    raw: Option<Folder>,
    topic: String,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Objects in the store.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows of windows, each once, be it in a file, in the table or in both.
    pub rows: u64,
}

impl Written {
    fn file(bytes: u64) -> Self {
        Self { files: 1, bytes, rows: 0 }
    }

    fn and(self, other: Self) -> Self {
        Self { files: self.files + other.files, bytes: self.bytes + other.bytes, rows: self.rows + other.rows }
    }
}

/// Writes objects, each with its path, several at a time; what there is with their names is replaced. One is made when its turn
/// comes, so few are in memory twice.
pub(super) async fn put_all<E: Into<SinkError>>(
    store: &Store,
    objects: impl Iterator<Item = Result<(String, Bytes), E>>,
) -> Result<Written, SinkError> {
    let puts = stream::iter(objects).map(|object| async {
        let (path, bytes) = object.map_err(Into::into)?;
        let size = bytes.len() as u64;
        store.put(&path, bytes).await?;
        Ok::<_, SinkError>(Written::file(size))
    });
    puts.buffer_unordered(AT_ONCE).try_fold(Written::default(), |all, one| async move { Ok(all.and(one)) }).await
}

/// Why outputs are not known to be durable. Some may be: write all again.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database.
    #[error("sql.table: {0}")]
    Sql(#[from] SqlError),
    /// What would be in a file.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// What a partition has of windows cannot be read again.
    #[error("{uri} cannot be read as a share of windows by this version of ingest: {detail}")]
    Share {
        /// The object.
        uri: String,
        /// Why.
        detail: String,
    },
    /// Somebody else wrote a file of lines.
    #[error("{uri} was written meanwhile by somebody else")]
    Overtaken {
        /// The file.
        uri: String,
    },
}

impl SinkError {
    /// A bounded category in CamelCase, for metrics.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match self {
            Self::Store(error) => error.reason(),
            Self::Sql(error) => match error.category() {
                sql::Category::Settings => "SqlSettings",
                sql::Category::Unavailable => "SqlUnavailable",
                sql::Category::Denied => "SqlDenied",
                sql::Category::Refused => "SqlRefused",
                sql::Category::Canceled => "SqlCanceled",
            },
            Self::Encode(_) => "EncodeFailed",
            Self::Share { .. } => "ShareInvalid",
            Self::Overtaken { .. } => "Overtaken",
        }
    }
}

impl Sink {
    /// As configured.
    #[must_use]
    pub fn new(store: Store, table: Option<Table>, config: &Config) -> Self {
        Self {
            finished: Finished::new(store.clone(), table, config),
            shares: Shares::new(store.clone(), config),
            store,
            letters: config.dead_letter.path.clone(),
            raw: config.archive.as_ref().map(|archive| archive.path.clone()),
            topic: config.kafka.topic.clone(),
        }
    }

    /// What is there under the names of a batch's lines. What a file of them holds depends on when it was taken, so of two replicas
    /// that believe the partition theirs none may write over what the other one has written since. (Windows of both are the same.)
    ///
    /// # Errors
    /// When the store fails.
    pub async fn look(&self, partition: u32, batch: &Batch) -> Result<Vec<Seen>, SinkError> {
        let mut seen = Vec::new();
        for (path, _) in self.lines(partition, batch) {
            seen.push(self.store.look(&path).await?);
        }
        Ok(seen)
    }

    /// Writes all of a batch, and returns once all of it is durable; objects and rows that there are already with their names are
    /// replaced, lines only over what was [`seen`](Self::look). Raw lines go nowhere without `archive`.
    ///
    /// # Errors
    /// When store or database fail or refuse, the first of them. Nothing is tried again here, beyond what they do themselves.
    pub async fn write(&self, partition: u32, batch: &Batch, seen: &[Seen]) -> Result<Written, SinkError> {
        let windows = async {
            match &batch.windows {
                Windows::Finished(slices) => self.finished.write(Some(partition), slices).await,
                Windows::Shares(slices) => self.shares.write(partition, slices).await,
            }
        };
        let (windows, lines) = tokio::try_join!(windows, self.write_lines(partition, batch, seen))?;
        Ok(windows.and(lines))
    }

    async fn write_lines(&self, partition: u32, batch: &Batch, seen: &[Seen]) -> Result<Written, SinkError> {
        let mut written = Written::default();
        for ((path, bytes), seen) in self.lines(partition, batch).zip(seen) {
            let size = bytes.len() as u64;
            if !self.store.put_over(&path, seen, bytes).await? {
                return Err(SinkError::Overtaken { uri: self.store.uri(&path) });
            }
            written = written.and(Written::file(size));
        }
        Ok(written)
    }

    /// The objects of lines, each with its path.
    fn lines<'a>(&'a self, partition: u32, batch: &'a Batch) -> impl Iterator<Item = (String, Bytes)> + 'a {
        let letters = batch.letters.iter().map(move |chunk| (chunk, &self.letters));
        let lines = letters.chain(batch.raw.iter().zip(&self.raw));
        lines.map(move |(chunk, folder)| (chunk.path(folder, &self.topic, partition), chunk.bytes.clone()))
    }
}

#[cfg(test)]
mod tests;
