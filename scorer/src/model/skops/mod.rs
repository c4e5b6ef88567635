//! A reader of skops files that executes nothing.
//!
//! A skops file is a zip archive: `schema.json` is the tree of objects, each array is a member in numpy's own format. The
//! tree becomes the same plain nodes that a pickle becomes ([`pickle`](super::pickle)), from the same closed list of
//! classes, so both are then read alike.
//!
//! Members are known by name only and never written anywhere; what they hold together is bounded, whatever the archive
//! claims.

mod archive;
mod literal;
mod npy;
mod schema;

use super::Model;
use super::pickle::SUPPORTED;
use super::sklearn::{self, SklearnError};
use archive::Members;

/// Why a skops file was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum SkopsError {
    /// The archive, or something in it, breaks the rules of its format.
    #[error("{at}: {what}; the file is damaged, upload it again")]
    Damaged { at: String, what: String },
    /// More than a model may have.
    #[error("the archive holds more than a model may have")]
    TooLarge,
    /// More objects than are read.
    #[error(
        "schema.json: it has more than {0} bytes, which are the most that are read of it; save the model with pickle.dump"
    )]
    Schema(u64),
    /// A zip archive of another kind.
    #[error(
        "the file is a zip archive, but has no schema.json, so skops did not write it; save the model with skops.io.dump or pickle.dump"
    )]
    Foreign,
    /// It names a class or function that is not on the list.
    #[error(
        "schema.json: the model refers to {0}, which this reader does not know (nothing was executed); supported are \
         {SUPPORTED}, with their numpy arrays: train with these, or use `scorer train`"
    )]
    UnknownClass(String),
    /// The objects are no model.
    #[error(transparent)]
    Sklearn(#[from] SklearnError),
}

impl SkopsError {
    fn damaged(at: &str, what: impl Into<String>) -> Self {
        // A name comes from the file.
        Self::Damaged { at: at.chars().take(80).collect(), what: what.into() }
    }
}

/// Whether bytes begin as a zip archive does.
pub(super) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// Reads the model of a skops file.
pub(super) fn read(bytes: &[u8]) -> Result<Model, SkopsError> {
    let members = Members::read(bytes)?;
    let schema = schema::parse(members.schema()?)?;
    let (heap, root) = schema::build(&schema, &members)?;
    Ok(sklearn::fitted(heap, root, members.bytes())?)
}

#[cfg(test)]
mod tests;
