//! CSV: time, keys and values as they stand in the input; of predictions, then score and prediction.

use std::io::Write;

use csv::Writer;
use spec::SensorKeys;

use super::encode::Block;
use super::header::Header;
use crate::readings::Rows;

/// The first line of predictions.
pub(super) fn header(header: &Header, out: &mut Vec<u8>) -> Result<(), csv::Error> {
    let mut csv = Writer::from_writer(out);
    csv.write_record(header.names())?;
    Ok(csv.flush()?)
}

/// A line for each row.
pub(super) fn rows(header: &Header, block: &Block<'_>, out: &mut Vec<u8>) -> Result<(), csv::Error> {
    let mut csv = Writer::from_writer(out);
    let mut number = Vec::with_capacity(24);
    for (row, score, anomaly) in block.rows() {
        before_values(&mut csv, header, block.sensor, block.readings, row)?;
        for text in block.readings.value_texts(row, header.values.len()) {
            csv.write_field(text)?;
        }
        number.clear();
        write!(number, "{score:?}")?;
        csv.write_record([number.as_slice(), if anomaly { b"1" } else { b"0" }])?;
    }
    Ok(csv.flush()?)
}

/// The first line of readings.
pub(super) fn header_of_readings(header: &Header, out: &mut Vec<u8>) -> Result<(), csv::Error> {
    let mut csv = Writer::from_writer(out);
    csv.write_record(header.names_of_readings())?;
    Ok(csv.flush()?)
}

/// A line for each reading; a missing value is an empty field.
pub(super) fn readings(
    header: &Header,
    sensor: &SensorKeys,
    readings: &Rows,
    out: &mut Vec<u8>,
) -> Result<(), csv::Error> {
    let mut csv = Writer::from_writer(out);
    let width = header.values.len();
    for row in 0..readings.len() {
        before_values(&mut csv, header, sensor, readings, row)?;
        let values = readings.values().iter().skip(row * width);
        for (text, value) in readings.value_texts(row, width).zip(values) {
            csv.write_field(if value.is_nan() { "" } else { text })?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    Ok(csv.flush()?)
}

fn before_values<W: Write>(
    csv: &mut Writer<W>,
    header: &Header,
    sensor: &SensorKeys,
    readings: &Rows,
    row: usize,
) -> Result<(), csv::Error> {
    if header.time.is_some() {
        csv.write_field(readings.time(row))?;
    }
    for (key, _) in &header.keys {
        csv.write_field(sensor.get(key).unwrap_or_default())?;
    }
    Ok(())
}
