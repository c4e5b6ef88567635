//! Files of a size that fits.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::error::SimulateError;

/// Whether two paths lead to one file, by whatever links.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let inode = |path: &Path| path.metadata().ok().map(|about| (about.dev(), about.ino()));
    inode(one).is_some_and(|one| inode(other) == Some(one))
}

/// Reads a file, or standard input where it is `-`.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>, SimulateError> {
    let unreadable = |source| SimulateError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let mut limited: Box<dyn Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin().take(most + 1)),
        false => Box::new(File::open(path).map_err(unreadable)?.take(most + 1)),
    };
    limited.read_to_end(&mut bytes).map_err(unreadable)?;
    match u64::try_from(bytes.len()).is_ok_and(|bytes| bytes <= most) {
        true => Ok(bytes),
        false => Err(SimulateError::TooLarge { path: path.to_owned(), most }),
    }
}
