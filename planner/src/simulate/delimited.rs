//! Lines of fields, as spreadsheets and programs write them.

/// What separates fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delimiter(char);

impl Delimiter {
    /// That of comma, semicolon and tab which a line has most of.
    pub(super) fn of(line: &str) -> Self {
        let count = |delimiter: char| line.chars().filter(|c| *c == delimiter).count();
        let most = [',', ';', '\t'].into_iter().rev().max_by_key(|delimiter| count(*delimiter));
        Self(most.unwrap_or(','))
    }

    /// The fields of a line, without quotes and blanks around them. `None`: a quote is not closed, or something is behind it.
    pub(super) fn fields(self, line: &str) -> Option<Vec<String>> {
        let mut fields = Vec::new();
        let mut rest = line;
        loop {
            let bare = rest.trim_start_matches(|c: char| c.is_whitespace() && c != self.0);
            let Some(quoted) = bare.strip_prefix('"') else {
                let Some((field, after)) = rest.split_once(self.0) else {
                    fields.push(rest.trim().to_owned());
                    return Some(fields);
                };
                fields.push(field.trim().to_owned());
                rest = after;
                continue;
            };
            let (field, after) = unquote(quoted)?;
            fields.push(field.trim().to_owned());
            let after = after.trim_start_matches(|c: char| c.is_whitespace() && c != self.0);
            if after.is_empty() {
                return Some(fields);
            }
            rest = after.strip_prefix(self.0)?;
        }
    }
}

/// Up to the closing quote, and what is behind it; two quotes are one.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"')?;
        field.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Some((field, after)),
        }
    }
}
