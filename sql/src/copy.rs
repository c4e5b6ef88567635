//! Rows in the binary form of `COPY … FROM STDIN (FORMAT binary)`: the fastest way into a table.

use jiff::Timestamp;

use crate::values::of_instant;

/// What such a stream begins with.
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub(crate) const TRAILER: &[u8] = &[0xff, 0xff];

/// Rows, field by field, of the types of their columns; the server refuses others.
#[derive(Debug, Default)]
pub struct CopyRows {
    bytes: Vec<u8>,
}

/// A value of more bytes than PostgreSQL has room for: a gigabyte.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("a value of {0} bytes is too long for a column")]
pub struct TooLong(usize);

impl CopyRows {
    /// Begins a row of so many fields.
    pub(crate) fn row(&mut self, fields: u16) -> &mut Self {
        self.bytes.extend(fields.cast_signed().to_be_bytes());
        self
    }

    /// A `smallint`.
    pub fn int2(&mut self, value: i16) -> &mut Self {
        self.fixed(value.to_be_bytes())
    }

    /// A `bigint`.
    pub fn int8(&mut self, value: i64) -> &mut Self {
        self.fixed(value.to_be_bytes())
    }

    /// A `double precision`.
    pub fn float8(&mut self, value: f64) -> &mut Self {
        self.fixed(value.to_be_bytes())
    }

    /// No value, whatever the column's type.
    pub fn null(&mut self) -> &mut Self {
        self.bytes.extend((-1_i32).to_be_bytes());
        self
    }

    /// A `timestamp with time zone`, in whole microseconds.
    pub fn instant(&mut self, value: Timestamp) -> &mut Self {
        self.int8(of_instant(value))
    }

    /// A `text`. It must not have a zero byte, which no text of PostgreSQL has.
    ///
    /// # Errors
    /// When it is longer than any.
    pub fn text(&mut self, value: &str) -> Result<&mut Self, TooLong> {
        let length = i32::try_from(value.len()).map_err(|_| TooLong(value.len()))?;
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend_from_slice(value.as_bytes());
        Ok(self)
    }

    fn fixed<const N: usize>(&mut self, value: [u8; N]) -> &mut Self {
        let length: [u8; 4] = [0, 0, 0, const { N as u8 }];
        self.bytes.extend(length);
        self.bytes.extend(value);
        self
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes the rows so far, to be sent behind [`HEADER`] or others; and begins anew.
    pub(crate) fn take(&mut self) -> bytes::Bytes {
        std::mem::take(&mut self.bytes).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_the_format_has_them() {
        let mut rows = CopyRows::default();
        rows.row(2).int2(-2).text("é").unwrap();
        rows.row(2).float8(1.5).instant("2000-01-01T00:00:01Z".parse().unwrap());
        rows.row(1).null();
        let expected = [
            &[0, 2][..],
            &[0, 0, 0, 2, 0xff, 0xfe],
            &[0, 0, 0, 2, 0xc3, 0xa9],
            &[0, 2],
            &[0, 0, 0, 8, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 8, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40],
            &[0, 1, 0xff, 0xff, 0xff, 0xff],
        ];
        assert_eq!(rows.take(), expected.concat());
        assert_eq!(rows.len(), 0);
        assert_eq!(HEADER.len(), 19);
    }
}
