//! The project's own model format, version 3 to 5: two lines of JSON.
//!
//! The first says what the file is and gives the SHA-256 of the second, which holds the model: its steps and its
//! estimator as [`Transform`] and [`Estimator`] have them, and where it comes from. Version 4 says how neighbours are found,
//! version 5 how many readings an imported SVM was fitted to; models without either are written as version 3, which older
//! scorers read, too. Versions 1 and 2 are read only.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Algorithm, Estimator, Kernel, Metadata, Model, OneClassSvm, Scaler, Transform, exact};

const FORMAT: &str = "batchscoring.dev/model";
/// The newest.
const VERSION: u32 = 5;
/// Of models that say how neighbours are found, and not how many readings they were fitted to.
const NEIGHBOURS: u32 = 4;
/// Of models that say neither.
const PLAIN: u32 = 3;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum NativeError {
    #[error("line 1: {0}; the file is damaged, upload it again")]
    Header(String),
    #[error(
        "the file has version {0} of the format, this scorer reads 1 to {VERSION}; use a scorer as new as the one that trained"
    )]
    Version(u32),
    #[error("the file's content does not match its checksum: it is damaged or was edited; upload it again")]
    Checksum,
    #[error("line 2: {0}")]
    Body(String),
}

/// What a model was trained on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trained {
    /// The file of the readings.
    pub data: String,
    /// Readings that the model was fitted to.
    pub rows: u64,
    /// The share of readings that may be outside.
    pub nu: f64,
    /// How far the boundary was moved out.
    pub margin: f64,
}

impl Trained {
    /// What is known of a model that was trained so.
    fn metadata(&self, metadata: Metadata) -> Metadata {
        Metadata { n_samples: Some(self.rows).filter(|rows| *rows > 0), ..metadata }
    }
}

/// The file that a model was converted from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Imported {
    /// Its name.
    pub file: String,
    /// The SHA-256 of its content.
    pub sha256: String,
}

/// How a model came about, kept in its file for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// Trained here.
    Trained(Trained),
    /// Converted from another format.
    Imported(Imported),
}

impl Origin {
    fn metadata(&self, metadata: Metadata) -> Metadata {
        match self {
            Self::Trained(trained) => trained.metadata(metadata),
            Self::Imported(_) => metadata,
        }
    }
}

impl From<&Trained> for Origin {
    fn from(trained: &Trained) -> Self {
        Self::Trained(trained.clone())
    }
}

impl From<&Imported> for Origin {
    fn from(imported: &Imported) -> Self {
        Self::Imported(imported.clone())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Header {
    format: String,
    version: u32,
    sha256: String,
}

/// Enough of a header to tell a newer version from damage.
#[derive(Deserialize)]
struct AnyHeader {
    version: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    origin: Origin,
    metadata: Metadata,
    steps: Vec<Transform>,
    estimator: Estimator,
}

/// As [`Body`], without a copy of the model.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BodyRef<'a> {
    origin: &'a Origin,
    metadata: &'a Metadata,
    steps: &'a [Transform],
    estimator: &'a Estimator,
}

/// What version 2 had.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BodyV2 {
    trained: Trained,
    metadata: Metadata,
    steps: Vec<Transform>,
    estimator: Estimator,
}

/// What version 1 had: standard scalers and an RBF machine.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BodyV1 {
    trained: Trained,
    scalers: Vec<Scaler>,
    one_class_svm: MachineV1,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MachineV1 {
    features: usize,
    #[serde(with = "exact")]
    gamma: f64,
    #[serde(with = "exact::many")]
    support_vectors: Vec<f64>,
    #[serde(with = "exact::many")]
    coefficients: Vec<f64>,
    #[serde(with = "exact")]
    intercept: f64,
}

impl BodyV1 {
    fn parts(self) -> (Vec<Transform>, Estimator, Metadata) {
        let machine = OneClassSvm {
            n_features: self.one_class_svm.features,
            kernel: Kernel::Rbf { gamma: self.one_class_svm.gamma },
            support: self.one_class_svm.support_vectors,
            coefficients: self.one_class_svm.coefficients,
            intercept: self.one_class_svm.intercept,
        };
        let steps = self.scalers.into_iter().map(Transform::StandardScaler).collect();
        (steps, Estimator::OneClassSvm(machine), self.trained.metadata(Metadata::default()))
    }
}

/// Whether bytes claim to be of this format.
pub(super) fn is_native(bytes: &[u8]) -> bool {
    bytes.starts_with(br#"{"format":"batchscoring.dev/model""#)
}

/// The version that a file claims to have.
pub(super) fn version(bytes: &[u8]) -> Option<u32> {
    let header: AnyHeader = serde_json::from_slice(bytes.split(|b| *b == b'\n').next()?).ok()?;
    Some(header.version)
}

pub(super) fn read(bytes: &[u8]) -> Result<Model, NativeError> {
    let wrong = |e: serde_json::Error| NativeError::Header(e.to_string());
    let end = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
    let (first, rest) = bytes.split_at(end);
    let AnyHeader { version } = serde_json::from_slice(first).map_err(wrong)?;
    if !(1..=VERSION).contains(&version) {
        return Err(NativeError::Version(version));
    }
    let header: Header = serde_json::from_slice(first).map_err(wrong)?;
    let body = rest.strip_prefix(b"\n").and_then(|r| r.strip_suffix(b"\n")).unwrap_or_default();
    if header.format != FORMAT || header.sha256 != sha256(body) {
        return Err(NativeError::Checksum);
    }
    let (steps, estimator, metadata) = match version {
        1 => serde_json::from_slice::<BodyV1>(body).map(BodyV1::parts),
        2 => serde_json::from_slice::<BodyV2>(body).map(|b| (b.steps, b.estimator, b.trained.metadata(b.metadata))),
        _ => serde_json::from_slice::<Body>(body).map(|b| (b.steps, b.estimator, b.origin.metadata(b.metadata))),
    }
    .map_err(|e| NativeError::Body(e.to_string()))?;
    Model::new(steps, estimator, metadata).map_err(NativeError::Body)
}

impl Model {
    /// The model's file in the project's own format.
    ///
    /// # Errors
    /// When it does not serialise.
    pub fn to_bytes(&self, origin: impl Into<Origin>) -> Result<Vec<u8>, serde_json::Error> {
        let (origin, mut metadata) = (origin.into(), self.metadata.clone());
        if matches!(origin, Origin::Trained(_)) {
            // Its rows say so already, in every version.
            metadata.n_samples = None;
        }
        let body = BodyRef { origin: &origin, metadata: &metadata, steps: &self.steps, estimator: &self.estimator };
        let body = serde_json::to_vec(&body)?;
        let version = match &self.estimator {
            _ if metadata.n_samples.is_some() => VERSION,
            Estimator::LocalOutlierFactor(factor) if factor.algorithm != Algorithm::First => NEIGHBOURS,
            _ => PLAIN,
        };
        let header = Header { format: FORMAT.to_owned(), version, sha256: sha256(&body) };
        let mut file = serde_json::to_vec(&header)?;
        file.push(b'\n');
        file.extend(body);
        file.push(b'\n');
        Ok(file)
    }
}

/// The SHA-256 of bytes, in hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
