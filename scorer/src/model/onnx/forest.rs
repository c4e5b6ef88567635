//! `IsolationForest`: a TreeEnsembleRegressor for each tree says in which leaf a row ends, and two LabelEncoders how
//! long the path there is and how many rows of the training came to it.

use std::collections::HashMap;

use super::OnnxError;
use super::estimator::Found;
use super::graph::{Graph, ML, Node};
use crate::model::estimator::average_path;
use crate::model::{Boundary, Estimator, IsolationForest, Tree};

const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;

/// Reads the nodes that end in `samples`, which is `-2^(-mean path / average path)`.
pub(super) fn isolation_forest<'a>(graph: &Graph<'a>, samples: &'a str, offset: f64) -> Result<Found<'a>, OnnxError> {
    let power = graph.made_by(graph.made_by(samples, "Neg")?.first()?, "Pow")?;
    let [two, exponent] = power.takes()?;
    if graph.number(power, two)? != 2.0 {
        return Err(power.unknown());
    }
    let share = graph.made_by(graph.made_by(exponent, "Neg")?.first()?, "Div")?;
    let [paths, denominator] = share.takes()?;
    let denominator = graph.number(share, denominator)?;
    let sum = graph.made_by(paths, "Sum")?;
    let mut trees = Vec::with_capacity(sum.inputs.len());
    let mut rows = None;
    for path in &sum.inputs {
        let (tree, from) = tree(graph, path)?;
        trees.push(tree);
        if *rows.get_or_insert(from) != from {
            return Err(sum.unsupported("has trees that look at different rows"));
        }
    }
    let rows = rows.ok_or_else(|| sum.unknown())?;
    #[allow(clippy::cast_precision_loss, reason = "trees of a forest are far below 2^53")]
    let max_samples = samples_of(denominator / trees.len() as f64).ok_or_else(|| share.unknown())?;
    let boundary = Boundary { at: 0.0, inclusive: false };
    // How many features there are, the rows will tell.
    let forest = IsolationForest { n_features: 0, trees, max_samples, offset, boundary, single_rows_count: false };
    Ok(Found { estimator: Estimator::IsolationForest(forest), rows })
}

/// How many rows have this average path.
fn samples_of(average: f64) -> Option<u32> {
    let near = |rows: u32| (average_path(rows, false) - average).abs();
    let (mut low, mut high) = (1_u32, u32::MAX);
    while low < high {
        let middle = low + (high - low) / 2;
        if average_path(middle, false) < average {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let rows = if low > 1 && near(low - 1) < near(low) { low - 1 } else { low };
    (near(rows) <= 1e-5 * average.abs().max(1.0)).then_some(rows)
}

/// The tree of one path, and the rows that it looks at.
fn tree<'a>(graph: &Graph<'a>, path: &'a str) -> Result<(Tree, &'a str), OnnxError> {
    let sum = graph.made_by(graph.by(path, "Add", -1.0)?, "Add")?;
    let [length, rest] = sum.takes()?;
    let samples = average(graph, rest)?;
    let (trees, lengths) = leaves(graph, length)?;
    let (same, samples) = leaves(graph, samples)?;
    if !std::ptr::eq(trees, same) {
        return Err(sum.unknown());
    }
    read(graph, trees, &lengths, &samples)
}

/// The tensor with the number of rows, from the nodes that make the average path of it.
fn average<'a>(graph: &Graph<'a>, tensor: &'a str) -> Result<&'a str, OnnxError> {
    let [is_two, more] = graph.made_by(tensor, "Add")?.takes()?;
    let compared = |tensor: &'a str, op: &str| {
        let node = graph.made_by(graph.through(tensor, &["Cast"])?, op)?;
        let [samples, two] = node.takes()?;
        if graph.number(node, two)? == 2.0 { Ok(samples) } else { Err(node.unknown()) }
    };
    let samples = compared(is_two, "Equal")?;
    let product = graph.made_by(more, "Mul")?;
    let [formula, is_more] = product.takes()?;
    if compared(is_more, "Greater")? != samples {
        return Err(product.unknown());
    }
    // 2 (ln(n - 1) + Euler's constant) - 2 (n - 1) / n
    let [logarithm, fraction] = graph.made_by(formula, "Add")?.takes()?;
    graph.made_by(graph.by(graph.by(logarithm, "Mul", 2.0)?, "Add", EULER_GAMMA)?, "Log")?;
    graph.made_by(graph.by(fraction, "Mul", -2.0)?, "Div")?;
    Ok(samples)
}

