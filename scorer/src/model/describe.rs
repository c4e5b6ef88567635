//! What a model's parts are, in scikit-learn's words.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{Branch, Estimator, Kernel, Metric, MinMaxScaler, OneClassSvm, Scaler, Transform};

/// Longer arrays are told by their length only.
const MAX_SHOWN: usize = 16;

/// A fitted object: its class, and its parameters by scikit-learn's names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// scikit-learn's name of its class.
    pub class: &'static str,
    /// Parameters and fitted attributes, as far as they can be told in a line.
    #[serde(serialize_with = "as_map")]
    pub parameters: Vec<(&'static str, Value)>,
}

fn as_map<S: Serializer>(parameters: &[(&'static str, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(parameters.iter().map(|(name, value)| (name, value)))
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.class)?;
        for (i, (name, value)) in self.parameters.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={value}")?;
        }
        f.write_str(")")
    }
}

impl Estimator {
    /// What it is, for people.
    #[must_use]
    pub fn describe(&self) -> Description {
        let parameters = match self {
            Self::OneClassSvm(svm) => one_class_svm(svm),
            Self::IsolationForest(forest) => vec![
                ("n_estimators", json!(forest.trees.len())),
                ("max_samples_", json!(forest.max_samples)),
                ("offset_", json!(forest.offset)),
            ],
            Self::EllipticEnvelope(envelope) => {
                vec![("location_", numbers(&envelope.location)), ("offset_", json!(envelope.offset))]
            }
            Self::LocalOutlierFactor(factor) => vec![
                ("n_neighbors_", json!(factor.n_neighbors)),
                ("n_samples_fit_", json!(factor.density.len())),
                ("metric", metric(factor.metric)),
                ("algorithm", json!(factor.algorithm.name())),
                ("offset_", json!(factor.offset)),
            ],
            Self::SgdOneClassSvm(sgd) => vec![("coef_", numbers(&sgd.coefficients)), ("offset_", json!(sgd.offset))],
        };
        Description { class: self.name(), parameters }
    }

    /// How many support vectors it has, where it has any.
    #[must_use]
    pub fn support_vectors(&self) -> Option<usize> {
        match self {
            Self::OneClassSvm(svm) => Some(svm.coefficients.len()),
            _ => None,
        }
    }
}

impl Transform {
    /// What it is, for people.
    #[must_use]
    pub fn describe(&self) -> Description {
        let parameters = match self {
            Self::StandardScaler(s) => scaler(s, "mean_"),
            Self::RobustScaler(s) => scaler(s, "center_"),
            Self::MaxAbsScaler(s) => vec![("scale_", numbers(&s.scale))],
            Self::MinMaxScaler(s) => min_max_scaler(s),
            Self::SimpleImputer(s) => {
                vec![("missing_values", json!(format!("{:?}", s.missing))), ("statistics_", numbers(&s.statistics))]
            }
            Self::PolynomialFeatures(s) => vec![
                ("degree", json!([s.min_degree, s.max_degree])),
                ("interaction_only", json!(s.interaction_only)),
                ("include_bias", json!(s.include_bias)),
                ("n_output_features_", json!(self.n_outputs())),
            ],
            Self::Pca(s) => vec![("n_components_", json!(s.scale.len())), ("mean_", numbers(&s.mean))],
            Self::ColumnTransformer(s) => vec![("transformers_", s.branches.iter().map(branch).collect())],
        };
        Description { class: self.name(), parameters }
    }
}

fn one_class_svm(svm: &OneClassSvm) -> Vec<(&'static str, Value)> {
    let mut parameters = vec![("kernel", json!(svm.kernel.name()))];
    match svm.kernel {
        Kernel::Linear => {}
        Kernel::Rbf { gamma } => parameters.push(("gamma", json!(gamma))),
        Kernel::Poly { degree, gamma, coef0 } => {
            parameters.extend([("degree", json!(degree)), ("gamma", json!(gamma)), ("coef0", json!(coef0))]);
        }
        Kernel::Sigmoid { gamma, coef0 } => parameters.extend([("gamma", json!(gamma)), ("coef0", json!(coef0))]),
    }
    parameters.push(("intercept_", json!(svm.intercept)));
    parameters
}

fn scaler(scaler: &Scaler, mean: &'static str) -> Vec<(&'static str, Value)> {
    vec![(mean, numbers(&scaler.mean)), ("scale_", numbers(&scaler.scale))]
}

fn metric(metric: Metric) -> Value {
    match metric {
        Metric::Euclidean => json!("euclidean"),
        Metric::Manhattan => json!("manhattan"),
        Metric::Chebyshev => json!("chebyshev"),
        Metric::Minkowski { p } => json!(format!("minkowski, p={p:?}")),
    }
}

/// What becomes of some columns.
fn branch(branch: &Branch) -> Value {
    let steps: Vec<String> = branch.steps.iter().map(|s| s.describe().to_string()).collect();
    json!({ "columns": &branch.columns[..branch.columns.len().min(MAX_SHOWN)], "steps": steps })
}

fn min_max_scaler(scaler: &MinMaxScaler) -> Vec<(&'static str, Value)> {
    let mut parameters = vec![("min_", numbers(&scaler.min)), ("scale_", numbers(&scaler.scale))];
    if let Some(clip) = scaler.clip {
        parameters.push(("feature_range", json!([clip.low, clip.high])));
        parameters.push(("clip", json!(true)));
    }
    parameters
}

/// An array, or how long it is.
fn numbers(numbers: &[f64]) -> Value {
    if numbers.len() <= MAX_SHOWN { json!(numbers) } else { json!(format!("{} numbers", numbers.len())) }
}
