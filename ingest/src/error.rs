//! Why a replica cannot go on.

use spec::ManifestError;
use store::StoreError;

use crate::event::FilterError;
use crate::source::SourceError;

/// Why a replica cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ManifestError),
    /// The configuration's file cannot be read.
    #[error("{file} cannot be read: {source}")]
    File {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The filter.
    #[error("event.filter: {0}")]
    Filter(#[from] FilterError),
    /// The store.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The table has no database.
    #[error("sql: {0}")]
    Database(String),
    /// The broker.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Another job writes the same marks.
    #[error(
        "partition {0} is assigned to this replica, and another one writes its marks: two jobs share the folder `watermarks`, or two groups \
         read for it; give each its own"
    )]
    Contended(u32),
    /// The process cannot be set up.
    #[error("cannot {what}: {detail}")]
    Start {
        /// What.
        what: &'static str,
        /// Why not.
        detail: String,
    },
}

impl IngestError {
    /// A bounded category.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match self {
            Self::Config(_) | Self::File { .. } | Self::Filter(_) => "Config",
            Self::Store(_) => "Store",
            Self::Database(_) => "Database",
            Self::Source(_) => "Source",
            Self::Contended(_) => "Contended",
            Self::Start { .. } => "Start",
        }
    }

    /// The process's exit code: 2 where somebody has to change the configuration, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.category() {
            "Config" => 2,
            _ => 1,
        }
    }
}
