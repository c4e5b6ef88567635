//! What files of windows are called, and what is in them.

use tables::parquet::ParquetError;

use super::{Columns, csv, json, parquet};
use crate::Micros;
use crate::config::{Config, FileFormat, Folder};
use crate::window::Slice;

/// Files of windows.
#[derive(Clone, Debug)]
pub struct Layout {
    folder: Folder,
    format: FileFormat,
    /// The most bytes of a file.
    most: usize,
    /// The name of the column of times.
    time: String,
    columns: Columns,
    topic: String,
}

/// Why windows cannot be written as asked.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// CSV.
    #[error("cannot write windows as CSV: {0}")]
    Csv(#[from] ::csv::Error),
    /// JSON.
    #[error("cannot write windows as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Parquet.
    #[error("cannot write windows as Parquet: {0}")]
    Parquet(#[from] ParquetError),
}

impl Layout {
    /// As configured; none where windows go to no files.
    #[must_use]
    pub fn new(config: &Config) -> Option<Self> {
        let files = config.files()?;
        Some(Self {
            most: usize::try_from(files.max_mib).unwrap_or(usize::MAX).saturating_mul(1 << 20),
            folder: files.path,
            format: files.format,
            time: config.event.columns.time.clone(),
            columns: Columns::new(config),
            topic: config.kafka.topic.clone(),
        })
    }

    /// With so many bytes a file.
    #[cfg(test)]
    pub(super) fn with_most(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// The bytes of a slice's file, and of those that continue it: split between rows, so that none has more than `maxMib` (of
    /// Parquet: about), but for a row that is longer. No file of no rows. Equal slices give equal bytes.
    ///
    /// # Errors
    /// None that is known: what rows hold can be written, and there is room in memory, or the process ends.
    pub fn encode(&self, slice: &Slice) -> Result<Vec<Vec<u8>>, EncodeError> {
        match self.format {
            FileFormat::Csv => csv::encode(self, slice),
            FileFormat::JsonLines => json::encode(self, slice),
            FileFormat::Parquet => Ok(parquet::encode(self, slice)?),
        }
    }

    /// Where a file goes: `{folder}/20260101T000500-readings-0003.csv`, by when its slice begins (UTC), its topic and its partition, or
    /// `all` where it is over the topic; those that continue it (`part` from 1 on) are `20260101T000500-readings-0003-1.csv` and so
    /// on. It tells all of the time, so each slice has names of its own whatever of it the folder tells.
    ///
    /// A slice that is written again has the same parts, since its rows, and so their bytes, follow from the log and the
    /// configuration: an earlier life leaves none behind the last. Only where the configuration was changed between the two it may.
    #[must_use]
    pub fn path(&self, slice_start: Micros, partition: Option<u32>, part: usize) -> String {
        let time = crate::timestamp(slice_start);
        let of = partition.map_or_else(|| "all".to_owned(), |partition| format!("{partition:04}"));
        let (folder, stamp, extension) =
            (self.folder.at(time), time.strftime("%Y%m%dT%H%M%S"), self.format.extension());
        match part {
            0 => format!("{folder}/{stamp}-{}-{of}.{extension}", self.topic),
            part => format!("{folder}/{stamp}-{}-{of}-{part}.{extension}", self.topic),
        }
    }

    /// The names of columns, in their order: the time, the keys, the aggregates.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let aggregates = self.columns.aggregates.iter().map(ToString::to_string);
        std::iter::once(self.time.clone()).chain(self.columns.keys.iter().cloned()).chain(aggregates)
    }

    pub(super) fn columns(&self) -> &Columns {
        &self.columns
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }
}

#[cfg(test)]
mod tests;
