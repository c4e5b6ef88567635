//! Windows as JSON lines: time and keys as texts, aggregates as numbers. A value that there is not is null.

use super::layout::{EncodeError, Layout};
use super::parts::Parts;
use super::{Columns, Value};
use crate::window::{Row, Slice};

pub(super) fn encode(layout: &Layout, slice: &Slice) -> Result<Vec<Vec<u8>>, EncodeError> {
    let names: Vec<String> = layout.names().collect();
    let names = tables::json::names(names.iter().map(String::as_str))?;
    let mut parts = Parts::new(Vec::new(), layout.most());
    for row in &slice.rows {
        parts.line(|out| line(layout.columns(), &names, row, out))?;
    }
    Ok(parts.finish())
}

fn line(columns: &Columns, names: &[Vec<u8>], row: &Row, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let mut names = names.iter();
    let mut name = |out: &mut Vec<u8>| out.extend_from_slice(names.next().map(Vec::as_slice).unwrap_or_default());
    name(out);
    serde_json::to_writer(&mut *out, &crate::timestamp(row.start))?;
    for key in columns.keys(row) {
        name(out);
        serde_json::to_writer(&mut *out, key)?;
    }
    for value in columns.values(row) {
        name(out);
        match value {
            Value::Count(count) => serde_json::to_writer(&mut *out, &count)?,
            Value::Number(number) => serde_json::to_writer(&mut *out, &number)?,
            Value::None => out.extend_from_slice(b"null"),
        }
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}
