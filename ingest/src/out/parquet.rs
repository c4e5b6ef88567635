//! Windows as Parquet: the time as an instant, keys as texts, `count` as an integer of 64 bits, other aggregates as doubles.
//! Every row has a value in each column: where there is none it is NaN, which readers take as none.

use tables::parquet::{
    ByteArray, ByteArrayType, Column, DoubleType, File, GROUP_BYTES, GROUP_ROWS, Int64Type, Kind, ParquetError,
};

use super::layout::Layout;
use super::{Columns, Value};
use crate::Micros;
use crate::config::Aggregate;
use crate::window::{Row, Slice};

/// Bytes that a text takes in memory besides its own.
const TEXT: usize = 32;

pub(super) fn encode(layout: &Layout, slice: &Slice) -> Result<Vec<Vec<u8>>, ParquetError> {
    let schema = schema(layout);
    // So small that what a file lacks until it is full is little.
    let group_bytes = GROUP_BYTES.min(layout.most() / 4);
    let (mut done, mut waiting) = (Vec::new(), Waiting::new(layout.columns()));
    let mut open: Option<(File, Vec<u8>)> = None;
    let mut rows = slice.rows.iter().peekable();
    while let Some(row) = rows.next() {
        waiting.add(layout.columns(), row);
        if waiting.rows() < GROUP_ROWS && waiting.bytes < group_bytes && rows.peek().is_some() {
            continue;
        }
        let (mut file, mut out) = match open.take() {
            Some(open) => open,
            None => (File::begin("windows", &schema)?, Vec::new()),
        };
        waiting.group(&mut file)?;
        file.ready(&mut out)?;
        // Packed, a group is hardly ever larger than in memory.
        if rows.peek().is_none() || out.len() + group_bytes > layout.most() {
            file.finish(&mut out)?;
            done.push(out);
        } else {
            open = Some((file, out));
        }
    }
    Ok(done)
}

fn schema(layout: &Layout) -> Vec<Column> {
    let keys = layout.columns().keys.iter().map(|_| Kind::Text);
    let values = layout.columns().aggregates.iter().map(|aggregate| match aggregate {
        Aggregate::Count => Kind::Long,
        _ => Kind::Number,
    });
    let kinds = std::iter::once(Kind::Instant).chain(keys).chain(values);
    layout.names().zip(kinds).map(|(name, kind)| Column::new(&name, kind)).collect()
}

/// Rows that wait to be written, by column.
struct Waiting {
    times: Vec<Micros>,
    keys: Vec<Vec<ByteArray>>,
    values: Vec<Values>,
    bytes: usize,
}

enum Values {
    Counts(Vec<i64>),
    Numbers(Vec<f64>),
}

impl Waiting {
    fn new(columns: &Columns) -> Self {
        let values = columns.aggregates.iter().map(|aggregate| match aggregate {
            Aggregate::Count => Values::Counts(Vec::new()),
            _ => Values::Numbers(Vec::new()),
        });
        Self { times: Vec::new(), keys: vec![Vec::new(); columns.keys.len()], values: values.collect(), bytes: 0 }
    }

    fn rows(&self) -> usize {
        self.times.len()
    }

    fn add(&mut self, columns: &Columns, row: &Row) {
        self.times.push(row.start);
        for (texts, key) in self.keys.iter_mut().zip(columns.keys(row)) {
            texts.push(key.into());
        }
        for (values, value) in self.values.iter_mut().zip(columns.values(row)) {
            match (values, value) {
                (Values::Counts(counts), Value::Count(count)) => counts.push(count),
                // A window is one of some values.
                (Values::Counts(counts), _) => counts.push(0),
                (Values::Numbers(numbers), Value::Number(number)) => numbers.push(number),
                (Values::Numbers(numbers), _) => numbers.push(f64::NAN),
            }
        }
        self.bytes += 8 * (1 + self.values.len()) + TEXT * self.keys.len() + row.sensor.len();
    }

    /// Writes them as a row group.
    fn group(&mut self, file: &mut File) -> Result<(), ParquetError> {
        let mut group = file.group()?;
        group.column::<Int64Type>(&mut self.times)?;
        for texts in &mut self.keys {
            group.column::<ByteArrayType>(texts)?;
        }
        for values in &mut self.values {
            match values {
                Values::Counts(counts) => group.column::<Int64Type>(counts)?,
                Values::Numbers(numbers) => group.column::<DoubleType>(numbers)?,
            }
        }
        self.bytes = 0;
        group.close()
    }
}
