//! numpy arrays, scalars and dtypes, as far as numbers go.

use super::value::{Blob, Heap, Node, Value};

/// More dimensions than any array of a model has.
const MAX_DIMENSIONS: usize = 4;

/// The type of an array's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) struct Dtype {
    kind: Kind,
    big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    F4,
    F8,
    I4,
    I8,
    U4,
    U8,
    Bool,
    /// Python objects: allowed to be there (feature names), never looked into.
    Object,
    /// Any other type, of so many bytes: allowed to be there, never looked into.
    Other(usize),
}

impl Dtype {
    /// `f8`, `<f8`, `O8`, `U12`, …
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (big_endian, code) = match text.as_bytes().first()? {
            b'>' => (true, &text[1..]),
            b'<' | b'|' | b'=' => (false, &text[1..]),
            _ => (false, text),
        };
        let kind = match code {
            "f4" => Kind::F4,
            "f8" => Kind::F8,
            "i4" => Kind::I4,
            "i8" => Kind::I8,
            "u4" => Kind::U4,
            "u8" => Kind::U8,
            "b1" => Kind::Bool,
            "O" | "O8" | "O4" => Kind::Object,
            _ => {
                let letter = code.chars().next().filter(char::is_ascii_alphabetic)?;
                let count: usize = code[1..].parse().ok()?;
                // A numpy text holds four bytes for each character.
                Kind::Other(if letter == 'U' { count.checked_mul(4)? } else { count })
            }
        };
        Some(Self { kind, big_endian })
    }

    /// A dtype's own state: a tuple whose second element is the byte order.
    pub(super) fn set_state(&mut self, heap: &Heap<'_>, state: Value) -> Option<()> {
        match heap.text(*heap.tuple(state)?.get(1)?)? {
            ">" => self.big_endian = true,
            "<" | "=" | "|" => self.big_endian = false,
            _ => return None,
        }
        Some(())
    }

    pub(super) fn is_object(self) -> bool {
        self.kind == Kind::Object
    }

    pub(super) fn size(self) -> usize {
        match self.kind {
            Kind::Bool => 1,
            Kind::F4 | Kind::I4 | Kind::U4 => 4,
            Kind::F8 | Kind::I8 | Kind::U8 | Kind::Object => 8,
            Kind::Other(size) => size,
        }
    }

    /// One element as a number; `None` for what is none.
    #[allow(clippy::cast_precision_loss, reason = "counts and indexes of a model are far below 2^53")]
    fn number(self, bytes: &[u8]) -> Option<f64> {
        let mut wide = [0_u8; 8];
        wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
        if self.big_endian {
            wide.get_mut(..bytes.len())?.reverse();
        }
        let low = [wide[0], wide[1], wide[2], wide[3]];
        Some(match self.kind {
            Kind::F8 => f64::from_le_bytes(wide),
            Kind::F4 => f64::from(f32::from_le_bytes(low)),
            Kind::I8 => i64::from_le_bytes(wide) as f64,
            Kind::U8 => u64::from_le_bytes(wide) as f64,
            Kind::I4 => f64::from(i32::from_le_bytes(low)),
            Kind::U4 => f64::from(u32::from_le_bytes(low)),
            // Eight times as large as numbers, and no part of a model.
            Kind::Bool | Kind::Object | Kind::Other(_) => return None,
        })
    }

    /// A numpy scalar of this type.
    pub(super) fn scalar(self, bytes: &[u8]) -> Option<Value> {
        if bytes.len() != self.size() {
            return None;
        }
        if self.kind == Kind::Bool {
            return Some(Value::Bool(bytes.first() != Some(&0)));
        }
        let number = self.number(bytes)?;
        Some(match self.kind {
            #[allow(clippy::cast_possible_truncation, reason = "made of a whole number, and saturating")]
            Kind::I4 | Kind::I8 | Kind::U4 | Kind::U8 => Value::Int(number as i64),
            _ => Value::Float(number),
        })
    }
}

/// An array: its shape and bytes, not yet taken apart.
#[derive(Clone, Debug)]
pub(in crate::model) struct Array<'a> {
    pub(in crate::model) shape: Vec<usize>,
    dtype: Dtype,
    fortran: bool,
    data: Data<'a>,
}

