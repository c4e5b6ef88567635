//! Python literals, as far as the header of a `.npy` file has them.

/// Deeper than any header nests.
const MAX_DEPTH: usize = 8;

/// A literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Literal<'a> {
    Text(&'a str),
    Int(usize),
    Bool(bool),
    /// A tuple or list.
    Items(Vec<Literal<'a>>),
    Dict(Vec<(Literal<'a>, Literal<'a>)>),
}

impl<'a> Literal<'a> {
    /// Reads one literal that takes the whole text, white space aside.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parser = Parser { rest: text };
        let literal = parser.literal(0)?;
        parser.skip();
        parser.rest.is_empty().then_some(literal)
    }

    /// The value of a dictionary's text key; of several, the last, as in Python.
    pub(super) fn entry(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Dict(entries) => entries.iter().rev().find(|(k, _)| *k == Literal::Text(key)).map(|(_, v)| v),
            _ => None,
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\n', '\t']);
    }

    fn eat(&mut self, token: &str) -> Option<()> {
        self.skip();
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    /// Up to the end of the characters that fit.
    fn while_is(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (found, rest) = self.rest.split_at(end);
        self.rest = rest;
        found
    }

    fn literal(&mut self, depth: usize) -> Option<Literal<'a>> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.skip();
        Some(match self.rest.chars().next()? {
            quote @ ('\'' | '"') => {
                self.rest = &self.rest[1..];
                // No name or type in a header needs an escape.
                let text = self.while_is(|c| c != quote && c != '\\');
                self.rest = self.rest.strip_prefix(quote)?;
                Literal::Text(text)
            }
            '(' => Literal::Items(self.items("(", ")", |p| p.literal(depth + 1))?),
            '[' => Literal::Items(self.items("[", "]", |p| p.literal(depth + 1))?),
            '{' => Literal::Dict(self.items("{", "}", |p| {
                let key = p.literal(depth + 1)?;
                p.eat(":")?;
                Some((key, p.literal(depth + 1)?))
            })?),
            '0'..='9' => {
                let number = self.while_is(|c| c.is_ascii_digit()).parse().ok()?;
                // Python 2's long integers.
                let _ = self.eat("L");
                Literal::Int(number)
            }
            _ => match self.while_is(|c| c.is_ascii_alphabetic()) {
                "True" => Literal::Bool(true),
                "False" => Literal::Bool(false),
                _ => return None,
            },
        })
    }

    fn items<T>(&mut self, open: &str, close: &str, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.eat(open)?;
        let mut items = Vec::new();
        while self.eat(close).is_none() {
            items.push(item(self)?);
            if self.eat(",").is_none() {
                self.eat(close)?;
                break;
            }
        }
        Some(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_python_reads_it() {
        let header = "{'descr': [('a', '<f8'), (\"b\", '|u1')], 'fortran_order': False, 'shape': (3, 2L,), }  \n";
        let literal = Literal::parse(header).unwrap();
        assert_eq!(literal.entry("fortran_order"), Some(&Literal::Bool(false)));
        assert_eq!(literal.entry("shape"), Some(&Literal::Items(vec![Literal::Int(3), Literal::Int(2)])));
        assert_eq!(literal.entry("none"), None);
        assert_eq!(Literal::parse("()"), Some(Literal::Items(vec![])));
    }

    #[test]
    fn what_is_no_literal_is_refused() {
        for text in
            ["", "{", "{'a'}", "(1 2)", "('a", "__import__('os')", "-1", "99999999999999999999999", "1 2", "(,)"]
        {
            assert_eq!(Literal::parse(text), None, "{text}");
        }
        assert_eq!(Literal::parse(&"[".repeat(100_000)), None);
    }
}
