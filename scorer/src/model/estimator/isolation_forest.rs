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

/// The offset is the score of a training row wherever that row is the last of the `contamination`, worked out with
/// numpy's logarithms and powers, whose last bits differ between processors. A score as close as this is that row's.
const ROUNDING: f64 = 4.0 * f64::EPSILON;

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
    /// What the sum of all paths is divided by.
    denominator: f64,
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
        let path = |(depth, samples): (&u32, &u32)| f64::from(*depth) + average_path(*samples, single_rows_count) - 1.0;
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
        _ => 2.0 * (libm::log(n - 1.0) + EULER_GAMMA) - 2.0 * (n - 1.0) / n,
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
            denominator: self.denominator(),
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

    fn denominator(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "trees of a forest are far below 2^53")]
        let trees = self.trees.len() as f64;
        trees * average_path(self.max_samples, self.single_rows_count)
    }

    /// The decision for rows whose paths have this sum.
    fn decision(&self, sum: f64, denominator: f64) -> f64 {
        let depth = if denominator == 0.0 { 1.0 } else { sum / denominator };
        let decision = -libm::exp2(-depth) - self.offset;
        if decision.abs() <= ROUNDING { 0.0 } else { decision }
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
            *sum = self.decision(*sum, paths.denominator);
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
        let denominator = self.denominator();
        (self.decision(shortest, denominator), self.decision(longest, denominator))
    }
}