/// An array's elements.
#[derive(Clone, Debug)]
enum Data<'a> {
    Bytes(Blob<'a>),
    /// A list of Python objects.
    Objects(Value),
}

impl<'a> Array<'a> {
    /// What `_reconstruct` gives, before BUILD fills it.
    pub(super) fn empty() -> Self {
        let dtype = Dtype { kind: Kind::F8, big_endian: false };
        Self { shape: vec![0], dtype, fortran: false, data: Data::Bytes(Blob::Borrowed(&[])) }
    }

    /// An array of that shape, if its bytes are as many as the shape says.
    pub(super) fn new(shape: Vec<usize>, dtype: Dtype, fortran: bool, data: Blob<'a>) -> Option<Self> {
        let bytes = shape.iter().try_fold(dtype.size(), |size, n| size.checked_mul(*n))?;
        (bytes == data.bytes().len() && !dtype.is_object()).then_some(Self {
            shape,
            dtype,
            fortran,
            data: Data::Bytes(data),
        })
    }

    /// From BUILD's `(version, shape, dtype, is_fortran, data)`.
    pub(super) fn from_state(heap: &Heap<'a>, state: Value) -> Option<Self> {
        let [_, shape, dtype, fortran, data] = *heap.tuple(state)? else { return None };
        let dtype = dtype_of(heap, dtype)?;
        let (shape, fortran) = (shape_of(heap, shape)?, truthy(fortran)?);
        match heap.node(data)? {
            Node::Bytes(blob) => Self::new(shape, dtype, fortran, blob.clone()),
            Node::List(items) if dtype.is_object() => {
                let count = shape.iter().try_fold(1_usize, |size, n| size.checked_mul(*n))?;
                (count == items.len()).then_some(Self { shape, dtype, fortran, data: Data::Objects(data) })
            }
            _ => None,
        }
    }

    /// The list of its elements, where they are Python objects.
    pub(super) fn objects(&self) -> Option<Value> {
        match self.data {
            Data::Objects(list) => Some(list),
            Data::Bytes(_) => None,
        }
    }

    /// How many elements it has.
    pub(in crate::model) fn len(&self) -> usize {
        match &self.data {
            Data::Bytes(blob) => blob.bytes().len() / self.dtype.size().max(1),
            Data::Objects(_) => 0,
        }
    }

    /// Its elements in C order.
    pub(in crate::model) fn numbers(&self) -> Option<Vec<f64>> {
        let Data::Bytes(data) = &self.data else { return None };
        let size = self.dtype.size();
        if size == 0 {
            return None;
        }
        let flat: Option<Vec<f64>> = data.bytes().chunks_exact(size).map(|c| self.dtype.number(c)).collect();
        let flat = flat?;
        if flat.is_empty() {
            return Some(flat); // such as (2^60, 0): no walk along the first dimension
        }
        match *self.shape.as_slice() {
            [rows, columns] if self.fortran => {
                Some((0..rows).flat_map(|r| (0..columns).map(move |c| c * rows + r)).map(|i| flat[i]).collect())
            }
            [_] | [] | [_, _] => Some(flat),
            _ => None,
        }
    }
}

pub(super) fn dtype_of(heap: &Heap<'_>, value: Value) -> Option<Dtype> {
    match heap.node(value)? {
        Node::Dtype(dtype) => Some(*dtype),
        _ => None,
    }
}

pub(super) fn shape_of(heap: &Heap<'_>, value: Value) -> Option<Vec<usize>> {
    let dimensions = match value {
        Value::Int(_) => &[value],
        _ => heap.tuple(value)?,
    };
    if dimensions.len() > MAX_DIMENSIONS {
        return None;
    }
    dimensions.iter().map(|d| if let Value::Int(n) = d { usize::try_from(*n).ok() } else { None }).collect()
}

pub(super) fn truthy(value: Value) -> Option<bool> {
    match value {
        Value::Bool(b) => Some(b),
        Value::Int(i) => Some(i != 0),
        _ => None,
    }
}
