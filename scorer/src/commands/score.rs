//! `scorer score`: one model, one file.

use std::path::PathBuf;

use spec::report::exit;

/// Score one file of readings with one model.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: a pickled scikit-learn pipeline or the project's own format.
    #[arg(long)]
    model: PathBuf,
}

impl Args {
    /// Runs the command.
    #[must_use]
    pub fn run(self) -> u8 {
        let _ = self.model;
        exit::INVALID
    }
}
