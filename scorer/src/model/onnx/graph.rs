//! A model's graph: nodes that make tensors of tensors, from the inputs and constants to the outputs.

use std::collections::{HashMap, HashSet};

use super::OnnxError;
use super::tensor::{Attribute, Budget, Tensor};
use super::wire::Bytes;

/// More nodes than any model has. Forests of skl2onnx have about thirty for each tree.
const MAX_NODES: usize = 1 << 16;
/// More names of tensors than so many nodes have.
const MAX_NAMES: usize = 1 << 19;
/// Constants made of constants, deeper than skl2onnx makes them.
const MAX_DEPTH: usize = 8;

/// The operators for classical machine learning; ONNX's own have no domain.
pub(super) const ML: &str = "ai.onnx.ml";

/// A name out of the file, as a message may show it.
pub(super) fn shown(name: &str) -> String {
    format!("{:?}", name.chars().take(60).collect::<String>())
}

/// An operation.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) domain: &'a str,
    pub(super) op: &'a str,
    name: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    body: Bytes<'a>,
}

/// What a row's values come in by.
#[derive(Debug)]
pub(super) struct Input<'a> {
    pub(super) name: &'a str,
    /// ONNX's number of the type of its elements.
    pub(super) of: i64,
    /// How many values a row has there, where that is said.
    pub(super) width: Option<usize>,
}

#[derive(Debug)]
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) inputs: Vec<Input<'a>>,
    pub(super) outputs: Vec<&'a str>,
    initializers: HashMap<&'a str, Bytes<'a>>,
    made_by: HashMap<&'a str, usize>,
    /// Tensors that no input has a part in.
    constants: HashSet<&'a str>,
    pub(super) budget: Budget,
}

impl<'a> Node<'a> {
    fn read(body: Bytes<'a>) -> Result<Self, OnnxError> {
        let mut node = Self { domain: "", op: "", name: "", inputs: Vec::new(), outputs: Vec::new(), body };
        for field in body.fields() {
            let field = field?;
            match field.number {
                1 => node.inputs.push(field.text()?),
                2 => node.outputs.push(field.text()?),
                3 => node.name = field.text()?,
                4 => node.op = field.text()?,
                7 => node.domain = field.text()?,
                _ => {}
            }
            if node.inputs.len() + node.outputs.len() > MAX_NAMES {
                return Err(too_many("names of tensors"));
            }
        }
        if node.domain == "ai.onnx" {
            node.domain = "";
        }
        Ok(node)
    }

    /// What it is, for messages.
    pub(super) fn describe(&self) -> String {
        let domain = if self.domain.is_empty() { "ai.onnx" } else { self.domain };
        let cut = |text: &str| text.chars().filter(|c| !spec::shown::is_control(*c)).take(60).collect::<String>();
        format!("node {} ({} of {})", shown(self.name), cut(self.op), cut(domain))
    }

    pub(super) fn unsupported(&self, what: &str) -> OnnxError {
        OnnxError::Node { node: self.describe(), what: what.to_owned() }
    }

    /// It is not what skl2onnx has in such a place.
    pub(super) fn unknown(&self) -> OnnxError {
        self.unsupported("stands where skl2onnx has no such node in a model that this reader knows")
    }

    pub(super) fn attribute(&self, name: &str) -> Result<Option<Attribute<'a>>, OnnxError> {
        for field in self.body.fields() {
            let field = field?;
            if field.number == 5 {
                let attribute = Attribute(field.message()?);
                if attribute.name()? == name {
                    return Ok(Some(attribute));
                }
            }
        }
        Ok(None)
    }

    pub(super) fn int(&self, name: &str, otherwise: i64) -> Result<i64, OnnxError> {
        self.attribute(name)?.map_or(Ok(otherwise), Attribute::int)
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, OnnxError> {
        self.attribute(name)?.map(Attribute::text).transpose()
    }

    /// Its inputs, where they are so many.
    pub(super) fn takes<const N: usize>(&self) -> Result<[&'a str; N], OnnxError> {
        let wrong = |_| self.unsupported(&format!("has {} input(s) where skl2onnx gives {N}", self.inputs.len()));
        self.inputs.as_slice().try_into().map_err(wrong)
    }

    pub(super) fn first(&self) -> Result<&'a str, OnnxError> {
        self.inputs.first().copied().ok_or_else(|| self.unsupported("has no input"))
    }
}

fn too_many(what: &str) -> OnnxError {
    OnnxError::Unsupported(format!("the graph has too many {what}: no model has so many"))
}

