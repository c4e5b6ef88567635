//! What happens to a row on its way from the inputs to the estimator: the nodes of a graph, each as one [`Op`].

use std::collections::HashMap;

use super::OnnxError;
use super::graph::{Graph, ML, Node, shown};
use super::steps::{Op, Weighed};
use super::tensor::{DOUBLE, FLOAT, INT32, INT64};
use super::{products, steps};
use crate::model::{Branch, Metadata, Transform};

/// More features than any model has.
const MAX_FEATURES: usize = 1 << 16;
/// More nodes behind each other than any pipeline becomes.
const MAX_DEPTH: usize = 256;
/// Deeper than column transformers in column transformers are.
const MAX_NESTING: usize = 8;

/// A tensor with a row for each reading: what is done to rows of its parent.
struct Flow {
    parent: usize,
    op: Op,
    width: usize,
    depth: usize,
    nesting: usize,
}

/// The tensors between the inputs and the estimator.
struct Flows<'g, 'a> {
    graph: &'g Graph<'a>,
    /// The first is all inputs, side by side.
    flows: Vec<Flow>,
    by_name: HashMap<&'a str, usize>,
    /// Whose shape a tensor is.
    shapes: HashMap<&'a str, usize>,
}

/// The steps that lead from a graph's inputs to a tensor, and how many values a row has there.
pub(super) fn trace<'a>(graph: &Graph<'a>, tensor: &'a str) -> Result<(Vec<Transform>, usize), OnnxError> {
    let mut flows = Flows { graph, flows: Vec::new(), by_name: HashMap::new(), shapes: HashMap::new() };
    flows.inputs()?;
    let mut needed = vec![false; graph.nodes.len()];
    if let Some(last) = graph.maker(tensor) {
        needed[last] = true;
        for index in (0..=last).rev() {
            if needed[index] {
                let inputs = graph.nodes[index].inputs.iter().filter(|name| !graph.is_constant(name));
                inputs.filter_map(|name| graph.maker(name)).for_each(|made| needed[made] = true);
            }
        }
    }
    for (node, _) in graph.nodes.iter().zip(needed).filter(|(_, needed)| *needed) {
        flows.node(node)?;
    }
    let flow = *flows.by_name.get(tensor).ok_or_else(|| {
        OnnxError::Unsupported(format!("the estimator's input {} does not come from the graph's inputs", shown(tensor)))
    })?;
    let steps = flows.between(0, flow)?;
    Ok((steps, flows.flows[flow].width))
}

/// The names of features, where each has an input of its own.
pub(super) fn feature_names(graph: &Graph<'_>) -> Vec<String> {
    if graph.inputs.len() < 2 || graph.inputs.iter().any(|i| i.width != Some(1)) {
        return Metadata::default().feature_names;
    }
    graph.inputs.iter().map(|i| i.name.to_owned()).collect()
}

