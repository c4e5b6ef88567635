//! How far a partition is: what is kept of it in the store, from which all the rest is made again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::Watermark;

use crate::config::{Config, Over};
use crate::window::Rules;
use crate::{Micros, timestamp};

/// How far a partition is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The offset from which open windows can be made again.
    pub offset: i64,
    /// The watermark before the record at that offset.
    pub watermark: Option<Micros>,
    /// Windows that end at or before this are in the store, for good; a multiple of `files.every`.
    pub durable: Option<Micros>,
    /// Dead letters and the archive of records below this offset are in the store.
    pub side: i64,
    /// Whether the partition ever had an event.
    pub events: bool,
    /// Whether its watermark went on without one since: then it follows others, and none follows it.
    pub silent: bool,
    /// Whether it was not asked yet how far windows over the topic are: nothing was read then.
    pub joining: bool,
    /// Where the watermark went on without an event behind `offset`: at which offset, to what. In their order.
    pub jumps: Vec<Jump>,
}

/// Where the watermark went on without an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jump(pub i64, pub Micros);

/// What of a mark is for nobody else: the `metadata` of a [`Watermark`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Metadata {
    /// Of this form.
    version: u32,
    /// Who wrote it.
    owner: String,
    /// Which one of the partition's it is, from 1.
    number: u64,
    watermark: Option<Micros>,
    side: i64,
    events: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    silent: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    joining: bool,
    /// By which events were judged.
    rules: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    jumps: Vec<Jump>,
    alignment: String,
}

const VERSION: u32 = 1;
/// A mark is at most 16 KiB; a jump takes at most 45 bytes. More of them than a few there are only while memory is short.
pub const MOST_JUMPS: usize = 200;

/// By what a partition is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What slices are aligned by: a mark of another alignment cannot be gone on with.
    pub alignment: String,
    /// A digest of all that decides what becomes of an event.
    pub rules: String,
}

impl Terms {
    /// Those of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let rules = format!("{:?} {:?}", config.event, config.windows);
        let digest = Sha256::digest(rules);
        let rules = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let times = Rules::new(config).alignment();
        let alignment = match config.windows.over {
            Over::Partition => times,
            // Shares of sensors of other keys are no shares of theirs.
            Over::Topic => format!("{times} over the topic by {}", config.keys().join(",")),
        };
        Self { alignment, rules }
    }
}

/// Who writes a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// The process.
    pub owner: String,
    /// Which one of the partition's marks it is, from 1.
    pub number: u64,
}

/// Why a mark cannot be gone on with.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MarkError {
    /// Another program, or another version of this one, wrote it.
    #[error(
        "its metadata is none of this version of ingest: {0}; give another folder as `watermarks`, or the version that wrote it"
    )]
    Metadata(String),
    /// Windows were others.
    #[error(
        "windows and files were {was} when it was written, and are {now}: windows.length, windows.over and files.every stay as they are, and with \
         windows.over: Topic event.columns.keys; to change them, give another `watermarks`, another `files.path` (or table) and another `kafka.group`"
    )]
    Alignment {
        /// `windows.length/files.every` then.
        was: String,
        /// The same now.
        now: String,
    },
}

impl Mark {
    /// As it stands in the store.
    #[must_use]
    pub fn to_watermark(
        &self,
        partition: u32,
        partitions: u32,
        terms: &Terms,
        writer: &Writer,
        now: Timestamp,
    ) -> Watermark {
        let metadata = Metadata {
            version: VERSION,
            owner: writer.owner.clone(),
            number: writer.number,
            watermark: self.watermark,
            side: self.side,
            events: self.events,
            silent: self.silent,
            joining: self.joining,
            rules: terms.rules.clone(),
            jumps: self.jumps.clone(),
            alignment: terms.alignment.clone(),
        };
        Watermark {
            partitions,
            partition,
            watermark: self.durable.map(timestamp),
            offset: self.offset,
            // Numbers and texts can always be written.
            metadata: serde_json::to_string(&metadata).unwrap_or_default(),
            updated: now,
        }
    }

    /// What stands in the store, and who wrote it.
    ///
    /// # Errors
    /// When it cannot be gone on with.
    pub fn of_watermark(found: &Watermark, terms: &Terms) -> Result<(Self, Writer), MarkError> {
        let metadata: Metadata =
            serde_json::from_str(&found.metadata).map_err(|error| MarkError::Metadata(error.to_string()))?;
        if metadata.version != VERSION {
            return Err(MarkError::Metadata(format!("version {}", metadata.version)));
        }
        if metadata.alignment != terms.alignment {
            return Err(MarkError::Alignment { was: metadata.alignment, now: terms.alignment.clone() });
        }
        let mark = Self {
            offset: found.offset,
            watermark: metadata.watermark,
            durable: found.watermark.map(Timestamp::as_microsecond),
            // Judged by other rules, an event may be a dead letter that was none. Better one is told twice than not at all.
            side: if metadata.rules == terms.rules { metadata.side } else { found.offset },
            events: metadata.events,
            silent: metadata.silent,
            joining: metadata.joining,
            jumps: metadata.jumps,
        };
        Ok((mark, Writer { owner: metadata.owner, number: metadata.number }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(alignment: &str) -> Terms {
        Terms { alignment: alignment.to_owned(), rules: "1a2b3c4d5e6f7a8b".to_owned() }
    }

    fn mark() -> Mark {
        let jumps = vec![Jump(1300, 1_767_225_660_000_000), Jump(1301, 1_767_225_720_000_000)];
        Mark {
            offset: 1201,
            watermark: Some(1_767_225_601_000_000),
            durable: Some(1_767_225_600_000_000),
            side: 1280,
            events: true,
            silent: true,
            joining: true,
            jumps,
        }
    }

    fn written(mark: &Mark) -> Watermark {
        let writer = Writer { owner: "ingest-0".to_owned(), number: 7 };
        mark.to_watermark(3, 4, &terms("5s/60s"), &writer, "2026-01-01T00:01:06Z".parse().unwrap())
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let (found, writer) = Mark::of_watermark(&written(&mark()), &terms("5s/60s")).unwrap();
        assert_eq!((found, writer.number), (mark(), 7));
        assert_eq!(written(&mark()).watermark.unwrap().to_string(), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn a_mark_of_other_windows_or_of_another_program_is_refused_with_what_to_do() {
        let error = Mark::of_watermark(&written(&mark()), &terms("5s/300s")).unwrap_err().to_string();
        assert!(error.contains("were 5s/60s") && error.contains("are 5s/300s"), "{error}");
        let other = Watermark { metadata: "1;C=12".to_owned(), ..written(&mark()) };
        assert!(Mark::of_watermark(&other, &terms("5s/60s")).unwrap_err().to_string().contains("another folder"));
    }

    #[test]
    fn by_other_rules_dead_letters_are_told_from_where_windows_are_made_again() {
        let terms = Terms { rules: "others".to_owned(), ..terms("5s/60s") };
        let (found, _) = Mark::of_watermark(&written(&mark()), &terms).unwrap();
        assert_eq!(found, Mark { side: 1201, ..mark() });
    }

    #[test]
    fn with_all_the_jumps_that_there_may_be_it_is_small_enough_to_be_read() {
        let mark = Mark { jumps: vec![Jump(i64::MAX, i64::MIN); MOST_JUMPS], ..mark() };
        let bytes = serde_json::to_vec(&written(&mark)).unwrap();
        assert!((bytes.len() as u64) < store::watermark::MAX_BYTES, "{}", bytes.len());
    }
}
