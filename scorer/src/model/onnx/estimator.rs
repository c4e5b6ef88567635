//! Which estimator gives a graph its scores: `OneClassSVM` and `SGDOneClassSVM` here, the others behind them.

use super::OnnxError;
use super::graph::{Graph, ML, Node};
use super::{factor, forest};
use crate::model::{Estimator, Kernel, OneClassSvm, SgdOneClassSvm};

/// An estimator, and the tensor with the rows that it sees.
pub(super) struct Found<'a> {
    pub(super) estimator: Estimator,
    pub(super) rows: &'a str,
}

/// Finds what makes the scores.
pub(super) fn find<'a>(graph: &Graph<'a>, scores: &'a str) -> Result<Found<'a>, OnnxError> {
    let scores = graph.through(scores, &["Cast", "Identity"])?;
    let node = graph.made(scores)?;
    match (node.domain, node.op) {
        (ML, "SVMRegressor") => one_class_svm(graph, node),
        ("", "Sub") => sgd_one_class_svm(graph, node),
        ("", "Add") => {
            // `-offset_` is added to scikit-learn's `score_samples`.
            let (samples, offset) = graph.with_number(node)?;
            let behind = graph.made(samples)?;
            match (behind.domain, behind.op) {
                ("", "Neg") => forest::isolation_forest(graph, samples, -offset),
                ("", "Mul") => factor::local_outlier_factor(graph, samples, -offset),
                _ => Err(behind.unknown()),
            }
        }
        _ => Err(node.unknown()),
    }
}

/// The operator adds `rho` to the kernels' sum: it is scikit-learn's `intercept_`.
fn one_class_svm<'a>(graph: &Graph<'a>, node: &Node<'a>) -> Result<Found<'a>, OnnxError> {
    let [rows] = node.takes()?;
    if node.int("one_class", 0)? != 0 || !matches!(node.text("post_transform")?, None | Some("NONE")) {
        return Err(node.unsupported("gives labels or transformed scores, which skl2onnx has not for a OneClassSVM"));
    }
    let parameters = match node.attribute("kernel_params")? {
        Some(parameters) => parameters.floats(&graph.budget)?,
        None => Vec::new(),
    };
    let kernel = match (node.text("kernel_type")?.unwrap_or("LINEAR"), parameters.as_slice()) {
        ("LINEAR", _) => Kernel::Linear,
        ("RBF", [gamma, ..]) => Kernel::Rbf { gamma: *gamma },
        ("POLY", [gamma, coef0, degree]) => {
            Kernel::Poly { degree: whole(*degree).ok_or_else(|| node.unknown())?, gamma: *gamma, coef0: *coef0 }
        }
        ("SIGMOID", [gamma, coef0, ..]) => Kernel::Sigmoid { gamma: *gamma, coef0: *coef0 },
        _ => return Err(node.unsupported("has a kernel or kernel_params that no OneClassSVM has")),
    };
    let (support, coefficients) = (graph.floats(node, "support_vectors")?, graph.floats(node, "coefficients")?);
    let count = coefficients.len();
    if count == 0 || i64::try_from(count) != Ok(node.int("n_supports", 0)?) || support.len() % count != 0 {
        let what = format!("has {} numbers of support vectors for {count} coefficients", support.len());
        return Err(node.unsupported(&what));
    }
    let [intercept] = *graph.floats(node, "rho")? else { return Err(node.unsupported("has not one rho")) };
    let n_features = support.len() / count;
    let machine = OneClassSvm { n_features, kernel, support, coefficients, intercept };
    Ok(Found { estimator: Estimator::OneClassSvm(machine), rows })
}

fn whole(number: f64) -> Option<u32> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
    ((0.0..=f64::from(u32::MAX)).contains(&number) && number.trunc() == number).then_some(number as u32)
}

/// `rows · coef_ - offset_`.
fn sgd_one_class_svm<'a>(graph: &Graph<'a>, node: &Node<'a>) -> Result<Found<'a>, OnnxError> {
    let [product, offset] = node.takes()?;
    let offset = graph.number(node, offset)?;
    let product = graph.made_by(product, "MatMul")?;
    let [rows, coefficients] = product.takes()?;
    let coefficients = graph.constant(coefficients)?;
    if !matches!(coefficients.dims.as_slice(), [_] | [_, 1]) {
        return Err(product.unsupported("multiplies with what is no column of coefficients"));
    }
    let machine = SgdOneClassSvm { coefficients: coefficients.numbers, offset };
    Ok(Found { estimator: Estimator::SgdOneClassSvm(machine), rows })
}
