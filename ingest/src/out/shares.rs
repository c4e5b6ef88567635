//! What partitions have of windows over the topic, until it is put together: an object for each slice and partition, called by both.
//! Like files of windows, names and bytes follow from the log.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use store::{Store, StoreError};

use super::sink::{SinkError, Written, put_all};
use crate::Micros;
use crate::config::Config;
use crate::window::{Rules, Slice, Stats};

/// How each begins: what it is, and of which version.
const HEAD: &[u8] = b"ingest share 1\n";
/// More of them than these are not listed.
const MOST: usize = 10_000_000;

/// Of deleting some.
const LONGEST: Duration = Duration::from_secs(60);

/// Where shares are.
#[derive(Debug)]
pub struct Shares {
    store: Store,
    folder: String,
    rules: Rules,
    /// The most bytes of one.
    most: u64,
}

/// Shares by the begin of their slice and by partition: their paths, and their bytes.
pub(crate) type Listed = BTreeMap<Micros, BTreeMap<u32, (String, u64)>>;

impl Shares {
    pub(super) fn new(store: Store, config: &Config) -> Self {
        let most = u64::from(config.limits.open_mib) << 20;
        Self { store, folder: config.shares(), rules: Rules::new(config), most }
    }

    fn path(&self, start: Micros, partition: u32) -> String {
        format!("{}/{}-{partition:04}.share", self.folder, start / 1_000_000)
    }

    /// The slice and the partition, by a path.
    fn of(&self, path: &str) -> Option<(Micros, u32)> {
        let (start, partition) =
            path.strip_prefix(&self.folder)?.strip_prefix('/')?.strip_suffix(".share")?.rsplit_once('-')?;
        let (start, partition) = (start.parse::<i64>().ok()?.checked_mul(1_000_000)?, partition.parse().ok()?);
        (self.path(start, partition) == path).then_some((start, partition))
    }

    /// Writes a partition's, over those with their names.
    ///
    /// # Errors
    /// When the store fails. Some may be there: write all again.
    pub async fn write(&self, partition: u32, slices: &[Slice<Stats>]) -> Result<Written, SinkError> {
        put_all(&self.store, self.objects(partition, slices)).await
    }

