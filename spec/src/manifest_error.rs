//! Where in a manifest something stands that is wrong, and what is.

use std::collections::BTreeMap;
use std::fmt;

/// What is wrong in a manifest.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    /// The file.
    pub file: String,
    /// The line, from 1, if it is known.
    pub line: Option<u64>,
    /// The field's path, such as `spec.data.path`, if it is one's.
    pub field: Option<String>,
    /// What is wrong, and what to write.
    pub message: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(field) = &self.field {
            write!(f, ", field {field}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl ManifestError {
    /// What a reader of YAML says: with its line, and the field that stands there.
    #[must_use]
    pub fn of_yaml(file: &str, text: &str, error: &serde_saphyr::Error) -> Self {
        let line = error.location().map(|l| l.line());
        let field = line.and_then(|n| field_at(text, usize::try_from(n).ok()?));
        let message = match error.without_snippet() {
            serde_saphyr::Error::DuplicateMappingKey { key, .. } => {
                format!("{} is there twice; write it once", key.as_deref().unwrap_or("a key"))
            }
            other => other.to_string(),
        };
        // The type is a program's word.
        let message = message.lines().next().unwrap_or_default().replacen(
            "invalid u32",
            &format!("it must be a whole number from 0 to {}", u32::MAX),
            1,
        );
        let row = line.and_then(|n| text.lines().nth(usize::try_from(n).ok()?.checked_sub(1)?)).map(str::trim);
        let message = row.map_or_else(|| message.clone(), |row| format!("{message}; the line reads: {row}"));
        Self { file: file.to_owned(), line, field, message }
    }
}

/// The path of the field on a line, such as `spec.data.path`, found by indentation.
fn field_at(text: &str, line: usize) -> Option<String> {
    let mut path: BTreeMap<usize, String> = BTreeMap::new();
    for row in text.lines().take(line) {
        let bare = row.trim_start();
        let item = bare.strip_prefix("- ").map(str::trim_start);
        let indent = row.len() - item.unwrap_or(bare).len();
        let Some((key, _)) = item.unwrap_or(bare).split_once(':') else { continue };
        let key = key.trim_matches(['"', '\'', ' ']);
        if key.is_empty() || key.starts_with('#') || key.contains(['{', ' ']) {
            continue;
        }
        path.retain(|at, _| *at < indent);
        path.insert(indent, key.to_owned());
    }
    (!path.is_empty()).then(|| path.into_values().collect::<Vec<_>>().join("."))
}

impl ManifestError {
    /// What is wrong with a field that can be read; `field` is its path, such as `windows.length`. The line is that of the field, or of
    /// what it would stand in.
    #[must_use]
    pub fn of_field(file: &str, text: &str, field: &str, message: String) -> Self {
        let stands =
            |path: &str| (1..=text.lines().count()).find(|line| field_at(text, *line).as_deref() == Some(path));
        let line = stands(field).or_else(|| stands(field.rsplit_once('.')?.0));
        let line = line.and_then(|line| u64::try_from(line).ok());
        Self { file: file.to_owned(), line, field: Some(field.to_owned()), message }
    }
}
