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
            let of = || self.heap.text(name).unwrap_or_default().chars().take(60).collect::<String>();
            if self.is_stepped_by_name(columns) {
                return Err(self.unsupported(&format!(
                    "selects the columns of {:?} by a slice of names with a step, which scikit-learn has no columns for; list \
                     the names",
                    of()
                )));
            }
            let columns = self.columns(columns, n_features, &names).ok_or_else(|| {
                let of = of();
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

    /// Whether columns are a slice with a step whose ends are no numbers.
    fn is_stepped_by_name(&self, columns: Value) -> bool {
        let Some(Node::Object { class: Class::Slice, state: Some(arguments) }) = self.heap.node(columns) else {
            return false;
        };
        let Some(&[start, stop, step]) = self.heap.tuple(*arguments) else { return false };
        let numbers = [start, stop].iter().any(|end| matches!(end, Value::Int(_)));
        !numbers && !matches!(step, Value::None | Value::Int(1))
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
                let end = |value: Value, past: i64| match value {
                    Value::None => Some(None),
                    Value::Int(i) => Some(Some(i)),
                    // A slice of names has its last one in it.
                    _ => Some(Some(i64::try_from(*names.get(self.heap.text(value)?)?).ok()? + past)),
                };
                let step = match step {
                    Value::None => 1,
                    Value::Int(step) if step != 0 => step,
                    _ => return None,
                };
                Some(slice(end(start, 0)?, end(stop, 1)?, step, i64::try_from(n_features).ok()?))
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

/// Python's `range(n)[start:stop:step]`, of a step that is not 0.
fn slice(start: Option<i64>, stop: Option<i64>, step: i64, n: i64) -> Vec<usize> {
    let (lowest, highest) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let (first, last) = if step > 0 { (lowest, highest) } else { (highest, lowest) };
    let end = |end: Option<i64>, absent| match end {
        None => absent,
        Some(i) if i < 0 => i.saturating_add(n).max(lowest),
        Some(i) => i.min(highest),
    };
    let (start, stop) = (end(start, first), end(stop, last));
    let within = |i: &i64| if step > 0 { *i < stop } else { *i > stop };
    let places = std::iter::successors(Some(start), |i| i.checked_add(step)).take_while(within);
    places.filter_map(|i| usize::try_from(i).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_takes_what_python_takes() {
        for (start, stop, step, of_six) in [
            (Some(0), Some(6), 2, &[0, 2, 4][..]),
            (None, None, 1, &[0, 1, 2, 3, 4, 5]),
            (None, None, -1, &[5, 4, 3, 2, 1, 0]),
            (Some(5), None, -2, &[5, 3, 1]),
            (Some(-1), Some(-7), -1, &[5, 4, 3, 2, 1, 0]),
            (Some(4), Some(1), -1, &[4, 3, 2]),
            (Some(1), Some(4), -1, &[]),
            (Some(0), Some(100), 3, &[0, 3]),
            (Some(-100), Some(3), 1, &[0, 1, 2]),
            (Some(100), None, -4, &[5, 1]),
            (Some(-3), None, 1, &[3, 4, 5]),
            (Some(-100), None, -1, &[]),
            (Some(i64::MIN), Some(i64::MAX), i64::MAX, &[0]),
            (Some(i64::MAX), Some(i64::MIN), i64::MIN, &[5]),
        ] {
            assert_eq!(slice(start, stop, step, 6), of_six, "{start:?}:{stop:?}:{step}");
        }
        assert_eq!(slice(None, None, -1, 0), [] as [usize; 0]);
    }
}
