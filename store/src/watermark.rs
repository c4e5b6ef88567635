//! How far a stream is in the store: `{folder}/{partition}.json`, written for each partition by whoever writes its readings, read
//! by runs that wait for a window to be complete (`data.complete.watermark`).

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::{Seen, Store, StoreError};

/// The most bytes of one.
pub const MAX_BYTES: u64 = 16 * 1024;
/// The most partitions of a stream.
pub const MAX_PARTITIONS: u32 = 10_000;
/// What one is called in messages.
const WHAT: &str = "watermark";

/// How far a partition is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Watermark {
    /// Partitions of the stream: `0.json` up to, not including, `{partitions}.json` belong together.
    pub partitions: u32,
    /// Which one this is, from 0.
    pub partition: u32,
    /// Whatever the partition has of windows that end at or before this is in the store, for good (RFC 3339); null before the
    /// first window is.
    #[serde(deserialize_with = "Option::deserialize")]
    pub watermark: Option<Timestamp>,
    /// The offset that was committed with it, for people and for whoever writes it.
    pub offset: i64,
    /// The metadata of that commit, likewise.
    pub metadata: String,
    /// When this was written.
    pub updated: Timestamp,
}

/// The path of a partition's.
#[must_use]
pub fn path(folder: &str, partition: u32) -> String {
    format!("{}/{partition}.json", folder.trim_end_matches('/'))
}

/// The partition that an object of the folder is of, by its name; none of other names.
#[must_use]
pub fn partition_of(folder: &str, path: &str) -> Option<u32> {
    let name = path.strip_prefix(folder.trim_end_matches('/'))?.strip_prefix('/')?.strip_suffix(".json")?;
    let partition: u32 = name.parse().ok()?;
    // Neither 01.json nor +1.json.
    (partition.to_string() == name).then_some(partition)
}

impl Watermark {
    /// Reads a partition's; none where there is none.
    ///
    /// # Errors
    /// When it is too large or none, or of another partition, or the store fails. The message names the object.
    pub async fn read(store: &Store, folder: &str, partition: u32) -> Result<Option<Self>, StoreError> {
        Ok(Self::read_seen(store, folder, partition).await?.0)
    }

    /// The same, and what it is, for [`Store::replace`].
    ///
    /// # Errors
    /// Likewise.
    pub async fn read_seen(store: &Store, folder: &str, partition: u32) -> Result<(Option<Self>, Seen), StoreError> {
        let path = path(folder, partition);
        let (found, seen): (Option<Self>, Seen) = store.get_json_seen(&path, WHAT, MAX_BYTES).await?;
        match found.as_ref().and_then(|found| found.problem(partition)) {
            None => Ok((found, seen)),
            Some(why) => {
                Err(StoreError::Malformed { uri: store.uri(&path), what: WHAT, source: serde_json::Error::custom(why) })
            }
        }
    }

    /// Why it cannot be this partition's.
    fn problem(&self, partition: u32) -> Option<String> {
        let Self { partitions, partition: of, .. } = *self;
        match () {
            () if !(1..=MAX_PARTITIONS).contains(&partitions) => {
                Some(format!("partitions: {partitions} is not in 1 to {MAX_PARTITIONS}"))
            }
            () if of != partition => Some(format!("partition: it is of partition {of}, and called {partition}.json")),
            () if of >= partitions => Some(format!("partition: there is no partition {of} of {partitions}, from 0")),
            () => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::Credentials;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("file://{}", dir.path().display()), &Credentials::none()).unwrap();
        (dir, store)
    }

    fn object() -> Value {
        json!({"partitions": 4, "partition": 3, "watermark": "2026-01-01T00:00:05Z", "offset": 12,
            "metadata": "1;C=12", "updated": "2026-01-01T00:01:06Z"})
    }

    async fn read(object: &Value) -> Result<Option<Watermark>, String> {
        let (_dir, store) = store();
        store.put_json("data/_watermarks/3.json", "watermark", object).await.unwrap();
        Watermark::read(&store, "data/_watermarks/", 3).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn what_a_partition_told_is_read_and_one_that_told_nothing_has_none() {
        let found = read(&object()).await.unwrap().unwrap();
        assert_eq!((found.partitions, found.offset), (4, 12));
        assert_eq!(found.watermark, Some("2026-01-01T00:00:05Z".parse().unwrap()));
        assert_eq!(serde_json::to_value(&found).unwrap(), object());
        let (_dir, store) = store();
        assert_eq!(Watermark::read(&store, "data/_watermarks", 3).await.unwrap(), None);
    }

    #[tokio::test]
    async fn before_the_first_window_there_is_no_time() {
        let mut early = object();
        early["watermark"] = Value::Null;
        assert_eq!(read(&early).await.unwrap().unwrap().watermark, None);
    }

    #[tokio::test]
    async fn what_is_no_watermark_is_an_error_that_names_the_object_and_the_field() {
        let set = |field: &str, value: Value| {
            let mut object = object();
            object[field] = value;
            object
        };
        let mut absent = object();
        absent.as_object_mut().unwrap().remove("watermark");
        for (object, hint) in [
            (absent, "missing field `watermark`"),
            (set("watermark", json!(1_767_225_605_000_i64)), "invalid type: integer"),
            (set("watermark", json!("yesterday")), "expected 0-9 but got y at line 1 column"),
            (set("partitions", json!(0)), "partitions: 0 is not in 1 to 10000"),
            (set("partitions", json!(10_001)), "partitions: 10001"),
            (set("partitions", json!(3)), "no partition 3 of 3"),
            (set("partition", json!(2)), "of partition 2, and called 3.json"),
            (set("offset", json!("12")), "invalid type: string"),
            (set("lag", json!(1)), "unknown field `lag`"),
        ] {
            let error = read(&object).await.unwrap_err();
            assert!(
                error.contains("/data/_watermarks/3.json is no valid watermark: ") && error.contains(hint),
                "{error}"
            );
        }
        let large = read(&set("metadata", json!("x".repeat(20_000)))).await.unwrap_err();
        assert!(large.contains("3.json has") && large.contains("at most 16384"), "{large}");
    }

    #[test]
    fn only_a_number_names_a_partition() {
        let of = |path: &str| partition_of("data/_watermarks/", path);
        assert_eq!((of("data/_watermarks/0.json"), of("data/_watermarks/31.json")), (Some(0), Some(31)));
        for other in ["01.json", "+1.json", "-1.json", "1.json.tmp", "a.json", ".json", "1/2.json", "99999999999.json"]
        {
            assert_eq!(of(&format!("data/_watermarks/{other}")), None, "{other}");
        }
        assert_eq!(of("data/_watermarks2/1.json"), None);
    }

    proptest! {
        #[test]
        fn a_partitions_object_is_found_by_its_name(partition: u32, folder in "[a-z]{1,3}(/[a-z_]{1,3}){0,2}/?") {
            prop_assert_eq!(partition_of(&folder, &path(&folder, partition)), Some(partition));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = serde_json::from_slice::<Watermark>(&bytes);
        }
    }
}
