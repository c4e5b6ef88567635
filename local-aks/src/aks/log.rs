//! The log of requests that tests read at `GET /control/log`.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;

const KEPT: usize = 20_000;

/// One answered request.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    /// Counts from 1 over the life of the server.
    pub(super) number: u64,
    pub(super) at: Timestamp,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) status: u16,
    /// What the request left in its token bucket; absent where none was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bucket_left: Option<u32>,
    /// What a PUT of a pool wants its count to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<u64>,
    /// What it was when that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) was: Option<u64>,
    /// The machines that a deleteMachines names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) machines: Vec<String>,
    /// The code of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<String>,
    /// Whose request it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct RequestLog {
    entries: VecDeque<Entry>,
    written: u64,
}

impl RequestLog {
    pub(super) fn write(&mut self, mut entry: Entry) {
        self.written += 1;
        entry.number = self.written;
        self.entries.push_back(entry);
        if self.entries.len() > KEPT {
            self.entries.pop_front();
        }
    }

    pub(super) fn after(&self, number: u64) -> Vec<&Entry> {
        self.entries.iter().filter(|entry| entry.number > number).collect()
    }
}
