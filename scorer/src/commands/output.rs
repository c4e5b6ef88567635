//! Files written whole or not at all.

use std::fs::{File, Permissions};
use std::io::{Error, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::tidy::Temporary;

/// Links that are followed to the file that they lead to.
const MAX_LINKS: usize = 40;

/// Checks that a file to be written is none of those that are read, by whatever path.
///
/// # Errors
/// When it is one of them.
pub(super) fn apart(output: &Path, inputs: &[&Path]) -> Result<(), Error> {
    let Ok(file) = std::fs::metadata(output) else { return Ok(()) };
    let same = |input: &&&Path| {
        let input = std::fs::metadata(input);
        file.is_file() && input.is_ok_and(|input| (input.dev(), input.ino()) == (file.dev(), file.ino()))
    };
    match inputs.iter().find(same) {
        Some(input) => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("it is the same file as the input {}, which would be lost; name another one", input.display()),
        )),
        None => Ok(()),
    }
}

/// Writes a file as [`write_whole`] does, unless there is one already; whether it did.
///
/// # Errors
/// When the folder is missing or cannot be written.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<bool, Error> {
    let path = target(path);
    let mut file = beside(&path)?;
    file.write_all(bytes)?;
    match file.persist(&path, false) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e),
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
pub(super) enum Whole {
    /// A device or a pipe cannot be replaced, and must not be.
    Direct(File),
    Beside(Temporary, PathBuf),
}

impl Whole {
    /// Begins a file beside its place: of a link, that of the file it leads to.
    ///
    /// # Errors
    /// When the folder is missing or cannot be written.
    pub(super) fn begin(path: &Path) -> Result<Self, Error> {
        if std::fs::metadata(path).is_ok_and(|m| !m.is_file()) {
            return File::options().write(true).open(path).map(Self::Direct);
        }
        let path = target(path);
        Ok(Self::Beside(beside(&path)?, path))
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
            file.persist(&path, true)?;
        }
        Ok(())
    }
}

/// An empty file in the folder of a path, which vanishes unless it is moved.
fn beside(path: &Path) -> Result<Temporary, Error> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Temporary::new(|| {
        tempfile::Builder::new()
            .prefix(".scorer-")
            .permissions(Permissions::from_mode(0o666)) // less the umask, as any new file
            .tempfile_in(folder)
    })
}

/// The file that a path leads to, whether it is there yet or not.
fn target(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(next) = std::fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(next);
    }
    path
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
    fn a_link_stays_and_what_it_leads_to_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (link, other, file) = (folder.path().join("link"), folder.path().join("other"), folder.path().join("file"));
        std::os::unix::fs::symlink("other", &link).unwrap();
        std::os::unix::fs::symlink(&file, &other).unwrap();
        for text in ["to none", "to one"] {
            write_whole(&link, text.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
            assert!(link.is_symlink() && other.is_symlink() && !file.is_symlink());
        }
        assert!(!write_new(&link, b"new").unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_file_that_is_read_is_not_written_by_whatever_path() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, hard, other] = ["file", "link", "hard", "other"].map(|name| folder.path().join(name));
        std::fs::write(&file, "readings").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        std::fs::hard_link(&file, &hard).unwrap();
        for output in [&file, &link, &hard] {
            let error = apart(output, &[&other, &file]).unwrap_err();
            assert!(error.to_string().contains("the same file as the input"), "{error}");
        }
        apart(&other, &[&file]).unwrap();
        apart(Path::new("/dev/null"), &[Path::new("/dev/null")]).unwrap();
    }

    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        write_whole(Path::new("/dev/null"), b"gone").unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }
}
