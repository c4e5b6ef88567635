//! The search trees of `sklearn.neighbors`, as `LocalOutlierFactor` keeps them.

use super::SklearnError;
use super::attributes::Attributes;
use crate::model::pickle::{Array, Class, Node, Value};
use crate::model::{Algorithm, Bounds, SearchTree};

/// How neighbours are found, and among which points.
pub(super) struct Found {
    pub(super) algorithm: Algorithm,
    pub(super) count: usize,
    pub(super) n_features: usize,
    pub(super) points: Vec<f64>,
}

impl Attributes<'_, '_> {
    /// The algorithm that `fit` chose, and the points.
    pub(super) fn neighbors(&self) -> Result<Found, SklearnError> {
        match self.text("_fit_method") {
            Some("brute") => {
                let (count, n_features, points) = self.matrix(&["_fit_X"])?;
                Ok(Found { algorithm: Algorithm::Brute, count, n_features, points })
            }
            Some("kd_tree") => self.search_tree(Class::KdTree),
            Some("ball_tree") => self.search_tree(Class::BallTree),
            None => Err(self.unfitted("_fit_method")),
            Some(_) => Err(self.wrong("_fit_method", "is none of \"brute\", \"kd_tree\" and \"ball_tree\"")),
        }
    }

    /// `(data, idx_array, node_data, node_bounds, …)`, as both trees keep them.
    fn search_tree(&self, class: Class) -> Result<Found, SklearnError> {
        let broken = |what: &str| self.wrong("_tree", what);
        let state = match self.get("_tree").and_then(|tree| self.heap.node(tree)) {
            Some(Node::Object { class: found, state: Some(state) }) if *found == class => self.heap.tuple(*state),
            _ => None,
        };
        let Some([data, order, nodes, bounds, ..]) = state else {
            return Err(broken(&format!("is no fitted {}", class.name())));
        };
        // Of a node, up to four fields are read.
        let array = |value: &Value, times: usize| match self.heap.node(*value) {
            Some(Node::Array(array)) => {
                let spent = self.fitted.spend(times * array.len());
                spent.map(|()| array).ok_or_else(|| broken("shares one array among many"))
            }
            _ => Err(broken("has no array where one should be")),
        };
        let numbers = |array: &Array<'_>| array.numbers().ok_or_else(|| broken("has an array of what is no number"));
        let (data, order, nodes, bounds) = (array(data, 1)?, array(order, 1)?, array(nodes, 4)?, array(bounds, 1)?);
        let &[count, n_features] = data.shape.as_slice() else {
            return Err(broken("has points that are no rows"));
        };
        let field = |name| nodes.field(name).ok_or_else(|| broken("has no nodes"));
        let whole = |numbers: Vec<f64>| {
            let whole = super::forest::indexes(&numbers);
            whole.ok_or_else(|| broken("has a place that is no whole number"))
        };
        let mut edges = numbers(bounds)?;
        let bounds = match (class, bounds.shape.as_slice()) {
            (Class::KdTree, [2, ..]) => {
                let high = edges.split_off(edges.len() / 2);
                Bounds::Boxes { low: edges, high }
            }
            (Class::BallTree, [1, ..]) => Bounds::Balls { centre: edges, radius: field("radius")? },
            _ => return Err(broken("has no bounds of its nodes")),
        };
        let tree = SearchTree {
            order: whole(numbers(order)?)?,
            start: whole(field("idx_start")?)?,
            end: whole(field("idx_end")?)?,
            leaf: field("is_leaf")?.into_iter().map(|leaf| leaf != 0.0).collect(),
            bounds,
        };
        Ok(Found { algorithm: Algorithm::Tree(tree), count, n_features, points: numbers(data)? })
    }
}
