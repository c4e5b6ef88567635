//! `scorer install`: the program for a container that has another image.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use spec::report::exit;

/// Copy this program into a folder, for other containers of the pod.
///
/// Writes DIR/scorer, executable for everybody, and DIR/ca-certificates.crt, the public certificates that this image has.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  scorer install /opt/batchscoring")]
pub struct Args {
    /// The folder, which must be there.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The public certificates to copy.
    #[arg(long, env = "SSL_CERT_FILE", value_name = "FILE")]
    certificates: Option<PathBuf>,
}

impl Args {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> u8 {
        let copied = std::env::current_exe().and_then(|program| {
            copy(&program, &self.folder.join("scorer"), 0o755)?;
            match &self.certificates {
                Some(file) => copy(file, &self.folder.join("ca-certificates.crt"), 0o644),
                None => Ok(()),
            }
        });
        match copied {
            Ok(()) => exit::DONE,
            Err(error) => {
                tracing::error!("the program cannot be copied to {}: {error}", self.folder.display());
                exit::RETRY
            }
        }
    }
}

/// The name appears when the file is whole.
fn copy(from: &Path, to: &Path, mode: u32) -> io::Result<()> {
    let unfinished = to.with_extension("part");
    fs::copy(from, &unfinished)?;
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(mode))?;
    fs::rename(&unfinished, to)
}
