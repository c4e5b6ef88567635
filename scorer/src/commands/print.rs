//! What commands say on stdout.

use std::fmt::Display;
use std::io::{ErrorKind, Write, stdout};

/// Writes a text and a line end. Whoever reads may have had enough, as `head` has: that is no error, and what the command
/// does goes on.
pub(super) fn line(text: impl Display) {
    all(format_args!("{text}\n"));
}

/// Writes a text that ends its lines itself; as [`line`].
pub(super) fn all(text: impl Display) {
    let mut out = stdout().lock();
    if let Err(error) = write!(out, "{text}").and_then(|()| out.flush())
        && error.kind() != ErrorKind::BrokenPipe
    {
        tracing::error!(%error, "cannot write to stdout");
    }
}
