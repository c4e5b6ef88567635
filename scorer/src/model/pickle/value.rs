//! What the machine builds: values are handles into one arena, so sharing and cycles cost nothing and nothing recurses.

use std::rc::Rc;

use super::array::{Array, Dtype};
use super::class::Class;

/// A value on the stack, in the memo or in a container.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::model) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Node(NodeId),
}

/// A handle into the [`Heap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) struct NodeId(u32);

/// Bytes of the pickle, or made from its text.
#[derive(Clone, Debug)]
pub(in crate::model) enum Blob<'a> {
    Borrowed(&'a [u8]),
    Made(Rc<[u8]>),
}

impl Blob<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Made(bytes) => bytes,
        }
    }
}

/// What has a place of its own.
#[derive(Debug)]
pub(in crate::model) enum Node<'a> {
    Text(&'a str),
    Bytes(Blob<'a>),
    Tuple(Vec<Value>),
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// Something that may be there but does not matter to scores (a set, an integer of more than 64 bits, a random
    /// state, a search tree): never looked into.
    Opaque,
    Class(Class),
    Object {
        class: Class,
        /// Its attributes; of a slice, its arguments.
        state: Option<Value>,
    },
    Dtype(Dtype),
    Array(Array<'a>),
}

/// The arena.
#[derive(Debug, Default)]
pub(in crate::model) struct Heap<'a> {
    nodes: Vec<Node<'a>>,
}

impl<'a> Heap<'a> {
    pub(in crate::model) fn add(&mut self, node: Node<'a>) -> Value {
        // The machine's limit on nodes keeps the count far below u32::MAX.
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(node);
        Value::Node(id)
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(in crate::model) fn node(&self, value: Value) -> Option<&Node<'a>> {
        match value {
            Value::Node(NodeId(id)) => self.nodes.get(id as usize),
            _ => None,
        }
    }

    pub(super) fn node_mut(&mut self, value: Value) -> Option<&mut Node<'a>> {
        match value {
            Value::Node(NodeId(id)) => self.nodes.get_mut(id as usize),
            _ => None,
        }
    }

    pub(in crate::model) fn text(&self, value: Value) -> Option<&'a str> {
        match self.node(value) {
            Some(Node::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(in crate::model) fn tuple(&self, value: Value) -> Option<&[Value]> {
        match self.node(value) {
            Some(Node::Tuple(items)) => Some(items),
            _ => None,
        }
    }

    /// Bytes; Python 2 wrote them as texts.
    pub(super) fn bytes(&self, value: Value) -> Option<Blob<'a>> {
        match self.node(value)? {
            Node::Bytes(blob) => Some(blob.clone()),
            Node::Text(text) => Some(Blob::Borrowed(text.as_bytes())),
            _ => None,
        }
    }

    /// The items of a list or tuple.
    pub(in crate::model) fn items(&self, value: Value) -> Option<&[Value]> {
        match self.node(value) {
            Some(Node::Tuple(items) | Node::List(items)) => Some(items),
            _ => None,
        }
    }

    /// The texts of a list, tuple or array of objects, if it holds nothing else.
    pub(in crate::model) fn texts(&self, value: Value) -> Option<Vec<&'a str>> {
        let items = match self.node(value)? {
            Node::Array(array) => self.items(array.objects()?)?,
            _ => self.items(value)?,
        };
        items.iter().map(|item| self.text(*item)).collect()
    }

    /// The value of a dictionary's text key; of several, the last, as in Python.
    pub(in crate::model) fn entry(&self, dict: Value, key: &str) -> Option<Value> {
        match self.node(dict) {
            Some(Node::Dict(entries)) => {
                entries.iter().rev().find(|(k, _)| self.text(*k) == Some(key)).map(|(_, v)| *v)
            }
            _ => None,
        }
    }

    /// What a value is, for messages.
    pub(in crate::model) fn describe(&self, value: Value) -> String {
        match (value, self.node(value)) {
            (Value::None, _) => "None".to_owned(),
            (Value::Bool(_), _) => "a bool".to_owned(),
            (Value::Int(i), _) => format!("the number {i}"),
            (Value::Float(f), _) => format!("the number {f:?}"),
            (_, None) => "nothing".to_owned(),
            (_, Some(node)) => match node {
                Node::Text(text) => format!("the text {:?}", text.chars().take(60).collect::<String>()),
                Node::Bytes(_) => "bytes".to_owned(),
                Node::Tuple(_) => "a tuple".to_owned(),
                Node::List(_) => "a list".to_owned(),
                Node::Dict(_) => "a dict".to_owned(),
                Node::Opaque => "something that is not looked into".to_owned(),
                Node::Class(class) => format!("the class {}", class.name()),
                Node::Object { class, .. } => class.name().to_owned(),
                Node::Dtype(_) => "a numpy dtype".to_owned(),
                Node::Array(_) => "a numpy array".to_owned(),
            },
        }
    }
}
