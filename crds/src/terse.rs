//! Schemas of Kubernetes' own types with the first sentence of their descriptions: all of them would be twice as long as all
//! else in the file, and is in its reference.

use schemars::Schema;
use schemars::transform::{Transform, transform_subschemas};

/// Shortens what is said below a field.
pub(crate) fn terse(schema: &mut Schema) {
    transform_subschemas(&mut FirstSentence, schema);
}

struct FirstSentence;

impl Transform for FirstSentence {
    fn transform(&mut self, schema: &mut Schema) {
        let said = schema.get("description").and_then(|said| said.as_str()).map(first_sentence);
        if let Some(first) = said {
            schema.insert("description".to_owned(), first.into());
        }
        transform_subschemas(self, schema);
    }
}

fn first_sentence(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    line.split_inclusive(". ").next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_description_the_first_sentence_stays() {
        let long = "path of the directory on the host. If it is a link, it will be followed.\n\nMore info: https://x";
        assert_eq!(first_sentence(long), "path of the directory on the host.");
        assert_eq!(first_sentence("name of the volume"), "name of the volume");
        assert_eq!(first_sentence(""), "");
    }
}
