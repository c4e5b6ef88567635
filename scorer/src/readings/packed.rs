//! Rows as bytes, for a scratch file of the same process: counts, lengths, numbers, texts; in this machine's byte order.

use super::RowAt;
use super::rows::{Marked, Rows, Texts};

impl Rows {
    /// Appends these rows to `out`.
    pub(crate) fn pack(&self, out: &mut Vec<u8>) {
        for count in [self.count, self.texts.ends.len(), self.marked.len()] {
            out.extend((count as u64).to_ne_bytes());
        }
        for texts in [&self.times, &self.texts] {
            let mut start = 0;
            for end in &texts.ends {
                // A text is a part of a row, which is far shorter.
                out.extend(u32::try_from(end - start).unwrap_or(u32::MAX).to_ne_bytes());
                start = *end;
            }
        }
        out.extend(self.values.iter().flat_map(|value| value.to_ne_bytes()));
        for Marked { row, file, at, absent } in &self.marked {
            let (is_line, number) = match at {
                RowAt::Line(line) => (1_u8, line),
                RowAt::Row(row) => (0, row),
            };
            out.extend((*row as u64).to_ne_bytes());
            out.extend(file.to_ne_bytes());
            out.push(is_line);
            out.extend(number.to_ne_bytes());
            // No row has so many values.
            out.extend(absent.unwrap_or(u32::MAX).to_ne_bytes());
        }
        out.extend(self.times.text.as_bytes());
        out.extend(self.texts.text.as_bytes());
    }

    /// Adds the rows that `packed` starts with, and leaves the rest of it; none where it is damaged.
    pub(crate) fn unpack(&mut self, packed: &mut &[u8]) -> Option<()> {
        let mut count = || usize::try_from(u64::from_ne_bytes(take(packed)?)).ok();
        let (rows, texts, marked) = (count()?, count()?, count()?);
        let times = lengths(packed, rows)?;
        let lengths = lengths(packed, texts)?;
        for _ in 0..texts {
            self.values.push(f64::from_ne_bytes(take(packed)?));
        }
        for _ in 0..marked {
            let row = self.count + usize::try_from(u64::from_ne_bytes(take(packed)?)).ok()?;
            let (file, is_line) = (u32::from_ne_bytes(take(packed)?), u8::from_ne_bytes(take(packed)?) == 1);
            let number = u64::from_ne_bytes(take(packed)?);
            let at = if is_line { RowAt::Line(number) } else { RowAt::Row(number) };
            let absent = Some(u32::from_ne_bytes(take(packed)?)).filter(|absent| *absent != u32::MAX);
            self.marked.push(Marked { row, file, at, absent });
        }
        self.times.unpack(&times, packed)?;
        self.texts.unpack(&lengths, packed)?;
        self.count += rows;
        Some(())
    }
}

impl Texts {
    fn unpack(&mut self, lengths: &[u32], packed: &mut &[u8]) -> Option<()> {
        let mut end = self.text.len();
        let start = end;
        for length in lengths {
            end = end.checked_add(usize::try_from(*length).ok()?)?;
            self.ends.push(end);
        }
        let (text, rest) = packed.split_at_checked(end - start)?;
        *packed = rest;
        self.text.push_str(std::str::from_utf8(text).ok()?);
        Some(())
    }
}

fn lengths(packed: &mut &[u8], count: usize) -> Option<Vec<u32>> {
    let (bytes, rest) = packed.split_at_checked(count.checked_mul(size_of::<u32>())?)?;
    *packed = rest;
    Some(bytes.chunks_exact(size_of::<u32>()).filter_map(|b| b.try_into().ok()).map(u32::from_ne_bytes).collect())
}

fn take<const N: usize>(packed: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = packed.split_first_chunk::<N>()?;
    *packed = rest;
    Some(*bytes)
}
