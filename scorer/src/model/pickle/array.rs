//! numpy arrays, scalars and dtypes, as far as numbers go.

use std::rc::Rc;

use super::value::{Blob, Heap, Node, Value};

/// More dimensions than any array of a model has.
const MAX_DIMENSIONS: usize = 4;

/// More fields than any record of a model has.
const MAX_FIELDS: usize = 32;

/// The type of an array's elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::model) struct Dtype {
    kind: Kind,
    big_endian: bool,
    /// The fields of a record.
    fields: Rc<[Field]>,
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: Box<str>,
    dtype: Dtype,
    offset: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    F4,
    F8,
    I1,
    I2,
    I4,
    I8,
    U1,
    U2,
    U4,
    U8,
    Bool,
    /// Python objects, such as feature names.
    Object,
    /// Records and any other type, of so many bytes.
    Other(usize),
}

impl Dtype {
    fn of(kind: Kind) -> Self {
        Self { kind, big_endian: false, fields: Rc::new([]) }
    }

    /// `f8`, `<f8`, `O8`, `U12`, `V64`, …
    pub(in crate::model) fn parse(text: &str) -> Option<Self> {
        let (big_endian, code) = match text.as_bytes().first()? {
            b'>' => (true, &text[1..]),
            b'<' | b'|' | b'=' => (false, &text[1..]),
            _ => (false, text),
        };
        let kind = match code {
            "f4" => Kind::F4,
            "f8" => Kind::F8,
            "i1" => Kind::I1,
            "i2" => Kind::I2,
            "i4" => Kind::I4,
            "i8" => Kind::I8,
            "u1" => Kind::U1,
            "u2" => Kind::U2,
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
        Some(Self { big_endian, ..Self::of(kind) })
    }

    /// A dtype's own state: a tuple of version, byte order, shape, names, fields, size, …
    pub(super) fn set_state(&mut self, heap: &Heap<'_>, state: Value) -> Option<()> {
        let state = heap.tuple(state)?;
        match heap.text(*state.get(1)?)? {
            ">" => self.big_endian = true,
            "<" | "=" | "|" => self.big_endian = false,
            _ => return None,
        }
        if let (Some(names), Some(fields)) = (state.get(3), state.get(4)) {
            let Some(names) = heap.tuple(*names) else { return Some(()) };
            let Kind::Other(size) = self.kind else { return None };
            if names.len() > MAX_FIELDS || !matches!(heap.node(*fields)?, Node::Dict(d) if d.len() <= MAX_FIELDS) {
                return None;
            }
            let field = |name: &Value| {
                let name = heap.text(*name)?;
                let [dtype, offset, ..] = *heap.tuple(heap.entry(*fields, name)?)? else { return None };
                let (dtype, Value::Int(offset)) = (dtype_of(heap, dtype)?, offset) else { return None };
                // Records of records are none of a model's, and would nest without end.
                let offset = usize::try_from(offset).ok().filter(|_| dtype.fields.is_empty())?;
                (offset.checked_add(dtype.size())? <= size).then(|| Field { name: name.into(), dtype, offset })
            };
            self.fields = names.iter().map(field).collect::<Option<_>>()?;
        }
        Some(())
    }

    /// A record of these fields, one behind the other; one without a name is a gap.
    pub(in crate::model) fn record<'n>(parts: impl Iterator<Item = Option<(&'n str, Self)>>) -> Option<Self> {
        let (mut fields, mut size) = (Vec::new(), 0_usize);
        for part in parts {
            let (name, dtype) = part?;
            // Records of records are none of a model's.
            if fields.len() == MAX_FIELDS || !dtype.fields.is_empty() {
                return None;
            }
            let offset = size;
            size = size.checked_add(dtype.size())?;
            fields.push(Field { name: name.into(), dtype, offset });
        }
        Some(Self { fields: fields.into(), ..Self::of(Kind::Other(size)) })
    }

    pub(in crate::model) fn is_object(&self) -> bool {
        self.kind == Kind::Object
    }

    pub(super) fn size(&self) -> usize {
        match self.kind {
            Kind::Bool | Kind::I1 | Kind::U1 => 1,
            Kind::I2 | Kind::U2 => 2,
            Kind::F4 | Kind::I4 | Kind::U4 => 4,
            Kind::F8 | Kind::I8 | Kind::U8 | Kind::Object => 8,
            Kind::Other(size) => size,
        }
    }

    /// One element as a number; `None` for what is none.
    #[allow(clippy::cast_precision_loss, reason = "counts and indexes of a model are far below 2^53")]
    fn number(&self, bytes: &[u8]) -> Option<f64> {
        let mut wide = [0_u8; 8];
        wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
        if self.big_endian {
            wide.get_mut(..bytes.len())?.reverse();
        }
        let [a, b, c, d, ..] = wide;
        Some(match self.kind {
            Kind::F8 => f64::from_le_bytes(wide),
            Kind::F4 => f64::from(f32::from_le_bytes([a, b, c, d])),
            Kind::I8 => i64::from_le_bytes(wide) as f64,
            Kind::U8 => u64::from_le_bytes(wide) as f64,
            Kind::I4 => f64::from(i32::from_le_bytes([a, b, c, d])),
            Kind::U4 => f64::from(u32::from_le_bytes([a, b, c, d])),
            Kind::I2 => f64::from(i16::from_le_bytes([a, b])),
            Kind::U2 => f64::from(u16::from_le_bytes([a, b])),
            Kind::I1 => f64::from(i8::from_le_bytes([a])),
            Kind::U1 => f64::from(a),
            Kind::Bool | Kind::Object | Kind::Other(_) => return None,
        })
    }

    /// A numpy scalar of this type.
    pub(in crate::model) fn scalar(&self, bytes: &[u8]) -> Option<Value> {
        if bytes.len() != self.size() {
            return None;
        }
        match self.kind {
            Kind::Bool => Some(Value::Bool(bytes.first() != Some(&0))),
            Kind::F4 | Kind::F8 => self.number(bytes).map(Value::Float),
            #[allow(clippy::cast_possible_truncation, reason = "made of a whole number, and saturating")]
            _ => self.number(bytes).map(|number| Value::Int(number as i64)),
        }
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
        Self { shape: vec![0], dtype: Dtype::of(Kind::F8), fortran: false, data: Data::Bytes(Blob::Borrowed(&[])) }
    }

    /// An array of that shape, if its bytes are as many as the shape says.
    pub(in crate::model) fn new(shape: Vec<usize>, dtype: Dtype, fortran: bool, data: Blob<'a>) -> Option<Self> {
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
            Node::List(items) if dtype.is_object() => {
                let count = shape.iter().try_fold(1_usize, |size, n| size.checked_mul(*n))?;
                (count == items.len()).then_some(Self { shape, dtype, fortran, data: Data::Objects(data) })
            }
            _ => Self::new(shape, dtype, fortran, heap.bytes(data)?),
        }
    }

    /// The list of its elements, where they are Python objects.
    pub(in crate::model) fn objects(&self) -> Option<Value> {
        match self.data {
            Data::Objects(list) => Some(list),
            Data::Bytes(_) => None,
        }
    }

    /// Whether its elements are numbers of 32 bits.
    pub(in crate::model) fn is_single(&self) -> bool {
        self.dtype.kind == Kind::F4
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
        let (data, size) = (data.bytes(), self.dtype.size());
        let flat: Vec<f64> = match self.dtype {
            Dtype { kind: Kind::F8, big_endian: false, .. } => {
                data.as_chunks().0.iter().map(|c| f64::from_le_bytes(*c)).collect()
            }
            _ if size == 0 => return None,
            _ => data.chunks_exact(size).map(|c| self.dtype.number(c)).collect::<Option<_>>()?,
        };
        if flat.is_empty() {
            return Some(flat); // such as (2^60, 0): no walk along the first dimension
        }
        match *self.shape.as_slice() {
            [rows, columns] if self.fortran => {
                Some((0..rows).flat_map(|r| (0..columns).map(move |c| c * rows + r)).map(|i| flat[i]).collect())
            }
            [_] | [] | [_, _] => Some(flat),
            [_, _, _] if !self.fortran => Some(flat),
            _ => None,
        }
    }

    /// A field of each of its records.
    pub(in crate::model) fn field(&self, name: &str) -> Option<Vec<f64>> {
        let Data::Bytes(data) = &self.data else { return None };
        let Field { dtype, offset, .. } = self.dtype.fields.iter().find(|f| *f.name == *name)?;
        let own = *offset..offset + dtype.size();
        data.bytes().chunks_exact(self.dtype.size()).map(|record| dtype.number(record.get(own.clone())?)).collect()
    }

    /// Its elements as truths.
    pub(in crate::model) fn flags(&self) -> Option<Vec<bool>> {
        match &self.data {
            Data::Bytes(data) if self.dtype.kind == Kind::Bool => Some(data.bytes().iter().map(|b| *b != 0).collect()),
            _ => None,
        }
    }
}

pub(super) fn dtype_of(heap: &Heap<'_>, value: Value) -> Option<Dtype> {
    match heap.node(value)? {
        Node::Dtype(dtype) => Some(dtype.clone()),
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
