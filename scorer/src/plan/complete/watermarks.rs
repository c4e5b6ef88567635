//! Watermarks of a stream's partitions: how far each is in the store.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use store::watermark::{MAX_PARTITIONS, partition_of};
use store::{Store, StoreError, Watermark};

use super::AT_ONCE;

/// The watermarks of a folder, and the time that all are to reach.
pub(super) struct Watermarks<'a> {
    store: &'a Store,
    folder: &'a str,
    end: Timestamp,
    told: BTreeMap<u32, Told>,
}

/// What a partition told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    partitions: u32,
    watermark: Option<Timestamp>,
}

impl Told {
    fn has_reached(self, end: Timestamp) -> bool {
        self.watermark.is_some_and(|watermark| watermark >= end)
    }
}

impl<'a> Watermarks<'a> {
    pub(super) fn new(store: &'a Store, folder: &'a str, end: Timestamp) -> Self {
        Self { store, folder: folder.trim_end_matches('/'), end, told: BTreeMap::new() }
    }

    /// What is lacking yet. What has reached the end once is there for good, and not read again.
    pub(super) async fn lacks(&mut self) -> Result<Option<String>, StoreError> {
        let files = self.store.list(&format!("{}/", self.folder), MAX_PARTITIONS as usize).await?;
        let there: BTreeSet<u32> = files.iter().filter_map(|file| partition_of(self.folder, &file.path)).collect();
        self.told.retain(|partition, told| there.contains(partition) && told.has_reached(self.end));
        let (store, folder) = (self.store, self.folder);
        let unread = there.into_iter().filter(|partition| !self.told.contains_key(partition));
        let reads = unread.map(|partition| async move {
            let found = Watermark::read(store, folder, partition).await?;
            Ok::<_, StoreError>(
                found.map(|Watermark { partitions, watermark, .. }| (partition, Told { partitions, watermark })),
            )
        });
        let reads: Vec<_> = reads.collect();
        let read: Vec<_> = futures::stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        self.told.extend(read.into_iter().flatten());
        if let Some(why) = disagreement(&self.told) {
            // Any of them may be the one that is out of date.
            self.told.clear();
            return Ok(Some(why));
        }
        Ok(lacking(&self.told, self.end))
    }
}

/// Why the watermarks cannot be those of one stream.
fn disagreement(told: &BTreeMap<u32, Told>) -> Option<String> {
    let (first, of_first) = told.first_key_value()?;
    let (other, of_other) = told.iter().find(|(_, told)| told.partitions != of_first.partitions)?;
    Some(format!(
        "{first}.json says that there are {} partitions, and {other}.json says {}: one of them is not written any more (delete \
         it, if the stream had other partitions before), or not yet again",
        of_first.partitions, of_other.partitions
    ))
}

/// What is lacking of watermarks that agree.
fn lacking(told: &BTreeMap<u32, Told>, end: Timestamp) -> Option<String> {
    let Some(partitions) = told.first_key_value().map(|(_, told)| told.partitions) else {
        return Some("there is none yet".to_owned());
    };
    let reached = told.values().filter(|told| told.has_reached(end)).count();
    let mut lacking = format!("{reached} of {partitions} partitions have");
    let mut absent = (0..partitions).filter(|partition| !told.contains_key(partition));
    let first_absent = absent.next();
    // A partition without a time is before all others.
    let last = told.iter().filter(|(_, told)| !told.has_reached(end)).min_by_key(|(_, told)| told.watermark);
    if first_absent.is_none() && last.is_none() {
        return None;
    }
    if let Some(first) = first_absent {
        let more = absent.count();
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        lacking.push_str(&format!("; {first}.json{more} is not there yet"));
    }
    if let Some((partition, Told { watermark, .. })) = last {
        let at = watermark.map_or_else(|| "before its first window".to_owned(), |watermark| format!("at {watermark}"));
        lacking.push_str(&format!("; the last is partition {partition}, {at}"));
    }
    Some(lacking)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn told(all: &[(u32, u32, Option<i64>)]) -> BTreeMap<u32, Told> {
        let one = |(partition, partitions, second): &(u32, u32, Option<i64>)| {
            (*partition, Told { partitions: *partitions, watermark: second.map(at) })
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn a_window_is_complete_once_all_partitions_have_reached_its_end() {
        assert_eq!(lacking(&told(&[(0, 2, Some(100)), (1, 2, Some(101))]), at(100)), None);
        assert_eq!(lacking(&told(&[]), at(100)).unwrap(), "there is none yet");
        assert_eq!(
            lacking(&told(&[(0, 2, Some(100)), (1, 2, Some(99))]), at(100)).unwrap(),
            "1 of 2 partitions have; the last is partition 1, at 1970-01-01T00:01:39Z"
        );
        assert_eq!(
            lacking(&told(&[(1, 4, Some(100)), (3, 4, None)]), at(100)).unwrap(),
            "1 of 4 partitions have; 0.json (and 1 more) is not there yet; the last is partition 3, before its first window"
        );
        assert_eq!(
            lacking(&told(&[(0, 2, Some(100))]), at(100)).unwrap(),
            "1 of 2 partitions have; 1.json is not there yet"
        );
    }

    #[test]
    fn watermarks_that_do_not_agree_on_the_partitions_are_told() {
        assert_eq!(disagreement(&told(&[(0, 4, Some(1)), (3, 4, None)])), None);
        assert_eq!(disagreement(&told(&[])), None);
        let why = disagreement(&told(&[(0, 4, Some(1)), (1, 4, Some(1)), (7, 8, Some(1))])).unwrap();
        assert!(why.starts_with("0.json says that there are 4 partitions, and 7.json says 8: "), "{why}");
    }
}
