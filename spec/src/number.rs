//! Numbers as they stand in data.

/// Reads a value: a finite number, NaN where it is missing, and an infinity for what is no finite number.
#[must_use]
#[inline]
pub fn parse(text: &[u8]) -> f64 {
    match fast_float2::parse::<f64, _>(text) {
        Ok(number) if !number.is_nan() => number,
        _ if is_missing(text) => f64::NAN,
        _ => f64::INFINITY,
    }
}

/// Whether a text is a number, be it NaN or infinite.
#[must_use]
pub fn is_number(text: &[u8]) -> bool {
    fast_float2::parse::<f64, _>(text).is_ok()
}

/// Whether a text is a number but for a comma in place of its point.
#[must_use]
pub fn has_comma(text: &[u8]) -> bool {
    let Some(comma) = text.iter().position(|byte| *byte == b',') else { return false };
    let mut text = text.to_vec();
    text[comma] = b'.';
    is_number(&text)
}

/// Whether a text says that there is no value: nothing, `NaN`, `NA` or `null`, in any case.
#[must_use]
pub fn is_missing(text: &[u8]) -> bool {
    [&b""[..], b"nan", b"na", b"null"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::parse;
    use proptest::prelude::*;

    #[test]
    fn what_says_that_there_is_no_value_is_missing() {
        for text in ["", "nan", "NaN", "NA", "null", "NULL"] {
            assert!(parse(text.as_bytes()).is_nan(), "{text}");
        }
    }

    #[test]
    fn what_is_no_finite_number_is_infinite() {
        for text in ["-", ".", "inf", "-Infinity", "1e999", "1,5", "0x10", "1 2", "é", "1_000", "-nan", "nil"] {
            assert!(parse(text.as_bytes()).is_infinite(), "{text}");
        }
    }

    fn finite(text: &[u8]) -> Option<f64> {
        Some(parse(text)).filter(|number| number.is_finite())
    }

    fn std(text: &str) -> Option<f64> {
        text.parse().ok().filter(|n: &f64| n.is_finite())
    }

    proptest! {
        #[test]
        fn a_number_is_what_the_standard_library_says(text in "[-+]?[0-9]{0,20}\\.?[0-9]{0,20}([eE][-+]?[0-9]{1,3})?") {
            prop_assert_eq!(finite(text.as_bytes()).map(f64::to_bits), std(&text).map(f64::to_bits), "{}", text);
        }

        #[test]
        fn a_number_that_was_written_is_read_back(number in any::<f64>()) {
            prop_assert_eq!(finite(format!("{number:?}").as_bytes()), Some(number).filter(|n| n.is_finite()));
        }

        #[test]
        fn any_text_is_what_the_standard_library_says(text in "\\PC{0,12}") {
            prop_assert_eq!(finite(text.as_bytes()), std(&text), "{}", text);
        }
    }
}
