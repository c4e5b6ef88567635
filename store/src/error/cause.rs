//! What object_store's errors mean. Services tell most by a code in XML, file systems by an error number.

use std::io::{self, ErrorKind};

use object_store::Error;
use spec::shown::visible;

use super::is_bucket;
use crate::StoreError;

/// Codes of services by which the credential is no good, and what to do.
const DENIED: [(&str, &str); 25] = [
    // Before the next, whose code it has too.
    ("Signature not valid in the specified time frame", "the SAS token has expired, or is not valid yet: renew it"),
    ("Signature fields not well formed", "the SAS token is not well formed: copy it again"),
    // Whatever the code: Azurite's is AuthorizationFailure.
    ("Server failed to authenticate the request", WRONG_KEY),
    ("AuthenticationFailed", WRONG_KEY),
    ("InvalidAuthenticationInfo", WRONG_KEY),
    ("SignatureDoesNotMatch", WRONG_ACCESS_KEY),
    ("InvalidAccessKeyId", WRONG_ACCESS_KEY),
    ("<Code>InvalidToken", WRONG_ACCESS_KEY),
    (NO_SUCH_USER, WRONG_ACCESS_KEY),
    ("ExpiredToken", "the credential has expired: renew it"),
    ("RequestTimeTooSkewed", "the clocks of the node and of the store differ by more than it allows: set them"),
    ("<Code>AccessDenied", RIGHTS),
    ("AuthorizationHeaderMalformed", REGION),
    ("PermanentRedirect", REGION),
    ("incorrectly configured region", REGION),
    ("AllAccessDisabled", "the bucket is disabled: enable it"),
    ("AccountProblem", "the account has a problem: look at its console"),
    ("/computeMetadata/", NO_IDENTITY),
    ("KeyBasedAuthenticationNotPermitted", "the account allows no keys and no SAS: use workload or managed identity"),
    ("AuthorizationPermissionMismatch", ROLE),
    ("InsufficientAccountPermissions", ROLE),
    ("AuthorizationResourceTypeMismatch", "the SAS token does not allow this: make one for containers and objects"),
    ("AuthorizationServiceMismatch", "the SAS token is not one for blobs: make one for them"),
    ("AuthorizationFailure", "let the cluster's network through the account's firewall, or correct the rights"),
    ("AccountIsDisabled", "the account is disabled: enable it"),
];
const WRONG_KEY: &str =
    "the account key or SAS token is wrong, has expired or was replaced by another: put the new one into the Secret";
const WRONG_ACCESS_KEY: &str = "the access key is wrong or was replaced by another: put the new one into the Secret";
/// What versitygw says of an access key that it does not know, with status 404.
const NO_SUCH_USER: &str = "<Code>XAdminUserNotFound";
const RIGHTS: &str = "give the credential the rights to get, put, delete and list objects of the bucket, or let it through the bucket's policy";
const REGION: &str = "the bucket is in another region: set AWS_REGION to that";
const NO_IDENTITY: &str = "there is no credential, and no metadata server that gives one: add a Secret, or give the ServiceAccount or the nodes an identity";
const TOKEN: &str = "the identity gets no token: check its client id or role, the federated credential or trust policy of the \
                     ServiceAccount, or that the nodes have the identity";
const ROLE: &str =
    "give the credential the role Storage Blob Data Contributor, or the rights to read, write, list and delete";
const UNTOLD: &str = "give the credential the role Storage Blob Data Contributor, or renew the key or SAS token";
const OWNER: &str =
    "let the user of the pods (65532) read and write it: correct owner and mode, or the volume's mount options";

