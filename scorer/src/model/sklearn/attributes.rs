//! The attributes of fitted objects, as numbers.

use std::cell::Cell;

use super::{MAX_STEPS, SklearnError};
use crate::model::pickle::{Array, Class, Heap, Node, Value};

/// What a pickle held, and how much of it may still be copied into a model.
pub(super) struct Fitted<'a> {
    pub(super) heap: Heap<'a>,
    /// Numbers that may still be taken out of arrays: a hostile pickle shares one array among many objects.
    numbers: Cell<usize>,
    /// Steps that may still be read: a hostile pickle shares one pipeline among many columns.
    steps: Cell<usize>,
}

impl<'a> Fitted<'a> {
    pub(super) fn new(heap: Heap<'a>, bytes: usize) -> Self {
        Self { heap, numbers: Cell::new(bytes / 2 + 4096), steps: Cell::new(MAX_STEPS) }
    }

    /// Whether so many numbers may be copied.
    pub(super) fn spend(&self, numbers: usize) -> Option<()> {
        self.numbers.set(self.numbers.get().checked_sub(numbers)?);
        Some(())
    }

    /// Whether so many steps may be read.
    pub(super) fn spend_steps(&self, steps: usize) -> Result<(), SklearnError> {
        let left = self.steps.get().checked_sub(steps);
        self.steps.set(left.ok_or_else(|| {
            SklearnError::Unsupported(format!(
                "the pipeline has more than {MAX_STEPS} steps, counting those of columns"
            ))
        })?);
        Ok(())
    }
}

/// The attributes of one object.
pub(super) struct Attributes<'h, 'a> {
    pub(super) fitted: &'h Fitted<'a>,
    pub(super) heap: &'h Heap<'a>,
    class: Class,
    state: Value,
}

impl<'h, 'a> Attributes<'h, 'a> {
    pub(super) fn of(fitted: &'h Fitted<'a>, class: Class, state: Option<Value>) -> Result<Self, SklearnError> {
        let state = state.filter(|s| matches!(fitted.heap.node(*s), Some(Node::Dict(_))));
        let state = state.ok_or_else(|| SklearnError::Invalid(format!("{} has no attributes", class.name())))?;
        Ok(Self { fitted, heap: &fitted.heap, class, state })
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        self.heap.entry(self.state, name)
    }

    pub(super) fn wrong(&self, name: &str, what: &str) -> SklearnError {
        SklearnError::Invalid(format!("{}: `{name}` {what}", self.class.name()))
    }

    pub(super) fn unsupported(&self, what: &str) -> SklearnError {
        SklearnError::Unsupported(format!("{} {what}", self.class.name()))
    }

    pub(super) fn unfitted(&self, name: &str) -> SklearnError {
        self.wrong(name, "is missing: the model was saved before it was fitted; call fit first")
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.heap.text(self.get(name)?)
    }

    /// Whether this scikit-learn is newer than the one that wrote this.
    pub(super) fn is_before(&self, major: u32, minor: u32) -> bool {
        let mut parts = self.text("_sklearn_version").unwrap_or_default().split('.').map(str::parse::<u32>);
        matches!((parts.next(), parts.next()), (Some(Ok(own)), Some(Ok(part))) if (own, part) < (major, minor))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, SklearnError> {
        match self.get(name) {
            Some(Value::Bool(flag)) => Ok(flag),
            _ => Err(self.wrong(name, "is not True or False")),
        }
    }

    /// A switch that older versions do not have.
    pub(super) fn flag_if_there(&self, name: &str) -> Result<bool, SklearnError> {
        if self.get(name).is_none() { Ok(false) } else { self.flag(name) }
    }

    /// A number; of several names over the years the first found counts.
    pub(super) fn number(&self, names: &[&str]) -> Result<f64, SklearnError> {
        let name = names.iter().find(|n| self.get(n).is_some()).or(names.last()).copied().unwrap_or_default();
        let value = self.get(name).ok_or_else(|| self.unfitted(name))?;
        if let Some(number) = number(value) {
            return Ok(number);
        }
        match self.numbers(&[name])?.as_slice() {
            [one] => Ok(*one),
            _ => Err(self.wrong(name, "is not one number")),
        }
    }

    /// A whole number of at least 0; of several names over the years the first found counts.
    pub(super) fn count(&self, names: &[&str]) -> Result<usize, SklearnError> {
        let number = self.number(names)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        (number >= 0.0 && number.trunc() == number && number < f64::from(u32::MAX))
            .then_some(number as usize)
            .ok_or_else(|| {
                self.wrong(names.first().copied().unwrap_or_default(), "is not a whole number of at least 0")
            })
    }

    pub(super) fn list(&self, name: &str) -> Result<&'h [Value], SklearnError> {
        let value = self.get(name).ok_or_else(|| self.unfitted(name))?;
        self.heap.items(value).ok_or_else(|| self.wrong(name, "is not a list"))
    }

    /// An array; of several names over the years the first found counts.
    pub(super) fn array(&self, names: &[&str]) -> Result<(&'h Array<'a>, Vec<f64>), SklearnError> {
        let name = names.iter().find(|n| self.get(n).is_some()).or(names.last()).copied().unwrap_or_default();
        let value = self.get(name).ok_or_else(|| self.unfitted(name))?;
        let Some(Node::Array(array)) = self.heap.node(value) else {
            return Err(self.wrong(name, &format!("is {}, not an array of numbers", self.heap.describe(value))));
        };
        let spent = self.fitted.spend(array.len());
        spent.ok_or_else(|| self.wrong(name, "is more than the file itself can hold: arrays are shared"))?;
        let numbers = match array.objects().and_then(|list| self.heap.items(list)) {
            // Python's own numbers, such as what a SimpleImputer fills in by request.
            Some(items) => {
                self.fitted.spend(items.len()).and_then(|()| items.iter().map(|item| number(*item)).collect())
            }
            None => array.numbers(),
        };
        let numbers = numbers.ok_or_else(|| self.wrong(name, "is not an array of numbers"))?;
        Ok((array, numbers))
    }

    pub(super) fn numbers(&self, names: &[&str]) -> Result<Vec<f64>, SklearnError> {
        self.array(names).map(|(_, numbers)| numbers)
    }

    /// An array of rows: how many, of how many columns, and its numbers.
    pub(super) fn matrix(&self, names: &[&str]) -> Result<(usize, usize, Vec<f64>), SklearnError> {
        let (array, numbers) = self.array(names)?;
        match *array.shape.as_slice() {
            [rows, columns] => Ok((rows, columns, numbers)),
            _ => Err(self.wrong(names.first().copied().unwrap_or_default(), "has not two dimensions")),
        }
    }
}

/// A Python or numpy number.
pub(super) fn number(value: Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(number),
        #[allow(clippy::cast_precision_loss, reason = "whole numbers of a model are far below 2^53")]
        Value::Int(number) => Some(number as f64),
        _ => None,
    }
}
