//! Predictions as JSON lines: time and keys as texts, values and score as numbers, the prediction 1 or 0.

use super::encode::Block;
use super::header::{Header, PREDICTION, SCORE};

/// What every line repeats, made once.
#[derive(Debug)]
pub(super) struct JsonLines {
    time: Option<Vec<u8>>,
    keys: Vec<Vec<u8>>,
    values: Vec<Vec<u8>>,
    score: Vec<u8>,
    prediction: Vec<u8>,
}

impl JsonLines {
    pub(super) fn new(header: &Header) -> Result<Self, serde_json::Error> {
        let mut before = b'{';
        let mut name = |name: &str| {
            let mut text = vec![std::mem::replace(&mut before, b',')];
            serde_json::to_writer(&mut text, name)?;
            text.push(b':');
            Ok::<_, serde_json::Error>(text)
        };
        Ok(Self {
            time: header.time.as_deref().map(&mut name).transpose()?,
            keys: header.keys.iter().map(|(_, column)| name(column)).collect::<Result<_, _>>()?,
            values: header.values.iter().map(|column| name(column)).collect::<Result<_, _>>()?,
            score: name(SCORE)?,
            prediction: name(PREDICTION)?,
        })
    }

    /// A line for each row.
    pub(super) fn rows(&self, header: &Header, block: &Block<'_>, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        // The keys' values are the same in all rows of a block.
        let mut keys = Vec::new();
        for (name, value) in self.keys.iter().zip(block.keys(header)) {
            keys.extend_from_slice(name);
            serde_json::to_writer(&mut keys, value)?;
        }
        let width = self.values.len();
        for (row, score, anomaly) in block.rows() {
            if let Some(name) = &self.time {
                out.extend_from_slice(name);
                serde_json::to_writer(&mut *out, block.readings.time(row))?;
            }
            out.extend_from_slice(&keys);
            let values = block.readings.values().iter().skip(row * width);
            for (name, value) in self.values.iter().zip(values) {
                out.extend_from_slice(name);
                serde_json::to_writer(&mut *out, value)?;
            }
            out.extend_from_slice(&self.score);
            serde_json::to_writer(&mut *out, &score)?;
            out.extend_from_slice(&self.prediction);
            out.extend_from_slice(if anomaly { b"1}\n" } else { b"0}\n" });
        }
        Ok(())
    }
}
