//! `sklearn.ensemble.IsolationForest`.

use super::SklearnError;
use super::attributes::Attributes;
use crate::model::pickle::{Class, Node, Value};
use crate::model::{Boundary, Estimator, IsolationForest, Tree};

impl Attributes<'_, '_> {
    pub(super) fn isolation_forest(&self) -> Result<Estimator, SklearnError> {
        let trees = self.list("estimators_")?;
        let features = self.list("estimators_features_")?;
        if trees.len() != features.len() {
            return Err(self.wrong("estimators_features_", "is not as long as `estimators_`"));
        }
        let trees = trees.iter().zip(features).map(|(tree, features)| self.tree(*tree, *features));
        let trees: Vec<Tree> = trees.collect::<Result<_, _>>()?;
        // Before 0.22, with all features in each tree, only these say how many there are.
        let n_features = self.count(&["n_features_in_", "n_features_", "_max_features"])?;
        let (offset, boundary) = self.threshold()?;
        let max_samples = self.count(&["_max_samples", "max_samples_"])?;
        Ok(Estimator::IsolationForest(IsolationForest {
            n_features,
            trees,
            max_samples: u32::try_from(max_samples).map_err(|_| self.wrong("max_samples_", "is too large"))?,
            offset,
            boundary,
            single_rows_count: self.is_before(0, 21),
        }))
    }

    /// Offset and boundary: 0 since 0.22; before, `predict` compared with a threshold of its own.
    fn threshold(&self) -> Result<(f64, Boundary), SklearnError> {
        if self.get("offset_").is_none() && self.get("threshold_").is_some() {
            return Ok((-0.5, Boundary { at: self.number(&["threshold_"])?, inclusive: true }));
        }
        let offset = self.number(&["offset_"])?;
        let old = self.text("behaviour") == Some("old") && self.is_before(0, 22);
        let at = if old { self.number(&["_threshold_", "threshold_"])? } else { 0.0 };
        Ok((offset, Boundary { at, inclusive: false }))
    }

    /// One tree, whose features are places in `features`.
    fn tree(&self, regressor: Value, features: Value) -> Result<Tree, SklearnError> {
        let broken = |what: &str| self.wrong("estimators_", what);
        let part = |object, class, name| match self.heap.node(object) {
            Some(Node::Object { class: found, state: Some(state) }) if *found == class => self.heap.entry(*state, name),
            _ => None,
        };
        let nodes = part(regressor, Class::ExtraTreeRegressor, "tree_").and_then(|t| part(t, Class::Tree, "nodes"));
        let Some(Node::Array(nodes)) = nodes.and_then(|n| self.heap.node(n)) else {
            return Err(broken("holds what is no fitted ExtraTreeRegressor"));
        };
        let Some(Node::Array(subset)) = self.heap.node(features) else {
            return Err(self.wrong("estimators_features_", "holds what is no array"));
        };
        self.fitted.spend(5 * nodes.len() + subset.len()).ok_or_else(|| broken("shares one tree among many"))?;
        let subset = subset.numbers().and_then(|s| indexes(&s));
        let subset = subset.ok_or_else(|| self.wrong("estimators_features_", "is no array of indexes"))?;

        let field = |name| nodes.field(name).ok_or_else(|| broken("has a tree without nodes"));
        let (left, right) = (field("left_child")?, field("right_child")?);
        let (feature, threshold) = (field("feature")?, field("threshold")?);
        let samples = indexes(&field("n_node_samples")?).ok_or_else(|| broken("has a node with too many rows"))?;
        let mut tree = Tree { threshold, samples, ..Tree::default() };
        for ((left, right), feature) in left.iter().zip(&right).zip(&feature) {
            // scikit-learn's leaves have children and feature below 0.
            let inner = (index(*left), index(*right), index(*feature).and_then(|f| subset.get(f as usize)));
            let (left, right, feature) = match inner {
                (Some(left), Some(right), Some(feature)) => (left, right, *feature),
                (None, None, _) => (0, 0, 0),
                _ => return Err(broken("has a node with one child, or of no such feature")),
            };
            tree.left.push(left);
            tree.right.push(right);
            tree.feature.push(feature);
        }
        for (threshold, left) in tree.threshold.iter_mut().zip(&tree.left) {
            if *left == 0 {
                *threshold = 0.0;
            }
        }
        Ok(tree)
    }
}

fn index(number: f64) -> Option<u32> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
    (0.0..=f64::from(u32::MAX)).contains(&number).then_some(number as u32)
}

pub(super) fn indexes(numbers: &[f64]) -> Option<Vec<u32>> {
    numbers.iter().map(|n| index(*n)).collect()
}
