//! The tree of objects in `schema.json`, as nodes.

use serde_json::{Map, Value as Json};

use super::SkopsError;
use super::archive::Members;
use super::npy::{self, Loaded};
use crate::model::pickle::{Class, Heap, Node, Value};

/// Parses the tree. JSON texts in it that are JSON themselves are unpacked, so that nodes can borrow them.
pub(super) fn parse(schema: &[u8]) -> Result<Json, SkopsError> {
    let mut schema = serde_json::from_slice(schema).map_err(|e| damaged(e.to_string()))?;
    unpack(&mut schema);
    Ok(schema)
}

fn damaged(what: impl Into<String>) -> SkopsError {
    SkopsError::damaged("schema.json", what)
}

/// Replaces each node that stands for a text by the text. serde_json bounds the depth.
fn unpack(json: &mut Json) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(unpack),
        Json::Object(entries) => {
            entries.remove("key_types");
            if entries.get("__loader__").and_then(Json::as_str) == Some("JsonNode")
                && let Some(text) = entries.get("content").and_then(Json::as_str)
                && let Ok(text) = serde_json::from_str::<String>(text)
            {
                *json = Json::String(text);
                return;
            }
            entries.values_mut().for_each(unpack);
        }
        _ => {}
    }
}

/// Builds the nodes of a tree, and gives its root.
pub(super) fn build<'a>(schema: &'a Json, members: &'a Members) -> Result<(Heap<'a>, Value), SkopsError> {
    let mut builder = Builder { heap: Heap::default(), members };
    let root = builder.node(schema)?;
    Ok((builder.heap, root))
}

struct Builder<'a> {
    heap: Heap<'a>,
    members: &'a Members,
}

impl<'a> Builder<'a> {
    fn node(&mut self, json: &'a Json) -> Result<Value, SkopsError> {
        let object = match json {
            Json::String(text) => return Ok(self.heap.add(Node::Text(text))),
            Json::Object(object) => object,
            _ => return Err(damaged("something that is no node stands where one should be")),
        };
        let text = |key| object.get(key).and_then(Json::as_str);
        let loader = text("__loader__").ok_or_else(|| damaged("a node has no __loader__"))?;
        let node = match loader {
            "JsonNode" => return text("content").and_then(scalar).ok_or_else(|| damaged("a JsonNode holds no JSON")),
            "ListNode" => Node::List(self.items(object)?),
            "TupleNode" => Node::Tuple(self.items(object)?),
            "DictNode" | "DefaultDictNode" => Node::Dict(self.entries(object)?),
            "NdArrayNode" if text("type") == Some("json") => Node::List(self.items(object)?),
            "NdArrayNode" => match self.array(text("file"))? {
                Loaded::Node(node) => node,
                Loaded::Scalar(scalar) => return Ok(scalar),
            },
            "ObjectNode" | "TreeNode" => self.object(object)?,
            "SliceNode" => self.slice(object)?,
            // No score depends on these.
            "SetNode"
            | "BytesNode"
            | "BytearrayNode"
            | "TypeNode"
            | "DTypeNode"
            | "RandomStateNode"
            | "RandomGeneratorNode"
            | "LossNode"
            | "SGDNode" => Node::Opaque,
            _ => return Err(unknown(object)),
        };
        Ok(self.heap.add(node))
    }

    /// A fitted object of the closed list; its attributes are a dict, or there are none.
    fn object(&mut self, object: &'a Map<String, Json>) -> Result<Node<'a>, SkopsError> {
        let name = |key| object.get(key).and_then(Json::as_str).unwrap_or_default();
        let class = match Class::lookup(name("__module__"), name("__class__")) {
            Some(Class::Ignored) => return Ok(Node::Opaque),
            Some(class @ (Class::Tree | Class::KdTree | Class::BallTree)) => class,
            Some(class) if class.is_instance() => class,
            _ => return Err(unknown(object)),
        };
        let state = match object.get("content") {
            None | Some(Json::Null) => None,
            Some(content) => Some(self.node(content)?),
        };
        Ok(Node::Object { class, state })
    }

    /// `slice(start, stop, step)`, whose arguments are plain JSON.
    fn slice(&mut self, object: &'a Map<String, Json>) -> Result<Node<'a>, SkopsError> {
        let Some(Json::Object(content)) = object.get("content") else { return Err(damaged("a slice has no ends")) };
        let mut end = |key| match content.get(key) {
            None | Some(Json::Null) => Ok(Value::None),
            Some(Json::String(text)) => Ok(self.heap.add(Node::Text(text))),
            Some(json) => json.as_i64().map(Value::Int).ok_or_else(|| damaged("a slice has an end that is no index")),
        };
        let arguments = Node::Tuple(vec![end("start")?, end("stop")?, end("step")?]);
        Ok(Node::Object { class: Class::Slice, state: Some(self.heap.add(arguments)) })
    }

    fn items(&mut self, object: &'a Map<String, Json>) -> Result<Vec<Value>, SkopsError> {
        let Some(Json::Array(items)) = object.get("content") else { return Err(damaged("a list has no items")) };
        items.iter().map(|item| self.node(item)).collect()
    }

    fn entries(&mut self, object: &'a Map<String, Json>) -> Result<Vec<(Value, Value)>, SkopsError> {
        let Some(Json::Object(entries)) = object.get("content") else { return Err(damaged("a dict has no entries")) };
        entries.iter().map(|(key, value)| Ok((self.heap.add(Node::Text(key)), self.node(value)?))).collect()
    }

    fn array(&self, file: Option<&'a str>) -> Result<Loaded<'a>, SkopsError> {
        let file = file.ok_or_else(|| damaged("an array names no file"))?;
        let bytes = self.members.get(file).ok_or_else(|| SkopsError::damaged(file, "is not in the archive"))?;
        npy::load(bytes)
            .ok_or_else(|| SkopsError::damaged(file, "is no array of numpy's, or has not the size of its shape"))
    }
}

fn unknown(object: &Map<String, Json>) -> SkopsError {
    let name = |key| object.get(key).and_then(Json::as_str).unwrap_or("?").chars().take(80).collect::<String>();
    SkopsError::UnknownClass(format!("{}.{} ({})", name("__module__"), name("__class__"), name("__loader__")))
}

/// What Python's `json.dumps` writes for None, a truth or a number.
fn scalar(text: &str) -> Option<Value> {
    Some(match text {
        "null" => Value::None,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "NaN" => Value::Float(f64::NAN),
        "Infinity" => Value::Float(f64::INFINITY),
        "-Infinity" => Value::Float(f64::NEG_INFINITY),
        _ if !text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => return None,
        _ => text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::Float)).ok()?,
    })
}
