//! The pages of a column, unpacked, as long as they and those of the other columns do not take too much memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::file::{MAX_PAGE, Spooled, too_large};
use super::{delta, unpack};

/// Bytes that the crate takes for an entry of a dictionary of texts, beside the text.
const ENTRY: usize = 40;

/// The pages of a column of a row group.
pub(super) struct Pages {
    packed: SerializedPageReader<Spooled>,
    compression: Compression,
    physical: Type,
    /// Whether values may be missing, so that levels come before them.
    nullable: bool,
    /// Bytes that all columns hold, and those of them that are this one's dictionary and page.
    held: Arc<AtomicUsize>,
    dictionary: usize,
    page: usize,
}

impl Pages {
    pub(super) fn new(file: &Spooled, chunk: &ColumnChunkMetaData, held: &Arc<AtomicUsize>) -> Result<Self> {
        let offsets = [chunk.dictionary_page_offset().unwrap_or(0), chunk.data_page_offset(), chunk.compressed_size()];
        if offsets.iter().any(|offset| *offset < 0) {
            return Err(ParquetError::General("a place in the file is negative".to_owned()));
        }
        let compression = chunk.compression();
        unpack::check(compression)?;
        // The crate takes the sizes for true that pages claim: it gets them as if they were not compressed.
        let chunk = chunk.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build()?;
        Ok(Self {
            packed: SerializedPageReader::new(Arc::new(file.clone()), &chunk, 0, None)?,
            compression,
            physical: chunk.column_type(),
            nullable: chunk.column_descr().max_def_level() > 0,
            held: held.clone(),
            dictionary: 0,
            page: 0,
        })
    }

    /// What is in a page, of which the first bytes are not packed.
    fn unpack(&self, buffer: &Bytes, plain: usize, compressed: bool) -> Result<Bytes> {
        let most = MAX_PAGE.saturating_sub(self.held.load(Ordering::Relaxed));
        let compression = if compressed { self.compression } else { Compression::UNCOMPRESSED };
        if plain > buffer.len() {
            return Err(ParquetError::General("a page is shorter than its levels".to_owned()));
        }
        if plain == 0 || compression == Compression::UNCOMPRESSED {
            return unpack::unpack(compression, buffer, most);
        }
        let rest = unpack::unpack(compression, &buffer.slice(plain..), most)?;
        Ok(Bytes::from([&buffer[..plain], &rest].concat()))
    }

    /// Gives back what the last page took.
    fn release(&mut self) {
        self.held.fetch_sub(std::mem::take(&mut self.page), Ordering::Relaxed);
    }

    fn hold(&mut self, bytes: usize, dictionary: bool) -> Result<()> {
        let kept = if dictionary { &mut self.dictionary } else { &mut self.page };
        *kept = kept.saturating_add(bytes);
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > MAX_PAGE { Err(too_large()) } else { Ok(()) }
    }

    /// Whether a dictionary can have so many entries.
    fn check_dictionary(&self, buffer: &Bytes, values: u32) -> Result<usize> {
        let (least, extra) = match self.physical {
            Type::BOOLEAN => (1, 0),
            Type::INT32 | Type::FLOAT => (4, 0),
            Type::INT64 | Type::DOUBLE => (8, 0),
            Type::INT96 => (12, 4),
            Type::BYTE_ARRAY => (4, ENTRY),
            Type::FIXED_LEN_BYTE_ARRAY => (1, ENTRY),
        };
        let values = values as usize;
        if values > buffer.len() / least {
            return Err(ParquetError::General("a dictionary has more entries than bytes for them".to_owned()));
        }
        Ok(values.saturating_mul(least + extra))
    }

    /// Whether the values of a page are encoded in a way that is read; what the crate takes beside them.
    fn check_values(encoding: Encoding, values: &[u8], count: u32) -> Result<usize> {
        match encoding {
            Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY => {
                delta::check(values, count as usize, encoding == Encoding::DELTA_BYTE_ARRAY)
            }
            Encoding::PLAIN
            | Encoding::RLE
            | Encoding::PLAIN_DICTIONARY
            | Encoding::RLE_DICTIONARY
            | Encoding::DELTA_BINARY_PACKED
            | Encoding::BYTE_STREAM_SPLIT => Ok(0),
            other => Err(ParquetError::NYI(format!("it is encoded as {other}, which is not read; write it plain"))),
        }
    }

    /// The values of a page of version 1: behind the levels, which begin with their length.
    fn behind_levels<'a>(&self, buffer: &'a [u8], levels: Encoding) -> &'a [u8] {
        if !self.nullable || levels != Encoding::RLE {
            return buffer;
        }
        let length = buffer.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
        length.checked_add(4).and_then(|start| buffer.get(start..)).unwrap_or_default()
    }

    fn unpacked(&mut self, page: Page) -> Result<Page> {
        match page {
            Page::DictionaryPage { buf, num_values, encoding, is_sorted } => {
                let buf = self.unpack(&buf, 0, true)?;
                let taken = self.check_dictionary(&buf, num_values)?;
                self.hold(buf.len().saturating_add(taken), true)?;
                Ok(Page::DictionaryPage { buf, num_values, encoding, is_sorted })
            }
            Page::DataPage { buf, num_values, encoding, def_level_encoding, rep_level_encoding, statistics } => {
                self.release();
                let buf = self.unpack(&buf, 0, true)?;
                let taken = Self::check_values(encoding, self.behind_levels(&buf, def_level_encoding), num_values)?;
                self.hold(buf.len().saturating_add(taken), false)?;
                Ok(Page::DataPage { buf, num_values, encoding, def_level_encoding, rep_level_encoding, statistics })
            }
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                num_nulls,
                num_rows,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed,
                statistics,
            } => {
                self.release();
                let plain = (def_levels_byte_len as usize).saturating_add(rep_levels_byte_len as usize);
                let buf = self.unpack(&buf, plain, is_compressed)?;
                let taken = Self::check_values(encoding, buf.get(plain..).unwrap_or_default(), num_values)?;
                self.hold(buf.len().saturating_add(taken), false)?;
                Ok(Page::DataPageV2 {
                    buf,
                    num_values,
                    encoding,
                    num_nulls,
                    num_rows,
                    def_levels_byte_len,
                    rep_levels_byte_len,
                    is_compressed,
                    statistics,
                })
            }
        }
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.packed.get_next_page()?;
        page.map(|page| self.unpacked(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.packed.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.packed.skip_next_page()
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.held.fetch_sub(self.dictionary.saturating_add(self.page), Ordering::Relaxed);
    }
}
