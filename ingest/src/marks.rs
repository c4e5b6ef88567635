//! The marks of all partitions, in the store. Each is written over only as it was left, so of two replicas that believe a partition
//! theirs one learns that it is not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use futures::{StreamExt, TryStreamExt, stream};
use store::{Clock, Seen, Store, StoreError, Watermark, watermark};

use crate::Micros;
use crate::mark::{Mark, MarkError, Terms, Writer};

/// Where marks stand. Cheap to clone.
#[derive(Clone)]
pub struct Marks {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    folder: String,
    terms: Terms,
    owner: String,
    clock: Clock,
    /// How many partitions the topic has.
    partitions: AtomicU32,
    /// How many partitions were taken over so far.
    lives: AtomicU64,
}

/// A mark as this process left it: what entitles it to write the next one.
#[derive(Clone, Debug)]
pub struct Grip {
    partition: u32,
    seen: Seen,
    number: u64,
    /// Which take-over of this process it is of: what an earlier one has on its way is another's.
    life: u64,
}

impl Grip {
    /// Which take-over of this process it is of.
    #[must_use]
    pub fn life(&self) -> u64 {
        self.life
    }
}

/// Why a mark could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum MarksError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be gone on with.
    #[error("{uri}: {source}")]
    Mark {
        /// The object.
        uri: String,
        /// Why.
        source: MarkError,
    },
    /// Somebody else has written it since: the partition is theirs.
    #[error("{uri} was written by another replica: partition {partition} is its own now")]
    Fenced {
        /// The object.
        uri: String,
        /// The partition.
        partition: u32,
    },
}

/// So many are read at a time.
const AT_ONCE: usize = 16;
/// So often somebody else may be quicker while a partition is taken over.
const TRIES: usize = 20;

impl Marks {
    /// Those of a folder, for a process of this name.
    #[must_use]
    pub fn new(store: Store, folder: String, terms: Terms, owner: String, clock: Clock) -> Self {
        let partitions = AtomicU32::new(1);
        let lives = AtomicU64::new(0);
        Self { inner: Arc::new(Inner { store, folder, terms, owner, clock, partitions, lives }) }
    }

    /// The topic has so many partitions.
    pub fn set_partitions(&self, partitions: u32) {
        self.inner.partitions.store(partitions.clamp(1, watermark::MAX_PARTITIONS), Ordering::Relaxed);
    }

    fn partitions(&self) -> u32 {
        self.inner.partitions.load(Ordering::Relaxed)
    }

    fn path(&self, partition: u32) -> String {
        watermark::path(&self.inner.folder, partition)
    }

    /// The address of a partition's mark, for people.
    #[must_use]
    pub fn uri(&self, partition: u32) -> String {
        self.inner.store.uri(&self.path(partition))
    }

