//! scikit-learn's pipelines, from what their pickles hold.

use super::pickle::{Array, Class, Heap, Node, PickleError, Value, load};
use super::{Model, OneClass, Scaler};

/// More steps than any pipeline has: each costs a copy of its arrays, which a hostile pickle may share.
const MAX_STEPS: usize = 16;

/// Why a pickle is not a model that can score.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum SklearnError {
    #[error(transparent)]
    Pickle(#[from] PickleError),
    #[error("{0}")]
    Unsupported(String),
    #[error("{0}")]
    Invalid(String),
}

/// Reads `Pipeline([StandardScaler…, OneClassSVM(kernel="rbf")])`, or the last alone.
pub(super) fn read(bytes: &[u8]) -> Result<Model, SklearnError> {
    let (heap, root) = load(bytes)?;
    let mut scalers = Vec::new();
    let mut machine = None;
    for estimator in estimators(&heap, root)? {
        if machine.is_some() {
            return Err(SklearnError::Invalid(format!("{} stands behind OneClassSVM", heap.describe(estimator))));
        }
        match heap.node(estimator) {
            Some(Node::Object { class: Class::StandardScaler, state }) => {
                scalers.push(Attributes::of(&heap, Class::StandardScaler, *state)?.scaler()?);
            }
            Some(Node::Object { class: Class::OneClassSvm, state }) => {
                machine = Some(Attributes::of(&heap, Class::OneClassSvm, *state)?.one_class()?);
            }
            _ => {
                return Err(SklearnError::Unsupported(format!(
                    "the pipeline has {} as a step; supported are StandardScaler and, last, OneClassSVM",
                    heap.describe(estimator)
                )));
            }
        }
    }
    let machine = machine.ok_or_else(|| {
        SklearnError::Unsupported("the pipeline has no OneClassSVM as its last step, so it cannot score".to_owned())
    })?;
    Model::new(scalers, machine).map_err(SklearnError::Invalid)
}

/// The estimators of a pipeline that do something, or the one that stands alone.
fn estimators(heap: &Heap<'_>, root: Value) -> Result<Vec<Value>, SklearnError> {
    let state = match heap.node(root) {
        Some(Node::Object { class: Class::Pipeline, state }) => *state,
        Some(Node::Object { .. }) => return Ok(vec![root]),
        _ => {
            return Err(SklearnError::Unsupported(format!(
                "the pickle holds {}, not a fitted Pipeline or OneClassSVM",
                heap.describe(root)
            )));
        }
    };
    let broken = || SklearnError::Invalid("the Pipeline's `steps` is not a list of (name, estimator)".to_owned());
    let steps = state.and_then(|s| heap.entry(s, "steps")).ok_or_else(broken)?;
    let steps = match heap.node(steps) {
        Some(Node::List(steps) | Node::Tuple(steps)) => steps,
        _ => return Err(broken()),
    };
    if steps.len() > MAX_STEPS {
        return Err(SklearnError::Unsupported(format!("the pipeline has {} steps; at most {MAX_STEPS}", steps.len())));
    }
    let mut estimators = Vec::new();
    for step in steps {
        let Some(&[_, estimator]) = heap.tuple(*step) else { return Err(broken()) };
        if estimator != Value::None && heap.text(estimator) != Some("passthrough") {
            estimators.push(estimator);
        }
    }
    Ok(estimators)
}

/// The attributes of one object.
struct Attributes<'h, 'a> {
    heap: &'h Heap<'a>,
    class: Class,
    state: Value,
}

impl<'h, 'a> Attributes<'h, 'a> {
    fn of(heap: &'h Heap<'a>, class: Class, state: Option<Value>) -> Result<Self, SklearnError> {
        let state = state.filter(|s| matches!(heap.node(*s), Some(Node::Dict(_))));
        let state = state.ok_or_else(|| SklearnError::Invalid(format!("{} has no attributes", class.name())))?;
        Ok(Self { heap, class, state })
    }

