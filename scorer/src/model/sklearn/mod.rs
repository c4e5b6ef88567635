//! scikit-learn's pipelines, from what their pickles and skops files hold.

mod attributes;
mod columns;
mod features;
mod forest;
mod outliers;
mod scalers;
mod search_tree;
mod svm;

use self::attributes::{Attributes, Fitted};
use super::pickle::{Class, Heap, Node, PickleError, Value, load};
use super::{Estimator, Metadata, Model, Transform};

/// More steps than any pipeline has, counting those of columns.
const MAX_STEPS: usize = 256;
/// Deeper than pipelines in pipelines are.
const MAX_DEPTH: usize = 8;

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

/// Reads a pickle.
pub(super) fn read(bytes: &[u8]) -> Result<Model, SklearnError> {
    let (heap, root) = load(bytes)?;
    fitted(heap, root, bytes.len())
}

/// Reads a `Pipeline` of supported transforms and, last, an estimator; or the last alone. They come from a file of so
/// many bytes.
pub(super) fn fitted(heap: Heap<'_>, root: Value, bytes: usize) -> Result<Model, SklearnError> {
    let fitted = Fitted::new(heap, bytes);
    let mut objects = Vec::new();
    fitted.flatten(root, 0, &mut objects)?;
    let metadata = fitted.metadata(root, &objects);
    let (mut steps, mut estimator) = (Vec::new(), None);
    for object in objects {
        if estimator.is_some() {
            let what = fitted.heap.describe(object);
            return Err(SklearnError::Invalid(format!("{what} stands behind the pipeline's estimator")));
        }
        match fitted.step(object, 0)? {
            Step::Transform(transform) => steps.push(transform),
            Step::Estimator(last) => estimator = Some(last),
            Step::Nothing => {}
        }
    }
    let estimator = estimator.ok_or_else(|| {
        SklearnError::Unsupported(format!(
            "the pipeline has no one-class estimator as its last step, so it cannot score; supported are {ESTIMATORS}"
        ))
    })?;
    Model::new(steps, estimator, metadata).map_err(SklearnError::Invalid)
}

const ESTIMATORS: &str = "OneClassSVM, IsolationForest, EllipticEnvelope, LocalOutlierFactor and SGDOneClassSVM";

/// One fitted object of a pipeline.
enum Step {
    Transform(Transform),
    Estimator(Estimator),
    /// It changes nothing.
    Nothing,
}

impl<'a> Fitted<'a> {
    /// The objects of a pipeline that do something, or the one that stands alone.
    fn flatten(&self, root: Value, depth: usize, objects: &mut Vec<Value>) -> Result<(), SklearnError> {
        if depth > MAX_DEPTH {
            return Err(SklearnError::Unsupported(format!("the pipeline is nested deeper than {MAX_DEPTH}")));
        }
        let state = match self.heap.node(root) {
            Some(Node::Object { class: Class::Pipeline, state }) => *state,
            Some(Node::Object { .. }) => {
                objects.push(root);
                return Ok(());
            }
            _ => {
                return Err(SklearnError::Unsupported(format!(
                    "the file holds {}, not a fitted Pipeline or estimator",
                    self.heap.describe(root)
                )));
            }
        };
        let broken = || SklearnError::Invalid("the Pipeline's `steps` is not a list of (name, estimator)".to_owned());
        let steps = state.and_then(|s| self.heap.entry(s, "steps")).and_then(|s| self.heap.items(s));
        let steps = steps.ok_or_else(broken)?;
        self.spend_steps(steps.len())?;
        for step in steps {
            let Some(&[_, step]) = self.heap.tuple(*step) else { return Err(broken()) };
            if step != Value::None && self.heap.text(step) != Some("passthrough") {
                self.flatten(step, depth + 1, objects)?;
            }
        }
        Ok(())
    }

