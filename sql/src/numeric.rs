//! `numeric` in PostgreSQL's binary form: digits of base 10,000, and how many decimal digits are shown behind the point.

use std::io::Write;

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITE: u16 = 0xd000;
const MINUS_INFINITE: u16 = 0xf000;
/// Digits before the point, and behind it, that PostgreSQL has at most.
const MOST_BEFORE: usize = 131_072;
const MOST_BEHIND: usize = 16_383;

/// Writes a number as PostgreSQL shows it; none where the bytes are no number.
pub(crate) fn write(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (head, digits) = bytes.split_at_checked(8)?;
    let word = |at: usize| Some(u16::from_be_bytes([*head.get(at)?, *head.get(at + 1)?]));
    let (count, weight, sign, scale) = (word(0)?, word(2)?.cast_signed(), word(4)?, usize::from(word(6)?));
    if digits.len() != usize::from(count) * 2 || scale > MOST_BEHIND {
        return None;
    }
    let special = match sign {
        POSITIVE => "",
        NEGATIVE => "-",
        NAN => "NaN",
        INFINITE => "Infinity",
        MINUS_INFINITE => "-Infinity",
        _ => return None,
    };
    out.extend_from_slice(special.as_bytes());
    if !matches!(sign, POSITIVE | NEGATIVE) {
        return Some(());
    }
    let digit = |at: i32| -> Option<u16> {
        let Ok(at) = usize::try_from(at) else { return Some(0) };
        let Some(pair) = digits.get(at * 2..at * 2 + 2) else { return Some(0) };
        let digit = u16::from_be_bytes([*pair.first()?, *pair.get(1)?]);
        (digit < 10_000).then_some(digit)
    };
    let weight = i32::from(weight);
    // Writing to memory does not fail.
    let _ = if weight < 0 { write!(out, "0") } else { write!(out, "{}", digit(0)?) };
    for at in 1..=weight.max(0) {
        let _ = write!(out, "{:04}", digit(at)?);
    }
    if scale > 0 {
        out.push(b'.');
        let start = out.len();
        let mut at = weight + 1;
        while out.len() - start < scale {
            let _ = write!(out, "{:04}", digit(at)?);
            at += 1;
        }
        out.truncate(start + scale);
    }
    Some(())
}

/// A decimal number such as `-12.50` in the binary form; none where the text is no such.
pub(crate) fn read(text: &str) -> Option<Vec<u8>> {
    let (sign, plain) = match text.strip_prefix('-') {
        Some(rest) => (NEGATIVE, rest),
        None => (POSITIVE, text),
    };
    let (whole, part) = plain.split_once('.').unwrap_or((plain, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || plain.ends_with('.') {
        return None;
    }
    if whole.len() > MOST_BEFORE || part.len() > MOST_BEHIND {
        return None;
    }
    // Groups of four, counted from the point.
    let padded = format!("{}{whole}{part}{}", "0".repeat(pad(whole.len())), "0".repeat(pad(part.len())));
    let groups: Vec<u16> =
        padded.as_bytes().chunks(4).map(|four| four.iter().fold(0, |n, b| n * 10 + u16::from(b - b'0'))).collect();
    let first = groups.iter().position(|group| *group != 0).unwrap_or(groups.len());
    let last = groups.iter().rposition(|group| *group != 0).map_or(first, |last| last + 1);
    let kept = groups.get(first..last).unwrap_or_default();
    let weight = i32::try_from(whole.len().div_ceil(4)).ok()? - 1 - i32::try_from(first).ok()?;
    let (weight, sign) = if kept.is_empty() { (0, POSITIVE) } else { (i16::try_from(weight).ok()?, sign) };
    let mut bytes = Vec::with_capacity(8 + kept.len() * 2);
    bytes.extend(u16::try_from(kept.len()).ok()?.to_be_bytes());
    bytes.extend(weight.to_be_bytes());
    bytes.extend(sign.to_be_bytes());
    bytes.extend(u16::try_from(part.len()).ok()?.to_be_bytes());
    kept.iter().for_each(|group| bytes.extend(group.to_be_bytes()));
    Some(bytes)
}

/// Digits that a text lacks to be whole groups.
fn pad(digits: usize) -> usize {
    (4 - digits % 4) % 4
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(bytes: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        write(bytes, &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    fn binary(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn a_number_is_shown_as_psql_shows_it() {
        for (words, text) in [
            (&[1, 0, 0, 0, 7][..], "7"),
            (&[2, 1, 0, 0, 1, 2], "10002"),
            (&[1, 1, 0, 0, 1], "10000"),
            (&[2, 0, 0, 2, 12, 5000], "12.50"),
            (&[1, 0xffff, 0x4000, 3, 10], "-0.001"),
            (&[1, 0xfffe, 0, 8, 1], "0.00000001"),
            (&[0, 0, 0, 0], "0"),
            (&[0, 0, 0, 2], "0.00"),
            (&[0, 0, 0xc000, 0], "NaN"),
            (&[0, 0, 0xd000, 0], "Infinity"),
            (&[0, 0, 0xf000, 0], "-Infinity"),
        ] {
            assert_eq!(shown(&binary(words)).as_deref(), Some(text), "{words:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for words in
            [&[][..], &[1, 0, 0, 0], &[1, 0, 0, 0, 10_000], &[0, 0, 7, 0], &[0, 0, 0, 0x4000], &[0, 0, 0, 0, 1]]
        {
            assert_eq!(shown(&binary(words)), None, "{words:?}");
        }
        for text in ["", "-", ".5", "5.", "1e3", "+1", "1,5", "0x1", "1.2.3", " 1"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?") {
            let back = shown(&read(&text).unwrap()).unwrap();
            let zero = text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.'));
            prop_assert_eq!(back, if zero { text.trim_start_matches('-').to_owned() } else { text });
        }

        #[test]
        fn any_bytes_are_shown_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = shown(&bytes);
        }
    }
}
