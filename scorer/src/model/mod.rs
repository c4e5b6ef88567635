//! Models: scikit-learn's, saved by pickle, joblib, skops or skl2onnx (ONNX) and read without executing anything, and the
//! project's own format.

mod compressed;
mod degenerate;
mod describe;
mod differences;
mod estimator;
mod exact;
mod format;
mod native;
mod onnx;
mod pickle;
mod probe;
mod sklearn;
mod skops;
mod transform;

use serde::{Deserialize, Serialize};

use crate::kernel::Precision;

pub(crate) use degenerate::TOLERANCE;
pub use describe::Description;
use estimator::Prepared;
pub use estimator::{
    Algorithm, Boundary, Bounds, EllipticEnvelope, Estimator, IsolationForest, Kernel, LocalOutlierFactor, Metric,
    OneClassSvm, SearchTree, SgdOneClassSvm, Tree,
};
pub use format::Format;
pub(crate) use native::hex;
pub use native::{Imported, Origin, Trained, sha256};
use transform::Missing;
pub use transform::{
    Branch, Clip, ColumnTransformer, MinMaxScaler, Pca, PolynomialFeatures, Scaler, SimpleImputer, Transform,
};

/// The most bytes that a model's file may have, as it lies there and unpacked: wherever it lies, whatever reads or writes
/// it. Reading one takes a small multiple of this in memory, whatever is in it.
pub const MAX_BYTES: u64 = 64 << 20;

/// A fitted pipeline: transforms, then an estimator; checked and ready to score.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    steps: Vec<Transform>,
    estimator: Estimator,
    prepared: Prepared,
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
    /// The program that converted it, with its version, such as `skl2onnx 1.20.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producer: Option<String>,
    /// The names of its features, in order; none where it was fitted to columns without names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feature_names: Vec<String>,
    /// How many readings a one-class SVM was fitted to; none where the file does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_samples: Option<u64>,
}

/// Of which bytes a compressed file has too many.
const UNPACKED: &str = " when it is unpacked";

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
    /// More bytes than a model may have.
    #[error(
        "model {file}: it has {size}, and a model may have at most {MAX_BYTES} ({} MiB); fit it to fewer rows, or with \
         fewer trees",
        MAX_BYTES >> 20
    )]
    TooLarge {
        /// The model's file.
        file: String,
        /// How many it has, as far as they were counted, and whether that is unpacked.
        size: String,
    },
}

impl ModelError {
    /// A bounded category in CamelCase.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "ModelInvalid",
            Self::Unsupported { .. } => "ModelUnsupported",
            Self::TooLarge { .. } => "ModelTooLarge",
        }
    }

    /// Whether a model's file may have so many bytes.
    ///
    /// # Errors
    /// When they are more than [`MAX_BYTES`].
    pub(crate) fn check_size(file: &str, bytes: u64) -> Result<(), Self> {
        match bytes {
            0..=MAX_BYTES => Ok(()),
            _ => Err(Self::too_large(file, bytes)),
        }
    }

    /// Of a file with so many bytes.
    pub(crate) fn too_large(file: impl Into<String>, bytes: u64) -> Self {
        Self::TooLarge { file: file.into(), size: format!("{bytes} bytes") }
    }

    /// Of a file of unknown length, or of one that holds more than that when it is unpacked.
    pub(crate) fn larger(file: impl Into<String>, how: &str) -> Self {
        Self::TooLarge { file: file.into(), size: format!("more than {MAX_BYTES} bytes{how}") }
    }
}

impl Model {
    /// Reads a model; `name` is its file, for messages.
    ///
    /// # Errors
    /// When the bytes are damaged or hold anything but a supported model. Nothing in them is executed.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, ModelError> {
        use compressed::CompressedError;
        use onnx::OnnxError;
        use skops::SkopsError;

