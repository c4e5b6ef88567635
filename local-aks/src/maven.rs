//! Java's programs from Maven Central: what a `pom.xml` names, brought once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::command::{find, run};
use crate::packages;
use crate::progress::Progress;

/// Debian's packages. What is run here wants Java 17 or later.
const JAVA: (&str, &str) = ("java", "default-jre-headless");
const MAVEN: (&str, &str) = ("mvn", "maven");

/// What a program of Java's is made of.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// For messages.
    pub name: &'a str,
    /// The text of a `pom.xml`, without ranges of versions: what it names and what that needs is brought.
    pub pom: &'a str,
    /// Where it is kept, in `jars/`; this folder is made.
    pub folder: &'a Path,
}

impl Program<'_> {
    /// Brings its jars unless that has been done, and gives their folder. Of several who want them at once, also in other
    /// programs, one brings them and the others wait.
    ///
    /// # Errors
    /// When Java or Maven is missing and cannot be installed, or Maven cannot bring the files.
    pub async fn jars(&self, progress: &Progress) -> anyhow::Result<PathBuf> {
        let Self { name, folder, .. } = *self;
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let lock = folder.join(".lock");
        let lock = File::create(lock).with_context(|| format!("cannot write in {}", folder.display()))?;
        // Goes with whoever holds it.
        let _lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
        packages::ensure(&[JAVA], progress).await?;
        let (stamp_file, jars) = (folder.join(".pom.sha256"), folder.join("jars"));
        if jars.exists() && fs::read_to_string(&stamp_file).is_ok_and(|text| text == self.stamp()) {
            return Ok(jars);
        }
        packages::ensure(&[MAVEN], progress).await?;
        progress.step(format!("getting {name} (half a minute, once)"));
        let (pom, new, repository) = (folder.join("pom.xml"), folder.join("new"), folder.join("repository"));
        fs::write(&pom, self.pom)?;
        for folder in [&new, &repository] {
            remove(folder)?;
        }
        let mut maven = Command::new(find(MAVEN.0).context("mvn is missing: install Maven")?);
        // Nothing is taken whose checksum is not what the repository says; nor what others have once taken without.
        maven.args(["--quiet", "--batch-mode", "--strict-checksums", "dependency:copy-dependencies"]);
        maven.arg("-DincludeScope=runtime").arg(format!("-Dmaven.repo.local={}", repository.display()));
        maven.arg(format!("-DoutputDirectory={}", new.display())).arg("--file").arg(&pom).current_dir(folder);
        run(&mut maven).await.with_context(|| format!("cannot get {name} from Maven Central"))?;
        remove(&jars)?;
        fs::rename(&new, &jars)?;
        remove(&repository)?;
        fs::write(stamp_file, self.stamp())?;
        Ok(jars)
    }

    fn stamp(&self) -> String {
        Sha256::digest(self.pom).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Where Java is.
///
/// # Errors
/// When it is missing.
pub fn java() -> anyhow::Result<PathBuf> {
    find(JAVA.0).context("java is missing: install Java 17 or later")
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
