//! Arrays in numpy's own file format.

use super::literal::Literal;
use crate::model::pickle::{Array, Blob, Dtype, Node, Value};

/// What a file of numpy's holds.
pub(super) enum Loaded<'a> {
    Node(Node<'a>),
    /// An array without dimensions: a number.
    Scalar(Value),
}

/// Reads an array; `None` where the bytes are none, or their size is not that of the shape.
pub(super) fn load(bytes: &[u8]) -> Option<Loaded<'_>> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (version, rest) = rest.split_first_chunk::<2>()?;
    let (length, rest) = match version[0] {
        1 => rest.split_first_chunk().map(|(n, rest)| (usize::from(u16::from_le_bytes(*n)), rest))?,
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::try_from(u32::from_le_bytes(*length)).ok()?, rest)
        }
        _ => return None,
    };
    let (header, data) = rest.split_at_checked(length)?;
    let header = Literal::parse(std::str::from_utf8(header).ok()?)?;
    let fortran = match header.entry("fortran_order")? {
        Literal::Bool(fortran) => *fortran,
        _ => return None,
    };
    let Literal::Items(shape) = header.entry("shape")? else { return None };
    let shape: Vec<usize> =
        shape.iter().map(|n| if let Literal::Int(n) = n { Some(*n) } else { None }).collect::<Option<_>>()?;
    let dtype = match header.entry("descr")? {
        Literal::Text(code) => Dtype::parse(code)?,
        // A record's fields stand one behind the other; gaps are fields without a name.
        Literal::Items(fields) => Dtype::record(fields.iter().map(field))?,
        _ => return None,
    };
    if dtype.is_object() {
        return None; // a pickle
    }
    if shape.is_empty()
        && let Some(scalar) = dtype.scalar(data)
    {
        return Some(Loaded::Scalar(scalar));
    }
    Array::new(shape, dtype, fortran, Blob::Borrowed(data)).map(|array| Loaded::Node(Node::Array(array)))
}

/// `(name, type)` of a record's field.
fn field<'l>(field: &'l Literal<'_>) -> Option<(&'l str, Dtype)> {
    match field {
        Literal::Items(parts) => match parts.as_slice() {
            [Literal::Text(name), Literal::Text(code)] => Some((name, Dtype::parse(code)?)),
            _ => None,
        },
        _ => None,
    }
}
