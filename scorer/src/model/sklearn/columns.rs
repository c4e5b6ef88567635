//! `sklearn.compose.ColumnTransformer`.

use std::collections::HashMap;

use super::SklearnError;
use super::attributes::Attributes;
use crate::model::pickle::{Class, Node, Value};
use crate::model::{Branch, ColumnTransformer, Transform};

/// More features than any model has: a slice of a hostile one costs nothing to write.
const MAX_FEATURES: usize = 1 << 16;

impl Attributes<'_, '_> {
    pub(super) fn column_transformer(&self, depth: usize) -> Result<Transform, SklearnError> {
        if self.get("transformer_weights").is_some_and(|w| w != Value::None) {
            return Err(self.unsupported("has transformer_weights, which are not supported; train without them"));
        }
        let n_features = self.count(&["n_features_in_", "_n_features"])?;
        if n_features > MAX_FEATURES {
            return Err(self.wrong("n_features_in_", "is more than any model has"));
        }
        let transformers = self.list("transformers_")?;
        self.fitted.spend_steps(transformers.len())?;
        let names = self.get("feature_names_in_").or_else(|| self.get("_feature_names_in"));
        let names = names.and_then(|n| self.heap.texts(n)).unwrap_or_default();
        let names: HashMap<&str, usize> = names.into_iter().enumerate().map(|(i, name)| (name, i)).collect();
        let mut branches = Vec::new();
        for transformer in transformers {
            let Some(&[name, what, columns]) = self.heap.tuple(*transformer) else {
                return Err(self.wrong("transformers_", "is not a list of (name, transformer, columns)"));
            };
            if self.heap.text(what) == Some("drop") || what == Value::None {
                continue;
            }
            let columns = self.columns(columns, n_features, &names).ok_or_else(|| {
                let of = self.heap.text(name).unwrap_or_default().chars().take(60).collect::<String>();
                self.wrong("transformers_", &format!(
                    "has columns for {of:?} that are not among its {n_features} features; where they are texts, save the model \
                     with scikit-learn 1.0 or newer, which keeps the names of features"
                ))
            })?;
            if columns.is_empty() {
                continue;
            }
            self.fitted.spend(columns.len()).ok_or_else(|| self.wrong("transformers_", "names too many columns"))?;
            branches.push(Branch { columns, steps: self.fitted.transforms(what, depth + 1)? });
        }
        Ok(Transform::ColumnTransformer(ColumnTransformer { n_features, branches }))
    }

    /// The places of columns that are given by number, name, slice or mask.
    fn columns(&self, columns: Value, n_features: usize, names: &HashMap<&str, usize>) -> Option<Vec<usize>> {
        let place = |value: &Value| match *value {
            Value::Int(i) if i < 0 => n_features.checked_sub(usize::try_from(i.unsigned_abs()).ok()?),
            Value::Int(i) => usize::try_from(i).ok().filter(|i| *i < n_features),
            _ => names.get(self.heap.text(*value)?).copied(),
        };
        let masked = |mask: Vec<bool>| {
            (mask.len() == n_features).then(|| (0..n_features).filter(|i| mask[*i]).collect::<Vec<_>>())
        };
        match self.heap.node(columns) {
            Some(Node::List(items) | Node::Tuple(items)) => {
                if matches!(items.first(), Some(Value::Bool(_))) {
                    return masked(items.iter().map(|i| *i == Value::Bool(true)).collect());
                }
                items.iter().map(place).collect()
            }
            Some(Node::Array(array)) => {
                if let Some(mask) = array.flags() {
                    return masked(mask);
                }
                if let Some(texts) = self.heap.texts(columns) {
                    return texts.into_iter().map(|name| names.get(name).copied()).collect();
                }
                #[allow(clippy::cast_possible_truncation, reason = "indexes; what is none is out of range")]
                array.numbers()?.into_iter().map(|n| place(&Value::Int(n as i64))).collect()
            }
            Some(Node::Object { class: Class::Slice, state: Some(arguments) }) => {
                let [start, stop, step] = *self.heap.tuple(*arguments)? else { return None };
                if !matches!(step, Value::None | Value::Int(1)) {
                    return None;
                }
                let end = |value: Value, absent: usize, past: usize| match value {
                    Value::None => Some(absent),
                    Value::Int(i) if i < 0 => {
                        Some(n_features.saturating_sub(usize::try_from(i.unsigned_abs()).unwrap_or(usize::MAX)))
                    }
                    Value::Int(i) => Some(usize::try_from(i).unwrap_or(usize::MAX).min(n_features)),
                    // A slice of names has its last one in it.
                    _ => names.get(self.heap.text(value)?).map(|i| i + past),
                };
                Some((end(start, 0, 0)?..end(stop, n_features, 1)?).collect())
            }
            Some(Node::Object { class: Class::RemainderColumns, state: Some(state) }) => {
                let data = self.heap.entry(*state, "data")?;
                // Nested no further: its data are a list.
                matches!(self.heap.node(data), Some(Node::List(_))).then(|| self.columns(data, n_features, names))?
            }
            _ => place(&columns).map(|i| vec![i]),
        }
    }
}
