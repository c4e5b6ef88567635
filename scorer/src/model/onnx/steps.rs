//! Nodes that are scalers, imputers and the like, and the transforms that they make together.

use super::OnnxError;
use super::graph::{Graph, ML, Node};
use super::tensor::{Attribute, Budget};
use crate::model::{
    Branch, Clip, ColumnTransformer, MinMaxScaler, Pca, PolynomialFeatures, Scaler, SimpleImputer, Transform,
};

/// What a step costs of the budget, apart from its numbers.
const STEP: usize = 64;

/// What a node does to rows.
pub(super) enum Op {
    /// Takes columns out of them.
    Select(Vec<usize>),
    /// Multiplies columns, for PolynomialFeatures.
    Product(Vec<usize>),
    /// A column of ones, for PolynomialFeatures.
    Ones,
    Subtract(Vec<f64>),
    Divide(Vec<f64>),
    Multiply(Vec<f64>),
    Add(Vec<f64>),
    /// Multiplies them with a matrix, given column by column.
    Project {
        columns: usize,
        components: Vec<f64>,
    },
    Clip(Clip),
    Impute(SimpleImputer),
    /// Subtracts, then multiplies.
    Scale {
        offset: Vec<f64>,
        scale: Vec<f64>,
    },
    Columns(Weighed),
    Polynomial(PolynomialFeatures),
}

/// Branches, and what a copy of them costs.
pub(super) struct Weighed {
    branches: Vec<Branch>,
    cost: usize,
    nesting: usize,
}

impl Weighed {
    pub(super) fn of(branches: Vec<Branch>) -> Self {
        let cost = branches.iter().map(|b| STEP + b.columns.len() + b.steps.iter().map(cost).sum::<usize>()).sum();
        let nesting = 1 + branches.iter().flat_map(|b| &b.steps).map(nesting).max().unwrap_or_default();
        Self { branches, cost, nesting }
    }
}

fn cost(step: &Transform) -> usize {
    let numbers = match step {
        Transform::StandardScaler(s) | Transform::RobustScaler(s) | Transform::MaxAbsScaler(s) => 2 * s.mean.len(),
        Transform::MinMaxScaler(s) => 2 * s.scale.len(),
        Transform::SimpleImputer(s) => s.statistics.len(),
        Transform::PolynomialFeatures(_) => 0,
        Transform::Pca(s) => s.components.len() + s.mean.len() + s.scale.len(),
        Transform::ColumnTransformer(s) => {
            s.branches.iter().map(|b| STEP + b.columns.len() + b.steps.iter().map(cost).sum::<usize>()).sum()
        }
    };
    STEP + numbers
}

fn nesting(step: &Transform) -> usize {
    match step {
        Transform::ColumnTransformer(s) => {
            1 + s.branches.iter().flat_map(|b| &b.steps).map(nesting).max().unwrap_or_default()
        }
        _ => 0,
    }
}

impl Op {
    /// How many values a row has afterwards.
    pub(super) fn width(&self, before: usize) -> usize {
        match self {
            Self::Select(columns) => columns.len(),
            Self::Product(_) | Self::Ones => 1,
            Self::Project { columns, .. } => *columns,
            Self::Columns(Weighed { branches, .. }) => branches
                .iter()
                .map(|b| b.steps.last().map_or(b.columns.len(), Transform::n_outputs))
                .fold(0, usize::saturating_add),
            Self::Polynomial(polynomial) => Transform::PolynomialFeatures(*polynomial).n_outputs(),
            _ => before,
        }
    }

    pub(super) fn nesting(&self) -> usize {
        if let Self::Columns(weighed) = self { weighed.nesting } else { 0 }
    }

    fn cost(&self) -> usize {
        let numbers = match self {
            Self::Select(columns) | Self::Product(columns) => columns.len(),
            Self::Subtract(n) | Self::Divide(n) | Self::Multiply(n) | Self::Add(n) => n.len(),
            Self::Project { components, .. } => components.len(),
            Self::Impute(imputer) => imputer.statistics.len(),
            Self::Scale { offset, .. } => 2 * offset.len(),
            Self::Columns(weighed) => weighed.cost,
            Self::Ones | Self::Clip(_) | Self::Polynomial(_) => 0,
        };
        STEP + numbers
    }
}

