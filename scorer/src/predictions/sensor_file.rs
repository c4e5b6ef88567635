//! A file of one sensor's predictions, made as its rows come.

use spec::SensorKeys;
use spec::work::Predictions;

use super::{Encoder, Header, PredictionsError, Scored, Scorer, Tally};
use crate::readings::Rows;

/// A file of one sensor's predictions under way.
#[derive(Debug)]
pub struct SensorFile {
    sensor: SensorKeys,
    scorer: Scorer,
    encoder: Encoder,
    out: Vec<u8>,
}

impl SensorFile {
    /// Begins the file; `unread_time` as for [`Encoder::begin`].
    ///
    /// # Errors
    /// When the header cannot be as asked.
    pub fn begin(
        kind: &Predictions,
        sensor: &SensorKeys,
        scorer: Scorer,
        unread_time: Option<&str>,
    ) -> Result<Self, PredictionsError> {
        let mut out = Vec::new();
        let header = Header::of(kind, scorer.layout(), sensor)?;
        let encoder = Encoder::begin(kind.format, header, unread_time, &mut out)?;
        Ok(Self { sensor: sensor.clone(), scorer, encoder, out })
    }

    /// Scores the next rows and adds them. Gives what it made of them.
    ///
    /// # Errors
    /// When they cannot be written in this format.
    pub fn add(&mut self, rows: Rows) -> Result<Scored, PredictionsError> {
        let scored = self.scorer.score(rows);
        self.encoder.write(&scored.block(&self.sensor), &mut self.out).map(|()| scored)
    }

    /// What was scored so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        self.scorer.tally()
    }

    /// The bytes that are ready, for the caller to take.
    pub fn ready(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Ends the file and gives its last bytes.
    ///
    /// # Errors
    /// When what is left cannot be written.
    pub fn finish(self) -> Result<Vec<u8>, PredictionsError> {
        let Self { encoder, mut out, .. } = self;
        encoder.finish(&mut out)?;
        Ok(out)
    }
}
