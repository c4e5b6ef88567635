//! `LocalOutlierFactor(novelty=True)`.

use super::OnnxError;
use super::estimator::Found;
use super::graph::{Graph, Node};
use crate::model::{Algorithm, Estimator, LocalOutlierFactor, Metric};

/// Reads the nodes that end in `samples`: minus the mean ratio of the neighbours' densities to the row's own.
pub(super) fn local_outlier_factor<'a>(
    graph: &Graph<'a>,
    samples: &'a str,
    offset: f64,
) -> Result<Found<'a>, OnnxError> {
    let ratios = graph.made_by(mean(graph, graph.by(samples, "Mul", -1.0)?)?, "Div")?;
    let [theirs, own] = ratios.takes()?;
    let theirs = graph.made_by(theirs, "Gather")?;
    let [density, neighbours] = theirs.takes()?;
    let density = graph.constant(density)?.numbers;

    let own = graph.made_by(own, "Div")?;
    let [one, reached] = own.takes()?;
    // scikit-learn's guard against points that coincide is a part of the kernel.
    let reached = mean(graph, graph.by(reached, "Add", 1e-10)?)?;
    if graph.number(own, one)? != 1.0 {
        return Err(own.unknown());
    }
    let [distances, reach] = graph.made_by(reached, "Max")?.takes()?;
    let (reach, column) = table(graph, reach, neighbours)?;

    let nearest = graph.made_by(neighbours, "TopK")?;
    if nearest.outputs.get(1) != Some(&neighbours) {
        return Err(nearest.unknown());
    }
    let n_neighbors = match nearest.inputs.as_slice() {
        [_, k] => graph.constant(k)?.places(usize::MAX).and_then(|k| k.first().copied()),
        _ => usize::try_from(nearest.int("k", 0)?).ok(),
    };
    if n_neighbors != Some(column + 1) {
        return Err(nearest.unsupported("looks for another number of neighbours than it has distances of"));
    }
    // TopK has looked for the smallest since opset 11; before, distances are made negative for it.
    let (apart, before) = unsigned(graph, nearest.first()?)?;
    let (found, after) = unsigned(graph, distances)?;
    let smallest = nearest.int("largest", 1)? == 0;
    if nearest.outputs.first() != Some(&found) || before == smallest || after != before {
        return Err(nearest.unknown());
    }
    let Distances { rows, points, metric } = apart_from(graph, apart)?;
    let Some((_, n_features, points)) = graph.constant(points)?.matrix() else { return Err(nearest.unknown()) };
    let factor = LocalOutlierFactor {
        n_features,
        points,
        reach,
        density,
        n_neighbors: column + 1,
        metric,
        offset,
        algorithm: Algorithm::First,
    };
    Ok(Found { estimator: Estimator::LocalOutlierFactor(factor), rows })
}

/// What a mean is taken of.
fn mean<'a>(graph: &Graph<'a>, tensor: &'a str) -> Result<&'a str, OnnxError> {
    graph.made_by(tensor, "ReduceMean")?.first()
}

/// The distance of each point to its farthest neighbour, which is looked up for `neighbours`, and which of its
/// neighbours that is.
fn table<'a>(graph: &Graph<'a>, reach: &'a str, neighbours: &str) -> Result<(Vec<f64>, usize), OnnxError> {
    let last = graph.made_by(graph.made_by(reach, "Squeeze")?.first()?, "Gather")?;
    let [all, column] = last.takes()?;
    let all = graph.made_by(all, "Gather")?;
    let [distances, of] = all.takes()?;
    let column = graph.constant(column)?;
    let distances = graph.constant(distances)?.matrix();
    match (distances, column.scalar()) {
        (Some((_, columns, distances)), Some(_)) if of == neighbours && last.int("axis", 0)? == 2 => {
            let column = column.places(columns).and_then(|c| c.first().copied()).ok_or_else(|| last.unknown())?;
            Ok((distances.chunks_exact(columns).map(|row| row[column]).collect(), column))
        }
        _ => Err(last.unknown()),
    }
}

/// A tensor without the factors of -1 on it, and whether they turn its sign.
fn unsigned<'a>(graph: &Graph<'a>, mut tensor: &'a str) -> Result<(&'a str, bool), OnnxError> {
    let mut negative = false;
    while let Some(node) = graph.maker(tensor).and_then(|i| graph.nodes.get(i)).filter(|n| n.op == "Mul") {
        if !node.domain.is_empty() {
            break;
        }
        (tensor, negative) = (graph.by(tensor, "Mul", -1.0)?, !negative);
    }
    Ok((tensor, negative))
}

struct Distances<'a> {
    rows: &'a str,
    points: &'a str,
    metric: Metric,
}

/// The nodes that say how far each row is from each point.
fn apart_from<'a>(graph: &Graph<'a>, apart: &'a str) -> Result<Distances<'a>, OnnxError> {
    let node = graph.made(apart)?;
    match (node.domain, node.op) {
        // With the option optim="cdist".
        ("com.microsoft", "CDist") => {
            let [rows, points] = node.takes()?;
            match node.text("metric")? {
                Some("euclidean") => Ok(Distances { rows, points, metric: Metric::Euclidean }),
                _ => Err(node.unsupported("has a metric that is not euclidean")),
            }
        }
        ("", "Sqrt") => {
            let (node, rows, points) = scan(graph, node.first()?)?;
            match inside(graph, node)?.0.as_slice() {
                ["Sub", "ReduceSumSquare"] => Ok(Distances { rows, points, metric: Metric::Euclidean }),
                _ => Err(node.unknown()),
            }
        }
        ("", "Pow") => {
            let [sum, power] = node.takes()?;
            let power = graph.number(node, power)?;
            let (node, rows, points) = scan(graph, sum)?;
            match inside(graph, node)? {
                (ops, Some(p)) if ops == ["Sub", "Abs", "Pow", "ReduceSum"] && (power * p - 1.0).abs() < 1e-6 => {
                    Ok(Distances { rows, points, metric: Metric::Minkowski { p } })
                }
                _ => Err(node.unknown()),
            }
        }
        _ => {
            let (node, rows, points) = scan(graph, apart)?;
            match inside(graph, node)?.0.as_slice() {
                ["Sub", "Abs", "ReduceSum"] => Ok(Distances { rows, points, metric: Metric::Manhattan }),
                _ => Err(node.unknown()),
            }
        }
    }
}

/// The Scan that goes through all points, with the rows and the points.
fn scan<'g, 'a>(graph: &'g Graph<'a>, tensor: &'a str) -> Result<(&'g Node<'a>, &'a str, &'a str), OnnxError> {
    let node = graph.made_by(graph.made_by(tensor, "Transpose")?.first()?, "Scan")?;
    let [rows, points] = node.takes()?;
    if node.int("num_scan_inputs", 0)? != 1 {
        return Err(node.unknown());
    }
    Ok((node, rows, points))
}

/// The operators that a Scan does for each point, and the power among them.
fn inside<'a>(graph: &Graph<'a>, node: &Node<'a>) -> Result<(Vec<&'a str>, Option<f64>), OnnxError> {
    let body = graph.attribute(node, "body")?.message(6)?;
    let body = Graph::read(body, body.bytes.len())?;
    let (mut ops, mut power) = (Vec::new(), None);
    for node in body.nodes.iter().filter(|n| n.op != "Identity" || !n.domain.is_empty()) {
        if !node.domain.is_empty() {
            return Err(node.unknown());
        }
        if node.op == "Pow" {
            power = Some(body.with_number(node)?.1);
        }
        ops.push(node.op);
    }
    Ok((ops, power))
}