    /// Makes a partition this process's: whoever had it cannot write its mark any more. `fresh`: where it begins, if it has none; gives
    /// whether it had none, too.
    ///
    /// # Errors
    /// When the store fails, or the mark cannot be gone on with.
    pub async fn take_over(&self, partition: u32, fresh: &Mark) -> Result<(Mark, Grip, bool), MarksError> {
        let life = self.inner.lives.fetch_add(1, Ordering::Relaxed);
        for _ in 0..TRIES {
            // Numbers go on, whoever writes: so no two marks are of one writer and number.
            let (mark, number, seen) = match self.read(partition).await? {
                Some((mark, writer, seen)) => (mark, writer.number, seen),
                None => (fresh.clone(), 0, Seen::Absent),
            };
            let is_fresh = seen == Seen::Absent;
            match self.write(&Grip { partition, seen, number, life }, &mark).await {
                Ok(grip) => return Ok((mark, grip, is_fresh)),
                Err(MarksError::Fenced { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(MarksError::Fenced { uri: self.uri(partition), partition })
    }

    /// A partition's; none where it has none.
    ///
    /// # Errors
    /// When the store fails, or the mark cannot be gone on with.
    pub async fn read(&self, partition: u32) -> Result<Option<(Mark, Writer, Seen)>, MarksError> {
        let (found, seen) = Watermark::read_seen(&self.inner.store, &self.inner.folder, partition).await?;
        let Some(found) = found else { return Ok(None) };
        match Mark::of_watermark(&found, &self.inner.terms) {
            Ok((mark, writer)) => Ok(Some((mark, writer, seen))),
            Err(source) => Err(MarksError::Mark { uri: self.uri(partition), source }),
        }
    }

    fn next(&self, grip: &Grip) -> Writer {
        let owner = format!("{}.{}", self.inner.owner, grip.life);
        Writer { owner, number: grip.number.wrapping_add(1) }
    }

    /// Writes the next mark.
    ///
    /// # Errors
    /// When the store fails, or the partition is another replica's.
    pub async fn write(&self, grip: &Grip, mark: &Mark) -> Result<Grip, MarksError> {
        let Grip { partition, seen, life, .. } = grip;
        let writer = self.next(grip);
        let (now, terms) = ((self.inner.clock)(), &self.inner.terms);
        let object = mark.to_watermark(*partition, self.partitions(), terms, &writer, now);
        let path = self.path(*partition);
        let malformed = |source| StoreError::Malformed { uri: self.uri(*partition), what: "watermark", source };
        let bytes = serde_json::to_vec(&object).map_err(malformed)?;
        let written = self.inner.store.replace(&path, seen, bytes).await?;
        let grip = |seen| Grip { partition: *partition, seen, number: writer.number, life: *life };
        if let Some(seen) = written {
            return Ok(grip(seen));
        }
        // An answer that was lost, and a second attempt that met the first one's object: that is no other replica's.
        match self.read(*partition).await? {
            Some((there, found, seen)) if found == writer && there == *mark => Ok(grip(seen)),
            _ => Err(MarksError::Fenced { uri: self.uri(*partition), partition: *partition }),
        }
    }

    /// Makes sure that the partition still is this process's.
    ///
    /// # Errors
    /// When the store fails, or it is another replica's.
    pub async fn check(&self, grip: &Grip) -> Result<(), MarksError> {
        let partition = grip.partition;
        if self.inner.store.look(&self.path(partition)).await? == grip.seen {
            return Ok(());
        }
        // It may be the next one of this process, whose answer was lost.
        match self.read(partition).await? {
            Some((_, found, _)) if found == self.next(grip) => Ok(()),
            _ => Err(MarksError::Fenced { uri: self.uri(partition), partition }),
        }
    }

    /// Up to when all partitions are in the store; none while one of them has no mark, or nothing. Partitions that are known only to
    /// others count, too.
    ///
    /// # Errors
    /// When the store fails, or one of them cannot be read.
    pub async fn durable(&self) -> Result<Option<Micros>, MarksError> {
        let Inner { store, folder, .. } = &*self.inner;
        let files = store.list(&format!("{folder}/"), watermark::MAX_PARTITIONS as usize).await?;
        let there: BTreeSet<u32> =
            files.iter().filter_map(|file| watermark::partition_of(folder, &file.path)).collect();
        let partitions = there.last().map_or(0, |last| last + 1).max(self.partitions());
        if there.len() < partitions as usize {
            return Ok(None);
        }
        let marks = stream::iter(there).map(|partition| self.read(partition));
        let marks: Vec<_> = marks.buffer_unordered(AT_ONCE).try_collect().await?;
        let durable: Option<Vec<Micros>> = marks.into_iter().map(|found| found?.0.durable).collect();
        Ok(durable.and_then(|durable| durable.into_iter().min()))
    }

    /// The least watermark of the partitions that have events, as far as they have one; where all are silent, of those that had any.
    ///
    /// # Errors
    /// When the store fails, or one of them cannot be read.
    pub async fn least(&self) -> Result<Option<Micros>, MarksError> {
        let marks = stream::iter(0..self.partitions()).map(|partition| self.read(partition));
        let marks: Vec<_> = marks.buffer_unordered(AT_ONCE).try_collect().await?;
        let marks: Vec<Mark> = marks.into_iter().flatten().map(|(mark, ..)| mark).filter(|mark| mark.events).collect();
        let least = |silent| marks.iter().filter(|mark| mark.silent == silent).filter_map(|mark| mark.durable).min();
        Ok(least(false).or_else(|| least(true)))
    }
}

#[cfg(test)]
mod tests {
    use store::Credentials;

    use super::*;

    fn marks(folder: &tempfile::TempDir, owner: &str) -> Marks {
        let store = Store::open(&format!("file://{}", folder.path().display()), &Credentials::none()).unwrap();
        let terms = Terms { alignment: "5s/60s".to_owned(), rules: String::new() };
        let clock: Clock = Arc::new(|| "2026-01-01T00:00:00Z".parse().unwrap());
        Marks::new(store, "data/_watermarks/a".to_owned(), terms, owner.to_owned(), clock)
    }

    fn at(offset: i64) -> Mark {
        Mark { offset, ..Mark::default() }
    }

    #[tokio::test]
    async fn a_partition_begins_where_it_is_told_and_goes_on_where_it_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let (mark, grip, fresh) = marks(&folder, "a").take_over(0, &at(7)).await.unwrap();
        assert_eq!((mark, fresh), (at(7), true));
        marks(&folder, "a").write(&grip, &at(9)).await.unwrap();
        assert_eq!(marks(&folder, "b").take_over(0, &at(7)).await.unwrap().0, at(9));
    }

    #[tokio::test]
    async fn who_lost_a_partition_learns_it_before_it_writes() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (marks(&folder, "a"), marks(&folder, "b"));
        let (_, grip, _) = first.take_over(0, &at(0)).await.unwrap();
        first.check(&grip).await.unwrap();
        second.take_over(0, &at(0)).await.unwrap();
        assert!(matches!(first.check(&grip).await, Err(MarksError::Fenced { partition: 0, .. })));
        assert!(matches!(first.write(&grip, &at(1)).await, Err(MarksError::Fenced { .. })));
    }

    #[tokio::test]
    async fn a_mark_of_its_own_whose_answer_was_lost_is_no_other_replicas() {
        let folder = tempfile::tempdir().unwrap();
        let marks = marks(&folder, "a");
        let (_, grip, _) = marks.take_over(0, &at(0)).await.unwrap();
        marks.write(&grip, &at(1)).await.unwrap();
        marks.check(&grip).await.unwrap();
        let again = marks.write(&grip, &at(1)).await.unwrap();
        marks.check(&again).await.unwrap();
    }

    #[tokio::test]
    async fn what_an_earlier_life_of_the_same_process_has_on_its_way_is_anothers() {
        let folder = tempfile::tempdir().unwrap();
        let marks = marks(&folder, "a");
        let (_, earlier, _) = marks.take_over(0, &at(0)).await.unwrap();
        let (_, later, _) = marks.take_over(0, &at(0)).await.unwrap();
        assert!(matches!(marks.check(&earlier).await, Err(MarksError::Fenced { .. })));
        assert!(matches!(marks.write(&earlier, &at(0)).await, Err(MarksError::Fenced { .. })));
        marks.write(&later, &at(1)).await.unwrap();
    }

    #[tokio::test]
    async fn another_mark_than_the_one_that_was_to_be_written_is_no_lost_answer() {
        let folder = tempfile::tempdir().unwrap();
        let marks = marks(&folder, "a");
        let (_, grip, _) = marks.take_over(0, &at(0)).await.unwrap();
        marks.write(&grip, &at(1)).await.unwrap();
        assert!(matches!(marks.write(&grip, &at(2)).await, Err(MarksError::Fenced { .. })));
    }

    #[tokio::test]
    async fn all_are_as_far_as_the_last_and_nowhere_while_one_has_no_mark() {
        let folder = tempfile::tempdir().unwrap();
        let (marks, other) = (marks(&folder, "a"), marks(&folder, "b"));
        marks.set_partitions(2);
        other.set_partitions(3);
        let mark = |seconds: i64| Mark { durable: Some(seconds * 1_000_000), ..Mark::default() };
        marks.take_over(0, &mark(10)).await.unwrap();
        assert_eq!(marks.durable().await.unwrap(), None);
        let (_, grip, _) = marks.take_over(1, &mark(5)).await.unwrap();
        assert_eq!(marks.durable().await.unwrap(), Some(5_000_000));
        // Of one that the topic has got since, somebody else knows.
        let (_, third, _) = other.take_over(2, &Mark::default()).await.unwrap();
        marks.write(&grip, &mark(20)).await.unwrap();
        assert_eq!(marks.durable().await.unwrap(), None);
        other.write(&third, &mark(15)).await.unwrap();
        assert_eq!(marks.durable().await.unwrap(), Some(10_000_000));
    }

    #[tokio::test]
    async fn the_least_watermark_is_that_of_partitions_that_have_events_now() {
        let folder = tempfile::tempdir().unwrap();
        let marks = marks(&folder, "a");
        marks.set_partitions(6);
        let silent =
            |seconds: i64| Mark { durable: Some(seconds * 1_000_000), events: true, silent: true, ..Mark::default() };
        let mark = |seconds: Option<i64>, events| Mark {
            durable: seconds.map(|at| at * 1_000_000),
            events,
            ..Mark::default()
        };
        marks.take_over(0, &mark(Some(5), false)).await.unwrap();
        marks.take_over(1, &mark(None, true)).await.unwrap();
        assert_eq!(marks.least().await.unwrap(), None);
        marks.take_over(4, &silent(7)).await.unwrap();
        assert_eq!(marks.least().await.unwrap(), Some(7_000_000));
        marks.take_over(2, &mark(Some(20), true)).await.unwrap();
        marks.take_over(3, &mark(Some(10), true)).await.unwrap();
    }
}
