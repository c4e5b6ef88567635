//! Predictions as JSON lines: time and keys as texts, values and score as numbers, the prediction 1 or 0.

use super::encode::Block;
use super::header::Header;

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
        let mut names = tables::json::names(header.names())?.into_iter();
        let time = header.time.as_ref().and_then(|_| names.next());
        let keys = names.by_ref().take(header.keys.len()).collect();
        let values = names.by_ref().take(header.values.len()).collect();
        let [score, prediction] = std::array::from_fn(|_| names.next().unwrap_or_default());
        Ok(Self { time, keys, values, score, prediction })
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
