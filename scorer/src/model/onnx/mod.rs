//! A reader of ONNX files that skl2onnx made of scikit-learn's models.
//!
//! A graph is not executed. It is recognised: each node on the way of a row has to be one that skl2onnx writes for a
//! supported transform or estimator, in its place, and becomes a part of the model. Any other node is an error that
//! names it.
//!
//! Numbers and names stay in the file until they are asked for, and how many are taken out of it is bounded by its size.

mod estimator;
mod factor;
mod flow;
mod forest;
mod graph;
mod products;
mod steps;
mod tensor;
mod wire;

use super::{Estimator, Metadata, Model};
use graph::Graph;
use wire::Bytes;

/// Why an ONNX file was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum OnnxError {
    /// The bytes break the rules of the format.
    #[error("byte {at}: {what}; the ONNX file is damaged, upload it again")]
    Damaged { at: usize, what: String },
    /// A node that is not on the list, or not as it should be.
    #[error(
        "{node} {what}; supported are models that skl2onnx makes of OneClassSVM, IsolationForest, LocalOutlierFactor and \
         SGDOneClassSVM, with the usual scalers: upload the pickle or skops file instead"
    )]
    Node { node: String, what: String },
    #[error("{0}")]
    Unsupported(String),
    #[error("{0}")]
    Invalid(String),
}

impl OnnxError {
    fn damaged(at: usize, what: impl Into<String>) -> Self {
        Self::Damaged { at, what: what.into() }
    }
}

/// Whether bytes begin as an ONNX file does: with the version of its format, then a field that may follow.
pub(super) fn is_onnx(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, 1..=0x7f, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, ..])
}

/// The version of the format that a file claims.
pub(super) fn ir_version(bytes: &[u8]) -> u8 {
    bytes.get(1).copied().unwrap_or_default()
}

/// Reads the model of an ONNX file.
pub(super) fn read(bytes: &[u8]) -> Result<Model, OnnxError> {
    let (mut producer, mut version, mut graph) = ("", "", None);
    for field in Bytes::whole(bytes).fields() {
        let field = field?;
        match field.number {
            2 => producer = field.text()?,
            3 => version = field.text()?,
            7 => graph = Some(field.message()?),
            25 => {
                let what = "the model defines functions of its own, which are not supported; upload the pickle or \
                            skops file instead";
                return Err(OnnxError::Unsupported(what.to_owned()));
            }
            _ => {}
        }
    }
    let graph = graph.ok_or_else(|| OnnxError::damaged(bytes.len(), "the file ends before its graph"))?;
    let graph = Graph::read(graph, bytes.len())?;
    let found = estimator::find(&graph, scores(&graph)?)?;
    let (steps, width) = flow::trace(&graph, found.rows)?;
    let mut estimator = found.estimator;
    if let Estimator::IsolationForest(forest) = &mut estimator {
        forest.n_features = width;
    }
    let producer =
        format!("{producer} {version}").chars().filter(|c| !spec::shown::is_control(*c)).take(80).collect::<String>();
    let metadata = Metadata {
        sklearn_version: None,
        producer: Some(producer.trim().to_owned()).filter(|p| !p.is_empty()),
        feature_names: flow::feature_names(&graph),
        n_samples: None,
    };
    Model::new(steps, estimator, metadata).map_err(OnnxError::Invalid)
}

/// The output with the scores: skl2onnx has the labels first.
fn scores<'a>(graph: &Graph<'a>) -> Result<&'a str, OnnxError> {
    let named = graph.outputs.iter().find(|o| **o == "scores").or(graph.outputs.get(1));
    named.copied().ok_or_else(|| {
        OnnxError::Unsupported(
            "the graph has no output `scores`, so it is no one-class model; convert the whole pipeline with skl2onnx"
                .to_owned(),
        )
    })
}

#[cfg(test)]
mod tests;
