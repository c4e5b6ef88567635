//! The compressions of pages, with a bound on what comes out.

use std::io::Read;

use brotli_decompressor::Decompressor;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::errors::{ParquetError, Result};

use super::super::zstd::Zstd;
use super::file::too_large;

/// Whether pages that are compressed so can be read.
pub(super) fn check(compression: Compression) -> Result<()> {
    match compression {
        Compression::LZO | Compression::LZ4 => Err(ParquetError::NYI(format!(
            "it is compressed with {}, which is not read; write it with snappy or zstd",
            if compression == Compression::LZO { "LZO" } else { "LZ4 as Hadoop frames it" }
        ))),
        _ => Ok(()),
    }
}

/// What is in a page; an error if it is more than `most` bytes.
pub(super) fn unpack(compression: Compression, packed: &Bytes, most: usize) -> Result<Bytes> {
    if packed.is_empty() {
        return Ok(Bytes::new());
    }
    match compression {
        Compression::UNCOMPRESSED if packed.len() > most => Err(too_large()),
        Compression::UNCOMPRESSED => Ok(packed.clone()),
        Compression::SNAPPY => {
            if snap::raw::decompress_len(packed).map_err(damaged)? > most {
                return Err(too_large());
            }
            snap::raw::Decoder::new().decompress_vec(packed).map(Bytes::from).map_err(damaged)
        }
        Compression::GZIP(_) => all(MultiGzDecoder::new(packed.as_ref()), most),
        Compression::ZSTD(_) => all(Zstd::new(packed.as_ref()), most),
        Compression::BROTLI(_) => all(Decompressor::new(packed.as_ref(), 1 << 12), most),
        Compression::LZ4_RAW => lz4(packed, most),
        Compression::LZO | Compression::LZ4 => check(compression).map(|()| Bytes::new()),
    }
}

fn all(input: impl Read, most: usize) -> Result<Bytes> {
    let mut content = Vec::new();
    input.take(most as u64 + 1).read_to_end(&mut content).map_err(damaged)?;
    if content.len() > most { Err(too_large()) } else { Ok(Bytes::from(content)) }
}

/// A block of LZ4 does not say how large it is.
fn lz4(packed: &[u8], most: usize) -> Result<Bytes> {
    let mut room = packed.len().saturating_mul(4);
    loop {
        let mut content = vec![0; room.min(most)];
        match lz4_flex::block::decompress_into(packed, &mut content) {
            Ok(length) => {
                content.truncate(length);
                return Ok(Bytes::from(content));
            }
            Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) if room < most => {
                room = room.saturating_mul(4);
            }
            Err(lz4_flex::block::DecompressError::OutputTooSmall { .. }) => return Err(too_large()),
            Err(error) => return Err(damaged(error)),
        }
    }
}

fn damaged(error: impl std::fmt::Display) -> ParquetError {
    ParquetError::General(format!("a page cannot be unpacked: {error}"))
}
