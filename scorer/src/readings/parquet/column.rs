//! A column of a row group, its values as texts.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::DataType;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::RowGroupMetaData;

use super::field::{Field, Kind};
use super::file::Spooled;
use super::pages::Pages;
use super::{MAX_BATCH, MAX_ROW};

/// The day of Julius Caesar's calendar on which 1970 began.
const JULIAN_1970: i64 = 2_440_588;
const DAY: i64 = 86_400_000_000_000;

/// A column, and the texts of a few rows.
pub(super) struct ColumnRows {
    reader: ColumnReader,
    /// What a level is where there is a value; 0: there always is.
    present: i16,
    levels: Vec<i16>,
    texts: Texts,
}

impl ColumnRows {
    pub(super) fn open(
        file: &Spooled,
        group: &RowGroupMetaData,
        field: &Field,
        held: &Arc<AtomicUsize>,
    ) -> Result<Self> {
        let chunk = field.leaf.and_then(|leaf| group.columns().get(leaf));
        let chunk = chunk.ok_or_else(|| ParquetError::General("a row group lacks the column".to_owned()))?;
        let column = chunk.column_descr_ptr();
        let present = column.max_def_level();
        let reader = get_column_reader(column, Box::new(Pages::new(file, chunk, held)?));
        let texts = Texts { kind: field.kind, text: Vec::new(), ends: Vec::new() };
        Ok(Self { reader, present, levels: Vec::new(), texts })
    }

    /// Reads the next rows, all of which must be there.
    pub(super) fn fill(&mut self, rows: usize) -> Result<()> {
        self.texts.text.clear();
        self.texts.ends.clear();
        self.levels.clear();
        let (levels, texts, present) = (&mut self.levels, &mut self.texts, self.present);
        match &mut self.reader {
            ColumnReader::BoolColumnReader(reader) => {
                fill(reader, rows, present, levels, texts, |texts, value| texts.write(u8::from(*value)))
            }
            ColumnReader::Int32ColumnReader(reader) => fill(reader, rows, present, levels, texts, |texts, value| {
                if texts.kind == Kind::Unsigned {
                    texts.write(value.cast_unsigned());
                } else {
                    texts.integer(i64::from(*value));
                }
            }),
            ColumnReader::Int64ColumnReader(reader) => fill(reader, rows, present, levels, texts, |texts, value| {
                if texts.kind == Kind::Unsigned { texts.write(value.cast_unsigned()) } else { texts.integer(*value) }
            }),
            ColumnReader::Int96ColumnReader(reader) => fill(reader, rows, present, levels, texts, |texts, value| {
                if let [low, high, day] = *value.data() {
                    let of_day = (u64::from(high) << 32 | u64::from(low)).cast_signed();
                    let days = i64::from(day.cast_signed()) - JULIAN_1970;
                    let at = i128::from(days) * i128::from(DAY) + i128::from(of_day);
                    texts.time(at, true);
                }
            }),
            // As pandas and scikit-learn take it: the number that it is, not the shortest one that rounds to it.
            ColumnReader::FloatColumnReader(reader) => {
                fill(reader, rows, present, levels, texts, |texts, value| texts.float(f64::from(*value)))
            }
            ColumnReader::DoubleColumnReader(reader) => {
                fill(reader, rows, present, levels, texts, |texts, value| texts.float(*value))
            }
            ColumnReader::ByteArrayColumnReader(reader) => {
                fill(reader, rows, present, levels, texts, |texts, value| texts.bytes(value.data()))
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                fill(reader, rows, present, levels, texts, |texts, value| texts.bytes(value.data()))
            }
        }
    }

    /// The text of a row of those just read; empty where it has no value.
    pub(super) fn get(&self, row: usize) -> &[u8] {
        let start = row.checked_sub(1).map_or(Some(0), |before| self.texts.ends.get(before).copied());
        let span = start.zip(self.texts.ends.get(row).copied());
        span.and_then(|(start, end)| self.texts.text.get(start..end)).unwrap_or_default()
    }
}

