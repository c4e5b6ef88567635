//! Isolation forests: the fewer splits it takes to set a row apart, the less normal it is.

use serde::{Deserialize, Serialize};

use super::Boundary;
use crate::model::exact;

/// A fitted `sklearn.ensemble.IsolationForest`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IsolationForest {
    /// Values of a row.
    pub n_features: usize,
    /// Its trees.
    pub trees: Vec<Tree>,
    /// How many rows each tree was grown from.
    pub max_samples: u32,
    /// What is subtracted from the score.
    #[serde(with = "exact")]
    pub offset: f64,
    /// Where anomalies begin; 0, but for scikit-learn before 0.22.
    pub boundary: Boundary,
    /// Whether paths are counted as scikit-learn before 0.21 did: a leaf of one row adds 1 to them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub single_rows_count: bool,
}

/// numpy's logarithms and powers differ in their last bit between processors and versions. With a `contamination`, the
/// boundary is the score of a training row, as the processor of the training had it: a score as near to it, in parts of
/// itself, is that row's.
const ROUNDING: f64 = 2.0 * f64::EPSILON;

/// The offset of `contamination="auto"`, which is no row's score.
const AUTO: f64 = -0.5;

/// A tree: its nodes' attributes, each in the order of the nodes. The first node is the root; children stand behind
/// their parents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tree {
    /// The child for rows whose feature is at most the threshold; 0 makes the node a leaf.
    pub left: Vec<u32>,
    /// The child for other rows.
    pub right: Vec<u32>,
    /// The feature that is looked at.
    pub feature: Vec<u32>,
    /// What it is compared with.
    #[serde(with = "exact::many")]
    pub threshold: Vec<f64>,
    /// Rows of the training that came to the node.
    pub samples: Vec<u32>,
}

