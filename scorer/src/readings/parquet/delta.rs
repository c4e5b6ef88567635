//! Lengths that are written as differences (DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY): how many are claimed, for
//! which the crate would reserve memory without a look.

use parquet::errors::{ParquetError, Result};

/// Checks that a page of `count` values claims no more lengths, and says what the crate takes for them. `prefixed`: the
/// lengths of what values share with those before them stand before the others.
pub(super) fn check(values: &[u8], count: usize, prefixed: bool) -> Result<usize> {
    let mut at = 0;
    let mut lengths = 0_usize;
    // A page of nulls only has no values.
    for _ in 0..if values.is_empty() { 0 } else { 1 + usize::from(prefixed) } {
        let claimed = skip(values, &mut at).filter(|claimed| *claimed <= count);
        let claimed = claimed.ok_or_else(|| ParquetError::General("the lengths of texts do not fit".to_owned()))?;
        lengths = lengths.saturating_add(claimed);
    }
    Ok(lengths.saturating_mul(size_of::<i32>()))
}

/// Goes past a list of integers written as differences, and says how many there are.
fn skip(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let block = varint(bytes, at)?;
    let parts = varint(bytes, at)?;
    let count = varint(bytes, at)?;
    let _first = varint(bytes, at)?;
    let of_part = block.checked_div(parts).filter(|values| *values > 0)?;
    let mut left = count.saturating_sub(1);
    while left > 0 {
        let _least = varint(bytes, at)?;
        let start = *at;
        *at = at.checked_add(parts).filter(|end| *end <= bytes.len())?;
        for width in bytes.get(start..start + parts)? {
            if left == 0 {
                break;
            }
            left = left.saturating_sub(of_part);
            *at = at.checked_add(of_part.checked_mul(usize::from(*width))? / 8)?;
        }
    }
    Some(count)
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.get(*at).copied()?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn more_lengths_than_values_are_refused() {
        // Blocks of 128 in 4 parts, 2^40 lengths from 0 on.
        let claims = [0x80, 0x01, 4, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0];
        assert!(check(&claims, 1_000, false).is_err());
        // One length, and nothing else.
        assert_eq!(check(&[0x80, 0x01, 4, 1, 6], 1, false).unwrap(), 4);
        assert!(check(&[0x80, 0x01, 4, 1, 6], 1, true).is_err(), "the second list is missing");
        assert_eq!(check(&[], 10, true).unwrap(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_checked_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), prefixed: bool) {
            prop_assert!(check(&bytes, 100, prefixed).is_ok_and(|held| held <= 800) || check(&bytes, 100, prefixed).is_err());
        }
    }
}
