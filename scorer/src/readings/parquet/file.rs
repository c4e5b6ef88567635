//! A copy of the file that can be read at any place.

use std::fs::File;
use std::io::{Cursor, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use parquet::file::reader::{ChunkReader, Length};

use super::super::ReadingsError;
use super::{MAGIC, thrift};

/// What an encrypted file ends with.
const ENCRYPTED: &[u8] = b"PARE";
/// The most bytes that a file may say of itself: a hundred columns of a thousand row groups take about half of it.
const MAX_METADATA: u64 = 32 << 20;
/// Bytes in which a page's header is looked for, and where it has long statistics.
const HEADER: u64 = 16 << 10;
const MAX_HEADER: u64 = 4 << 20;
/// The most bytes of a page, packed or not.
pub(super) const MAX_PAGE: usize = 128 << 20;

/// A file without a name, which is gone with this.
#[derive(Clone)]
pub(super) struct Spooled {
    file: Arc<File>,
    length: u64,
}

impl Spooled {
    /// Copies all of the input.
    pub(super) fn copy(name: &str, mut input: impl Read) -> std::result::Result<Self, ReadingsError> {
        let full =
            |source| ReadingsError::NoTemporarySpace { file: name.to_owned(), folder: std::env::temp_dir(), source };
        let mut file = tempfile::tempfile().map_err(full)?;
        let mut buffer = vec![0; 1 << 16];
        let mut length = 0;
        loop {
            let read = match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(ReadingsError::of_io(name, source)),
            };
            file.write_all(&buffer[..read]).map_err(full)?;
            length += read as u64;
        }
        Ok(Self { file: Arc::new(file), length })
    }

    /// What the file says of itself, at its end.
    pub(super) fn metadata(&self) -> Result<ParquetMetaData> {
        let damaged = |what: &str| Err(ParquetError::General(what.to_owned()));
        let tail = 8.min(self.length);
        let end = self.bytes(self.length - tail, tail)?;
        let Some((length, magic)) = end.split_at_checked(4).filter(|_| self.length >= 12) else {
            return damaged("it is too short");
        };
        if magic == ENCRYPTED {
            return Err(ParquetError::NYI("it is encrypted; write it without encryption".to_owned()));
        }
        let length = <[u8; 4]>::try_from(length).map_or(0, u32::from_le_bytes);
        let length = u64::from(length);
        if magic != MAGIC || length > self.length - 12 {
            return damaged("it does not end as Parquet does");
        }
        if length > MAX_METADATA {
            let what =
                format!("it describes itself in more than {MAX_METADATA} bytes; write fewer row groups or columns");
            return Err(ParquetError::NYI(what));
        }
        let bytes = self.bytes(self.length - 8 - length, length)?;
        if !thrift::is_metadata(&bytes) {
            return damaged("what it says of itself is cut short, or nested too deep");
        }
        let options = ParquetMetaDataOptions::new()
            .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
        ParquetMetaDataReader::decode_metadata_with_options(&bytes, Some(&options))
    }

    fn bytes(&self, start: u64, length: u64) -> Result<Bytes> {
        let inside = start.checked_add(length).is_some_and(|end| end <= self.length);
        let length = usize::try_from(length).ok().filter(|_| inside);
        let length = length.ok_or_else(|| ParquetError::EOF("a part of it lies behind its end".to_owned()))?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(Bytes::from(bytes))
    }
}

impl Length for Spooled {
    fn len(&self) -> u64 {
        self.length
    }
}

/// How the crate reads pages: their headers by `get_read`, what is in them by `get_bytes`.
impl ChunkReader for Spooled {
    type T = Cursor<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        for most in [HEADER, MAX_HEADER] {
            let bytes = self.bytes(start, most.min(self.length.saturating_sub(start)))?;
            if let Some(end) = thrift::end_of_struct(&bytes) {
                return Ok(Cursor::new(bytes.slice(..end)));
            }
        }
        Err(ParquetError::General("the header of a page is cut short".to_owned()))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if length > MAX_PAGE {
            return Err(too_large());
        }
        self.bytes(start, length as u64)
    }
}

/// Pages are larger than what is held of a file.
pub(super) fn too_large() -> ParquetError {
    let what = format!("its pages take more than {} MiB at once; write smaller pages or row groups", MAX_PAGE >> 20);
    ParquetError::NYI(what)
}
