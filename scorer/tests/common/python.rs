//! A Python environment made for the purpose, below the target folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder for what tests and benchmarks make.
pub(crate) fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("scorer")
}

/// The interpreter of an environment with these requirements, which is made when it is missing or they have changed.
pub(crate) fn environment(name: &str, requirements: &Path) -> Result<PathBuf, String> {
    let folder = scratch().join("python").join(name);
    let (python, made) = (folder.join("bin/python"), folder.join("requirements.txt"));
    fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    // One of the tests makes it, the others wait.
    let lock = folder.with_extension("lock");
    let lock = File::create(&lock).and_then(|file| file.lock().map(|()| file));
    let _lock = lock.map_err(|e| format!("{}: {e}", folder.display()))?;
    let read = |path: &Path| fs::read(path).unwrap_or_default();
    if read(&made) != read(requirements) {
        eprintln!("making a Python environment in {}", folder.display());
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements))?;
        fs::copy(requirements, &made).map_err(|e| format!("{}: {e}", made.display()))?;
    }
    Ok(python)
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?} ended with {status}")),
        Err(error) => Err(format!("{command:?} did not start: {error}")),
    }
}
