//! Tables as files: Parquet, JSON lines. Knows no columns but those it is given, and no place to write to.
#![deny(missing_docs)]

pub mod json;
pub mod parquet;
