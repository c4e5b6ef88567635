//! Rows as JSON lines: what every line repeats, made once.

/// The names of columns, each with what stands before and behind it in an object: `{"TS":`, `,"Value":`.
///
/// # Errors
/// None that is known: a text can always be written.
pub fn names<'a>(columns: impl IntoIterator<Item = &'a str>) -> Result<Vec<Vec<u8>>, serde_json::Error> {
    let mut before = b'{';
    let name = |name: &str| {
        let mut text = vec![std::mem::replace(&mut before, b',')];
        serde_json::to_writer(&mut text, name)?;
        text.push(b':');
        Ok(text)
    };
    columns.into_iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_what_stands_around_them() {
        let names: Vec<String> =
            names(["TS", "a \"b\""]).unwrap().into_iter().map(|name| String::from_utf8(name).unwrap()).collect();
        assert_eq!(names, [r#"{"TS":"#, r#","a \"b\"":"#]);
    }
}
