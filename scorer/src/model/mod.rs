//! Models: pickled scikit-learn, read without executing it, and the project's own format.

mod native;
mod pickle;
mod sklearn;

use crate::kernel::Rbf;

pub use native::Trained;

/// Larger models are refused: whatever is in them, reading one takes a small multiple of this in memory.
pub const MAX_BYTES: usize = 64 << 20;

/// A one-class support vector machine with an RBF kernel, and the scaling in front of it; checked and ready to score.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    scalers: Vec<Scaler>,
    machine: OneClass,
    /// The machine, prepared.
    rbf: Rbf,
}

/// `(x - mean) / scale`, feature by feature; with no features at all it changes nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scaler {
    /// What is subtracted.
    pub mean: Vec<f64>,
    /// What is divided by.
    pub scale: Vec<f64>,
}

/// `decision(z) = Σ coefficient · exp(-gamma · |z - support vector|²) + intercept`; above 0 is normal.
#[derive(Clone, Debug, PartialEq)]
pub struct OneClass {
    /// Values of a reading.
    pub n_features: usize,
    /// The kernel's width.
    pub gamma: f64,
    /// Support vectors, one after the other.
    pub support: Vec<f64>,
    /// One coefficient for each support vector.
    pub coefficients: Vec<f64>,
    /// What is added in the end.
    pub intercept: f64,
}

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
        if bytes.len() > MAX_BYTES {
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

    /// A model of checked parts.
    ///
    /// # Errors
    /// When sizes do not fit together or a number is not finite; the message says which.
    pub fn new(scalers: Vec<Scaler>, machine: OneClass) -> Result<Self, String> {
        let OneClass { n_features, gamma, support, coefficients, intercept } = &machine;
        if *n_features == 0 || coefficients.is_empty() {
            return Err("the model has no features or no support vectors; train it again".to_owned());
        }
        if n_features.checked_mul(coefficients.len()) != Some(support.len()) {
            return Err(format!(
                "the model has {} numbers for {} support vectors of {n_features} features",
                support.len(),
                coefficients.len()
            ));
        }
        if !gamma.is_finite() || *gamma <= 0.0 {
            return Err(format!("gamma is {gamma:?}; it must be a number above 0"));
        }
        if !intercept.is_finite() || !support.iter().chain(coefficients).all(|x| x.is_finite()) {
            return Err("a support vector, coefficient or intercept is not a finite number; train it again".to_owned());
        }
        let scalers: Vec<Scaler> = scalers.into_iter().filter(|s| !(s.mean.is_empty() && s.scale.is_empty())).collect();
        for scaler in &scalers {
            if scaler.mean.len() != *n_features || scaler.scale.len() != *n_features {
                return Err(format!(
                    "the scaler has {} means and {} scales, the machine takes {n_features} features",
                    scaler.mean.len(),
                    scaler.scale.len()
                ));
            }
            if !scaler.mean.iter().all(|m| m.is_finite()) || !scaler.scale.iter().all(|s| s.is_finite() && *s != 0.0) {
                return Err("a mean or scale of the scaler is not a finite number, or a scale is 0".to_owned());
            }
        }
        let rbf = Rbf::new(*n_features, *gamma, support, coefficients, *intercept);
        Ok(Self { scalers, machine, rbf })
    }

    /// How many values a reading must have.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.machine.n_features
    }

    /// What a user should know before trusting the model, such as that it can call nothing normal.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let OneClass { coefficients, intercept, .. } = &self.machine;
        // A kernel value is at most 1, so the decision is at most this.
        let highest = coefficients.iter().map(|c| c.max(0.0)).sum::<f64>() + intercept;
        let vectors = coefficients.len();
        if highest <= 0.0 {
            return vec![format!(
                "the model has {vectors} support vector(s) and its decision never exceeds 0, so every row is an \
                 anomaly; train it again with a larger nu or more readings"
            )];
        }
        if vectors == 1 {
            return vec![
                "the model has one support vector only, so it knows a single point; train it again with a larger nu or \
                 more readings"
                    .to_owned(),
            ];
        }
        Vec::new()
    }

    /// Decisions for readings that stand one after the other: above 0 normal, else an anomaly.
    pub(crate) fn decisions(&self, mut rows: Vec<f64>) -> Vec<f64> {
        for scaler in &self.scalers {
            for row in rows.chunks_exact_mut(self.machine.n_features) {
                for ((x, mean), scale) in row.iter_mut().zip(&scaler.mean).zip(&scaler.scale) {
                    *x = (*x - mean) / scale;
                }
            }
        }
        let mut decisions = vec![0.0; rows.len() / self.machine.n_features];
        self.rbf.decisions(&rows, &mut decisions);
        decisions
    }
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
