//! Numbers as they stand in data.

/// Reads a number that can be scored; NaN and infinities are none.
pub(super) fn parse(text: &[u8]) -> Option<f64> {
    any(text).filter(|number| number.is_finite())
}

/// Whether a text is a number, be it NaN or infinite.
pub(super) fn is_number(text: &[u8]) -> bool {
    any(text).is_some()
}

fn any(text: &[u8]) -> Option<f64> {
    fast_float2::parse(text).ok()
}

#[cfg(test)]
mod tests {
    use super::parse;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_finite_number_is_none() {
        for text in ["", "-", ".", "nan", "NaN", "inf", "-Infinity", "1e999", "1,5", "0x10", "1 2", "é", "1_000"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    fn std(text: &str) -> Option<f64> {
        text.parse().ok().filter(|n: &f64| n.is_finite())
    }

    proptest! {
        #[test]
        fn a_number_is_what_the_standard_library_says(text in "[-+]?[0-9]{0,20}\\.?[0-9]{0,20}([eE][-+]?[0-9]{1,3})?") {
            prop_assert_eq!(parse(text.as_bytes()).map(f64::to_bits), std(&text).map(f64::to_bits), "{}", text);
        }

        #[test]
        fn a_number_that_was_written_is_read_back(number in any::<f64>()) {
            prop_assert_eq!(parse(format!("{number:?}").as_bytes()), Some(number).filter(|n| n.is_finite()));
        }

        #[test]
        fn any_text_is_what_the_standard_library_says(text in "\\PC{0,12}") {
            prop_assert_eq!(parse(text.as_bytes()), std(&text), "{}", text);
        }
    }
}
