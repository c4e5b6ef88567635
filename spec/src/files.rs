//! Patterns of files: texts with `*` between them.

use std::fmt;

/// Which files are meant: a path, or one in which `*` stands for any characters of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePattern {
    text: String,
    /// Whether every `*` in it is a letter like others.
    is_path: bool,
}

impl FilePattern {
    /// A pattern of texts with `*` between them; one alone is a path.
    pub(crate) fn new(texts: &[String]) -> Self {
        Self { text: texts.join("*"), is_path: texts.len() < 2 }
    }

    /// The path, where there is no `*`.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.is_path.then_some(self.text.as_str())
    }

    /// The text before the first `*`: what a listing can start from.
    #[must_use]
    pub fn prefix(&self) -> &str {
        let end = if self.is_path { None } else { self.text.find('*') };
        &self.text[..end.unwrap_or(self.text.len())]
    }

    /// Whether it means a file. `*` stands for any characters but `/`; where it begins a name, not for one that begins
    /// with `_` or `.`, as markers (`_SUCCESS`) and hidden files do.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        if self.is_path {
            return self.text == path;
        }
        let (mut patterns, mut names) = (self.text.split('/'), path.split('/'));
        loop {
            match (patterns.next(), names.next()) {
                (Some(pattern), Some(name)) if name_matches(pattern, name) => {}
                (None, None) => return true,
                _ => return false,
            }
        }
    }
}

fn name_matches(pattern: &str, name: &str) -> bool {
    if pattern.starts_with('*') && name.starts_with(['_', '.']) {
        return false;
    }
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let (between, last) = rest.rsplit_once('*').map_or(("", rest), |(between, last)| (between, last));
    // The first place leaves most to what comes behind.
    for text in between.split('*') {
        let Some(at) = left.find(text) else { return false };
        left = &left[at + text.len()..];
    }
    left.ends_with(last)
}

impl fmt::Display for FilePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> FilePattern {
        FilePattern::new(&text.split('*').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_star_stands_for_any_characters_of_one_name() {
        for (text, path, matches) in [
            ("a/b.csv", "a/b.csv", true),
            ("a/b.csv", "a/b.csv.gz", false),
            ("a/*.csv", "a/b.csv", true),
            ("a/*.csv", "a/b/c.csv", false),
            ("a/*.csv", "a/.csv", false),
            ("a/*.csv", "a/_tmp.csv", false),
            ("a/*.csv", "a/b.csv.tmp", false),
            ("a/*", "a/_SUCCESS", false),
            ("a/*", "a/part_0", true),
            ("a/part*", "a/part", true),
            ("*", "readings", true),
            ("*", ".hidden", false),
            ("a/*/b", "a/x/b", true),
            ("a/*/b", "a/x/y/b", false),
            ("a/*/b", "a/_temporary/b", false),
            ("a/*/*.json", "a/0/x.json", true),
            ("a/*/*.json", "a/0/_x.json", false),
            ("a/x*y*z", "a/xyyz", true),
            ("a/x*yy", "a/xy", false),
            ("a/*ab", "a/aab", true),
        ] {
            assert_eq!(pattern(text).matches(path), matches, "{text} and {path}");
        }
    }

    #[test]
    fn a_listing_starts_before_the_first_star() {
        assert_eq!((pattern("a/b*c/*").prefix(), pattern("a/b*c/*").path()), ("a/b", None));
        assert_eq!(pattern("a/b").path(), Some("a/b"));
    }

    /// The same, letter by letter.
    fn slowly(pattern: &[char], path: &[char], begins_name: bool) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (None, None) => true,
            (Some(('*', _)), Some(('_' | '.', _))) if begins_name => false,
            (Some(('*', rest)), _) if slowly(rest, path, false) => true,
            (Some(('*', _)), Some((c, left))) => *c != '/' && slowly(pattern, left, false),
            (Some((p, rest)), Some((c, left))) => p == c && slowly(rest, left, *c == '/'),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_match_is_one_letter_by_letter(text in "\\*?([ab/_.]\\*?){0,6}", path in "[ab/_.]{0,10}") {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(pattern(&text).matches(&path), slowly(&letters(&text), &letters(&path), true), "{} {}", text, path);
        }
    }
}
