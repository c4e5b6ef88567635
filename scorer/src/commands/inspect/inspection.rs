//! What one model's file is, as JSON and for people.

use std::fmt;

use serde::{Serialize, Serializer};
use spec::report::Failure;

use crate::commands::models::ReadError;
use crate::model::{Boundary, Description, Format, Model, ModelError, sha256};
use crate::shown;

/// What a model's file is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Inspection {
    pub(super) model: String,
    #[serde(flatten)]
    file: Option<FileFacts>,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

/// What its bytes tell, whether it loads or not.
#[derive(Debug, Serialize)]
struct FileFacts {
    bytes: usize,
    sha256: String,
    format: Format,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Outcome {
    Loads(Box<Loaded>),
    Fails { error: Failure },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Loaded {
    pub(super) estimator: Description,
    #[serde(skip_serializing_if = "Option::is_none")]
    support_vectors: Option<usize>,
    transforms: Vec<Description>,
    features: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    feature_names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sklearn_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    producer: Option<String>,
    #[serde(serialize_with = "boundary")]
    boundary: Boundary,
    fills_missing: bool,
    pub(super) warnings: Vec<String>,
}

fn boundary<S: Serializer>(boundary: &Boundary, serializer: S) -> Result<S::Ok, S::Error> {
    serde_json::json!({ "at": boundary.at, "inclusive": boundary.inclusive }).serialize(serializer)
}

impl Inspection {
    /// Of a file that was read, and what came of loading it.
    pub(super) fn of(name: String, bytes: &[u8], model: Result<Model, ModelError>) -> Self {
        let file = FileFacts { bytes: bytes.len(), sha256: sha256(bytes), format: Format::of(bytes) };
        let outcome = match model {
            Ok(model) => Outcome::Loads(Box::new(Loaded::of(&model))),
            Err(error) => Outcome::Fails { error: ReadError::from(error).to_failure() },
        };
        Self { model: name, file: Some(file), outcome }
    }

    /// Of a file that could not be read.
    pub(super) fn failed(name: String, error: &ReadError) -> Self {
        Self { model: name, file: None, outcome: Outcome::Fails { error: error.to_failure() } }
    }

    pub(super) fn loads(&self) -> bool {
        matches!(self.outcome, Outcome::Loads(_))
    }
}

impl Loaded {
    fn of(model: &Model) -> Self {
        let metadata = model.metadata();
        Self {
            estimator: model.estimator().describe(),
            support_vectors: model.estimator().support_vectors(),
            transforms: model.steps().iter().map(|s| s.describe()).collect(),
            features: model.n_features(),
            feature_names: metadata.feature_names.clone(),
            sklearn_version: metadata.sklearn_version.clone(),
            producer: metadata.producer.clone(),
            boundary: model.estimator().boundary(),
            fills_missing: model.accepts_missing(),
            warnings: [model.warnings(), model.differences()].concat(),
        }
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.model)?;
        let mut line = |name: &str, value: &dyn fmt::Display| writeln!(f, "  {name:<16} {value}");
        if let Some(file) = &self.file {
            line("format", &file.format)?;
            line("size", &format_args!("{} bytes, SHA-256 {}", file.bytes, file.sha256))?;
        }
        let loaded = match &self.outcome {
            Outcome::Loads(loaded) => loaded,
            Outcome::Fails { error } => return line("does not load", &error.message),
        };
        line("scikit-learn", &loaded.sklearn_version.as_deref().unwrap_or("not said"))?;
        if let Some(producer) = &loaded.producer {
            line("producer", producer)?;
        }
        line("features", &features(loaded))?;
        for (i, transform) in loaded.transforms.iter().enumerate() {
            line(if i == 0 { "transforms" } else { "" }, transform)?;
        }
        line("estimator", &loaded.estimator)?;
        if let Some(vectors) = loaded.support_vectors {
            line("support vectors", &vectors)?;
        }
        let Boundary { at, inclusive } = loaded.boundary;
        line("anomaly", &format_args!("a decision {} {at}", if inclusive { "of at most" } else { "below" }))?;
        line("missing values", &if loaded.fills_missing { "filled in by the model" } else { "make a bad row" })?;
        if loaded.warnings.is_empty() {
            return line("warnings", &"none");
        }
        for (i, warning) in loaded.warnings.iter().enumerate() {
            line(if i == 0 { "warnings" } else { "" }, warning)?;
        }
        Ok(())
    }
}

fn features(loaded: &Loaded) -> String {
    let names = &loaded.feature_names;
    match names.len() {
        0 => format!("{} (no names)", loaded.features),
        _ => format!("{}: {}", loaded.features, shown::names(names)),
    }
}
