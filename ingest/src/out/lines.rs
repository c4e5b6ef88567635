//! Records of the log as JSON lines, on their way to a file: dead letters, and all that was received.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::letters::Reason;
use crate::Micros;
use crate::config::Folder;

/// A record of the log, or a part of one. As a line:
///
/// ```json
/// {"partition":3,"offset":1201,"timestamp":"2026-01-01T00:00:05.25Z","key":"1","value":"{\"Device\":\"1\",…}"}
/// ```
///
/// What is absent is null. A key or value that is no UTF-8 is `keyBase64` or `valueBase64` instead. Nothing is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: i64,
    /// When the broker got it.
    pub stamp: Option<Micros>,
    /// Its key, as received.
    pub key: Option<&'a [u8]>,
    /// Its value, as received.
    pub value: Option<&'a [u8]>,
}

/// Lines that wait to be written, of one partition.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    count: u64,
    first: Option<(i64, Option<Micros>)>,
}

/// All that was received.
pub type Raw = Lines;

/// Lines of a file. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The offset of its first record.
    pub first_offset: i64,
    /// When the broker got that.
    pub first_stamp: Option<Micros>,
    /// How many lines.
    pub count: u64,
    /// The lines, each with its end.
    pub bytes: Bytes,
}

impl Lines {
    /// Adds a [`Record`] or a [`super::Letter`].
    pub fn push<'a>(&mut self, line: impl Into<Line<'a>>) {
        let line = line.into();
        self.first.get_or_insert((line.offset, line.stamp));
        // Neither texts and numbers nor memory refuse.
        let _ = serde_json::to_writer(&mut self.bytes, &line);
        self.bytes.push(b'\n');
        self.count += 1;
    }

    /// How many bytes wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Takes all of them, for a file that is named by the offset of its first record. So do this between two records, and not between
    /// two letters of one; and have no second file written before the mark tells of the first: whoever begins again there then
    /// writes over it, be there more or fewer lines this time.
    #[must_use]
    pub fn take(&mut self) -> Option<Chunk> {
        let Self { bytes, count, first } = std::mem::take(self);
        let (first_offset, first_stamp) = first?;
        Some(Chunk { first_offset, first_stamp, count, bytes: bytes.into() })
    }
}

impl Chunk {
    /// Where it goes: `{folder}/readings-0003-00000000000000001201.jsonl`, by its topic, partition and first offset. The folder is that of when the
    /// broker got the first record, or of 1970 where it does not say.
    #[must_use]
    pub fn path(&self, folder: &Folder, topic: &str, partition: u32) -> String {
        let folder = folder.at(crate::timestamp(self.first_stamp.unwrap_or_default()));
        format!("{folder}/{topic}-{partition:04}-{:020}.jsonl", self.first_offset)
    }
}

/// What a line says.
#[derive(Clone, Debug, Serialize)]
pub struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<&'a str>,
    partition: u32,
    offset: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<u32>,
    #[serde(rename = "timestamp", serialize_with = "time")]
    stamp: Option<Micros>,
    #[serde(flatten)]
    key: Key<'a>,
    #[serde(flatten)]
    value: Value<'a>,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Key<'a> {
    Key(Option<&'a str>),
    #[serde(serialize_with = "base64")]
    KeyBase64(&'a [u8]),
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Value<'a> {
    Value(Option<&'a str>),
    #[serde(serialize_with = "base64")]
    ValueBase64(&'a [u8]),
}

impl<'a> From<&Record<'a>> for Line<'a> {
    fn from(record: &Record<'a>) -> Self {
        let Record { partition, offset, stamp, key, value } = *record;
        let key = text(key).map_or_else(Key::KeyBase64, Key::Key);
        let value = text(value).map_or_else(Value::ValueBase64, Value::Value);
        Self { reason: None, detail: None, partition, offset, index: None, stamp, key, value }
    }
}

/// Bytes as text, or as they are.
fn text(bytes: Option<&[u8]>) -> Result<Option<&str>, &[u8]> {
    let Some(bytes) = bytes else { return Ok(None) };
    std::str::from_utf8(bytes).map(Some).map_err(|_| bytes)
}

fn time<S: Serializer>(stamp: &Option<Micros>, serializer: S) -> Result<S::Ok, S::Error> {
    stamp.map(crate::timestamp).serialize(serializer)
}

fn base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests;
