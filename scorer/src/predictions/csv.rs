//! Predictions as CSV: time, keys and values as they stand in the input, then score and prediction.

use std::io::Write as _;

use super::encode::Block;
use super::header::Header;

/// The first line.
pub(super) fn header(header: &Header, out: &mut Vec<u8>) -> Result<(), csv::Error> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(header.names())?;
    Ok(csv.flush()?)
}

/// A line for each row.
pub(super) fn rows(header: &Header, block: &Block<'_>, out: &mut Vec<u8>) -> Result<(), csv::Error> {
    let mut csv = csv::Writer::from_writer(out);
    let mut number = Vec::with_capacity(24);
    for (row, score, anomaly) in block.rows() {
        if header.time.is_some() {
            csv.write_field(block.readings.time(row))?;
        }
        for value in block.keys(header) {
            csv.write_field(value)?;
        }
        for text in block.readings.value_texts(row, header.values.len()) {
            csv.write_field(text)?;
        }
        number.clear();
        write!(number, "{score:?}")?;
        csv.write_record([number.as_slice(), if anomaly { b"1" } else { b"0" }])?;
    }
    Ok(csv.flush()?)
}