/// The node of a tree, and what a LabelEncoder gives for the labels of its leaves.
fn leaves<'g, 'a>(graph: &'g Graph<'a>, tensor: &'a str) -> Result<(&'g Node<'a>, HashMap<i64, u32>), OnnxError> {
    let encoder = graph.made(graph.through(tensor, &["Reshape"])?)?;
    let trees = graph.made(graph.through(encoder.first()?, &["Cast", "Reshape"])?)?;
    if (encoder.domain, encoder.op) != (ML, "LabelEncoder") {
        return Err(encoder.unknown());
    }
    if (trees.domain, trees.op) != (ML, "TreeEnsembleRegressor") {
        return Err(trees.unknown());
    }
    let (keys, values) = (graph.ints(encoder, "keys_int64s")?, graph.floats(encoder, "values_floats")?);
    let counts = values.into_iter().map(count).collect::<Option<Vec<_>>>();
    let counts = counts.filter(|c| c.len() == keys.len());
    let counts = counts.ok_or_else(|| encoder.unsupported("has not a whole number for each leaf"))?;
    Ok((trees, keys.into_iter().zip(counts).collect()))
}

fn count(number: f64) -> Option<u32> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
    ((0.0..=f64::from(u32::MAX)).contains(&number) && number.trunc() == number).then_some(number as u32)
}

fn read<'a>(
    graph: &Graph<'a>,
    node: &Node<'a>,
    lengths: &HashMap<i64, u32>,
    samples: &HashMap<i64, u32>,
) -> Result<(Tree, &'a str), OnnxError> {
    let broken = || node.unsupported("is not one tree with a label for each leaf, as skl2onnx writes it");
    let (ids, trees) = (graph.ints(node, "nodes_nodeids")?, graph.ints(node, "nodes_treeids")?);
    let (left, right) = (graph.ints(node, "nodes_truenodeids")?, graph.ints(node, "nodes_falsenodeids")?);
    let (features, values) = (graph.ints(node, "nodes_featureids")?, graph.floats(node, "nodes_values")?);
    let modes = graph.attribute(node, "nodes_modes")?.texts(&graph.budget)?;
    let count = modes.len();
    let lengths_fit = [ids.len(), trees.len(), left.len(), right.len(), features.len(), values.len()] == [count; 6];
    if !lengths_fit || trees.iter().any(|t| *t != trees[0]) || !(0_i64..).zip(&ids).all(|(i, id)| i == *id) {
        return Err(broken());
    }
    let (targets, weights) = (graph.ints(node, "target_nodeids")?, graph.floats(node, "target_weights")?);
    #[allow(clippy::cast_possible_truncation, reason = "labels of leaves; what is none is not found")]
    let labels: HashMap<i64, i64> = targets.into_iter().zip(weights.into_iter().map(|w| w as i64)).collect();

    let (columns, rows) = columns(graph, node.first()?)?;
    let mut tree = Tree::default();
    // The number of nodes on the way to each.
    let mut depths = vec![1_u32; count];
    for (i, mode) in modes.iter().enumerate() {
        let child = |id: i64| u32::try_from(id).ok().filter(|c| (*c as usize) > i && (*c as usize) < count);
        let (left, right, feature, threshold, here) = match *mode {
            "LEAF" => {
                let label = labels.get(&ids[i]).ok_or_else(broken)?;
                if lengths.get(label) != Some(&depths[i]) {
                    return Err(broken());
                }
                (0, 0, 0, 0.0, *samples.get(label).ok_or_else(broken)?)
            }
            "BRANCH_LEQ" => {
                let (left, right) = child(left[i]).zip(child(right[i])).ok_or_else(broken)?;
                depths[left as usize] = depths[i] + 1;
                depths[right as usize] = depths[i] + 1;
                let feature = usize::try_from(features[i]).map_err(|_| broken())?;
                let feature = columns.as_ref().map_or(Some(feature), |c| c.get(feature).copied());
                (left, right, feature.and_then(|f| u32::try_from(f).ok()).ok_or_else(broken)?, values[i], 0)
            }
            _ => return Err(broken()),
        };
        tree.left.push(left);
        tree.right.push(right);
        tree.feature.push(feature);
        tree.threshold.push(threshold);
        tree.samples.push(here);
    }
    // To an inner node came what came to its children.
    for i in (0..count).rev().filter(|i| tree.left[*i] != 0).collect::<Vec<_>>() {
        let below = [tree.left[i], tree.right[i]].map(|c| tree.samples[c as usize]);
        tree.samples[i] = below[0].saturating_add(below[1]);
    }
    Ok((tree, rows))
}

/// The places of the features that a tree looks at, where only some or others are handed to it, and the whole rows.
fn columns<'a>(graph: &Graph<'a>, tensor: &'a str) -> Result<(Option<Vec<usize>>, &'a str), OnnxError> {
    match graph.maker(tensor).and_then(|i| graph.nodes.get(i)) {
        Some(node) if node.domain.is_empty() && node.op == "Gather" && node.int("axis", 0)? == 1 => {
            let [rows, places] = node.takes()?;
            let places = graph.constant(places)?.places(1 << 16);
            Ok((Some(places.ok_or_else(|| node.unknown())?), rows))
        }
        _ => Ok((None, tensor)),
    }
}
