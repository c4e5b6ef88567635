//! scikit-learn's search trees, fitted: `KDTree` and `BallTree`. Which points are found where distances tie depends on the
//! order in which a tree is searched, so it is searched as scikit-learn does.

use serde::{Deserialize, Serialize};

use super::local_outlier_factor::Metric;
use super::nearest::Nearest;
use crate::model::exact;

/// How far the numbers of a ball may be from those that its points give, for what rounding did.
const ROUNDING: f64 = 1e-9;

/// A fitted tree. Its nodes stand level by level: those below node `i` are `2 i + 1` and `2 i + 2`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SearchTree {
    /// The points, so that those of a node stand together.
    pub order: Vec<u32>,
    /// Where the points of each node begin in the order.
    pub start: Vec<u32>,
    /// Where they end.
    pub end: Vec<u32>,
    /// Whether nothing is below a node.
    pub leaf: Vec<bool>,
    /// What holds the points of each node.
    pub bounds: Bounds,
}

/// What holds the points of each node; its numbers stand one feature after the other, and one node after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Bounds {
    /// `KDTree`: the lowest and highest of each feature.
    Boxes {
        /// The lowest.
        #[serde(with = "exact::many")]
        low: Vec<f64>,
        /// The highest.
        #[serde(with = "exact::many")]
        high: Vec<f64>,
    },
    /// `BallTree`: a centre, and how far the points are from it at most.
    Balls {
        /// The centres.
        #[serde(with = "exact::many")]
        centre: Vec<f64>,
        /// How far.
        #[serde(with = "exact::many")]
        radius: Vec<f64>,
    },
}

/// A tree, with what it searches.
pub(super) struct Search<'a> {
    pub(super) tree: &'a SearchTree,
    pub(super) points: &'a [f64],
    pub(super) n_features: usize,
    pub(super) metric: Metric,
}

impl SearchTree {
    /// Whether every search ends, and comes by all points once.
    pub(super) fn check(&self, count: usize, n_features: usize) -> Result<(), String> {
        let Self { order, start, end, leaf, bounds } = self;
        let nodes = leaf.len();
        let mut seen = vec![false; count];
        let once =
            order.iter().all(|point| seen.get_mut(*point as usize).is_some_and(|seen| !std::mem::replace(seen, true)));
        if !once || order.len() != count {
            return Err("the search tree does not hold every point once".to_owned());
        }
        let range = |node: usize| Some((*start.get(node)?, *end.get(node)?));
        let joined = |node: usize| {
            let (left, right) = (range(2 * node + 1), range(2 * node + 2));
            matches!((range(node), left, right), (Some(all), Some(left), Some(right))
                if left.0 == all.0 && left.1 == right.0 && right.1 == all.1)
        };
        let ranges = u32::try_from(count).is_ok_and(|count| range(0) == Some((0, count)))
            && start.iter().zip(end).all(|(start, end)| start <= end && *end as usize <= count)
            && (0..nodes).all(|node| leaf[node] || joined(node));
        if [start.len(), end.len()] != [nodes; 2] || !ranges {
            return Err("the search tree has a node whose points are not those of the nodes below".to_owned());
        }
        let (sizes, numbers) = match bounds {
            Bounds::Boxes { low, high } => ([low.len(), high.len()] == [nodes * n_features; 2], [low, high]),
            Bounds::Balls { centre, radius } => {
                (centre.len() == nodes * n_features && radius.len() == nodes, [centre, radius])
            }
        };
        if !sizes || !numbers.into_iter().flatten().all(|x| x.is_finite()) {
            return Err("the search tree has not the bounds of each node, or one is not a finite number".to_owned());
        }
        Ok(())
    }
}