        let file = name.to_owned();
        ModelError::check_size(name, bytes.len() as u64)?;
        if native::is_native(bytes) {
            return native::read(bytes).map_err(|e| match e {
                native::NativeError::Version(_) => ModelError::Unsupported { file, what: e.to_string() },
                _ => ModelError::Invalid { file, what: e.to_string() },
            });
        }
        let bytes = match compressed::inflate(bytes) {
            Ok(bytes) => bytes,
            Err(e @ CompressedError::Damaged { .. }) => return Err(ModelError::Invalid { file, what: e.to_string() }),
            Err(CompressedError::TooLarge) => return Err(ModelError::larger(file, UNPACKED)),
            Err(e) => return Err(ModelError::Unsupported { file, what: e.to_string() }),
        };
        if skops::is_zip(&bytes) {
            return skops::read(&bytes).map_err(|e| match e {
                SkopsError::Sklearn(e) => sklearn_error(file, &e),
                SkopsError::Damaged { .. } => ModelError::Invalid { file, what: e.to_string() },
                SkopsError::TooLarge => ModelError::larger(file, UNPACKED),
                _ => ModelError::Unsupported { file, what: e.to_string() },
            });
        }
        if onnx::is_onnx(&bytes) {
            return onnx::read(&bytes).map_err(|e| match e {
                OnnxError::Damaged { .. } | OnnxError::Invalid(_) => ModelError::Invalid { file, what: e.to_string() },
                _ => ModelError::Unsupported { file, what: e.to_string() },
            });
        }
        if bytes.first() != Some(&0x80) {
            let what = if bytes.is_empty() { "the file is empty" } else { "the file is no model" };
            let what = format!(
                "{what}; give a scikit-learn pipeline saved with pickle (protocol 2 or later), joblib, skops or skl2onnx, or one from `scorer train`"
            );
            return Err(ModelError::Invalid { file, what });
        }
        sklearn::read(&bytes).map_err(|e| sklearn_error(file, &e))
    }

    /// A model of checked parts. Transforms that change nothing are left out.
    ///
    /// # Errors
    /// When sizes do not fit together or a number is not finite; the message says which.
    pub fn new(steps: Vec<Transform>, estimator: Estimator, metadata: Metadata) -> Result<Self, String> {
        estimator.check()?;
        let steps: Vec<Transform> = steps.into_iter().filter(|s| !s.is_identity()).collect();
        let n_features = steps.first().map_or(estimator.n_features(), Transform::n_features);
        let width = transform::check(&steps, n_features)?;
        transform::check_width(estimator.name(), estimator.n_features(), width)?;
        if !metadata.feature_names.is_empty() {
            transform::check_width("feature_names_in_", metadata.feature_names.len(), n_features)?;
        }
        let widest = steps.iter().map(Transform::widest).fold(n_features, usize::max);
        let prepared = estimator.prepare(Precision::default());
        Ok(Self { steps, estimator, prepared, metadata, n_features, widest })
    }

    /// The model with so many digits; it counts for RBF kernels, the others use all of an f64.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.prepared = self.estimator.prepare(precision);
        self
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
        transform::missing(&self.steps) == Missing::Filled
    }

    /// The same model for rows without the columns that a ColumnTransformer at its front drops, and the places of those that
    /// are left; none where it drops none.
    #[must_use]
    pub fn without_dropped(&self) -> Option<(Self, Vec<usize>)> {
        let Some(Transform::ColumnTransformer(columns)) = self.steps.first() else { return None };
        let used = columns.used();
        if used.len() == self.n_features {
            return None;
        }
        let mut narrowed = self.clone();
        narrowed.steps[0] = Transform::ColumnTransformer(columns.narrowed(&used));
        narrowed.n_features = used.len();
        let names = &self.metadata.feature_names;
        narrowed.metadata.feature_names = used.iter().filter_map(|column| names.get(*column).cloned()).collect();
        Some((narrowed, used))
    }

    /// Whether a decision is an anomaly's, as the estimator's own `predict` has it.
    #[must_use]
    pub fn is_anomaly(&self, decision: f64) -> bool {
        self.estimator.boundary().is_anomaly(decision)
    }

    /// scikit-learn's `decision_function` of readings that stand one after the other, `n_features` values each.
    #[must_use]
    pub fn decisions(&self, rows: &[f64]) -> Vec<f64> {
        let mut decisions = vec![0.0; rows.len() / self.n_features];
        if self.steps.is_empty() {
            self.estimator.decisions(&self.prepared, rows, &mut decisions);
            return decisions;
        }
        let at_once = (CHUNK_VALUES / self.widest).max(1);
        for (chunk, out) in rows.chunks(at_once * self.n_features).zip(decisions.chunks_mut(at_once)) {
            let transformed = self.steps.iter().fold(chunk.to_vec(), |rows, step| step.apply(rows));
            self.estimator.decisions(&self.prepared, &transformed, out);
        }
        decisions
    }
}

fn sklearn_error(file: String, error: &sklearn::SklearnError) -> ModelError {
    use pickle::PickleError;
    use sklearn::SklearnError;

    let what = error.to_string();
    match error {
        SklearnError::Unsupported(_)
        | SklearnError::Pickle(PickleError::UnknownClass { .. } | PickleError::Unsupported { .. }) => {
            ModelError::Unsupported { file, what }
        }
        SklearnError::Invalid(_) | SklearnError::Pickle(PickleError::Damaged { .. }) => {
            ModelError::Invalid { file, what }
        }
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
