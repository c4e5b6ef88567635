//! What a command's predictions say of rows: which are anomalies.

use crate::predictions::PREDICTION;

/// Predictions that were read.
#[derive(Default)]
pub(super) struct Labels {
    /// Those that are 1.
    pub(super) anomalies: u64,
    /// Those that are neither 1 nor 0, and the first of them.
    others: u64,
    first_other: Option<String>,
}

impl Labels {
    /// Adds a prediction as it is written.
    pub(super) fn add(&mut self, label: &[u8]) {
        match label {
            b"1" | b"1.0" | b"True" | b"true" => self.anomalies += 1,
            b"0" | b"0.0" | b"False" | b"false" => {}
            other => self.add_other(other),
        }
    }

    /// Adds one that is neither 1 nor 0.
    pub(super) fn add_other(&mut self, label: &[u8]) {
        self.others += 1;
        self.first_other.get_or_insert_with(|| crate::shown::name(&String::from_utf8_lossy(label)));
    }

    /// What is to be said of them.
    pub(super) fn warning(&self) -> Option<String> {
        let other = self.first_other.as_ref()?;
        Some(format!(
            "{} of {PREDICTION} are neither 1 (an anomaly) nor 0, such as {other:?}, and are not counted; of what \
             scikit-learn predicts, -1 is an anomaly: write (predicted == -1)",
            self.others
        ))
    }
}
