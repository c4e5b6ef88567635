//! The wire format of protocol buffers, which ONNX files have. Nothing is copied and nothing recurses: a message is a
//! piece of the file, and is read from front to back.

use super::OnnxError;

/// A message, a text or packed numbers: bytes, and where in the file they begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Varint(u64),
    Eight([u8; 8]),
    Bytes(Bytes<'a>),
    Four([u8; 4]),
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    value: Value<'a>,
    at: usize,
}

/// The fields of a message, one after the other.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    pub(super) fn whole(file: &'a [u8]) -> Self {
        Self { bytes: file, at: 0 }
    }

    /// Its fields, as a message.
    pub(super) fn fields(self) -> Fields<'a> {
        Fields { rest: self.bytes, at: self.at }
    }

    pub(super) fn text(self) -> Result<&'a str, OnnxError> {
        std::str::from_utf8(self.bytes).map_err(|_| OnnxError::damaged(self.at, "a text is not UTF-8"))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, OnnxError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<Field<'a>, OnnxError> {
        let at = self.at;
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Eight(self.array()?),
            2 => {
                let length = self.varint()?;
                let start = self.at;
                let length = usize::try_from(length).map_err(|_| ends(at))?;
                Value::Bytes(Bytes { bytes: self.take(length)?, at: start })
            }
            5 => Value::Four(self.array()?),
            other => return Err(OnnxError::damaged(at, format!("a field has wire type {other}, which ONNX has not"))),
        };
        Ok(Field { number: key >> 3, value, at })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], OnnxError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| ends(self.at))?;
        (self.rest, self.at) = (rest, self.at + count);
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], OnnxError> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_| ends(at))
    }

    fn varint(&mut self) -> Result<u64, OnnxError> {
        let (at, mut number) = (self.at, 0);
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                break;
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(OnnxError::damaged(at, "a number has more than 64 bits"))
    }
}

fn ends(at: usize) -> OnnxError {
    OnnxError::damaged(at, "the message ends in the middle of a field")
}

impl<'a> Field<'a> {
    fn wrong<T>(&self) -> Result<T, OnnxError> {
        Err(OnnxError::damaged(self.at, format!("field {} has another type than ONNX gives it", self.number)))
    }

    pub(super) fn message(&self) -> Result<Bytes<'a>, OnnxError> {
        if let Value::Bytes(bytes) = self.value { Ok(bytes) } else { self.wrong() }
    }

    pub(super) fn text(&self) -> Result<&'a str, OnnxError> {
        self.message()?.text()
    }

    /// A signed number, which protocol buffers write in two's complement.
    pub(super) fn int(&self) -> Result<i64, OnnxError> {
        if let Value::Varint(number) = self.value { Ok(number.cast_signed()) } else { self.wrong() }
    }

    pub(super) fn float(&self) -> Result<f64, OnnxError> {
        match self.value {
            Value::Four(bytes) => Ok(f32::from_le_bytes(bytes).into()),
            Value::Eight(bytes) => Ok(f64::from_le_bytes(bytes)),
            _ => self.wrong(),
        }
    }

    /// Adds whole numbers, of which a field has one or, packed, many.
    pub(super) fn ints(&self, into: &mut Vec<i64>) -> Result<(), OnnxError> {
        let Value::Bytes(packed) = self.value else {
            into.push(self.int()?);
            return Ok(());
        };
        let mut numbers = packed.fields();
        while !numbers.rest.is_empty() {
            into.push(numbers.varint()?.cast_signed());
        }
        Ok(())
    }

    /// Adds 32-bit numbers, of which a field has one or, packed, many.
    pub(super) fn floats(&self, into: &mut Vec<f64>) -> Result<(), OnnxError> {
        let Value::Bytes(packed) = self.value else {
            into.push(self.float()?);
            return Ok(());
        };
        let (numbers, []) = packed.bytes.as_chunks() else { return self.wrong() };
        into.extend(numbers.iter().map(|n| f64::from(f32::from_le_bytes(*n))));
        Ok(())
    }

    /// Adds 64-bit numbers, as [`Self::floats`].
    pub(super) fn doubles(&self, into: &mut Vec<f64>) -> Result<(), OnnxError> {
        let Value::Bytes(packed) = self.value else {
            into.push(self.float()?);
            return Ok(());
        };
        let (numbers, []) = packed.bytes.as_chunks() else { return self.wrong() };
        into.extend(numbers.iter().map(|n| f64::from_le_bytes(*n)));
        Ok(())
    }

    /// How many numbers of so many bytes the field has.
    pub(super) fn count(&self, bytes_each: usize) -> usize {
        if let Value::Bytes(packed) = self.value { packed.bytes.len() / bytes_each } else { 1 }
    }

    /// How many whole numbers the field has: each ends with a byte below 128.
    pub(super) fn count_ints(&self) -> usize {
        if let Value::Bytes(packed) = self.value { packed.bytes.iter().filter(|b| **b < 0x80).count() } else { 1 }
    }
}
