//! What can go wrong with a store, each with a bounded category and whether another attempt may help.

use object_store::Error;
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
    /// There is no such container.
    #[error("{uri} cannot be reached: its container does not exist; create it, or correct the path")]
    ContainerNotFound {
        /// The object or folder.
        uri: String,
    },
    /// The credential does not allow it.
    #[error(
        "{uri}: the store denies access; give the credential the role Storage Blob Data Contributor, or renew the key or SAS token ({detail})"
    )]
    AccessDenied {
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
            Self::Changed { .. } => "Changed",
            Self::TooLarge { .. } => "TooLarge",
            Self::TooMany { .. } => "TooMany",
            Self::Malformed { .. } => "Malformed",
            Self::NotDeleted { .. } => "NotDeleted",
            Self::Unavailable { .. } => "StoreUnavailable",
        }
    }

    /// Whether the same request may work later, with nothing changed by a person.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// What object_store's error means for an object or folder.
    pub(crate) fn from_object_store(error: &Error, uri: String) -> Self {
        let text = full_text(error);
        match error {
            // Listing reports every failure as Generic, so the service's own error code tells.
            _ if text.contains("Bulk delete request failed for key") && text.contains("(code: 4") => {
                Self::NotDeleted { uri, detail: one_line(&text) }
            }
            _ if text.contains("ContainerNotFound") => Self::ContainerNotFound { uri },
            Error::NotFound { .. } => Self::NotFound { uri },
            Error::Precondition { .. } | Error::NotModified { .. } => Self::Changed { uri },
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                Self::AccessDenied { uri, detail: one_line(&text) }
            }
            _ if ["AuthenticationFailed", "AuthorizationFailure", "Permission denied"]
                .iter()
                .any(|t| text.contains(t)) =>
            {
                Self::AccessDenied { uri, detail: one_line(&text) }
            }
            Error::InvalidPath { .. } | Error::NotSupported { .. } | Error::NotImplemented { .. } => {
                // What is wrong may be a character that is not seen.
                let text: String = text.chars().map(visible).collect();
                Self::InvalidPath { path: uri.clone(), store: uri, why: one_line(&text) }
            }
            _ => Self::Unavailable { uri, detail: one_line(&text) },
        }
    }
}

/// An error with its sources, where a source adds something.
fn full_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}

/// A control character as it is written in quotes, such as `\n`.
pub(crate) fn visible(c: char) -> String {
    if c.is_control() { c.escape_debug().to_string() } else { c.to_string() }
}

/// At most 300 characters of a text, on one line: the service's errors are XML over many lines.
fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(300) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
