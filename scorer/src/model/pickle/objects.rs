//! What stands in for Python's calls: objects, arrays and numbers made from their arguments, or refused.

use std::rc::Rc;

use super::PickleError;
use super::array::{Array, Dtype, dtype_of, shape_of};
use super::class::Class;
use super::machine::Machine;
use super::value::{Blob, Node, Value};

enum Made<'a> {
    Node(Node<'a>),
    Value(Value),
}

impl<'a> Machine<'a> {
    /// REDUCE, NEWOBJ and NEWOBJ_EX: what Python would call is made from its arguments here, or refused.
    pub(super) fn call(&mut self, opcode: u8) -> Result<(), PickleError> {
        if opcode == 0x92 {
            self.pop()?; // keyword arguments, which no known class takes
        }
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let Some(Node::Class(class)) = self.heap.node(callee) else {
            return Err(self.damaged(format!("{} is called like a class", self.heap.describe(callee))));
        };
        let class = *class;
        let state = arguments;
        let Some(arguments) = self.heap.tuple(arguments) else {
            return Err(self.damaged(format!("{} is called without a tuple of arguments", class.name())));
        };
        let made = match class {
            // Whatever Python would make of its arguments, no score depends on it.
            Class::Ignored => Some(Made::Node(Node::Opaque)),
            Class::Tree => Some(Made::Node(Node::Object { class, state: None })),
            // Of the classes that Cython makes, only search trees matter.
            Class::NewObj => match arguments.first().and_then(|of| self.heap.node(*of)) {
                Some(Node::Class(class @ (Class::KdTree | Class::BallTree))) => {
                    Some(Made::Node(Node::Object { class: *class, state: None }))
                }
                _ => Some(Made::Node(Node::Opaque)),
            },
            Class::Slice => Some(Made::Node(Node::Object { class, state: Some(state) })),
            _ if class.is_instance() => arguments.is_empty().then_some(Made::Node(Node::Object { class, state: None })),
            _ => self.make(class, arguments),
        };
        let value = match made {
            Some(Made::Node(node)) => {
                if let Node::Bytes(Blob::Made(bytes)) = &node {
                    self.made += bytes.len();
                }
                self.heap.add(node)
            }
            Some(Made::Value(value)) => value,
            None => return Err(self.damaged(format!("{} is called with arguments it does not take", class.name()))),
        };
        self.stack.push(value);
        Ok(())
    }

    fn make(&self, class: Class, arguments: &[Value]) -> Option<Made<'a>> {
        let heap = &self.heap;
        let node = match (class, arguments) {
            (Class::Reconstruct, [of, _, _]) if matches!(heap.node(*of)?, Node::Class(Class::NdArray)) => {
                Node::Array(Array::empty())
            }
            (Class::Dtype, [code, ..]) => Node::Dtype(Dtype::parse(heap.text(*code)?)?),
            (Class::Scalar, [dtype, data]) => {
                return dtype_of(heap, *dtype)?.scalar(heap.bytes(*data)?.bytes()).map(Made::Value);
            }
            (Class::FromBuffer, [data, dtype, shape, order] | [data, dtype, shape, order, Value::None]) => {
                let fortran = match heap.text(*order)? {
                    "C" => false,
                    "F" => true,
                    _ => return None,
                };
                Node::Array(Array::new(shape_of(heap, *shape)?, dtype_of(heap, *dtype)?, fortran, heap.bytes(*data)?)?)
            }
            (Class::Bytes, []) => Node::Bytes(Blob::Borrowed(&[])),
            (Class::Encode, [text, encoding]) if matches!(heap.text(*encoding)?, "latin1" | "latin-1") => {
                let text = heap.text(*text)?;
                // Every call makes a copy: together no more than the file itself.
                if self.made + text.len() > self.input.at() {
                    return None;
                }
                let bytes: Option<Rc<[u8]>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
                Node::Bytes(Blob::Made(bytes?))
            }
            _ => return None,
        };
        Some(Made::Node(node))
    }

    /// BUILD: gives an object its attributes.
    pub(super) fn build(&mut self) -> Result<(), PickleError> {
        let state = self.pop()?;
        let target = self.top()?;
        let built = match self.heap.node(target) {
            Some(Node::Object { class: Class::JoblibArray, .. }) => Some(Node::Array(self.joblib_array(state)?)),
            Some(Node::Object { class, .. }) if *class != Class::Slice => {
                Some(Node::Object { class: *class, state: Some(state) })
            }
            Some(Node::Array(_)) => Array::from_state(&self.heap, state).map(Node::Array),
            Some(Node::Opaque) => Some(Node::Opaque),
            Some(Node::Dtype(dtype)) => {
                let mut dtype = dtype.clone();
                dtype.set_state(&self.heap, state).map(|()| Node::Dtype(dtype))
            }
            _ => None,
        };
        let Some(built) = built else {
            let what = self.heap.describe(target);
            return Err(self.damaged(format!("{what} is given a state that it cannot have")));
        };
        if let Some(node) = self.heap.node_mut(target) {
            *node = built;
        }
        Ok(())
    }

    /// joblib writes an array's bytes into the stream, right behind the object that stands for it.
    fn joblib_array(&mut self, state: Value) -> Result<Array<'a>, PickleError> {
        // Looked through for every array, so a long one shared by many would cost their product.
        if !matches!(self.heap.node(state), Some(Node::Dict(entries)) if entries.len() <= 16) {
            return Err(self.damaged("joblib describes an array with what is no short dict"));
        }
        let entry = |key| self.heap.entry(state, key);
        let described = (|| {
            let fortran = self.heap.text(entry("order")?)? == "F";
            Some((shape_of(&self.heap, entry("shape")?)?, dtype_of(&self.heap, entry("dtype")?)?, fortran))
        })();
        let aligned = entry("numpy_array_alignment_bytes").is_some_and(|v| v != Value::None);
        let Some((shape, dtype, fortran)) = described else {
            return Err(self.damaged("joblib's description of an array is incomplete"));
        };
        if dtype.is_object() {
            let pickled = self.nested_pickle()?;
            return match self.heap.node(pickled) {
                Some(Node::Array(array)) => Ok(array.clone()),
                _ => Err(self.damaged("joblib's array of objects is no array")),
            };
        }
        if aligned {
            let padding = self.input.u8()?;
            self.input.take(padding.into())?;
        }
        let bytes = shape.iter().try_fold(dtype.size(), |size, n| size.checked_mul(*n)).unwrap_or(usize::MAX);
        let data = Blob::Borrowed(self.input.take(bytes)?);
        Array::new(shape, dtype, fortran, data).ok_or_else(|| self.damaged("an array has not the size of its shape"))
    }

    /// Runs the pickle of an object array in a joblib file on a stack of its own, under the same limits.
    fn nested_pickle(&mut self) -> Result<Value, PickleError> {
        if self.nested {
            return Err(self.unsupported("joblib files nest object arrays one deep only"));
        }
        self.nested = true;
        let outer = (
            std::mem::take(&mut self.stack),
            std::mem::take(&mut self.marks),
            std::mem::take(&mut self.memo),
            std::mem::take(&mut self.memoized),
        );
        let pickled = self.run()?;
        (self.stack, self.marks, self.memo, self.memoized) = outer;
        self.nested = false;
        Ok(pickled)
    }
}
