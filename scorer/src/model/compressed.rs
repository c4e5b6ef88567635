//! Compressed model files, as `joblib.dump(model, path, compress=…)` writes them.

use std::borrow::Cow;
use std::io::{self, Read};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use lzma_rust2::{LzmaReader, XzReader};

use super::MAX_BYTES;

/// What an LZMA file's dictionary may take: that of the strongest preset, 64 MiB, and room around it.
const MAX_DICTIONARY_KIB: u32 = 80 << 10;

/// Why a compressed file was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompressedError {
    #[error("the file holds more than a model may have")]
    TooLarge,
    #[error(
        "the file is compressed with {0}, which is not supported; save it with joblib.dump(model, path, compress=3)"
    )]
    Unsupported(&'static str),
    #[error("the {name}-compressed file cannot be read: {source}; it is damaged, upload it again")]
    Damaged { name: &'static str, source: io::Error },
}

/// How bytes are compressed, if they are.
pub(super) fn method(bytes: &[u8]) -> Option<&'static str> {
    Some(match bytes {
        // joblib's own rule: a pickle begins with 0x80, so any 'x' is zlib.
        [b'x', ..] => "zlib",
        [0x1f, 0x8b, ..] => "gzip",
        [b'B', b'Z', b'h', ..] => "bzip2",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "xz",
        [0x5d, 0, 0, ..] => "lzma",
        [0x04, 0x22, 0x4d, 0x18, ..] => "lz4",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        _ => return None,
    })
}

/// The bytes inside, or the bytes themselves where they are not compressed.
pub(super) fn inflate(bytes: &[u8]) -> Result<Cow<'_, [u8]>, CompressedError> {
    let Some(name) = method(bytes) else { return Ok(Cow::Borrowed(bytes)) };
    let reader: io::Result<Box<dyn Read + '_>> = match name {
        "zlib" => Ok(Box::new(ZlibDecoder::new(bytes))),
        "gzip" => Ok(Box::new(MultiGzDecoder::new(bytes))),
        "bzip2" => Ok(Box::new(MultiBzDecoder::new(bytes))),
        "xz" => Ok(Box::new(XzReader::new_mem_limit(bytes, true, MAX_DICTIONARY_KIB))),
        "lzma" => LzmaReader::new_mem_limit(bytes, MAX_DICTIONARY_KIB, None).map(|r| Box::new(r) as _),
        _ => return Err(CompressedError::Unsupported(name)),
    };
    let damaged = |source| CompressedError::Damaged { name, source };
    let mut inside = Vec::new();
    reader.map_err(damaged)?.take(MAX_BYTES + 1).read_to_end(&mut inside).map_err(damaged)?;
    if inside.len() as u64 > MAX_BYTES {
        return Err(CompressedError::TooLarge);
    }
    Ok(Cow::Owned(inside))
}
