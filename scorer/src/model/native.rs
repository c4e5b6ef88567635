//! The project's own model format, version 1: two lines of JSON.
//!
//! The first says what the file is and gives the SHA-256 of the second, which holds the model. Numbers are texts with
//! the shortest digits that read back to the same bits, so that a reader's JSON library cannot round them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::{Model, OneClass, Scaler};

const FORMAT: &str = "batchscoring.dev/model";
const VERSION: u32 = 1;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum NativeError {
    #[error("line 1: {0}; the file is damaged, upload it again")]
    Header(String),
    #[error(
        "the file has version {0} of the format, this scorer reads {VERSION}; use a scorer as new as the one that trained"
    )]
    Version(u32),
    #[error("the file's content does not match its checksum: it is damaged or was edited; upload it again")]
    Checksum,
    #[error("line 2: {0}")]
    Body(String),
}

/// How a model came about, kept in its file for people.
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

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    trained: Trained,
    scalers: Vec<ScalerBody>,
    one_class_svm: MachineBody,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScalerBody {
    mean: Vec<Exact>,
    scale: Vec<Exact>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MachineBody {
    features: usize,
    gamma: Exact,
    support_vectors: Vec<Exact>,
    coefficients: Vec<Exact>,
    intercept: Exact,
}

/// A number as the text of its shortest round-trip digits.
#[derive(Clone, Copy)]
struct Exact(f64);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:?}", self.0))
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(|_| serde::de::Error::custom(format!("{text:?} is not a number")))
    }
}

fn exact(numbers: &[f64]) -> Vec<Exact> {
    numbers.iter().copied().map(Exact).collect()
}

fn plain(numbers: Vec<Exact>) -> Vec<f64> {
    numbers.into_iter().map(|n| n.0).collect()
}

/// Whether bytes claim to be of this format.
pub(super) fn is_native(bytes: &[u8]) -> bool {
    bytes.starts_with(br#"{"format":"batchscoring.dev/model""#)
}

pub(super) fn read(bytes: &[u8]) -> Result<Model, NativeError> {
    let wrong = |e: serde_json::Error| NativeError::Header(e.to_string());
    let end = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
    let (first, rest) = bytes.split_at(end);
    let AnyHeader { version } = serde_json::from_slice(first).map_err(wrong)?;
    if version != VERSION {
        return Err(NativeError::Version(version));
    }
    let header: Header = serde_json::from_slice(first).map_err(wrong)?;
    let body = rest.strip_prefix(b"\n").and_then(|r| r.strip_suffix(b"\n")).unwrap_or_default();
    if header.format != FORMAT || header.sha256 != checksum(body) {
        return Err(NativeError::Checksum);
    }
    let body: Body = serde_json::from_slice(body).map_err(|e| NativeError::Body(e.to_string()))?;
    let scalers = body.scalers.into_iter().map(|s| Scaler { mean: plain(s.mean), scale: plain(s.scale) }).collect();
    let machine = OneClass {
        n_features: body.one_class_svm.features,
        gamma: body.one_class_svm.gamma.0,
        support: plain(body.one_class_svm.support_vectors),
        coefficients: plain(body.one_class_svm.coefficients),
        intercept: body.one_class_svm.intercept.0,
    };
    Model::new(scalers, machine).map_err(NativeError::Body)
}

impl Model {
    /// The model's file in the project's own format.
    ///
    /// # Errors
    /// When it does not serialise.
    pub fn to_bytes(&self, trained: &Trained) -> Result<Vec<u8>, serde_json::Error> {
        let machine = &self.machine;
        let body = serde_json::to_vec(&Body {
            trained: trained.clone(),
            scalers: self.scalers.iter().map(|s| ScalerBody { mean: exact(&s.mean), scale: exact(&s.scale) }).collect(),
            one_class_svm: MachineBody {
                features: machine.n_features,
                gamma: Exact(machine.gamma),
                support_vectors: exact(&machine.support),
                coefficients: exact(&machine.coefficients),
                intercept: Exact(machine.intercept),
            },
        })?;
        let header = Header { format: FORMAT.to_owned(), version: VERSION, sha256: checksum(&body) };
        let mut file = serde_json::to_vec(&header)?;
        file.push(b'\n');
        file.extend(body);
        file.push(b'\n');
        Ok(file)
    }
}

fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
