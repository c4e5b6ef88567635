//! YAML with the line of each value, so that an error can say where it is.

use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Number, Value};
use serde_saphyr::{Error, Spanned};

/// A value and its line.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The line, from 1.
    pub(super) line: u64,
    pub(super) tree: Tree,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    Plain(Value),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Why a text is not YAML.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoYaml {
    pub(super) line: Option<u64>,
    pub(super) message: String,
}

impl Node {
    /// The documents of a text; those without anything are left out.
    pub(super) fn documents(text: &str) -> Result<Vec<Self>, NoYaml> {
        let documents: Vec<Self> = serde_saphyr::from_multiple(text).map_err(|error| {
            let line = error.location().map(|at| at.line());
            let message = match error.without_snippet() {
                Error::DuplicateMappingKey { key: Some(key), .. } => format!("{key:?} is there twice; write it once"),
                Error::DuplicateMappingKey { key: None, .. } => "a key is there twice; write it once".to_owned(),
                other => other.to_string().lines().next().unwrap_or_default().to_owned(),
            };
            NoYaml { line, message }
        })?;
        Ok(documents.into_iter().filter(|node| !matches!(node.tree, Tree::Plain(Value::Null))).collect())
    }

    /// A field of a mapping.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        match &self.tree {
            Tree::Map(fields) => fields.iter().find(|(field, _)| field == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// A text in a mapping.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match &self.get(name)?.tree {
            Tree::Plain(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The line of a field by its path, such as `spec.sensors.list[2].device`; of what holds it where it is not there.
    pub(super) fn line_of(&self, path: &str) -> u64 {
        let mut node = self;
        for part in path.split(['.', '[', ']']).filter(|part| !part.is_empty()) {
            let next = match &node.tree {
                Tree::List(items) => part.parse::<usize>().ok().and_then(|at| items.get(at)),
                _ => node.get(part),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node.line
    }

    /// Without lines.
    pub(super) fn to_value(&self) -> Value {
        match &self.tree {
            Tree::Plain(value) => value.clone(),
            Tree::List(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Tree::Map(fields) => {
                let fields = fields.iter().map(|(name, node)| (name.clone(), node.to_value()));
                Value::Object(fields.collect::<Map<_, _>>())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Tree>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), tree: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

/// Takes whatever is there.
struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Plain(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Plain(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Plain(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Plain(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Plain(value.into()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Tree, E> {
        Ok(Tree::Plain(Value::Null))
    }

    fn visit_none<E: de::Error>(self) -> Result<Tree, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Tree::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TWO: &str =
        "# first\n---\na: 1\nb:\n  c: [x, \"5\", 2.5]\n  d: {e: true,\n      f: null}\n---\n\n---\ng:\n- h: i\n";

    #[test]
    fn documents_read_as_they_are_written_and_know_their_lines() {
        let documents = Node::documents(TWO).unwrap();
        assert_eq!(documents.len(), 2);
        let expected = json!({"a": 1, "b": {"c": ["x", "5", 2.5], "d": {"e": true, "f": null}}});
        assert_eq!(documents[0].to_value(), expected);
        let line = |path: &str| documents[0].line_of(path);
        assert_eq!([line("a"), line("b.c[1]"), line("b.d.f"), line("b.d.none.at.all")], [3, 5, 7, 6]);
        assert_eq!(documents[1].line_of("g[0].h"), 12);
    }

    #[test]
    fn what_is_not_yaml_is_told_with_its_line() {
        for (text, line) in [("a: 1\nb: [", 2), ("a: 1\na: 2\n", 2), ("a: &x [*y]\n", 1)] {
            let wrong = Node::documents(text).unwrap_err();
            assert!(wrong.line.is_some_and(|at| at >= line) && !wrong.message.is_empty(), "{text}: {wrong:?}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_told_in_words_of_manifests() {
        let wrong = Node::documents("spec:\n  maxNodes: 1\n  maxNodes: 2\n").unwrap_err();
        let expected = NoYaml { line: Some(3), message: "\"maxNodes\" is there twice; write it once".to_owned() };
        assert_eq!(wrong, expected);
    }

    #[test]
    fn what_unfolds_to_gigabytes_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let above = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{above}]\n"));
        }
        assert!(Node::documents(&text).is_err());
        assert!(Node::documents(&"[".repeat(100_000)).is_err());
    }
}