/// Reads a node that does one thing to rows of so many values.
pub(super) fn read<'a>(graph: &Graph<'a>, node: &Node<'a>, width: usize) -> Result<Op, OnnxError> {
    let spread = |numbers: Vec<f64>, what: &str| match numbers.len() {
        1 => graph.budget.spend(width).map(|()| vec![numbers[0]; width]),
        n if n == width => Ok(numbers),
        n => Err(node.unsupported(&format!("has {n} numbers as {what} of rows of {width}"))),
    };
    let second = || {
        let [_, constant] = node.takes()?;
        spread(graph.constant(constant)?.numbers, "the second operand")
    };
    let either = || spread(graph.constant(graph.with_constant(node)?.1)?.numbers, "an operand");
    Ok(match (node.domain, node.op) {
        (ML, "ArrayFeatureExtractor") => Op::Select(columns(graph, node, width)?),
        ("", "Gather") if node.int("axis", 0)? == 1 => Op::Select(columns(graph, node, width)?),
        ("", "Sub") => Op::Subtract(second()?),
        ("", "Div") => Op::Divide(second()?),
        ("", "Mul") => Op::Multiply(either()?),
        ("", "Add") => Op::Add(either()?),
        ("", "MatMul") => project(graph, node, width)?,
        ("", "Clip") => clip(graph, node)?,
        (ML, "Scaler") => Op::Scale {
            offset: spread(graph.floats(node, "offset")?, "offset")?,
            scale: spread(graph.floats(node, "scale")?, "scale")?,
        },
        (ML, "Imputer") => impute(graph, node, width)?,
        _ => return Err(node.unknown()),
    })
}

fn columns<'a>(graph: &Graph<'a>, node: &Node<'a>, width: usize) -> Result<Vec<usize>, OnnxError> {
    let [_, places] = node.takes()?;
    let wrong = || node.unsupported(&format!("takes columns that are not among the {width} of its input"));
    graph.constant(places)?.places(width).ok_or_else(wrong)
}

fn project<'a>(graph: &Graph<'a>, node: &Node<'a>, width: usize) -> Result<Op, OnnxError> {
    let [_, matrix] = node.takes()?;
    let matrix = graph.constant(matrix)?.matrix().filter(|(rows, columns, _)| *rows == width && *columns > 0);
    let wrong = || node.unsupported(&format!("multiplies with what is no matrix of {width} rows"));
    let (_, columns, numbers) = matrix.ok_or_else(wrong)?;
    let components = (0..columns).flat_map(|c| numbers.iter().skip(c).step_by(columns).copied()).collect();
    Ok(Op::Project { columns, components })
}

fn clip<'a>(graph: &Graph<'a>, node: &Node<'a>) -> Result<Op, OnnxError> {
    let [_, low, high] = node.takes()?;
    Ok(Op::Clip(Clip { low: graph.number(node, low)?, high: graph.number(node, high)? }))
}

fn impute<'a>(graph: &Graph<'a>, node: &Node<'a>, width: usize) -> Result<Op, OnnxError> {
    #[allow(clippy::cast_precision_loss, reason = "readings that are whole numbers are far below 2^53")]
    let (missing, mut statistics) = if node.attribute("imputed_value_int64s")?.is_some() {
        let statistics = graph.ints(node, "imputed_value_int64s")?;
        (node.int("replaced_value_int64", 0)? as f64, statistics.into_iter().map(|s| s as f64).collect())
    } else {
        let missing = node.attribute("replaced_value_float")?.map(Attribute::float).transpose()?;
        (missing.unwrap_or(0.0), graph.floats(node, "imputed_value_floats")?)
    };
    if let [one] = *statistics {
        graph.budget.spend(width)?;
        statistics = vec![one; width];
    }
    if statistics.len() != width || statistics.iter().any(|s| s.is_nan()) {
        return Err(node.unsupported(&format!("has not a number for each of {width} features")));
    }
    Ok(Op::Impute(SimpleImputer { missing, statistics }))
}

