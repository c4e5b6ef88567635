//! Models: pickled scikit-learn, read without executing it, and the project's own format.

mod estimator;
mod exact;
mod native;
mod pickle;
mod sklearn;
mod transform;

use serde::{Deserialize, Serialize};

use crate::kernel::Rbf;

pub use estimator::{Boundary, Estimator, Kernel, OneClassSvm};
pub use native::Trained;
use transform::Missing;
pub use transform::{Clip, MinMaxScaler, Scaler, Transform};

/// Larger models are refused: whatever is in them, reading one takes a small multiple of this in memory.
pub const MAX_BYTES: u64 = 64 << 20;

/// A fitted pipeline: transforms, then an estimator; checked and ready to score.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    steps: Vec<Transform>,
    estimator: Estimator,
    /// The estimator prepared, where it has an RBF kernel.
    rbf: Option<Rbf>,
    metadata: Metadata,
    n_features: usize,
    /// The most values that a row has on its way.
    widest: usize,
}

/// What a model's file says about where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The scikit-learn that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sklearn_version: Option<String>,
    /// The names of its features, in order; none where it was fitted to columns without names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feature_names: Vec<String>,
}

/// Values that are worked on at a time, so that a wide transform does not multiply a whole file.
const CHUNK_VALUES: usize = 1 << 16;

/// Why bytes are not a model that can score.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ModelError {
    /// The bytes are damaged, or are no model at all.
    #[error("model {file}: {what}")]
    Invalid {
        /// The model's file.
        file: String,
        /// What is wrong, where, and what to do.
        what: String,
    },
    /// A model, but of a kind or with a part that is not supported.
    #[error("model {file}: {what}")]
    Unsupported {
        /// The model's file.
        file: String,
        /// What is not supported (with the class), and what to do.
        what: String,
    },
}

impl ModelError {
    /// `ModelInvalid` or `ModelUnsupported`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "ModelInvalid",
            Self::Unsupported { .. } => "ModelUnsupported",
        }
    }
}

impl Model {
    /// Reads a model; `name` is its file, for messages.
    ///
    /// # Errors
    /// When the bytes are damaged or hold anything but a supported model. Nothing in them is executed.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, ModelError> {
        use pickle::PickleError;
        use sklearn::SklearnError;

        let file = name.to_owned();
        if bytes.len() as u64 > MAX_BYTES {
            let what = format!("the file has {} bytes; models of more than {MAX_BYTES} bytes are refused", bytes.len());
            return Err(ModelError::Unsupported { file, what });
        }
        if native::is_native(bytes) {
            return native::read(bytes).map_err(|e| match e {
                native::NativeError::Version(_) => ModelError::Unsupported { file, what: e.to_string() },
                _ => ModelError::Invalid { file, what: e.to_string() },
            });
        }
        if let Some(what) = foreign(bytes) {
            return Err(ModelError::Unsupported { file, what: what.to_owned() });
        }
        if bytes.first() != Some(&0x80) {
            let what = if bytes.is_empty() { "the file is empty" } else { "the file is no model" };
            let what = format!(
                "{what}; give a pickled scikit-learn pipeline (protocol 2 or later) or one from `scorer train`"
            );
            return Err(ModelError::Invalid { file, what });
        }
        sklearn::read(bytes).map_err(|e| match e {
            SklearnError::Unsupported(_)
            | SklearnError::Pickle(PickleError::UnknownClass { .. } | PickleError::Unsupported { .. }) => {
                ModelError::Unsupported { file, what: e.to_string() }
            }
            SklearnError::Invalid(_) | SklearnError::Pickle(PickleError::Damaged { .. }) => {
                ModelError::Invalid { file, what: e.to_string() }
            }
        })
    }

    /// A model of checked parts. Transforms that change nothing are left out.
    ///
    /// # Errors
    /// When sizes do not fit together or a number is not finite; the message says which.
    pub fn new(steps: Vec<Transform>, estimator: Estimator, metadata: Metadata) -> Result<Self, String> {
        estimator.check()?;
        let steps: Vec<Transform> = steps.into_iter().filter(|s| !s.is_identity()).collect();
        let n_features = steps.first().map_or(estimator.n_features(), Transform::n_features);
        let (mut width, mut widest) = (n_features, n_features);
        for step in &steps {
            step.check()?;
            check_width(step.name(), step.n_features(), width)?;
            width = step.n_outputs();
            widest = widest.max(width);
        }
        check_width(estimator.name(), estimator.n_features(), width)?;
        if !metadata.feature_names.is_empty() {
            check_width("feature_names_in_", metadata.feature_names.len(), n_features)?;
        }
        let rbf = match &estimator {
            Estimator::OneClassSvm(svm) => svm.prepare(),
        };
        Ok(Self { steps, estimator, rbf, metadata, n_features, widest })
    }

    /// What happens to a row before the estimator sees it.
    #[must_use]
    pub fn steps(&self) -> &[Transform] {
        &self.steps
    }

    /// What gives a row its decision.
    #[must_use]
    pub fn estimator(&self) -> &Estimator {
        &self.estimator
    }

    /// Where it comes from.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// How many values a reading must have.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Whether a row may have missing values (NaN), because the model itself fills them in. Where it does not, such a
    /// row is a bad row, whatever the estimator would say.
    #[must_use]
    pub fn accepts_missing(&self) -> bool {
        self.steps.iter().map(Transform::missing).find(|m| *m != Missing::Kept) == Some(Missing::Filled)
    }

    /// Whether a decision is an anomaly's, as the estimator's own `predict` has it.
    #[must_use]
    pub fn is_anomaly(&self, decision: f64) -> bool {
        self.estimator.boundary().is_anomaly(decision)
    }

    /// What a user should know before trusting the model, such as that it can call nothing normal.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.estimator.warnings()
    }

    /// scikit-learn's `decision_function` of readings that stand one after the other, `n_features` values each.
    #[must_use]
    pub fn decisions(&self, rows: &[f64]) -> Vec<f64> {
        let mut decisions = vec![0.0; rows.len() / self.n_features];
        if self.steps.is_empty() {
            self.score(rows, &mut decisions);
            return decisions;
        }
        let at_once = (CHUNK_VALUES / self.widest).max(1);
        for (chunk, out) in rows.chunks(at_once * self.n_features).zip(decisions.chunks_mut(at_once)) {
            let transformed = self.steps.iter().fold(chunk.to_vec(), |rows, step| step.apply(rows));
            self.score(&transformed, out);
        }
        decisions
    }

    fn score(&self, rows: &[f64], out: &mut [f64]) {
        match &self.rbf {
            Some(rbf) => rbf.decisions(rows, out),
            None => self.estimator.decisions(rows, out),
        }
    }
}

fn check_width(name: &str, takes: usize, gets: usize) -> Result<(), String> {
    if takes == gets {
        return Ok(());
    }
    Err(format!("{name} is for {takes} feature(s), but gets {gets}: the model's parts do not belong together"))
}

/// Formats that are recognised only to say what to do.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    const COMPRESSED: &str =
        "the file is compressed (joblib with compress?); save it with joblib.dump(model, path) or pickle.dump";
    const MAGIC: [(&[u8], &str); 7] = [
        (b"PK\x03\x04", "the file is a zip archive (skops?), which is not supported yet; save it with pickle.dump"),
        (b"\x1f\x8b", COMPRESSED),
        (b"BZh", COMPRESSED),
        (b"\xfd7zXZ", COMPRESSED),
        (b"\x04\x22\x4d\x18", COMPRESSED),
        (b"\x78\x9c", COMPRESSED),
        (b"\x78\x5e", COMPRESSED),
    ];
    MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests;
