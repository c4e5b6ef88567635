//! Tensors and attributes: the numbers of a graph.

use std::cell::Cell;

use super::OnnxError;
use super::graph::shown;
use super::wire::{Bytes, Field};

/// ONNX's numbers for types of elements.
pub(super) const FLOAT: i64 = 1;
pub(super) const INT32: i64 = 6;
pub(super) const INT64: i64 = 7;
pub(super) const DOUBLE: i64 = 11;

/// How many numbers may still be taken out of a file, and copied into transforms: a hostile one shares a tensor among many
/// nodes.
#[derive(Debug)]
pub(super) struct Budget {
    numbers: Cell<usize>,
    copies: Cell<usize>,
}

impl Budget {
    /// For a file of so many bytes; a number takes two of them at least.
    pub(super) fn of(bytes: usize) -> Self {
        Self { numbers: Cell::new(bytes / 2 + 4096), copies: Cell::new(bytes / 2 + (1 << 16)) }
    }

    /// Takes so many numbers out of the file.
    pub(super) fn spend(&self, numbers: usize) -> Result<(), OnnxError> {
        take(&self.numbers, numbers)
    }

    /// Copies so many numbers into a transform.
    pub(super) fn copy(&self, numbers: usize) -> Result<(), OnnxError> {
        take(&self.copies, numbers)
    }
}

fn take(budget: &Cell<usize>, numbers: usize) -> Result<(), OnnxError> {
    let left = budget.get().checked_sub(numbers);
    budget.set(left.ok_or_else(|| {
        OnnxError::Invalid("the graph's nodes take more numbers than the file can hold: tensors are shared".into())
    })?);
    Ok(())
}

/// An array of numbers; without dimensions it is one number.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) dims: Vec<usize>,
    pub(super) numbers: Vec<f64>,
}

impl Tensor {
    /// Reads a `TensorProto`.
    pub(super) fn read(message: Bytes<'_>, budget: &Budget) -> Result<Self, OnnxError> {
        let (mut name, mut of, mut dims, mut elsewhere) = ("", 0, Vec::new(), false);
        for field in message.fields() {
            let field = field?;
            match field.number {
                1 => {
                    if dims.len() + field.count_ints() > 8 {
                        return Err(OnnxError::damaged(message.at, "a tensor has more than 8 dimensions"));
                    }
                    field.ints(&mut dims)?;
                }
                2 => of = field.int()?,
                8 => name = field.text()?,
                13 => elsewhere = true,
                14 => elsewhere |= field.int()? == 1,
                _ => {}
            }
        }
        let name = shown(name);
        if elsewhere {
            return Err(OnnxError::Unsupported(format!(
                "tensor {name} has its numbers in another file; save the model in one file, without external data"
            )));
        }
        let mut numbers = Vec::new();
        for field in message.fields() {
            Self::numbers(field?, of, budget, &mut numbers)?;
        }
        let wrong = |what: String| Err(OnnxError::damaged(message.at, format!("tensor {name} {what}")));
        if !matches!(of, FLOAT | INT32 | INT64 | DOUBLE) {
            let what = format!("tensor {name} has elements of type {of}; supported are float, double, int32 and int64");
            return Err(OnnxError::Unsupported(what));
        }
        let Some(dims) = dims.iter().map(|d| usize::try_from(*d).ok()).collect::<Option<Vec<_>>>() else {
            return wrong("has a dimension below 0".to_owned());
        };
        if dims.iter().try_fold(1_usize, |count, d| count.checked_mul(*d)) != Some(numbers.len()) {
            return wrong(format!("has {} numbers for the dimensions {dims:?}", numbers.len()));
        }
        Ok(Self { dims, numbers })
    }