/// What ops do behind each other to rows of so many values, as few transforms.
pub(super) fn transforms(ops: &[&Op], mut width: usize, budget: &Budget) -> Result<Vec<Transform>, OnnxError> {
    let mut steps: Vec<Transform> = Vec::new();
    for op in ops {
        budget.copy(op.cost())?;
        push(&mut steps, op, width)?;
        width = op.width(width);
    }
    Ok(steps)
}

fn push(steps: &mut Vec<Transform>, op: &Op, width: usize) -> Result<(), OnnxError> {
    let all = |numbers: &[f64], number: f64| numbers.iter().all(|n| *n == number);
    // Two nodes that are one transform: numbers that do nothing give way.
    match (steps.last_mut(), op) {
        (Some(Transform::StandardScaler(s)), Op::Divide(by)) if all(&s.scale, 1.0) => {
            s.scale.clone_from(by);
            return Ok(());
        }
        (Some(Transform::Pca(s)), Op::Divide(by)) if all(&s.scale, 1.0) => {
            s.scale.clone_from(by);
            return Ok(());
        }
        (Some(Transform::MinMaxScaler(s)), Op::Add(more)) if all(&s.min, 0.0) && s.clip.is_none() => {
            s.min.clone_from(more);
            return Ok(());
        }
        (Some(Transform::MinMaxScaler(s)), Op::Clip(clip)) if s.clip.is_none() => {
            s.clip = Some(*clip);
            return Ok(());
        }
        (Some(last @ Transform::StandardScaler(_)), Op::Project { columns, components }) => {
            if let Transform::StandardScaler(s) = last
                && all(&s.scale, 1.0)
            {
                let mean = std::mem::take(&mut s.mean);
                *last = Transform::Pca(Pca { mean, components: components.clone(), scale: vec![1.0; *columns] });
                return Ok(());
            }
        }
        _ => {}
    }
    steps.push(match op {
        Op::Select(columns) => select(columns, width),
        // PolynomialFeatures(1) of one feature.
        Op::Product(columns) if columns.len() == 1 => select(columns, width),
        Op::Product(_) | Op::Ones => {
            return Err(OnnxError::Unsupported("products of features stand alone, as skl2onnx never has them".into()));
        }
        Op::Subtract(mean) => Transform::StandardScaler(Scaler { scale: vec![1.0; mean.len()], mean: mean.clone() }),
        Op::Divide(scale) => Transform::StandardScaler(Scaler { mean: vec![0.0; scale.len()], scale: scale.clone() }),
        Op::Scale { offset, scale } => {
            Transform::StandardScaler(Scaler { mean: offset.clone(), scale: scale.iter().map(|s| 1.0 / s).collect() })
        }
        Op::Multiply(scale) => stretched(scale.clone(), vec![0.0; width], None),
        Op::Add(min) => stretched(vec![1.0; width], min.clone(), None),
        Op::Clip(clip) => stretched(vec![1.0; width], vec![0.0; width], Some(*clip)),
        Op::Project { columns, components } => {
            Transform::Pca(Pca { mean: vec![0.0; width], components: components.clone(), scale: vec![1.0; *columns] })
        }
        Op::Impute(imputer) => Transform::SimpleImputer(imputer.clone()),
        Op::Columns(weighed) => {
            let branches = weighed.branches.clone();
            Transform::ColumnTransformer(ColumnTransformer { n_features: width, branches })
        }
        Op::Polynomial(polynomial) => Transform::PolynomialFeatures(*polynomial),
    });
    Ok(())
}

fn select(columns: &[usize], n_features: usize) -> Transform {
    let branches = vec![Branch { columns: columns.to_vec(), steps: Vec::new() }];
    Transform::ColumnTransformer(ColumnTransformer { n_features, branches })
}

fn stretched(scale: Vec<f64>, min: Vec<f64>, clip: Option<Clip>) -> Transform {
    Transform::MinMaxScaler(MinMaxScaler { scale, min, clip })
}
