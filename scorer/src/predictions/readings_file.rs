//! A CSV of one sensor's readings, made as its rows come, for a program of the user's.

use std::sync::Arc;

use spec::SensorKeys;
use spec::work::Predictions;

use super::{Header, PredictionsError, Tally, csv};
use crate::readings::{Head, Rows, Selection};

/// A file of one sensor's readings under way. A value is a finite number as it stands in the input, or missing and then an
/// empty field; rows with anything else are left out, and counted.
#[derive(Debug)]
pub struct ReadingsFile {
    sensor: SensorKeys,
    head: Arc<Head>,
    selection: Selection,
    header: Header,
    tally: Tally,
    out: Vec<u8>,
}

impl ReadingsFile {
    /// Begins the file: columns are called as in the input.
    ///
    /// # Errors
    /// When the header cannot be written.
    pub fn begin(sensor: &SensorKeys, head: Arc<Head>) -> Result<Self, PredictionsError> {
        let header = Header::of(&Predictions::default(), &head.layout, sensor)?;
        let selection = Selection { missing: true, ..Selection::all(&head.layout) };
        let mut out = Vec::new();
        csv::header_of_readings(&header, &mut out)?;
        Ok(Self { sensor: sensor.clone(), head, selection, header, tally: Tally::default(), out })
    }

    /// Adds the next rows.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn add(&mut self, rows: Rows) -> Result<(), PredictionsError> {
        let usable = rows.usable(&self.head, &self.selection);
        self.tally.add_bad(usable.bad_rows, usable.first_bad);
        self.tally.add_inputs(usable.rows.values(), self.head.layout.values.len());
        Ok(csv::readings(&self.header, &self.sensor, &usable.rows, &mut self.out)?)
    }

    /// The rows that were left out, and the sums of the values of the others.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The bytes that are ready, for the caller to take.
    pub fn ready(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }
}