    /// Adds what a field of a tensor with such elements has of them.
    fn numbers(field: Field<'_>, of: i64, budget: &Budget, into: &mut Vec<f64>) -> Result<(), OnnxError> {
        #[allow(clippy::cast_precision_loss, reason = "indexes and counts are far below 2^53")]
        let whole = |numbers: Vec<i64>| numbers.into_iter().map(|n| n as f64);
        match (field.number, of) {
            (4 | 9, FLOAT) => {
                budget.spend(field.count(4))?;
                field.floats(into)
            }
            (9 | 10, DOUBLE) => {
                budget.spend(field.count(8))?;
                field.doubles(into)
            }
            (5, INT32) | (7, INT64) => {
                budget.spend(field.count_ints())?;
                let mut ints = Vec::new();
                field.ints(&mut ints)?;
                into.extend(whole(ints));
                Ok(())
            }
            (9, INT32) => {
                let (ints, []) = field.message()?.bytes.as_chunks() else { return wrong_size(field) };
                budget.spend(ints.len())?;
                into.extend(ints.iter().map(|n| f64::from(i32::from_le_bytes(*n))));
                Ok(())
            }
            (9, INT64) => {
                let (ints, []) = field.message()?.bytes.as_chunks() else { return wrong_size(field) };
                budget.spend(ints.len())?;
                into.extend(whole(ints.iter().map(|n| i64::from_le_bytes(*n)).collect()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The one number that it is.
    pub(super) fn scalar(&self) -> Option<f64> {
        if let [one] = *self.numbers { Some(one) } else { None }
    }

    /// Rows, columns and numbers, where it has two dimensions.
    pub(super) fn matrix(self) -> Option<(usize, usize, Vec<f64>)> {
        if let [rows, columns] = *self.dims { Some((rows, columns, self.numbers)) } else { None }
    }

    /// Its numbers as places in a row of so many.
    pub(super) fn places(&self, width: usize) -> Option<Vec<usize>> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        let place = |n: &f64| (*n >= 0.0 && n.trunc() == *n && *n < width as f64).then_some(*n as usize);
        self.numbers.iter().map(place).collect()
    }
}

fn wrong_size(field: Field<'_>) -> Result<(), OnnxError> {
    Err(OnnxError::damaged(field.message()?.at, "a tensor's bytes are no whole number of elements"))
}

/// What a node is set to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute<'a>(pub(super) Bytes<'a>);

impl<'a> Attribute<'a> {
    /// The field that an attribute of a type has its value in.
    fn field(self, number: u64) -> Result<Option<Field<'a>>, OnnxError> {
        let mut found = None;
        for field in self.0.fields() {
            let field = field?;
            if field.number == number {
                found = Some(field);
            }
        }
        Ok(found)
    }

    pub(super) fn name(self) -> Result<&'a str, OnnxError> {
        self.field(1)?.map_or(Ok(""), |f| f.text())
    }

    pub(super) fn float(self) -> Result<f64, OnnxError> {
        self.field(2)?.map_or(Ok(0.0), |f| f.float())
    }

    pub(super) fn int(self) -> Result<i64, OnnxError> {
        self.field(3)?.map_or(Ok(0), |f| f.int())
    }

    pub(super) fn text(self) -> Result<&'a str, OnnxError> {
        self.field(4)?.map_or(Ok(""), |f| f.text())
    }

    /// A tensor (5) or a graph (6).
    pub(super) fn message(self, number: u64) -> Result<Bytes<'a>, OnnxError> {
        let missing = || OnnxError::damaged(self.0.at, "an attribute has no value");
        self.field(number)?.ok_or_else(missing)?.message()
    }

    pub(super) fn floats(self, budget: &Budget) -> Result<Vec<f64>, OnnxError> {
        let mut numbers = Vec::new();
        for field in self.0.fields() {
            let field = field?;
            if field.number == 7 {
                budget.spend(field.count(4))?;
                field.floats(&mut numbers)?;
            }
        }
        Ok(numbers)
    }

    pub(super) fn ints(self, budget: &Budget) -> Result<Vec<i64>, OnnxError> {
        let mut numbers = Vec::new();
        for field in self.0.fields() {
            let field = field?;
            if field.number == 8 {
                budget.spend(field.count_ints())?;
                field.ints(&mut numbers)?;
            }
        }
        Ok(numbers)
    }

    pub(super) fn texts(self, budget: &Budget) -> Result<Vec<&'a str>, OnnxError> {
        let mut texts = Vec::new();
        for field in self.0.fields() {
            let field = field?;
            if field.number == 9 {
                budget.spend(2)?;
                texts.push(field.text()?);
            }
        }
        Ok(texts)
    }
}
