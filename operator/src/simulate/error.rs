//! What can be wrong with what a simulation is given.

use std::path::PathBuf;

use planner::simulate::TooManyRuns;
use planner::simulate::trace::TraceError;
use planner::simulate::vm::VmError;
use spec::ManifestError;

/// Why there is no simulation.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// A file cannot be read.
    #[error("read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is too large.
    #[error("{} is larger than {most} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// So many bytes it may have.
        most: u64,
    },
    /// A folder has too many files.
    #[error("{} has more than {most} manifests", path.display())]
    TooManyFiles {
        /// The folder.
        path: PathBuf,
        /// So many it may have.
        most: usize,
    },
    /// A file cannot be written.
    #[error("write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The output cannot be written.
    #[error("write the output: {0}")]
    Output(#[from] std::io::Error),
    /// A manifest is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A trace is wrong.
    #[error("{}, {source}", path.display())]
    Trace {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: TraceError,
    },
    /// A row of a trace is more than can be simulated.
    #[error("{path}, line {line}: {why}")]
    Row {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// Why not.
        why: String,
    },
    /// A file of sizes is wrong.
    #[error("{}, {source}", path.display())]
    Sizes {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: VmError,
    },
    /// A list of sizes is wrong.
    #[error("--compare-vm-sizes: {0}; or the name of a file that is there")]
    SizeList(VmError),
    /// Options that do not go together, or with what there is.
    #[error("{0}")]
    Usage(String),
    /// There is nothing to simulate.
    #[error("no ScoringSchedule in {0}; name files or folders that have some, or a --trace")]
    Nothing(String),
    /// A pool cannot be simulated.
    #[error("pool {pool}: {why}")]
    Pool {
        /// The pool.
        pool: String,
        /// Why not.
        why: String,
    },
    /// Too many runs.
    #[error("pool {pool}: {source}")]
    Runs {
        /// The pool.
        pool: String,
        /// How many are too many.
        source: TooManyRuns,
    },
}

impl SimulateError {
    /// 2 for wrong arguments, 1 for all else.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::SizeList(_) => 2,
            _ => 1,
        }
    }
}
