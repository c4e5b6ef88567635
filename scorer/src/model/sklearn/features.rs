//! `SimpleImputer`, `PolynomialFeatures` and `PCA`.

use super::SklearnError;
use super::attributes::{Attributes, number};
use crate::model::pickle::Value;
use crate::model::{Pca, PolynomialFeatures, SimpleImputer, Transform};

impl Attributes<'_, '_> {
    pub(super) fn simple_imputer(&self) -> Result<Transform, SklearnError> {
        if self.flag_if_there("add_indicator")? {
            return Err(self.unsupported("has add_indicator=True, which is not supported; train without it"));
        }
        let missing = self
            .get("missing_values")
            .and_then(number)
            .ok_or_else(|| self.unsupported("has missing_values that are no number; use missing_values=numpy.nan"))?;
        Ok(Transform::SimpleImputer(SimpleImputer { missing, statistics: self.numbers(&["statistics_"])? }))
    }

    pub(super) fn polynomial_features(&self) -> Result<Transform, SklearnError> {
        let broken = || self.wrong("degree", "is neither a whole number nor two");
        let whole = |value| match value {
            Value::Int(n) => u32::try_from(n).ok(),
            _ => None,
        };
        let degree = self.get("degree").ok_or_else(broken)?;
        let (min_degree, max_degree) = match self.heap.items(degree) {
            Some(&[min, max]) => whole(min).zip(whole(max)),
            _ => whole(degree).map(|max| (0, max)),
        }
        .ok_or_else(broken)?;
        Ok(Transform::PolynomialFeatures(PolynomialFeatures {
            n_features: self.count(&["n_features_in_", "n_input_features_"])?,
            min_degree,
            max_degree,
            interaction_only: self.flag("interaction_only")?,
            include_bias: self.flag("include_bias")?,
        }))
    }

    pub(super) fn pca(&self) -> Result<Transform, SklearnError> {
        let (count, n_features, components) = self.matrix(&["components_"])?;
        let scale = if self.flag("whiten")? {
            let (array, variance) = self.array(&["explained_variance_"])?;
            let single = array.is_single();
            // scikit-learn takes the root in the digits that the variance has, and since 1.5 guards against none.
            #[allow(clippy::cast_possible_truncation, reason = "it has 32 bits")]
            let root = |v: f64| if single { f64::from((v as f32).sqrt()) } else { v.sqrt() };
            let least = match (self.is_before(1, 5), single) {
                (true, _) => 0.0,
                (false, true) => f64::from(f32::EPSILON),
                (false, false) => f64::EPSILON,
            };
            variance.into_iter().map(|v| root(v).max(least)).collect()
        } else {
            vec![1.0; count]
        };
        let mean = match self.get("mean_") {
            Some(Value::None) => vec![0.0; n_features],
            _ => self.numbers(&["mean_"])?,
        };
        Ok(Transform::Pca(Pca { mean, components, scale }))
    }
}
