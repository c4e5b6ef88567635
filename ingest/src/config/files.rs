//! Where files go, and what they are like.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use spec::Span;

/// Files of windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Files {
    /// The folder. Default `data/{yyyy}/{MM}/{dd}/{HH}`.
    pub path: Folder,
    /// What a file is. Default Csv.
    pub format: FileFormat,
    /// How much of time a file holds: a multiple of `windows.length` and a divisor of an hour. Default: the smallest such from 1m on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// Beyond how many MiB a file is continued in another one. Default 64.
    pub max_mib: u32,
}

/// Seconds of an hour, which windows and files divide.
pub(super) const HOUR: u64 = 3600;

impl Files {
    /// How much of time a file holds where it is not said.
    #[must_use]
    pub fn every(length: Span) -> Span {
        let length = length.as_secs().max(1);
        let fits = |secs: &u64| secs.is_multiple_of(length) && HOUR.is_multiple_of(*secs);
        Span::from_secs((60..=HOUR).find(fits).unwrap_or(length))
    }
}

impl Default for Files {
    fn default() -> Self {
        Self {
            path: Folder("data/{yyyy}/{MM}/{dd}/{HH}".to_owned()),
            format: FileFormat::Csv,
            every: None,
            max_mib: 64,
        }
    }
}

/// What a file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileFormat {
    /// With a header.
    #[default]
    Csv,
    /// An object a line.
    JsonLines,
    /// Packed by snappy.
    Parquet,
}

impl FileFormat {
    /// How names end.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::JsonLines => "jsonl",
            Self::Parquet => "parquet",
        }
    }
}

/// Where events go that count in no window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DeadLetter {
    /// The folder, by when the broker got the first of a file's. Default `deadletter/{yyyy}/{MM}/{dd}/{HH}`.
    pub path: Folder,
}

impl Default for DeadLetter {
    fn default() -> Self {
        Self { path: Folder("deadletter/{yyyy}/{MM}/{dd}/{HH}".to_owned()) }
    }
}

/// Where all events go as they were received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Archive {
    /// The folder, by when the broker got the first of a file's: `raw/{yyyy}/{MM}/{dd}/{HH}`.
    pub path: Folder,
}

/// A folder in the store, in which `{yyyy}`, `{MM}`, `{dd}`, `{HH}` and `{mm}` stand for a time in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(String);

/// Why a text is no such folder.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FolderError {
    /// Something else stands in braces.
    #[error("{0:?} has braces around something else than yyyy, MM, dd, HH or mm")]
    Part(String),
    /// Nothing, or a path that leaves the store.
    #[error(
        "{0:?} is no folder in the store: write names with / between them, without . or .. and without control characters"
    )]
    Path(String),
}

const PARTS: [(&str, &str); 5] = [("{yyyy}", "%Y"), ("{MM}", "%m"), ("{dd}", "%d"), ("{HH}", "%H"), ("{mm}", "%M")];

impl Folder {
    /// The folder of a time.
    #[must_use]
    pub fn at(&self, time: Timestamp) -> String {
        let time = time.to_zoned(TimeZone::UTC);
        PARTS.iter().fold(self.0.clone(), |path, (part, format)| path.replace(part, &time.strftime(format).to_string()))
    }
}

impl FromStr for Folder {
    type Err = FolderError;

    fn from_str(text: &str) -> Result<Self, FolderError> {
        let trimmed = text.trim_end_matches('/');
        let bare = PARTS.iter().fold(trimmed.to_owned(), |path, (part, _)| path.replace(part, "0"));
        if bare.contains(['{', '}']) {
            return Err(FolderError::Part(spec::shown::cut(text)));
        }
        let is_segment =
            |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', '*', '#', '?']);
        match bare.split('/').all(is_segment) && !bare.contains(spec::shown::is_control) && bare.len() <= 512 {
            true => Ok(Self(trimmed.to_owned())),
            false => Err(FolderError::Path(spec::shown::cut(text))),
        }
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

spec::as_text!(Folder, {"type": "string"});
