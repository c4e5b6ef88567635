//! Predictions as Parquet: the time as an instant (else a text), keys as texts, values and score as doubles, the
//! prediction as an integer.

use tables::parquet::{
    ByteArray, ByteArrayType, Column, DoubleType, File, GROUP_BYTES, GROUP_ROWS, Int32Type, Int64Type, Kind,
    ParquetError,
};

use super::encode::{Block, PredictionsError};
use super::header::{Header, PREDICTION, SCORE};
use crate::readings::TimeParser;

/// One file, a row group at a time.
pub(super) struct Parquet {
    file: File,
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
            file: File::begin("predictions", &columns(header, instants))?,
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
        Ok(self.file.finish(out)?)
    }

    /// Writes the rows that wait; a file without any row has no row group.
    fn group(&mut self, out: &mut Vec<u8>) -> Result<(), PredictionsError> {
        if !self.scores.is_empty() {
            let mut group = self.file.group()?;
            match &mut self.times {
                Times::None => {}
                Times::Texts(texts) => group.column::<ByteArrayType>(texts)?,
                Times::Instants(instants) => group.column::<Int64Type>(instants)?,
            }
            for values in &mut self.keys {
                group.column::<ByteArrayType>(values)?;
            }
            for values in &mut self.values {
                group.column::<DoubleType>(values)?;
            }
            group.column::<DoubleType>(&mut self.scores)?;
            group.column::<Int32Type>(&mut self.verdicts)?;
            group.close()?;
            self.bytes = 0;
        }
        Ok(self.file.ready(out)?)
    }
}

fn columns(header: &Header, instants: bool) -> Vec<Column> {
    let time = header.time.iter().map(|name| Column::new(name, if instants { Kind::Instant } else { Kind::Text }));
    let keys = header.keys.iter().map(|(_, name)| Column::new(name, Kind::Text));
    let values = header.values.iter().map(|name| Column::new(name, Kind::Number));
    let ours = [Column::new(SCORE, Kind::Number).distinct(), Column::new(PREDICTION, Kind::Integer)];
    time.chain(keys).chain(values).chain(ours).collect()
}

impl std::fmt::Debug for Parquet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parquet({} rows wait)", self.scores.len())
    }
}