impl Search<'_> {
    /// Whether the bounds of a node, and of those below, are those of its points: with others, points that count would be
    /// passed over. For a tree that was found right otherwise.
    pub(super) fn check_bounds(&self, node: usize) -> Result<(), String> {
        let order = &self.tree.order[self.tree.start[node] as usize..self.tree.end[node] as usize];
        let points = || order.iter().map(|point| &self.points[*point as usize * self.n_features..][..self.n_features]);
        let own = node * self.n_features..(node + 1) * self.n_features;
        let close = |a: f64, b: f64, size: f64| (a - b).abs() <= ROUNDING * size;
        let right = match &self.tree.bounds {
            // Compared as numbers: which of 0 and -0 is the lowest is nobody's concern.
            Bounds::Boxes { low, high } => {
                low[own.clone()].iter().zip(&high[own]).enumerate().all(|(at, (low, high))| {
                    let column = || points().map(|point| point[at]);
                    (column().fold(f64::INFINITY, f64::min), column().fold(f64::NEG_INFINITY, f64::max))
                        == (*low, *high)
                })
            }
            Bounds::Balls { centre, radius } => {
                let (centre, radius) = (&centre[own], radius[node]);
                let far = |point| self.metric.distance(self.metric.reduced(centre, point));
                let farthest = points().map(far).fold(0.0, f64::max);
                #[allow(clippy::cast_precision_loss, reason = "counts of points are far below 2^53")]
                let count = order.len() as f64;
                close(radius, farthest, farthest)
                    && centre.iter().enumerate().all(|(at, centre)| {
                        let column = || points().map(|point| point[at]);
                        let size = column().map(f64::abs).fold(0.0, f64::max);
                        close(*centre, column().sum::<f64>() / count, size)
                    })
            }
        };
        if !right {
            return Err("the search tree has a node whose bounds are not those of its points".to_owned());
        }
        if self.tree.leaf[node] {
            return Ok(());
        }
        self.check_bounds(2 * node + 1)?;
        self.check_bounds(2 * node + 2)
    }

    /// Offers the points that may be among the nearest to a row.
    pub(super) fn nearest(&self, row: &[f64], nearest: &mut Nearest) {
        self.go(0, self.at_least(0, row), row, nearest);
    }

    /// Nodes that may hold such points, the nearer one first; as deep as the tree has levels.
    fn go(&self, node: usize, at_least: f64, row: &[f64], nearest: &mut Nearest) {
        if at_least > nearest.farthest() {
            return;
        }
        if self.tree.leaf[node] {
            for point in &self.tree.order[self.tree.start[node] as usize..self.tree.end[node] as usize] {
                let point = *point as usize;
                let coordinates = &self.points[point * self.n_features..][..self.n_features];
                nearest.offer(self.metric.reduced(row, coordinates), point);
            }
            return;
        }
        let (left, right) = (2 * node + 1, 2 * node + 2);
        let (to_left, to_right) = (self.at_least(left, row), self.at_least(right, row));
        if to_left <= to_right {
            self.go(left, to_left, row, nearest);
            self.go(right, to_right, row, nearest);
        } else {
            self.go(right, to_right, row, nearest);
            self.go(left, to_left, row, nearest);
        }
    }

    /// The least reduced distance that a point of a node can have.
    fn at_least(&self, node: usize, row: &[f64]) -> f64 {
        let own = node * self.n_features..(node + 1) * self.n_features;
        match &self.tree.bounds {
            Bounds::Boxes { low, high } => {
                let outside = row.iter().zip(&low[own.clone()]).zip(&high[own]);
                // As scikit-learn has it, which rounds otherwise than the difference alone: twice the larger of x and 0.
                let twice = |x: f64| x + x.abs();
                self.metric.reduced_of(outside.map(|((x, low), high)| 0.5 * (twice(low - x) + twice(x - high))))
            }
            Bounds::Balls { centre, radius } => {
                let to_centre = self.metric.distance(self.metric.reduced(row, &centre[own]));
                self.metric.reduce((to_centre - radius[node]).max(0.0))
            }
        }
    }
}

#[cfg(test)]
mod tests;
