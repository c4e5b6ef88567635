//! Files written whole or not at all.

use std::fs::{File, Permissions};
use std::io::{Error, ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::NamedTempFile;

/// Writes a file as [`write_whole`] does, unless there is one already; whether it did.
///
/// # Errors
/// When the folder is missing or cannot be written.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<bool, Error> {
    let mut file = beside(path)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(e) if e.error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e.error),
    }
}

/// Writes a file beside its place and moves it there, so that a reader never sees half of it.
///
/// # Errors
/// When the folder is missing or cannot be written; the old file is then untouched.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = Whole::begin(path)?;
    file.write_all(bytes)?;
    file.finish()
}

/// A file that is there whole once it is finished. Dropped before, it leaves what was there.
pub(super) enum Whole<'a> {
    /// A device or a pipe cannot be replaced, and must not be.
    Direct(File),
    Beside(NamedTempFile, &'a Path),
}

impl<'a> Whole<'a> {
    /// Begins a file beside its place.
    ///
    /// # Errors
    /// When the folder is missing or cannot be written.
    pub(super) fn begin(path: &'a Path) -> Result<Self, Error> {
        if std::fs::metadata(path).is_ok_and(|m| !m.is_file()) {
            return File::options().write(true).open(path).map(Self::Direct);
        }
        Ok(Self::Beside(beside(path)?, path))
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match self {
            Self::Direct(file) => file.write_all(bytes),
            Self::Beside(file, _) => file.write_all(bytes),
        }
    }

    /// Moves the file to its place.
    ///
    /// # Errors
    /// When it cannot be; the old file is then untouched.
    pub(super) fn finish(self) -> Result<(), Error> {
        if let Self::Beside(file, path) = self {
            file.as_file().sync_all()?;
            file.persist(path).map_err(|e| e.error)?;
        }
        Ok(())
    }
}

/// An empty file in the folder of a path, which vanishes unless it is moved.
fn beside(path: &Path) -> Result<NamedTempFile, Error> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::Builder::new()
        .prefix(".scorer-")
        .permissions(Permissions::from_mode(0o666)) // less the umask, as any new file
        .tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.csv");
        write_whole(&path, b"old").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_replaces_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        assert!(write_new(&path, b"old").unwrap());
        assert!(!write_new(&path, b"new").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        write_whole(Path::new("/dev/null"), b"gone").unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }
}