impl StoreError {
    /// What object_store's error means for an object or folder.
    pub(crate) fn from_object_store(error: &Error, uri: String) -> Self {
        if let Some(io) = io_error(error) {
            let detail = || detail(&full_text(error));
            match io.kind() {
                ErrorKind::PermissionDenied => return Self::AccessDenied { uri, advice: OWNER, detail: detail() },
                ErrorKind::ReadOnlyFilesystem => {
                    return Self::ReadOnly { uri, detail: "its file system is read-only".into() };
                }
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                    return Self::StorageFull { uri, detail: io.to_string() };
                }
                _ => {}
            }
        }
        let text = full_text(error);
        let said = |code: &str| text.contains(code);
        match error {
            // Listing reports every failure as Generic, so the service's own error code tells.
            _ if said("Bulk delete request failed for key") && said("(code: 4")
                || said("DeleteObjects request failed for key") && !said("(code: InternalError)") =>
            {
                Self::NotDeleted { uri, detail: detail(&text) }
            }
            _ if ["QuotaExceeded</Code>", "StorageFull</Code>"].iter().any(|code| said(code)) => {
                Self::StorageFull { uri, detail: detail(&text) }
            }
            _ if ["ContainerNotFound", "ContainerBeingDeleted", "ContainerDisabled", "NoSuchBucket"]
                .iter()
                .any(|c| said(c)) =>
            {
                Self::ContainerNotFound { uri }
            }
            Error::NotFound { .. } if !said(NO_SUCH_USER) => Self::NotFound { uri },
            Error::Precondition { .. } | Error::NotModified { .. } => Self::Changed { uri },
            _ if said("BlobImmutableDueToPolicy") => Self::ReadOnly { uri, detail: detail(&text) },
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                let untold = if is_bucket(&uri) { RIGHTS } else { UNTOLD };
                Self::AccessDenied { uri, advice: advice(&text).unwrap_or(untold), detail: detail(&text) }
            }
            Error::InvalidPath { .. } | Error::NotSupported { .. } | Error::NotImplemented { .. } => {
                // What is wrong may be a character that is not seen.
                let text = visible(&text);
                Self::InvalidPath { path: uri.clone(), store: uri, why: one_line(&text) }
            }
            _ => match advice(&text) {
                Some(advice) => Self::AccessDenied { uri, advice, detail: detail(&text) },
                None => Self::Unavailable { uri, detail: detail(&text) },
            },
        }
    }
}

fn advice(text: &str) -> Option<&'static str> {
    let refused = text.contains("Error performing token request") && text.contains("status code: 4");
    let unreadable =
        ["Error reading federated token file", "Failed to read token file", "Failed to read EKS token file"];
    if refused || unreadable.iter().any(|file| text.contains(file)) {
        return Some(TOKEN);
    }
    DENIED.iter().find(|(code, _)| text.contains(code)).map(|(_, advice)| *advice)
}

/// The file system's own error, if there is one.
fn io_error(error: &Error) -> Option<&io::Error> {
    // A service's error may have one below, too, which is of the connection.
    let Error::Generic { store: "LocalFileSystem", source } = error else { return None };
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(source.as_ref());
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

/// Whether a network file system does not answer, so that the same may work soon.
pub(crate) fn is_away(error: &Error) -> bool {
    // A mount that gives up, such as soft NFS, says EIO.
    io_error(error).is_some_and(|io| lost(io) || io.raw_os_error() == Some(EIO))
}

/// The same, where no single file can be the reason.
pub(crate) fn is_lost(error: &Error) -> bool {
    io_error(error).is_some_and(lost)
}

/// Whether a file system has no hard links, such as SMB's.
pub(crate) fn lacks_links(error: &Error) -> bool {
    io_error(error).is_some_and(|io| io.kind() == ErrorKind::Unsupported || io.raw_os_error() == Some(EPERM))
}

const EPERM: i32 = 1;
const EIO: i32 = 5;
const EHOSTDOWN: i32 = 112;

fn lost(io: &io::Error) -> bool {
    let kinds = [
        ErrorKind::NotConnected,
        ErrorKind::StaleNetworkFileHandle,
        ErrorKind::TimedOut,
        ErrorKind::HostUnreachable,
        ErrorKind::NetworkUnreachable,
        ErrorKind::NetworkDown,
        ErrorKind::ConnectionAborted,
        ErrorKind::ConnectionRefused,
        ErrorKind::ConnectionReset,
    ];
    kinds.contains(&io.kind()) || io.raw_os_error() == Some(EHOSTDOWN)
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

/// What a service said: of XML its code and message, which have no part of a credential; else at most 300 characters of
/// it, without the queries of URLs.
fn detail(text: &str) -> String {
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner)
    };
    match element("Code") {
        Some(code) => {
            // Azure ends its messages with the request's id and time, on lines of their own.
            let message = element("Message").and_then(|message| message.lines().next()).unwrap_or_default();
            let expiry = element("AuthenticationErrorDetail").filter(|said| said.starts_with("Signature not valid"));
            one_line(&format!("{code}: {message} {}", expiry.unwrap_or_default()))
        }
        None => one_line(&without_queries(without_preamble(text))),
    }
}

/// What went wrong, without the request, which is named anyway, and how often it was made.
fn without_preamble(text: &str) -> &str {
    let rest = text.split_once("Error performing ").and_then(|(_, rest)| rest.split_once(" - "));
    rest.map_or(text, |(_, rest)| rest.trim_start_matches("HTTP error: "))
}

/// A SAS token is a URL's query.
fn without_queries(text: &str) -> String {
    let words = text.split_inclusive(char::is_whitespace);
    words
        .map(|word| match word.split_once('?') {
            Some((before, query)) if query.contains('=') => format!("{before}?… "),
            _ => word.to_owned(),
        })
        .collect()
}

/// At most 300 characters of a text, on one line: the service's errors are XML over many lines.
fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(300) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests;
