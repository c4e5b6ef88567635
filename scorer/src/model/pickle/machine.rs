//! The stack machine: the opcodes of protocols 0 to 5 that data needs, and none that calls out.

use super::PickleError;
use super::class::Class;
use super::cursor::Cursor;
use super::value::{Blob, Heap, Node, Value};

/// Opcodes that a pickle of any size may have, and nodes that it may make of them; a pipeline has about a thousand.
const OPCODES: usize = 1_000_000;

/// Bytes of the input for each further opcode: forests of many small trees have 6 or more. Together with
/// [`BYTES_A_NODE`] this keeps memory at a small multiple of the input.
const BYTES_AN_OPCODE: usize = 6;

/// Bytes of the input for each further node: such forests have 27.
const BYTES_A_NODE: usize = 32;

/// Runs a pickle and gives the value that it ends with, in its heap.
pub(in crate::model) fn load(bytes: &[u8]) -> Result<(Heap<'_>, Value), PickleError> {
    let mut machine = Machine::new(bytes);
    let root = machine.run()?;
    match machine.input.remaining() {
        0 => Ok((machine.heap, root)),
        more => Err(machine.damaged(format!("{more} bytes follow the end of the pickle"))),
    }
}

pub(super) struct Machine<'a> {
    pub(super) input: Cursor<'a>,
    pub(super) heap: Heap<'a>,
    pub(super) stack: Vec<Value>,
    /// Heights of the stack at each open MARK.
    pub(super) marks: Vec<usize>,
    /// What GET finds again, by slot; picklers number the slots in a row.
    pub(super) memo: Vec<Option<Value>>,
    /// Slots that are taken.
    pub(super) memoized: usize,
    opcodes: usize,
    /// Bytes made by `_codecs.encode`, which must not outgrow the input.
    pub(super) made: usize,
    /// Whether this is the pickle of an object array inside a joblib file.
    pub(super) nested: bool,
}

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            input: Cursor::new(bytes),
            heap: Heap::default(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            memoized: 0,
            opcodes: 0,
            made: 0,
            nested: false,
        }
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> PickleError {
        self.input.damaged(what)
    }

    pub(super) fn unsupported(&self, what: impl Into<String>) -> PickleError {
        PickleError::Unsupported { at: self.input.at(), what: what.into() }
    }

    /// How many of something there may be in an input of this size.
    fn most(&self, bytes_each: usize) -> usize {
        OPCODES + self.input.len() / bytes_each
    }

    /// Runs up to STOP.
    pub(super) fn run(&mut self) -> Result<Value, PickleError> {
        loop {
            self.opcodes += 1;
            if self.opcodes > self.most(BYTES_AN_OPCODE) || self.heap.len() > self.most(BYTES_A_NODE) {
                return Err(self.unsupported(
                    "the pickle has more opcodes, for its size, than any model is known to have; fit it with fewer or \
                     larger trees",
                ));
            }
            let opcode = self.input.u8()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), PickleError> {
        match opcode {
            0x80 => self.protocol(),
            0x95 => self.input.take(8).map(|_| ()), // FRAME: a hint for buffering
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => {
                // POP of a mark is a mark's end too.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                    return Ok(());
                }
                self.pop().map(|_| ())
            }
            b'1' => self.pop_mark().map(|_| ()),
            b'2' => {
                let top = self.pop()?;
                self.stack.extend([top, top]);
                Ok(())
            }
            b'q' | b'r' | b'p' | 0x94 | b'h' | b'j' | b'g' => self.memo(opcode),
            b'c' | 0x93 => self.global(opcode),
            b'R' | 0x81 | 0x92 => self.call(opcode),
            b'b' => self.build(),
            b']' | b'}' | b')' | 0x8f | b'a' | b'e' | b'l' | b't' | 0x85..=0x87 | b'd' | b's' | b'u' | 0x90 | 0x91 => {
                self.container(opcode)
            }
            _ => {
                let value = self.literal(opcode)?;
                self.stack.push(value);
                Ok(())
            }
        }
    }

    fn protocol(&mut self) -> Result<(), PickleError> {
        match self.input.u8()? {
            0..=5 => Ok(()),
            other => Err(self.unsupported(format!("pickle protocol {other} is newer than 5; save with protocol=4"))),
        }
    }

    fn literal(&mut self, opcode: u8) -> Result<Value, PickleError> {
        let input = &mut self.input;
        let node = match opcode {
            b'N' => return Ok(Value::None),
            0x88 => return Ok(Value::Bool(true)),
            0x89 => return Ok(Value::Bool(false)),
            b'K' => return Ok(Value::Int(input.u8()?.into())),
            b'M' => return Ok(Value::Int(u16::from_le_bytes(input.array()?).into())),
            b'J' => return Ok(Value::Int(i32::from_le_bytes(input.array()?).into())),
            b'G' => return Ok(Value::Float(f64::from_be_bytes(input.array()?))),
            b'I' | b'L' | b'F' => return self.number_in_text(opcode),
            0x8a => long(input.counted::<1>()?),
            0x8b => long(input.counted::<4>()?),
            0x8c => Ok(Node::Text(text(input, |i| i.counted::<1>())?)),
            b'X' => Ok(Node::Text(text(input, |i| i.counted::<4>())?)),
            0x8d => Ok(Node::Text(text(input, |i| i.counted::<8>())?)),
            // Python 2's str: bytes, which as far as models go are texts.
            b'U' => Ok(bytes_or_text(input.counted::<1>()?)),
            b'T' => Ok(bytes_or_text(input.counted::<4>()?)),
            b'C' => Ok(Node::Bytes(Blob::Borrowed(input.counted::<1>()?))),
            b'B' => Ok(Node::Bytes(Blob::Borrowed(input.counted::<4>()?))),
            0x8e | 0x96 => Ok(Node::Bytes(Blob::Borrowed(input.counted::<8>()?))),
            b'V' => Ok(Node::Text(input.line()?)),
            b'P' | b'Q' => return Err(self.unsupported("persistent ids are no part of a scikit-learn model: refused")),
            0x82..=0x84 => {
                return Err(self.unsupported("copyreg extensions are no part of a scikit-learn model: refused"));
            }
            b'i' | b'o' => {
                return Err(self.unsupported("classes of Python 1 are no part of a scikit-learn model: refused"));
            }
            0x97 | 0x98 => {
                return Err(
                    self.unsupported("the pickle keeps its arrays in another file; save it without buffer_callback")
                );
            }
            _ => return Err(self.damaged(format!("0x{opcode:02x} is no opcode of a pickle"))),
        };
        match node {
            Ok(node) => Ok(self.heap.add(node)),
            Err(value) => Ok(value),
        }
    }

    fn number_in_text(&mut self, opcode: u8) -> Result<Value, PickleError> {
        let line = self.input.line()?;
        let value = match (opcode, line) {
            (b'I', "00") => Some(Value::Bool(false)),
            (b'I', "01") => Some(Value::Bool(true)),
            (b'F', _) => line.parse().ok().map(Value::Float),
            _ => line.trim_end_matches('L').parse().ok().map(Value::Int),
        };
        value.ok_or_else(|| self.damaged("a number cannot be read"))
    }

    pub(super) fn pop(&mut self) -> Result<Value, PickleError> {
        if self.stack.len() <= self.marks.last().copied().unwrap_or(0) {
            return Err(self.damaged("a value is taken from an empty stack"));
        }
        self.stack.pop().ok_or_else(|| self.damaged("a value is taken from an empty stack"))
    }

    pub(super) fn top(&self) -> Result<Value, PickleError> {
        let height = self.marks.last().copied().unwrap_or(0);
        self.stack.get(height..).and_then(<[Value]>::last).copied().ok_or_else(|| self.damaged("the stack is empty"))
    }

    /// The values since the last MARK, in order.
    fn pop_mark(&mut self) -> Result<Vec<Value>, PickleError> {
        let height = self.marks.pop().ok_or_else(|| self.damaged("a mark is missing"))?;
        Ok(self.stack.split_off(height.min(self.stack.len())))
    }

    fn memo(&mut self, opcode: u8) -> Result<(), PickleError> {
        let slot = match opcode {
            b'q' | b'h' => usize::from(self.input.u8()?),
            b'r' | b'j' => u32::from_le_bytes(self.input.array()?) as usize,
            0x94 => self.memoized,
            _ => self.input.line()?.parse().map_err(|_| self.damaged("a memo slot cannot be read"))?,
        };
        if matches!(opcode, b'h' | b'j' | b'g') {
            let value = self.memo.get(slot).copied().flatten();
            self.stack.push(value.ok_or_else(|| self.damaged(format!("memo slot {slot} is empty")))?);
            return Ok(());
        }
        let top = self.top()?;
        if slot >= self.memo.len() {
            // What is memoized takes a byte at least. Skipped slots cost time too, in every nested pickle again.
            if slot > self.input.at().min(self.most(BYTES_A_NODE)) {
                return Err(self.damaged(format!("memo slot {slot} is far from those before it")));
            }
            self.opcodes += (slot - self.memo.len()) / 16;
            self.memo.resize(slot + 1, None);
        }
        self.memoized += usize::from(self.memo[slot].is_none());
        self.memo[slot] = Some(top);
        Ok(())
    }

    fn container(&mut self, opcode: u8) -> Result<(), PickleError> {
        let node = match opcode {
            b']' => Node::List(Vec::new()),
            b'}' => Node::Dict(Vec::new()),
            b')' => Node::Tuple(Vec::new()),
            0x8f => Node::Opaque,
            b'l' => Node::List(self.pop_mark()?),
            b't' => Node::Tuple(self.pop_mark()?),
            b'd' => Node::Dict(self.pairs()?),
            0x85..=0x87 => {
                let mut items = Vec::with_capacity(3);
                for _ in 0x85..=opcode {
                    items.push(self.pop()?);
                }
                items.reverse();
                Node::Tuple(items)
            }
            0x91 => {
                self.pop_mark()?;
                Node::Opaque
            }
            _ => return self.extend(opcode),
        };
        let value = self.heap.add(node);
        self.stack.push(value);
        Ok(())
    }

    /// APPEND(S), SETITEM(S) and ADDITEMS: into the container below on the stack.
    fn extend(&mut self, opcode: u8) -> Result<(), PickleError> {
        let (items, pairs) = match opcode {
            b'a' => (vec![self.pop()?], Vec::new()),
            b'e' | 0x90 => (self.pop_mark()?, Vec::new()),
            b's' => {
                let value = self.pop()?;
                (Vec::new(), vec![(self.pop()?, value)])
            }
            _ => (Vec::new(), self.pairs()?),
        };
        let into = self.top()?;
        match (self.heap.node_mut(into), opcode) {
            (Some(Node::List(list)), b'a' | b'e') => list.extend(items),
            (Some(Node::Dict(dict)), b's' | b'u') => dict.extend(pairs),
            (Some(Node::Opaque), _) => {}
            _ => return Err(self.damaged("items are added to what is no container for them")),
        }
        Ok(())
    }

    fn pairs(&mut self) -> Result<Vec<(Value, Value)>, PickleError> {
        let items = self.pop_mark()?;
        if items.len() % 2 != 0 {
            return Err(self.damaged("a dict has a key without a value"));
        }
        Ok(items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
    }

    fn global(&mut self, opcode: u8) -> Result<(), PickleError> {
        let at = self.input.at();
        let (module, name) = if opcode == b'c' {
            (self.input.line()?, self.input.line()?)
        } else {
            let (name, module) = (self.pop()?, self.pop()?);
            match (self.heap.text(module), self.heap.text(name)) {
                (Some(module), Some(name)) => (module, name),
                _ => return Err(self.damaged("a class is named by what is no text")),
            }
        };
        let Some(class) = Class::lookup(module, name) else {
            // The name is the file's; keep a hostile one from filling a log.
            let name = format!("{module}.{name}").chars().filter(|c| !spec::shown::is_control(*c)).take(200).collect();
            return Err(PickleError::UnknownClass { at, name });
        };
        let value = self.heap.add(Node::Class(class));
        self.stack.push(value);
        Ok(())
    }
}

/// A little-endian two's complement integer of any length: a value if it fits, else something opaque.
fn long<'a>(bytes: &[u8]) -> Result<Node<'a>, Value> {
    if bytes.len() > 8 {
        return Ok(Node::Opaque);
    }
    let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Err(Value::Int(i64::from_le_bytes(wide)))
}

fn text<'a>(
    input: &mut Cursor<'a>,
    counted: impl Fn(&mut Cursor<'a>) -> Result<&'a [u8], PickleError>,
) -> Result<&'a str, PickleError> {
    let bytes = counted(input)?;
    input.text(bytes)
}

fn bytes_or_text(bytes: &[u8]) -> Node<'_> {
    std::str::from_utf8(bytes).map_or(Node::Bytes(Blob::Borrowed(bytes)), Node::Text)
}
