//! Texts from outside where people read them: in messages, logs and terminals.

use std::borrow::Cow;

/// The most characters of a text that is shown as a part of a message.
const MOST: usize = 40;

/// Whether a character is not shown but changes how others are: control characters, Unicode's ends of lines, and what sets the
/// direction of writing, by which a text can be made to look like another.
#[must_use]
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text with such characters as they are written in quotes, such as `\n`.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_control(c) {
            true => shown.extend(c.escape_debug()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// At most 40 characters of a text.
#[must_use]
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// A name, such as a column's: cut, and on one line.
#[must_use]
pub fn name(name: &str) -> String {
    visible(&cut(name)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_would_move_other_text_about_is_written_out() {
        assert_eq!(visible("a\nb\t\u{1b}[31m\0"), "a\\nb\\t\\u{1b}[31m\\0");
        assert_eq!(
            visible("pump\u{202e}1\u{2066}\u{200f}\u{61c}\u{2028}"),
            "pump\\u{202e}1\\u{2066}\\u{200f}\\u{61c}\\u{2028}"
        );
    }

    #[test]
    fn every_script_stays_as_it_is() {
        for text in ["é", "\u{645}\u{636}\u{62e}\u{629}", "\u{5de}\u{5e9}", "\u{1f469}\u{200d}\u{1f527}", "a\u{a0}b"] {
            assert_eq!(visible(text), text);
        }
    }

    #[test]
    fn a_name_stays_on_its_line_and_short() {
        assert_eq!(name("a\nERROR b\t\u{1b}[31mc"), "a\\nERROR b\\t\\u{1b}[31mc");
        assert_eq!(name(&"é".repeat(50)), format!("{}…", "é".repeat(40)));
    }

    proptest! {
        #[test]
        fn nothing_of_the_kind_is_left(text in "\\PC{0,8}[\u{200e}-\u{2069}\0-\u{9f}]{0,8}") {
            prop_assert!(!visible(&text).contains(is_control));
        }
    }
}
