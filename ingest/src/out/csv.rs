//! Windows as CSV: a header, then the time, the keys and the aggregates. A value that there is not is an empty field.

use std::io::Write;

use csv::{Writer, WriterBuilder};

use super::layout::{EncodeError, Layout};
use super::parts::Parts;
use super::{Columns, Value};
use crate::window::{Row, Slice};

/// Room for a usual line, before it goes to the file's.
const LINE: usize = 256;

pub(super) fn encode(layout: &Layout, slice: &Slice) -> Result<Vec<Vec<u8>>, EncodeError> {
    let mut header = Vec::new();
    let mut csv = Writer::from_writer(&mut header);
    csv.write_record(layout.names())?;
    csv.flush().map_err(csv::Error::from)?;
    drop(csv);
    let mut parts = Parts::new(header, layout.most());
    for row in &slice.rows {
        parts.line(|out| line(layout.columns(), row, out))?;
    }
    Ok(parts.finish())
}

fn line(columns: &Columns, row: &Row, out: &mut Vec<u8>) -> Result<(), csv::Error> {
    let mut csv = WriterBuilder::new().buffer_capacity(LINE).from_writer(out);
    let mut text = Vec::with_capacity(24);
    write!(text, "{}", crate::timestamp(row.start))?;
    csv.write_field(&text)?;
    for key in columns.keys(row) {
        csv.write_field(key)?;
    }
    for value in columns.values(row) {
        text.clear();
        match value {
            Value::Count(count) => write!(text, "{count}")?,
            // The shortest text that is this number, as in predictions.
            Value::Number(number) => write!(text, "{number:?}")?,
            Value::None => {}
        }
        csv.write_field(&text)?;
    }
    csv.write_record(None::<&[u8]>)?;
    Ok(csv.flush()?)
}
