//! Where in a manifest something stands that is wrong, and what is.

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