    /// The objects, each with its path.
    fn objects<'a>(
        &'a self,
        partition: u32,
        slices: &'a [Slice<Stats>],
    ) -> impl Iterator<Item = Result<(String, Bytes), SinkError>> + 'a {
        slices.iter().map(move |slice| {
            let path = self.path(slice.start, partition);
            match postcard::to_extend(slice, HEAD.to_vec()) {
                Ok(bytes) => Ok((path, bytes.into())),
                Err(error) => Err(SinkError::Share { uri: self.store.uri(&path), detail: error.to_string() }),
            }
        })
    }

    /// All that there are.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn list(&self) -> Result<Listed, SinkError> {
        let mut listed = Listed::new();
        for file in self.store.list(&format!("{}/", self.folder), MOST).await? {
            if let Some((start, partition)) = self.of(&file.path) {
                listed.entry(start).or_default().insert(partition, (file.path, file.size));
            }
        }
        Ok(listed)
    }

    /// Reads one.
    ///
    /// # Errors
    /// When the store fails, or it is none, of another slice, or too large; the message names it.
    pub async fn read(&self, start: Micros, path: &str) -> Result<Slice<Stats>, SinkError> {
        let bytes = self.store.get(path, self.most).await.map_err(|error| match error {
            StoreError::TooLarge { size, .. } => self.too_large(path, size),
            error => error.into(),
        })?;
        self.decode(start, &bytes).map_err(|detail| SinkError::Share { uri: self.store.uri(path), detail })
    }

    /// Makes sure that all of a slice's are no more than memory may hold.
    ///
    /// # Errors
    /// When they are more; the message says what to do.
    pub fn fit(&self, shares: &BTreeMap<u32, (String, u64)>) -> Result<(), SinkError> {
        let size: u64 = shares.values().map(|(_, size)| size).sum();
        match shares.values().next().filter(|_| size > self.most) {
            Some((path, _)) => Err(self.too_large(path, size)),
            None => Ok(()),
        }
    }

    fn too_large(&self, path: &str, size: u64) -> SinkError {
        let (mib, most) = (size >> 20, self.most >> 20);
        let detail = format!(
            "it has {mib} MiB with those of other partitions, and limits.openMib is {most}: raise it, and the memory of replicas, or have \
             a shorter files.every"
        );
        SinkError::Share { uri: self.store.uri(path), detail }
    }

    fn decode(&self, start: Micros, bytes: &[u8]) -> Result<Slice<Stats>, String> {
        let body = bytes.strip_prefix(HEAD).ok_or("it does not begin as one")?;
        let slice: Slice<Stats> = postcard::from_bytes(body).map_err(|error| error.to_string())?;
        let is_of = |time: Micros| self.rules.slice(time) == start && self.rules.window(time) == time;
        match slice.start == start && slice.rows.iter().all(|row| is_of(row.start)) {
            true => Ok(slice),
            false => Err("it has windows of another time".to_owned()),
        }
    }

    /// Deletes some, as far as that can be done: they are in the way of nothing.
    pub async fn delete(&self, paths: &[String]) {
        let left = match tokio::time::timeout(LONGEST, self.store.delete(paths)).await {
            Ok(Ok(gone)) => gone.failed.map(|error| error.to_string()),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("deleting them took more than {} s", LONGEST.as_secs())),
        };
        if let Some(why) = left {
            tracing::warn!("shares of windows that were put together are left for now: {why}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use store::Credentials;

    use super::*;
    use crate::out::testing::{START, config};
    use crate::window::{Merge, Row};

    fn shares(folder: &tempfile::TempDir) -> Shares {
        let store = Store::open(&format!("file://{}", folder.path().display()), &Credentials::none()).unwrap();
        Shares::new(store, &config("windows: {over: Topic, aggregates: [avg, p50]}\n"))
    }

    fn slice(shares: &Shares, window: Micros) -> Slice<Stats> {
        let mut values = Stats::new(&shares.rules);
        values.add(&shares.rules, START + 1, 0.1);
        Slice { start: START, rows: vec![Row { start: window, sensor: b"1\x1fa".as_slice().into(), values }] }
    }

    const PATH: &str = "data/_watermarks/readings-shares/1767225900-0003.share";

    #[tokio::test]
    async fn a_share_is_read_as_it_was_written_and_found_by_slice_and_partition() {
        let folder = tempfile::tempdir().unwrap();
        let shares = shares(&folder);
        let slice = slice(&shares, START + 5_000_000);
        let written = shares.write(3, std::slice::from_ref(&slice)).await.unwrap();
        assert_eq!((written.files, written.rows), (1, 0));
        let listed = shares.list().await.unwrap();
        assert_eq!(listed, Listed::from([(START, BTreeMap::from([(3, (PATH.to_owned(), written.bytes))]))]));
        shares.fit(&listed[&START]).unwrap();
        assert_eq!(shares.read(START, PATH).await.unwrap(), slice);
        shares.delete(&[PATH.to_owned()]).await;
        assert!(shares.list().await.unwrap().is_empty());
    }

    #[test]
    fn more_than_memory_may_hold_is_an_error_that_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let both = BTreeMap::from([(0, (PATH.to_owned(), 200 << 20)), (1, (PATH.to_owned(), 100 << 20))]);
        let error = shares(&folder).fit(&both).unwrap_err().to_string();
        assert!(error.contains("300 MiB") && error.contains("limits.openMib is 256"), "{error}");
    }

    #[tokio::test]
    async fn other_objects_in_the_folder_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let shares = shares(&folder);
        for name in ["marks/0.json", "01-0003.share", "1-3.share", "x-0003.share", "9223372036854775807-0003.share"] {
            shares.store.put(&format!("data/_watermarks/readings-shares/{name}"), "x").await.unwrap();
        }
        assert!(shares.list().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_no_share_or_another_slices_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let shares = shares(&folder);
        let bytes = |slice: &Slice<Stats>| postcard::to_extend(slice, HEAD.to_vec()).unwrap();
        let good = bytes(&slice(&shares, START));
        let another = bytes(&slice(&shares, START + 60_000_000));
        for wrong in [&b""[..], b"ingest share 2\n", &good[..good.len() - 1], &another] {
            shares.store.put(PATH, wrong.to_vec()).await.unwrap();
            let error = shares.read(START, PATH).await.unwrap_err();
            assert!(error.category() == "ShareInvalid" && error.to_string().contains(PATH), "{error}");
        }
    }

    proptest! {
        #[test]
        fn bytes_that_somebody_has_changed_are_an_error_or_other_numbers(at in 0..200_usize, byte: u8, end in 0..200_usize) {
            let folder = tempfile::tempdir().unwrap();
            let shares = shares(&folder);
            let mut bytes = postcard::to_extend(&slice(&shares, START), HEAD.to_vec()).unwrap();
            let last = bytes.len() - 1;
            bytes[at.min(last)] = byte;
            bytes.truncate(end.max(last / 2));
            if let Ok(found) = shares.decode(START, &bytes) {
                let mut all = Merge::default();
                all.add(found.clone());
                all.add(found);
                prop_assert!(all.finish(START).finish(&shares.rules.aggregates).rows.len() <= 1);
            }
        }
    }
}
