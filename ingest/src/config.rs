//! What the configuration file says, as people write it: YAML, checked before anything is done.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use spec::{ManifestError, Span, TableName};

mod aggregate;
mod check;
mod event;
mod files;
mod kafka;
mod windows;

pub use aggregate::Aggregate;
pub use event::{Columns, Duplicates, EventConfig, EventFormat};
pub use files::{Archive, DeadLetter, FileFormat, Files, Folder, FolderError};
pub use kafka::{Kafka, Login, StartAt};
pub use windows::{Over, Windows};

/// All that is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Where events come from.
    pub kafka: Kafka,
    /// How an event is read.
    #[serde(default)]
    pub event: EventConfig,
    /// What is made of events.
    #[serde(default)]
    pub windows: Windows,
    /// Where files go.
    pub store: Store,
    /// The files of windows. Absent: none, where there is `sql`; else as by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Files>,
    /// The table of windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<Sql>,
    /// Where how far each partition is stands: a folder in the store, this job's alone. Default `data/_watermarks/{topic}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermarks: Option<String>,
    /// Where events go that count in no window.
    #[serde(default)]
    pub dead_letter: DeadLetter,
    /// Where all events go as they were received. Absent: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,
    /// What memory may hold.
    #[serde(default)]
    pub limits: Limits,
}

/// The store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Store {
    /// Its URL, in the forms of `spec.store.url` of a ScoringSchedule.
    pub url: String,
}

/// A table of PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sql {
    /// Its name, with or without a schema. It is made, and gets the columns that it lacks.
    pub table: TableName,
}

/// What memory may hold, in MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Open windows of a replica. Beyond, the oldest of its largest partition are closed early.
    pub open_mib: u32,
    /// What waits to be written. Beyond, nothing is read.
    pub pending_mib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { open_mib: 256, pending_mib: 64 }
    }
}

impl Config {
    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is no such YAML, or says what cannot be; the message names file, field and line.
    pub fn read(file: &str, text: &str) -> Result<Self, ManifestError> {
        let config: Self = serde_saphyr::from_str(text).map_err(|error| ManifestError::of_yaml(file, text, &error))?;
        config.check().map_err(|(field, message)| ManifestError::of_field(file, text, field, message))?;
        Ok(config)
    }

    /// The files of windows, where there are to be any.
    #[must_use]
    pub fn files(&self) -> Option<Files> {
        self.files.clone().or_else(|| self.sql.is_none().then(Files::default))
    }

    /// The folder in which it stands how far each partition is.
    #[must_use]
    pub fn watermarks(&self) -> String {
        let default = || format!("data/_watermarks/{}", self.kafka.topic);
        self.watermarks.as_ref().map_or_else(default, |folder| folder.trim_end_matches('/').to_owned())
    }

    /// The folder of what partitions have of windows until it is put together, where windows are over the topic.
    #[must_use]
    pub fn shares(&self) -> String {
        format!("{}-shares", self.watermarks())
    }

    /// For how long windows are written together: a file holds so much of time.
    #[must_use]
    pub fn every(&self) -> Span {
        self.files()
            .map_or(self.windows.length, |files| files.every.unwrap_or_else(|| Files::every(self.windows.length)))
    }

    /// The columns that name a sensor, in their order.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.event.columns.keys
    }

    /// The aggregates, each once, in the order in which they are said.
    #[must_use]
    pub fn aggregates(&self) -> Vec<Aggregate> {
        let mut seen = BTreeSet::new();
        self.windows.aggregates.iter().copied().filter(|aggregate| seen.insert(*aggregate)).collect()
    }
}

#[cfg(test)]
mod tests;
