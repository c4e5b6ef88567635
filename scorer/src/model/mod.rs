//! Models: pickled scikit-learn, read without executing it, and the project's own format.

/// A one-class support vector machine with an RBF kernel, and the scaling in front of it; checked and ready to score.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    n_features: usize,
}

/// Why bytes are not a model that can score.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The bytes are damaged, or are no model at all.
    #[error("{file}: {what}")]
    Invalid {
        /// The model's file.
        file: String,
        /// What is wrong, where, and what to do.
        what: String,
    },
    /// A model, but of a kind or with a part that is not supported.
    #[error("{file}: {what}")]
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
    pub fn from_bytes(name: &str, _bytes: &[u8]) -> Result<Self, ModelError> {
        Err(ModelError::Unsupported { file: name.to_owned(), what: "models cannot be read yet".to_owned() })
    }

    /// How many values a reading must have.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// What a user should know before trusting the model, such as that it can call nothing normal.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}