    fn get(&self, name: &str) -> Option<Value> {
        self.heap.entry(self.state, name)
    }

    fn wrong(&self, name: &str, what: &str) -> SklearnError {
        SklearnError::Invalid(format!("{}: `{name}` {what}", self.class.name()))
    }

    fn flag(&self, name: &str) -> Result<bool, SklearnError> {
        match self.get(name) {
            Some(Value::Bool(flag)) => Ok(flag),
            _ => Err(self.wrong(name, "is not True or False")),
        }
    }

    /// An array among whose names over the years the first found counts.
    fn array(&self, names: &[&str]) -> Result<(&'h Array<'a>, Vec<f64>), SklearnError> {
        let name = names.iter().find(|n| self.get(n).is_some()).or(names.last()).copied().unwrap_or_default();
        let Some(value) = self.get(name) else {
            return Err(self.wrong(name, "is missing: the model was saved before it was fitted; call fit first"));
        };
        let Some(Node::Array(array)) = self.heap.node(value) else {
            return Err(self.wrong(name, &format!("is {}, not an array of numbers", self.heap.describe(value))));
        };
        let numbers = array.numbers().ok_or_else(|| self.wrong(name, "is not an array of numbers"))?;
        Ok((array, numbers))
    }

    /// StandardScaler: `(x - mean_) / scale_`, each only where its switch is on.
    fn scaler(&self) -> Result<Scaler, SklearnError> {
        let mean = self.flag("with_mean")?.then(|| self.array(&["mean_"])).transpose()?.map(|(_, m)| m);
        let scale = self.flag("with_std")?.then(|| self.array(&["scale_"])).transpose()?.map(|(_, s)| s);
        Ok(match (mean, scale) {
            (Some(mean), Some(scale)) => Scaler { mean, scale },
            (Some(mean), None) => Scaler { scale: vec![1.0; mean.len()], mean },
            (None, Some(scale)) => Scaler { mean: vec![0.0; scale.len()], scale },
            (None, None) => Scaler::default(),
        })
    }

    /// OneClassSVM, from what its own `predict` hands to libsvm.
    fn one_class(&self) -> Result<OneClass, SklearnError> {
        let kernel = self.get("kernel").and_then(|k| self.heap.text(k));
        if kernel != Some("rbf") {
            return Err(SklearnError::Unsupported(format!(
                "OneClassSVM has kernel={}; only kernel=\"rbf\" is supported: train with it",
                kernel.map_or_else(|| "a function".to_owned(), |k| format!("{k:?}"))
            )));
        }
        // `_gamma` is the number that gamma="scale" or "auto" came to.
        let gamma = match self.get("_gamma").or_else(|| self.get("gamma")) {
            Some(Value::Float(gamma)) => gamma,
            #[allow(clippy::cast_precision_loss, reason = "a gamma of 2^53 has no use")]
            Some(Value::Int(gamma)) => gamma as f64,
            _ => {
                return Err(
                    self.wrong("_gamma", "is missing: the model was saved before it was fitted; call fit first")
                );
            }
        };
        let (array, support) = self.array(&["support_vectors_"])?;
        let [count, n_features] = *array.shape.as_slice() else {
            return Err(self.wrong("support_vectors_", "has not two dimensions"));
        };
        let (_, coefficients) = self.array(&["_dual_coef_", "dual_coef_"])?;
        let (_, intercept) = self.array(&["_intercept_", "intercept_"])?;
        let [intercept] = *intercept.as_slice() else {
            return Err(self.wrong("intercept_", "has not exactly one number"));
        };
        if coefficients.len() != count {
            let what = format!("has {} numbers for {count} support vectors", coefficients.len());
            return Err(self.wrong("dual_coef_", &what));
        }
        Ok(OneClass { n_features, gamma, support, coefficients, intercept })
    }
}