    /// The transforms of what a ColumnTransformer does to some columns.
    fn transforms(&self, what: Value, depth: usize) -> Result<Vec<Transform>, SklearnError> {
        let mut objects = Vec::new();
        if self.heap.text(what) != Some("passthrough") {
            self.flatten(what, depth, &mut objects)?;
        }
        let mut transforms = Vec::new();
        for object in objects {
            match self.step(object, depth)? {
                Step::Transform(transform) => transforms.push(transform),
                Step::Nothing => {}
                Step::Estimator(_) => return Err(self.no_step(object)),
            }
        }
        transforms.retain(|t| !t.is_identity());
        Ok(transforms)
    }

    fn step(&self, object: Value, depth: usize) -> Result<Step, SklearnError> {
        let Some(Node::Object { class, state }) = self.heap.node(object) else {
            return Err(self.no_step(object));
        };
        let attributes = |class: Class| Attributes::of(self, class, *state);
        Ok(match class {
            Class::StandardScaler => Step::Transform(attributes(*class)?.standard_scaler()?),
            Class::RobustScaler => Step::Transform(attributes(*class)?.robust_scaler()?),
            Class::MaxAbsScaler => Step::Transform(attributes(*class)?.max_abs_scaler()?),
            Class::MinMaxScaler => Step::Transform(attributes(*class)?.min_max_scaler()?),
            Class::SimpleImputer => Step::Transform(attributes(*class)?.simple_imputer()?),
            Class::PolynomialFeatures => Step::Transform(attributes(*class)?.polynomial_features()?),
            Class::Pca => Step::Transform(attributes(*class)?.pca()?),
            Class::ColumnTransformer => Step::Transform(attributes(*class)?.column_transformer(depth)?),
            Class::FunctionTransformer if attributes(*class)?.get("func") == Some(Value::None) => Step::Nothing,
            Class::OneClassSvm => Step::Estimator(attributes(*class)?.one_class_svm()?),
            Class::IsolationForest => Step::Estimator(attributes(*class)?.isolation_forest()?),
            Class::EllipticEnvelope => Step::Estimator(attributes(*class)?.elliptic_envelope()?),
            Class::LocalOutlierFactor => Step::Estimator(attributes(*class)?.local_outlier_factor()?),
            Class::SgdOneClassSvm => Step::Estimator(attributes(*class)?.sgd_one_class_svm()?),
            _ => return Err(self.no_step(object)),
        })
    }

    fn no_step(&self, object: Value) -> SklearnError {
        SklearnError::Unsupported(format!(
            "the pipeline has {} where a supported transform should be",
            self.heap.describe(object)
        ))
    }

    /// How many rows an SVM was fitted to.
    fn samples(&self, object: Value) -> Option<u64> {
        let Some(Node::Object { class: Class::OneClassSvm, state }) = self.heap.node(object) else { return None };
        match *self.heap.items(self.heap.entry((*state)?, "shape_fit_")?)?.first()? {
            Value::Int(samples) => u64::try_from(samples).ok(),
            _ => None,
        }
    }

    /// The version and feature names that the pipeline or the first step that knows them has.
    fn metadata(&self, root: Value, objects: &[Value]) -> Metadata {
        let states = || {
            std::iter::once(&root).chain(objects).filter_map(|object| match self.heap.node(*object) {
                Some(Node::Object { state, .. }) => *state,
                _ => None,
            })
        };
        let version = states().find_map(|s| self.heap.text(self.heap.entry(s, "_sklearn_version")?));
        // Only the first step sees the features by the names that the data has.
        let names = states().take(2).find_map(|s| self.heap.texts(self.heap.entry(s, "feature_names_in_")?));
        Metadata {
            sklearn_version: version.map(|v| v.chars().take(40).collect()),
            producer: None,
            feature_names: names.unwrap_or_default().into_iter().map(str::to_owned).collect(),
            n_samples: objects.last().and_then(|last| self.samples(*last)),
        }
    }
}
