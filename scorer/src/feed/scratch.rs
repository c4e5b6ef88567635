//! Rows that do not fit in memory: packed into a file that vanishes with the process.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::problem::Problem;
use crate::readings::Rows;

/// A file without a name in a folder for scratch files.
pub(super) struct Scratch {
    file: File,
    folder: PathBuf,
    end: AtomicU64,
}

/// Where rows are in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u64,
    bytes: u32,
}

impl Span {
    pub(super) fn bytes(self) -> usize {
        self.bytes as usize
    }
}

impl Scratch {
    /// Makes the file; `needed`: bytes that are about to be written to it.
    pub(super) fn new(folder: &Path, needed: usize) -> Result<Self, Problem> {
        let file = tempfile::tempfile_in(folder).map_err(|e| unavailable(folder, needed as u64, &e))?;
        Ok(Self { file, folder: folder.to_owned(), end: AtomicU64::new(0) })
    }

    /// Writes several sensors' rows behind what is there, a piece for each.
    pub(super) fn write(&self, pieces: &[&[Rows]]) -> Result<Vec<Span>, Problem> {
        let mut packed = Vec::with_capacity(pieces.iter().flat_map(|rows| rows.iter()).map(Rows::bytes).sum());
        let mut ends = Vec::with_capacity(pieces.len());
        for rows in pieces {
            rows.iter().for_each(|rows| rows.pack(&mut packed));
            ends.push(packed.len());
        }
        let start = self.end.fetch_add(packed.len() as u64, Ordering::Relaxed);
        let written = self.file.write_all_at(&packed, start);
        written.map_err(|e| unavailable(&self.folder, start + packed.len() as u64, &e))?;
        let mut from = 0;
        let spans = ends.into_iter().map(|end| {
            let bytes = u32::try_from(end - from).map_err(|_| ErrorKind::FileTooLarge.into());
            let start = start + std::mem::replace(&mut from, end) as u64;
            bytes.map(|bytes| Span { start, bytes })
        });
        spans.collect::<Result<_, _>>().map_err(|e| unavailable(&self.folder, start + packed.len() as u64, &e))
    }

    /// The rows of some pieces, in their order.
    pub(super) fn read(&self, spans: &[Span]) -> Result<Rows, Problem> {
        let mut rows = Rows::default();
        let mut packed = Vec::new();
        for span in spans {
            packed.resize(span.bytes(), 0);
            let read = self.file.read_exact_at(&mut packed, span.start);
            let read = read.and_then(|()| {
                let mut rest = packed.as_slice();
                while !rest.is_empty() {
                    rows.unpack(&mut rest).ok_or(ErrorKind::InvalidData)?;
                }
                Ok(())
            });
            read.map_err(|e| unavailable(&self.folder, self.end.load(Ordering::Relaxed), &e))?;
        }
        Ok(rows)
    }
}

fn unavailable(folder: &Path, needed: u64, error: &io::Error) -> Problem {
    let message = format!(
        "readings that wait for their turn need {needed} bytes or more of scratch space in {}: {error}; in a pod, mount an \
         emptyDir there or make its node's disk larger; else set TMPDIR to a folder with room; or have files of fewer \
         sensors",
        folder.display()
    );
    // Another node, or the same one later, may have room.
    let retry = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    Problem { retry, ..Problem::failed("NoTemporarySpace", message) }
}
