//! Texts from outside, as messages show them: short, and on one line.

use std::fmt::Write as _;

use spec::shown::visible;
pub(crate) use spec::shown::{cut, name};

/// The most names of many.
const MOST_NAMES: usize = 10;

/// A text on one line: control characters and the like as they are written in quotes, such as `\n`.
pub(crate) fn on_one_line(text: &str) -> String {
    visible(text).into_owned()
}

/// The same of each line of a text that may have several.
pub(crate) fn lines(text: &str) -> String {
    text.lines().map(on_one_line).collect::<Vec<_>>().join("\n")
}

/// The first ten of some names, and how many more there are.
pub(crate) fn names<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let mut names = names.into_iter();
    let first: Vec<String> = names.by_ref().take(MOST_NAMES).map(|text| name(text.as_ref())).collect();
    let mut list = first.join(", ");
    let more = names.count();
    if more > 0 {
        // Writing to a String does not fail.
        let _ = write!(list, " and {more} more");
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_names_the_first_are_listed_and_the_others_counted() {
        assert_eq!(names(["a", "b"]), "a, b");
        let many = names((0..100_000).map(|n| format!("c{n}")));
        assert_eq!(many, "c0, c1, c2, c3, c4, c5, c6, c7, c8, c9 and 99990 more");
    }
}
