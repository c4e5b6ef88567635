//! A look at Thrift's compact protocol before it is read: that what it says it holds is there, and is not nested deep
//! enough to exhaust the stack.

/// How deep structures may lie within one another; Parquet's own are below ten.
const MAX_DEPTH: u8 = 32;
/// How deep a schema may be nested, and how many columns and groups it may have.
const MAX_SCHEMA_DEPTH: usize = 64;
const MAX_SCHEMA: usize = 100_000;

const BOOLEANS: [u8; 2] = [1, 2];
const BYTE: u8 = 3;
const INTEGERS: [u8; 3] = [4, 5, 6];
const I32: u8 = 5;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LISTS: [u8; 2] = [9, 10];
const MAP: u8 = 11;
const STRUCT: u8 = 12;

/// Where the structure at the start of the bytes ends; none if it is cut short or is no structure.
pub(super) fn end_of_struct(bytes: &[u8]) -> Option<usize> {
    let mut walker = Walker { bytes, at: 0 };
    walker.skip_struct(MAX_DEPTH)?;
    Some(walker.at)
}

/// Whether a file's metadata is a whole structure with a schema that is a tree of a sane size.
pub(super) fn is_metadata(bytes: &[u8]) -> bool {
    let mut walker = Walker { bytes, at: 0 };
    let mut last = 0;
    let mut checked = || {
        while let Some((id, kind)) = walker.field(&mut last)? {
            if (id, kind) == (2, LISTS[0]) { walker.schema()? } else { walker.skip(kind, MAX_DEPTH)? }
        }
        Some(())
    };
    checked().is_some()
}

struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Walker<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    fn skip_bytes(&mut self, count: u64) -> Option<()> {
        let end = self.at.checked_add(usize::try_from(count).ok()?)?;
        self.at = Some(end).filter(|end| *end <= self.bytes.len())?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// The next field's number and type; none within at the end of the structure.
    #[expect(clippy::option_option, reason = "the outer one is a structure that is cut short, the inner one its end")]
    fn field(&mut self, last: &mut i16) -> Option<Option<(i16, u8)>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        *last = match head >> 4 {
            0 => i16::try_from(self.zigzag()?).ok()?,
            more => last.checked_add(i16::from(more))?,
        };
        Some(Some((*last, head & 0x0f)))
    }

    /// A list's type of elements, and how many there are.
    fn list(&mut self) -> Option<(u8, u64)> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        // Each element takes a byte at least.
        (count <= (self.bytes.len() - self.at) as u64).then_some((head & 0x0f, count))
    }

    fn skip_struct(&mut self, depth: u8) -> Option<()> {
        let mut last = 0;
        while let Some((_, kind)) = self.field(&mut last)? {
            self.skip(kind, depth)?;
        }
        Some(())
    }

    /// Skips the value of a field; that of a boolean is in its type.
    fn skip(&mut self, kind: u8, depth: u8) -> Option<()> {
        if BOOLEANS.contains(&kind) { Some(()) } else { self.skip_element(kind, depth.checked_sub(1)?) }
    }

    fn skip_element(&mut self, kind: u8, depth: u8) -> Option<()> {
        match kind {
            BYTE => self.skip_bytes(1),
            _ if BOOLEANS.contains(&kind) => self.skip_bytes(1),
            _ if INTEGERS.contains(&kind) => self.varint().map(|_| ()),
            DOUBLE => self.skip_bytes(8),
            BINARY => {
                let count = self.varint()?;
                self.skip_bytes(count)
            }
            _ if LISTS.contains(&kind) => {
                let (kind, count) = self.list()?;
                (0..count).try_for_each(|_| self.skip_element(kind, depth.checked_sub(1)?))
            }
            MAP => {
                let count = self.varint()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                (0..count).try_for_each(|_| {
                    let depth = depth.checked_sub(1)?;
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 0x0f, depth)
                })
            }
            STRUCT => self.skip_struct(depth),
            _ => None,
        }
    }

    /// Skips the schema: a tree as the list of its nodes, each with the number of its children.
    fn schema(&mut self) -> Option<()> {
        let (kind, count) = self.list()?;
        let count = usize::try_from(count).ok().filter(|count| *count <= MAX_SCHEMA)?;
        // For each node that encloses the next one, how many children are to come.
        let mut open: Vec<i64> = Vec::new();
        for _ in 0..count {
            let (mut last, mut children) = (0, 0);
            if kind != STRUCT {
                return None;
            }
            while let Some((id, kind)) = self.field(&mut last)? {
                if (id, kind) == (5, I32) {
                    children = self.zigzag()?;
                } else {
                    self.skip(kind, MAX_DEPTH)?;
                }
            }
            if let Some(parent) = open.last_mut() {
                *parent -= 1;
            }
            if !usize::try_from(children).is_ok_and(|children| children < count) {
                return None;
            }
            open.push(children);
            while open.last() == Some(&0) {
                open.pop();
            }
            if open.len() > MAX_SCHEMA_DEPTH {
                return None;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A schema of nodes with so many children each, as metadata.
    fn schema(children: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x29, 0xfc];
        let mut count = children.len();
        while count >= 0x80 {
            bytes.push((count & 0x7f) as u8 | 0x80);
            count >>= 7;
        }
        bytes.push(count as u8);
        // Field 5, an i32, zigzag; then the end of the node.
        children.iter().for_each(|n| bytes.extend([0x55, n * 2, 0]));
        bytes.push(0);
        bytes
    }

    #[test]
    fn a_schema_that_is_nested_too_deep_is_none() {
        assert!(is_metadata(&schema(&[2, 0, 1, 0])));
        assert!(is_metadata(&schema(&[[1; 60].as_slice(), &[0]].concat())));
        assert!(!is_metadata(&schema(&[[1; 70].as_slice(), &[0]].concat())));
        assert!(!is_metadata(&schema(&[60, 0])), "more children than nodes");
    }

    #[test]
    fn what_is_not_there_is_seen() {
        // A binary field of four bytes, of which three are there.
        assert_eq!(end_of_struct(&[0x18, 4, b'a', b'b', b'c']), None);
        assert_eq!(end_of_struct(&[0x18, 3, b'a', b'b', b'c', 0, 9]), Some(6));
        // A list of 2^31 structures.
        assert_eq!(end_of_struct(&[0x19, 0xfc, 0x80, 0x80, 0x80, 0x80, 0x08, 0, 0]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(end_of_struct(&bytes).is_none_or(|end| end <= bytes.len()));
            let _ = is_metadata(&bytes);
        }

        #[test]
        fn structures_in_structures_do_not_exhaust_the_stack(depth in 0_usize..100_000) {
            let bytes = [vec![0x1c; depth], vec![0; depth + 1]].concat();
            prop_assert_eq!(end_of_struct(&bytes).is_some(), depth <= usize::from(MAX_DEPTH));
        }
    }
}