/// A forest made ready for many rows.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) struct Paths {
    /// All nodes of all trees; children are counted from their tree's root.
    nodes: Vec<Node>,
    /// Where trees begin.
    roots: Vec<usize>,
    /// What the sum of all paths is divided by, in this order.
    divisors: (f64, f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Node {
    /// The threshold, or at a leaf the length of the path.
    number: f64,
    feature: u32,
    left: u32,
    right: u32,
}

impl Tree {
    fn check(&self, n_features: usize) -> bool {
        let Self { left, right, feature, threshold, samples } = self;
        let count = left.len();
        let inner = |i: usize| {
            let (l, r) = (left[i] as usize, right[i] as usize);
            // Children behind their parents: every walk ends.
            l > i && r > i && l < count && r < count && (feature[i] as usize) < n_features && !threshold[i].is_nan()
        };
        count > 0
            && [right.len(), feature.len(), threshold.len(), samples.len()] == [count; 4]
            && (0..count).all(|i| left[i] == 0 || inner(i))
    }

    /// The length of the path to each node, as if it were a leaf.
    fn paths(&self, single_rows_count: bool) -> Vec<f64> {
        // Nodes on the way, itself included.
        let mut depths = vec![1_u32; self.left.len()];
        for (i, (left, right)) in self.left.iter().zip(&self.right).enumerate() {
            if *left != 0 {
                depths[*left as usize] = depths[i] + 1;
                depths[*right as usize] = depths[i] + 1;
            }
        }
        // In scikit-learn's order, so that sums have its bits.
        let path = |(depth, samples): (&u32, &u32)| {
            let (depth, rest) = (f64::from(*depth), average_path(*samples, single_rows_count));
            if single_rows_count { depth - 1.0 + rest } else { depth + rest - 1.0 }
        };
        depths.iter().zip(&self.samples).map(path).collect()
    }
}

/// The average length of a path in a tree that isolates so many rows.
pub(in crate::model) fn average_path(rows: u32, single_rows_count: bool) -> f64 {
    const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;
    let n = f64::from(rows);
    match rows {
        0 | 1 => f64::from(u8::from(single_rows_count)),
        2 if !single_rows_count => 1.0,
        // The C library's logarithm is numpy's, but for AVX-512; that of libm differs more often.
        _ => 2.0 * ((n - 1.0).ln() + EULER_GAMMA) - 2.0 * (n - 1.0) / n,
    }
}

impl IsolationForest {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.n_features == 0 || self.trees.is_empty() {
            return Err("the forest has no features or no trees; train it again".to_owned());
        }
        if let Some(at) = self.trees.iter().position(|t| !t.check(self.n_features)) {
            return Err(format!("tree {at} of the forest is damaged: a node has no such child, feature or threshold"));
        }
        if !self.offset.is_finite() || !self.boundary.at.is_finite() {
            return Err("the forest's offset is not a finite number".to_owned());
        }
        Ok(())
    }

    pub(in crate::model) fn prepare(&self) -> Paths {
        let mut paths = Paths {
            nodes: Vec::with_capacity(self.trees.iter().map(|t| t.left.len()).sum()),
            roots: Vec::with_capacity(self.trees.len()),
            divisors: self.divisors(),
        };
        for tree in &self.trees {
            paths.roots.push(paths.nodes.len());
            let lengths = tree.paths(self.single_rows_count);
            paths.nodes.extend(lengths.into_iter().enumerate().map(|(i, length)| {
                let (left, right) = (tree.left[i], tree.right[i]);
                let number = if left == 0 { length } else { tree.threshold[i] };
                Node { number, feature: tree.feature[i], left, right }
            }));
        }
        paths
    }

    fn divisors(&self) -> (f64, f64) {
        #[allow(clippy::cast_precision_loss, reason = "trees of a forest are far below 2^53")]
        let trees = self.trees.len() as f64;
        let average = average_path(self.max_samples, self.single_rows_count);
        // Before 0.21: the mean of the paths, divided by the average.
        if self.single_rows_count { (trees, average) } else { (trees * average, 1.0) }
    }

    /// The decision for rows whose paths have this sum.
    fn decision(&self, sum: f64, (first, second): (f64, f64)) -> f64 {
        let depth = if first == 0.0 { 1.0 } else { sum / first / second };
        // As with the logarithm, the C library's power is numpy's.
        let score = -2.0_f64.powf(-depth);
        let (decision, at) = (score - self.offset, self.boundary.at);
        let of_a_row = self.offset != AUTO || at != 0.0;
        if of_a_row && (decision - at).abs() <= ROUNDING * score.abs() { at } else { decision }
    }

    pub(in crate::model) fn decisions(&self, paths: &Paths, rows: &[f64], out: &mut [f64]) {
        // scikit-learn's trees look at 32-bit numbers.
        #[allow(clippy::cast_possible_truncation, reason = "as scikit-learn does")]
        let rows: Vec<f64> = rows.iter().map(|x| f64::from(*x as f32)).collect();
        out.fill(0.0);
        for root in &paths.roots {
            let nodes = &paths.nodes[*root..];
            for (row, sum) in rows.chunks_exact(self.n_features).zip(out.iter_mut()) {
                let mut node = nodes[0];
                while node.left != 0 {
                    let right = row[node.feature as usize] > node.number;
                    node = nodes[(if right { node.right } else { node.left }) as usize];
                }
                *sum += node.number;
            }
        }
        for sum in out {
            *sum = self.decision(*sum, paths.divisors);
        }
    }

    pub(super) fn range(&self) -> (f64, f64) {
        let (mut shortest, mut longest) = (0.0, 0.0);
        for tree in &self.trees {
            let lengths = tree.paths(self.single_rows_count);
            let leaves = || lengths.iter().zip(&tree.left).filter(|(_, left)| **left == 0).map(|(length, _)| *length);
            shortest += leaves().fold(f64::INFINITY, f64::min);
            longest += leaves().fold(f64::NEG_INFINITY, f64::max);
        }
        let divisors = self.divisors();
        (self.decision(shortest, divisors), self.decision(longest, divisors))
    }
}
