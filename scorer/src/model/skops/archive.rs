//! The members of a skops file's archive, unpacked in bounded memory.

use std::collections::HashMap;
use std::io::{Cursor, Read as _};

use zip::ZipArchive;
use zip::result::ZipError;

use super::SkopsError;
use crate::model::MAX_BYTES;

/// The member with the tree of objects.
const SCHEMA: &str = "schema.json";
/// Larger trees are refused: as values, they take many times as much.
const MAX_SCHEMA_BYTES: u64 = 16 << 20;

/// What an archive holds, by name.
pub(super) struct Members {
    members: HashMap<String, Vec<u8>>,
    bytes: usize,
}

impl Members {
    /// Unpacks every member, as long as they stay within [`MAX_BYTES`] together.
    pub(super) fn read(archive: &[u8]) -> Result<Self, SkopsError> {
        let wrong = |e: ZipError| SkopsError::damaged("the zip archive", e.to_string());
        let mut archive = ZipArchive::new(Cursor::new(archive)).map_err(wrong)?;
        let mut all = Self { members: HashMap::new(), bytes: 0 };
        for i in 0..archive.len() {
            let mut file = archive.by_index(i).map_err(wrong)?;
            let name = file.name().map_err(wrong)?.into_owned();
            let left = MAX_BYTES - all.bytes as u64;
            let limit = if name == SCHEMA { left.min(MAX_SCHEMA_BYTES) } else { left };
            let mut bytes = Vec::new();
            // The size that the archive declares is not believed.
            let read = file.by_ref().take(limit + 1).read_to_end(&mut bytes);
            read.map_err(|e| SkopsError::damaged(&name, e.to_string()))?;
            if bytes.len() as u64 > limit {
                return Err(if limit < left { SkopsError::Schema(limit) } else { SkopsError::TooLarge });
            }
            all.bytes += bytes.len();
            all.members.insert(name, bytes);
        }
        Ok(all)
    }

    pub(super) fn schema(&self) -> Result<&[u8], SkopsError> {
        self.get(SCHEMA).ok_or(SkopsError::Foreign)
    }

    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.members.get(name).map(Vec::as_slice)
    }

    /// How many bytes there are together.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
