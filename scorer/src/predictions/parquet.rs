//! Predictions as Parquet: the time as an instant (else a text), keys as texts, values and score as doubles, the
//! prediction as an integer.

use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use super::encode::{Block, PredictionsError};
use super::header::{Header, PREDICTION, SCORE};
use crate::readings::TimeParser;

/// A row group ends with the first block that brings it to so many rows.
const GROUP_ROWS: usize = 65_536;
/// Or to about so many bytes in memory.
const GROUP_BYTES: usize = 16 << 20;

/// One file, a row group at a time.
pub(super) struct Parquet {
    writer: SerializedFileWriter<Vec<u8>>,
    times: Times,
    keys: Vec<Vec<ByteArray>>,
    values: Vec<Vec<f64>>,
    scores: Vec<f64>,
    verdicts: Vec<i32>,
    bytes: usize,
}

/// The times of the rows that wait to be written.
enum Times {
    None,
    Texts(Vec<ByteArray>),
    /// Microseconds since 1970.
    Instants(Vec<i64>),
}

fn instant(times: &TimeParser, text: &str) -> Result<i64, PredictionsError> {
    let time = times.instant(text.as_bytes()).map(jiff::Timestamp::as_microsecond);
    time.ok_or_else(|| PredictionsError::Time { text: text.to_owned() })
}

impl Parquet {
    /// `instants`: whether all times can be read.
    pub(super) fn new(header: &Header, instants: bool) -> Result<Self, ParquetError> {
        let times = match header.time {
            None => Times::None,
            Some(_) if instants => Times::Instants(Vec::new()),
            Some(_) => Times::Texts(Vec::new()),
        };
        Ok(Self {
            writer: begin(header, instants)?,
            times,
            keys: vec![Vec::new(); header.keys.len()],
            values: vec![Vec::new(); header.values.len()],
            scores: Vec::new(),
            verdicts: Vec::new(),
            bytes: 0,
        })
    }

    pub(super) fn has_instants(&self) -> bool {
        matches!(self.times, Times::Instants(_))
    }

    pub(super) fn rows(
        &mut self,
        header: &Header,
        block: &Block<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), PredictionsError> {
        let keys: Vec<ByteArray> = block.keys(header).map(ByteArray::from).collect();
        let width = header.values.len();
        let values = block.readings.values();
        let row_bytes = 32 * (1 + keys.len()) + 8 * (2 + width);
        for (row, score, anomaly) in block.rows() {
            let time = block.readings.time(row);
            match &mut self.times {
                Times::None => {}
                Times::Texts(texts) => texts.push(time.into()),
                Times::Instants(instants) => instants.push(instant(&header.times, time)?),
            }
            for (column, value) in self.keys.iter_mut().zip(&keys) {
                column.push(value.clone());
            }
            for (column, value) in self.values.iter_mut().zip(values.iter().skip(row * width)) {
                column.push(*value);
            }
            self.scores.push(score);
            self.verdicts.push(i32::from(anomaly));
            self.bytes += row_bytes + time.len();
            if self.scores.len() >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
                self.group(out)?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Result<(), PredictionsError> {
        self.group(out)?;
        out.append(&mut self.writer.into_inner()?);
        Ok(())
    }

    /// Writes the rows that wait; a file without any row has no row group.
    fn group(&mut self, out: &mut Vec<u8>) -> Result<(), PredictionsError> {
        if !self.scores.is_empty() {
            let mut group = self.writer.next_row_group()?;
            match &mut self.times {
                Times::None => {}
                Times::Texts(texts) => column::<ByteArrayType>(&mut group, texts)?,
                Times::Instants(instants) => column::<Int64Type>(&mut group, instants)?,
            }
            for values in &mut self.keys {
                column::<ByteArrayType>(&mut group, values)?;
            }
            for values in &mut self.values {
                column::<DoubleType>(&mut group, values)?;
            }
            column::<DoubleType>(&mut group, &mut self.scores)?;
            column::<Int32Type>(&mut group, &mut self.verdicts)?;
            group.close()?;
            self.bytes = 0;
        }
        self.writer.flush().map_err(ParquetError::from)?;
        out.append(self.writer.inner_mut());
        Ok(())
    }
}

/// Writes the next column and empties it.
fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &mut Vec<T::T>,
) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("the schema has fewer columns than the rows".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, None, None)?;
    values.clear();
    column.close()
}

fn begin(header: &Header, instants: bool) -> Result<SerializedFileWriter<Vec<u8>>, ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        // Scores hardly ever repeat: a dictionary of them is work for nothing.
        .set_column_dictionary_enabled(SCORE.into(), false)
        .build();
    SerializedFileWriter::new(Vec::new(), Arc::new(schema(header, instants)?), Arc::new(properties))
}

fn schema(header: &Header, instants: bool) -> Result<Type, ParquetError> {
    let field = |name: &str, physical, logical| {
        let field = Type::primitive_type_builder(name, physical);
        field.with_repetition(Repetition::REQUIRED).with_logical_type(logical).build().map(Arc::new)
    };
    let text = |name: &str| field(name, Physical::BYTE_ARRAY, Some(LogicalType::String));
    let number = |name: &str| field(name, Physical::DOUBLE, None);
    let mut fields: Vec<TypePtr> = Vec::new();
    if let Some(time) = &header.time {
        let micros = LogicalType::timestamp(true, TimeUnit::MICROS);
        fields.push(if instants { field(time, Physical::INT64, Some(micros))? } else { text(time)? });
    }
    for (_, key) in &header.keys {
        fields.push(text(key)?);
    }
    for value in header.values.iter().map(String::as_str).chain([SCORE]) {
        fields.push(number(value)?);
    }
    fields.push(field(PREDICTION, Physical::INT32, None)?);
    Type::group_type_builder("predictions").with_fields(fields).build()
}

impl std::fmt::Debug for Parquet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parquet({} rows wait)", self.scores.len())
    }
}