impl<'a> Flows<'_, 'a> {
    fn inputs(&mut self) -> Result<(), OnnxError> {
        let (graph, mut start) = (self.graph, 0);
        for input in &graph.inputs {
            let name = shown(input.name);
            if !matches!(input.of, FLOAT | DOUBLE | INT32 | INT64) {
                let what = format!("the input {name} has elements of type {}; convert with FloatTensorType", input.of);
                return Err(OnnxError::Unsupported(what));
            }
            let width = input.width.filter(|w| *w <= MAX_FEATURES).ok_or_else(|| {
                OnnxError::Unsupported(format!(
                    "the input {name} does not say how many features it has, or too many; convert with \
                     FloatTensorType([None, number of features])"
                ))
            })?;
            start += width;
        }
        if start == 0 || start > MAX_FEATURES {
            return Err(OnnxError::Unsupported(format!("the graph has inputs of {start} features together")));
        }
        self.flows.push(Flow { parent: 0, op: Op::Select((0..start).collect()), width: start, depth: 0, nesting: 0 });
        if let [only] = graph.inputs.as_slice() {
            self.by_name.insert(only.name, 0);
            return Ok(());
        }
        start = 0;
        for input in &graph.inputs {
            let end = start + input.width.unwrap_or_default();
            self.add(input.name, 0, Op::Select((start..end).collect()))?;
            start = end;
        }
        Ok(())
    }

    fn add(&mut self, name: &'a str, parent: usize, op: Op) -> Result<(), OnnxError> {
        let Flow { width, depth, nesting, .. } = self.flows[parent];
        let (width, nesting) = (op.width(width), nesting.max(op.nesting()));
        if width == 0 || width > MAX_FEATURES || depth >= MAX_DEPTH || nesting > MAX_NESTING {
            let what = "the graph is wider, longer or deeper nested than any model's";
            return Err(OnnxError::Unsupported(what.to_owned()));
        }
        self.by_name.insert(name, self.flows.len());
        self.flows.push(Flow { parent, op, width, depth: depth + 1, nesting });
        Ok(())
    }

    fn node(&mut self, node: &Node<'a>) -> Result<(), OnnxError> {
        let [name, ..] = *node.outputs.as_slice() else { return Err(node.unsupported("has no output")) };
        match (node.domain, node.op) {
            ("", "Concat") if matches!(node.int("axis", 1)?, 1 | -1) => return self.concat(node, name),
            (ML, "FeatureVectorizer") => return self.concat(node, name),
            ("", "ConstantOfShape") => return self.ones(node, name),
            _ => {}
        }
        let row = |tensor: &str| self.by_name.get(tensor).copied();
        let constants = &node.inputs[1.min(node.inputs.len())..];
        let from = match (node.domain, node.op) {
            // These may have the row as their second operand.
            ("", "Add" | "Mul") => row(self.graph.with_constant(node)?.0),
            _ if constants.iter().any(|c| !self.graph.is_constant(c) && !c.is_empty()) => None,
            _ => row(node.first()?),
        };
        let from = from.ok_or_else(|| node.unknown())?;
        let op = match (node.domain, node.op) {
            ("", "Identity") => None,
            ("", "Cast") if matches!(node.int("to", 0)?, FLOAT | DOUBLE) => None,
            ("", "Shape") => {
                self.shapes.insert(name, from);
                return Ok(());
            }
            ("", "ReduceProd") => {
                let Op::Select(columns) = &self.flows[from].op else { return Err(node.unknown()) };
                if node.int("keepdims", 1)? == 0 || from == 0 {
                    return Err(node.unknown());
                }
                self.graph.budget.copy(columns.len())?;
                let (parent, columns) = (self.flows[from].parent, columns.clone());
                return self.add(name, parent, Op::Product(columns));
            }
            _ => Some(steps::read(self.graph, node, self.flows[from].width)?),
        };
        if let Some(op) = op {
            return self.add(name, from, op);
        }
        self.by_name.insert(name, from);
        Ok(())
    }

    /// As many ones as another tensor has rows: the bias of PolynomialFeatures.
    fn ones(&mut self, node: &Node<'a>, name: &'a str) -> Result<(), OnnxError> {
        let value = self.graph.attribute(node, "value")?.message(5)?;
        let value = super::tensor::Tensor::read(value, &self.graph.budget)?;
        let shape = self.shapes.get(node.first()?).map(|of| &self.flows[*of]);
        match shape {
            Some(like) if like.width == 1 && value.scalar() == Some(1.0) => self.add(name, like.parent, Op::Ones),
            _ => Err(node.unknown()),
        }
    }

    /// The last tensor that both come from.
    fn common(&self, mut a: usize, mut b: usize) -> usize {
        while a != b {
            if self.flows[a].depth >= self.flows[b].depth {
                a = self.flows[a].parent;
            } else {
                b = self.flows[b].parent;
            }
        }
        a
    }

    /// What is done to rows of one tensor until they are those of another.
    fn ops(&self, from: usize, to: usize) -> Vec<&Op> {
        let mut ops = Vec::new();
        let mut at = to;
        while at != from {
            ops.push(&self.flows[at].op);
            at = self.flows[at].parent;
        }
        ops.reverse();
        ops
    }

    fn between(&self, from: usize, to: usize) -> Result<Vec<Transform>, OnnxError> {
        steps::transforms(&self.ops(from, to), self.flows[from].width, &self.graph.budget)
    }

    /// Tensors side by side: polynomials, or what a ColumnTransformer makes of some columns each.
    fn concat(&mut self, node: &Node<'a>, name: &'a str) -> Result<(), OnnxError> {
        let parts = node.inputs.iter().map(|part| self.by_name.get(part).copied().ok_or_else(|| node.unknown()));
        let parts: Vec<usize> = parts.collect::<Result<_, _>>()?;
        let Some(base) = parts.iter().copied().reduce(|a, b| self.common(a, b)) else { return Err(node.unknown()) };
        let width = self.flows[base].width;
        if let Some(products) = parts.iter().map(|part| self.product(base, *part)).collect::<Option<Vec<_>>>() {
            let what = "joins products that are no PolynomialFeatures";
            let polynomial = products::recognise(width, &products).ok_or_else(|| node.unsupported(what))?;
            return self.add(name, base, Op::Polynomial(polynomial));
        }
        let mut branches = Vec::new();
        for part in parts {
            let mut ops = self.ops(base, part);
            let columns: Vec<usize> = if let Some(Op::Select(columns)) = ops.first() {
                ops.remove(0);
                columns.clone()
            } else {
                (0..width).collect()
            };
            self.graph.budget.copy(columns.len())?;
            let steps = steps::transforms(&ops, columns.len(), &self.graph.budget)?;
            branches.push(Branch { columns, steps });
        }
        let untouched = branches.iter().all(|b| b.steps.is_empty());
        if untouched && branches.iter().flat_map(|b| &b.columns).copied().eq(0..width) {
            self.by_name.insert(name, base);
            return Ok(());
        }
        self.add(name, base, Op::Columns(Weighed::of(branches)))
    }

    /// The columns that a tensor is the product of; none for ones.
    fn product(&self, base: usize, part: usize) -> Option<&[usize]> {
        let flow = &self.flows[part];
        match &flow.op {
            Op::Product(columns) if part != base && flow.parent == base => Some(columns),
            Op::Ones if part != base && flow.parent == base => Some(&[]),
            _ => None,
        }
    }
}