impl<'a> Graph<'a> {
    /// Reads a `GraphProto` from a file of so many bytes.
    pub(super) fn read(message: Bytes<'a>, bytes: usize) -> Result<Self, OnnxError> {
        let mut graph = Self {
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            initializers: HashMap::new(),
            made_by: HashMap::new(),
            constants: HashSet::new(),
            budget: Budget::of(bytes),
        };
        let (mut names, mut inputs) = (0, Vec::new());
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => {
                    let node = Node::read(field.message()?)?;
                    names += node.inputs.len() + node.outputs.len();
                    graph.nodes.push(node);
                }
                5 => {
                    let tensor = field.message()?;
                    graph.initializers.insert(text_in(tensor, 8)?, tensor);
                    names += 1;
                }
                11 => {
                    inputs.push(Input::read(field.message()?)?);
                    names += 1;
                }
                12 => {
                    graph.outputs.push(text_in(field.message()?, 1)?);
                    names += 1;
                }
                15 => return Err(OnnxError::Unsupported("the graph has sparse initializers; save it without".into())),
                _ => {}
            }
            if names > MAX_NAMES || graph.nodes.len() > MAX_NODES {
                return Err(too_many("nodes"));
            }
        }
        // Until IR version 4, initializers are listed among the inputs.
        inputs.retain(|i| !graph.initializers.contains_key(i.name));
        graph.inputs = inputs;
        graph.connect()?;
        Ok(graph)
    }

    /// Notes what makes each tensor. Nodes stand behind those whose tensors they take, so no walk back goes in circles.
    fn connect(&mut self) -> Result<(), OnnxError> {
        self.constants = self.initializers.keys().copied().collect();
        let mut known: HashSet<&str> = self.inputs.iter().map(|i| i.name).collect();
        for (index, node) in self.nodes.iter().enumerate() {
            let constant = node.inputs.iter().all(|name| self.constants.contains(name) || name.is_empty());
            let missing = |name: &&&str| !known.contains(*name) && !self.constants.contains(*name) && !name.is_empty();
            if let Some(name) = node.inputs.iter().find(missing) {
                let what = format!("takes the tensor {}, which nothing before it makes", shown(name));
                return Err(OnnxError::Invalid(format!("{} {what}; upload the file again", node.describe())));
            }
            for name in node.outputs.iter().filter(|name| !name.is_empty()) {
                if known.contains(name) || self.constants.contains(name) {
                    let what = format!("makes the tensor {}, which is there already", shown(name));
                    return Err(OnnxError::Invalid(format!("{} {what}; upload the file again", node.describe())));
                }
                self.made_by.insert(name, index);
                if constant {
                    self.constants.insert(name);
                } else {
                    known.insert(name);
                }
            }
        }
        Ok(())
    }

    /// The place of the node that makes a tensor.
    pub(super) fn maker(&self, tensor: &str) -> Option<usize> {
        self.made_by.get(tensor).copied()
    }

    pub(super) fn is_constant(&self, tensor: &str) -> bool {
        self.constants.contains(tensor)
    }

    /// The node that makes a tensor.
    pub(super) fn made(&self, tensor: &str) -> Result<&Node<'a>, OnnxError> {
        self.maker(tensor).and_then(|i| self.nodes.get(i)).ok_or_else(|| {
            OnnxError::Unsupported(format!(
                "no node makes the tensor {}, as it would in a model of skl2onnx that this reader knows",
                shown(tensor)
            ))
        })
    }

    /// The node that makes a tensor, where it is one of ONNX's own operators with this name.
    pub(super) fn made_by(&self, tensor: &str, op: &str) -> Result<&Node<'a>, OnnxError> {
        let node = self.made(tensor)?;
        if node.domain.is_empty() && node.op == op { Ok(node) } else { Err(node.unknown()) }
    }

    /// The tensor that casts, reshapes and the like were done to.
    pub(super) fn through(&self, mut tensor: &'a str, ops: &[&str]) -> Result<&'a str, OnnxError> {
        while let Some(node) = self.maker(tensor).and_then(|i| self.nodes.get(i)) {
            if !node.domain.is_empty() || !ops.contains(&node.op) {
                break;
            }
            tensor = node.first()?;
        }
        Ok(tensor)
    }

    /// A constant's numbers.
    pub(super) fn constant(&self, tensor: &str) -> Result<Tensor, OnnxError> {
        self.constant_at(tensor, 0)
    }

    fn constant_at(&self, tensor: &str, depth: usize) -> Result<Tensor, OnnxError> {
        if let Some(message) = self.initializers.get(tensor) {
            return Tensor::read(*message, &self.budget);
        }
        let node = self.made(tensor)?;
        if !self.is_constant(tensor) || depth > MAX_DEPTH {
            return Err(node.unsupported("stands where skl2onnx has a constant"));
        }
        match (node.domain, node.op) {
            ("", "Constant") => {
                let value = node.attribute("value")?.ok_or_else(|| node.unsupported("has no attribute `value`"))?;
                Tensor::read(value.message(5)?, &self.budget)
            }
            ("", "Identity" | "Cast") => self.constant_at(node.first()?, depth + 1),
            ("", "Sqrt") => {
                let mut tensor = self.constant_at(node.first()?, depth + 1)?;
                tensor.numbers.iter_mut().for_each(|n| *n = n.sqrt());
                Ok(tensor)
            }
            _ => Err(node.unknown()),
        }
    }

    /// The one number that a constant is.
    pub(super) fn number(&self, node: &Node<'a>, tensor: &str) -> Result<f64, OnnxError> {
        let wrong = || node.unsupported(&format!("takes {}, which is not one number", shown(tensor)));
        self.constant(tensor)?.scalar().ok_or_else(wrong)
    }

    /// The tensor and the one number that a sum or product is made of.
    pub(super) fn with_number(&self, node: &Node<'a>) -> Result<(&'a str, f64), OnnxError> {
        let (tensor, constant) = self.with_constant(node)?;
        Ok((tensor, self.number(node, constant)?))
    }

    /// The tensor that depends on the inputs, and the constant, of a sum or product.
    pub(super) fn with_constant(&self, node: &Node<'a>) -> Result<(&'a str, &'a str), OnnxError> {
        let [a, b] = node.takes()?;
        match (self.is_constant(a), self.is_constant(b)) {
            (false, true) => Ok((a, b)),
            (true, false) => Ok((b, a)),
            _ => Err(node.unknown()),
        }
    }

    /// What is multiplied or added, where that is done with this number.
    pub(super) fn by(&self, tensor: &str, op: &str, number: f64) -> Result<&'a str, OnnxError> {
        let node = self.made_by(tensor, op)?;
        let (of, found) = self.with_number(node)?;
        if (found - number).abs() <= 1e-6 * number.abs() {
            return Ok(of);
        }
        Err(node.unsupported(&format!("has {found:?} where skl2onnx has {number:?}")))
    }

    /// The attribute of a node that has to be there.
    pub(super) fn attribute(&self, node: &Node<'a>, name: &str) -> Result<Attribute<'a>, OnnxError> {
        node.attribute(name)?.ok_or_else(|| node.unsupported(&format!("has no attribute `{name}`")))
    }

    pub(super) fn floats(&self, node: &Node<'a>, name: &str) -> Result<Vec<f64>, OnnxError> {
        self.attribute(node, name)?.floats(&self.budget)
    }

    pub(super) fn ints(&self, node: &Node<'a>, name: &str) -> Result<Vec<i64>, OnnxError> {
        self.attribute(node, name)?.ints(&self.budget)
    }
}

