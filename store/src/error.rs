//! What can go wrong with a store, each with a bounded category and whether another attempt may help.

use spec::location::LocationError;

/// Why the store could not do what was asked. No message holds a credential or the query of a URL.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store's URL cannot be one.
    #[error("store URL {0}")]
    InvalidUrl(#[from] LocationError),
    /// A path that is none inside the store.
    #[error("path {path:?} in {store} {why}")]
    InvalidPath {
        /// The path.
        path: String,
        /// The store's URL.
        store: String,
        /// What is wrong with it.
        why: String,
    },
    /// A name that no object in a folder can have.
    #[error(
        "path {path:?} in {store} ends with # and digits, as a file does that is being written to a folder; take another \
         name"
    )]
    NameOfUpload {
        /// The path.
        path: String,
        /// The store's URL.
        store: String,
    },
    /// A credential is missing or unusable.
    #[error("no usable credential for {url}: {why}")]
    InvalidCredential {
        /// The store's URL.
        url: String,
        /// What is missing, and where it is looked for.
        why: String,
    },
    /// There is no such object.
    #[error("{uri} does not exist")]
    NotFound {
        /// The object.
        uri: String,
    },
    /// There is no such container or bucket.
    #[error("{uri} cannot be reached: its {} does not exist; create it, or correct the path", container_of(uri))]
    ContainerNotFound {
        /// The object or folder.
        uri: String,
    },
    /// The credential does not allow it.
    #[error("{uri}: the store denies access; {advice} ({detail})")]
    AccessDenied {
        /// The object or folder.
        uri: String,
        /// What to do.
        advice: &'static str,
        /// What the store said.
        detail: String,
    },
    /// One file of a folder may not be read.
    #[error("{uri} may not be read by the user of this process; correct its owner or mode ({detail})")]
    Unreadable {
        /// The file.
        uri: String,
        /// What the file system said.
        detail: String,
    },
    /// Nothing can be written to it.
    #[error("{uri} cannot be written: {detail}; mount the share for writing, or lift the policy that keeps it")]
    ReadOnly {
        /// The object or folder.
        uri: String,
        /// What the store said.
        detail: String,
    },
    /// It has no room left.
    #[error(
        "{uri} cannot be written: no space is left ({detail}); delete files, set retention, or enlarge the share or its quota"
    )]
    StorageFull {
        /// The object or folder.
        uri: String,
        /// What the store said.
        detail: String,
    },
    /// The object is not the one that was asked for any more.
    #[error("{uri} changed since it was looked at")]
    Changed {
        /// The object.
        uri: String,
    },
    /// The object is larger than what is read of such objects.
    #[error("{uri} has {size} bytes; at most {limit} are read of such a file")]
    TooLarge {
        /// The object.
        uri: String,
        /// Its size.
        size: u64,
        /// The bound.
        limit: u64,
    },
    /// A folder holds more objects than are listed.
    #[error("more than {limit} files start with {uri}; use a narrower path")]
    TooMany {
        /// The folder or prefix.
        uri: String,
        /// The bound.
        limit: usize,
    },
    /// The object's content cannot be read.
    #[error("{uri} is no valid {what}: {source}")]
    Malformed {
        /// The object.
        uri: String,
        /// What it should hold.
        what: &'static str,
        /// Why it does not.
        source: serde_json::Error,
    },
    /// The store does not let go of an object.
    #[error(
        "{uri} cannot be deleted: {detail}; look for a lease, a snapshot, an immutability policy or a missing right"
    )]
    NotDeleted {
        /// The object, or the first of those that were to go with it.
        uri: String,
        /// What the store said.
        detail: String,
    },
    /// The store did not answer, or answered with an error of its own, after all retries.
    #[error("{uri}: the store is not available: {detail}")]
    Unavailable {
        /// The object or folder.
        uri: String,
        /// What happened.
        detail: String,
    },
}

impl StoreError {
    /// A bounded category in CamelCase.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InvalidUrl(_) => "InvalidUrl",
            Self::InvalidPath { .. } | Self::NameOfUpload { .. } => "InvalidPath",
            Self::InvalidCredential { .. } => "InvalidCredential",
            Self::NotFound { .. } => "NotFound",
            Self::ContainerNotFound { .. } => "ContainerNotFound",
            Self::AccessDenied { .. } => "AccessDenied",
            Self::Unreadable { .. } => "FileUnreadable",
            Self::ReadOnly { .. } => "ReadOnly",
            Self::StorageFull { .. } => "StorageFull",
            Self::Changed { .. } => "Changed",
            Self::TooLarge { .. } => "TooLarge",
            Self::TooMany { .. } => "TooMany",
            Self::Malformed { .. } => "Malformed",
            Self::NotDeleted { .. } => "NotDeleted",
            Self::Unavailable { .. } => spec::report::STORE_UNAVAILABLE,
        }
    }

    /// Whether the same request may work later, with nothing changed by a person.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Whether the store as a whole does not do what it is there for: it is away, or refuses. No sensor is to blame.
    #[must_use]
    pub fn is_of_store(&self) -> bool {
        spec::report::is_of_store(self.reason())
    }

    /// Of a file in a folder: what may not be read is that file.
    pub(crate) fn of_file(self) -> Self {
        match self {
            Self::AccessDenied { uri, detail, .. } => Self::Unreadable { uri, detail },
            other => other,
        }
    }
}

/// What holds an object.
fn container_of(uri: &str) -> &'static str {
    if is_bucket(uri) { "bucket" } else { "container" }
}

fn is_bucket(uri: &str) -> bool {
    uri.starts_with("s3://") || uri.starts_with("gs://")
}

mod cause;

pub(crate) use cause::{is_away, is_lost, lacks_links};
