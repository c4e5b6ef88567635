//! As whom the server runs where we are root, which it refuses to be, and how that user gets at its folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, bail};

/// The user that Debian's package makes.
const NAME: &str = "postgres";

/// Another user than we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Owner {
    /// None: we are not root, and it runs as who we are.
    pub(super) fn find() -> anyhow::Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let owner = Self::of(&users, NAME);
        owner
            .map(Some)
            .with_context(|| format!("there is no user {NAME}, as whom PostgreSQL is to run: it refuses to be root"))
    }

    fn of(users: &str, name: &str) -> Option<Self> {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        Some(Self { user: numbers.next()?.ok()?, group: numbers.next()?.ok()? })
    }
}

/// Lets others pass through a folder and those above it, as far as these are temporary ones.
pub(super) fn open(folder: &Path, temporary: &Path) -> anyhow::Result<()> {
    for folder in folder.ancestors() {
        let mut permissions =
            fs::metadata(folder).with_context(|| format!("cannot read {}", folder.display()))?.permissions();
        if permissions.mode() & 0o001 != 0 {
            continue;
        }
        if folder == temporary || !folder.starts_with(temporary) {
            bail!("the user {NAME} cannot get into {}: put the folder of PostgreSQL elsewhere", folder.display());
        }
        permissions.set_mode(permissions.mode() | 0o001);
        fs::set_permissions(folder, permissions)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\npostgres-backup:x:7:7::/:\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/sh\n";
        assert_eq!(Owner::of(users, "postgres"), Some(Owner { user: 101, group: 104 }));
        assert_eq!(Owner::of(users, "post"), None);
    }

    #[test]
    fn temporary_folders_are_opened_and_no_others() {
        let made = tempfile::tempdir().unwrap();
        let folder = made.path().join("a/b");
        fs::create_dir_all(&folder).unwrap();
        let close = || fs::set_permissions(made.path().join("a"), fs::Permissions::from_mode(0o700)).unwrap();
        close();
        open(&folder, &std::env::temp_dir()).unwrap();
        assert_eq!(fs::metadata(made.path().join("a")).unwrap().permissions().mode() & 0o777, 0o701);
        close();
        let told = open(&folder, Path::new("/nowhere")).unwrap_err().to_string();
        assert!(told.contains("/a:"), "{told}");
    }
}