fn fill<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    present: i16,
    levels: &mut Vec<i16>,
    texts: &mut Texts,
    write: impl Fn(&mut Texts, &T::T),
) -> Result<()> {
    let mut values = Vec::new();
    // Texts may be long, each of them much longer than what of it is in the file: a few at a time.
    const AT_ONCE: usize = 16;
    while texts.ends.len() < rows {
        values.clear();
        levels.clear();
        let most = AT_ONCE.min(rows - texts.ends.len());
        let (read, ..) = reader.read_records(most, Some(levels), None, &mut values)?;
        if read == 0 {
            return Err(ParquetError::General("a row group has fewer rows than it says".to_owned()));
        }
        let mut next = values.iter();
        for row in 0..read {
            if (present == 0 || levels.get(row) == Some(&present))
                && let Some(value) = next.next()
            {
                let before = texts.text.len();
                write(texts, value);
                if texts.text.len() - before > MAX_ROW || texts.text.len() > MAX_BATCH {
                    return Err(ParquetError::NYI(format!(
                        "a value is longer than {MAX_ROW} bytes; leave the column out"
                    )));
                }
            }
            texts.ends.push(texts.text.len());
        }
    }
    Ok(())
}

/// Texts of one kind, side by side.
struct Texts {
    kind: Kind,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn write(&mut self, value: impl std::fmt::Display) {
        // Writing to memory does not fail.
        let _ = write!(self.text, "{value}");
    }

    fn float(&mut self, value: f64) {
        let _ = write!(self.text, "{value:?}");
    }

    fn integer(&mut self, value: i64) {
        match self.kind {
            Kind::Date => self.time(i128::from(value) * i128::from(DAY), false),
            Kind::Time { unit, utc } => self.time(i128::from(value) * i128::from(unit), utc),
            Kind::Decimal { scale } => self.decimal(i128::from(value), scale),
            _ => self.write(value),
        }
    }

    /// An instant in nanoseconds since 1970. One that no calendar has is no time when it is read.
    fn time(&mut self, nanoseconds: i128, utc: bool) {
        match Timestamp::from_nanosecond(nanoseconds) {
            Ok(time) if utc => self.write(time),
            Ok(time) => self.write(TimeZone::UTC.to_datetime(time)),
            Err(_) => self.write(format_args!("{nanoseconds} ns since 1970")),
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        match self.kind {
            Kind::Decimal { scale } => match big_endian(bytes) {
                Some(value) => self.decimal(value, scale),
                None => self.text.extend_from_slice(b"a decimal of more than 38 digits"),
            },
            Kind::Uuid => {
                for (at, byte) in bytes.iter().enumerate() {
                    let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
                    let _ = write!(self.text, "{dash}{byte:02x}");
                }
            }
            _ => self.text.extend_from_slice(bytes),
        }
    }

    fn decimal(&mut self, value: i128, scale: u32) {
        let sign = if value < 0 { "-" } else { "" };
        let (value, scale) = (value.unsigned_abs(), scale as usize);
        match 10_u128.checked_pow(u32::try_from(scale).unwrap_or(0)) {
            Some(one) if scale > 0 => self.write(format_args!("{sign}{}.{:0scale$}", value / one, value % one)),
            _ => self.write(format_args!("{sign}{value}")),
        }
    }
}

/// An integer with a sign, as decimals are stored; of more than 16 bytes where these tell all of it.
fn big_endian(mut bytes: &[u8]) -> Option<i128> {
    let fill = if bytes.first()? & 0x80 == 0 { 0 } else { 0xff };
    while bytes.len() > 16 {
        let (first, rest) = bytes.split_first()?;
        if *first != fill || rest.first()? & 0x80 != fill & 0x80 {
            return None;
        }
        bytes = rest;
    }
    let mut whole = [fill; 16];
    whole.get_mut(16_usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(i128::from_be_bytes(whole))
}

#[cfg(test)]
mod tests {
    use super::big_endian;

    #[test]
    fn a_decimal_of_more_bytes_is_read_where_its_number_needs_no_more() {
        for number in [0, 1, -1, 1125, -1125, i128::MAX, i128::MIN] {
            let fill = if number < 0 { 0xff } else { 0 };
            let wide = [&[fill; 16][..], &number.to_be_bytes()].concat();
            assert_eq!(big_endian(&wide), Some(number));
        }
        for too_large in [[1; 32], [0x80; 32]] {
            assert_eq!(big_endian(&too_large), None);
        }
        let mut next = [0; 32];
        next[16] = 0x80;
        assert_eq!(big_endian(&next), None, "2^127");
        assert_eq!(big_endian(&[0xfb, 0x9b]), Some(-1125));
    }
}