/// The text that a message has in a field.
fn text_in(message: Bytes<'_>, number: u64) -> Result<&str, OnnxError> {
    let mut text = "";
    for field in message.fields() {
        let field = field?;
        if field.number == number {
            text = field.text()?;
        }
    }
    Ok(text)
}

impl<'a> Input<'a> {
    /// Reads a `ValueInfoProto`.
    fn read(message: Bytes<'a>) -> Result<Self, OnnxError> {
        let inside = |message: Option<Bytes<'a>>, number| -> Result<Option<Bytes<'a>>, OnnxError> {
            let Some(message) = message else { return Ok(None) };
            let found = message.fields().find(|f| !matches!(f, Ok(f) if f.number != number));
            found.transpose()?.map(|f| f.message()).transpose()
        };
        let int = |message: Option<Bytes<'a>>| -> Result<Option<i64>, OnnxError> {
            let Some(message) = message else { return Ok(None) };
            let found = message.fields().find(|f| !matches!(f, Ok(f) if f.number != 1));
            found.transpose()?.map(|f| f.int()).transpose()
        };
        // TypeProto, its tensor_type, its shape, and that one's second dimension.
        let tensor = inside(inside(Some(message), 2)?, 1)?;
        let dims = inside(tensor, 2)?.map(|shape| shape.fields().take(3).collect::<Result<Vec<_>, _>>()).transpose()?;
        let width = match dims.unwrap_or_default().as_slice() {
            [_, features] => int(Some(features.message()?)).unwrap_or_default(),
            _ => None,
        };
        let width = width.and_then(|w| usize::try_from(w).ok()).filter(|w| *w > 0);
        let of = if tensor.is_some() { int(tensor)?.unwrap_or_default() } else { 0 };
        Ok(Self { name: text_in(message, 1)?, of, width })
    }
}
