//! A reader of Python pickles that executes nothing.
//!
//! A pickle is a program for a stack machine whose `GLOBAL` and `REDUCE` opcodes call any function that Python can
//! import: loading one means trusting whoever wrote it. Here the machine builds a plain tree instead. The names it may
//! refer to are the closed list in [`class`]; any other ends the reading with an error that says which.
//!
//! Memory is bounded by the input: texts and arrays borrow from it, each opcode makes at most one node, and values are
//! handles, so that a pickle that doubles a tuple a thousand times costs a thousand nodes. Nothing here recurses.

mod array;
mod class;
mod cursor;
mod machine;
mod objects;
mod value;

pub(super) use array::{Array, Dtype};
pub(super) use class::{Class, SUPPORTED};
pub(super) use machine::load;
pub(super) use value::{Blob, Heap, Node, Value};

/// Why a pickle was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum PickleError {
    /// It breaks the rules of the format.
    #[error("byte {at}: {what}; the file is damaged, upload it again")]
    Damaged { at: usize, what: String },
    /// It names a class or function that is not on the list.
    #[error(
        "byte {at}: the pickle refers to {name}, which this reader does not know (nothing was executed); \
         supported are {}, with their numpy arrays: train with these, or use `scorer train`",
        class::SUPPORTED
    )]
    UnknownClass { at: usize, name: String },
    /// It needs something else that is not supported.
    #[error("byte {at}: {what}")]
    Unsupported { at: usize, what: String },
}
