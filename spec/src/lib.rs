//! What to score: plain types that the scorer reads without Kubernetes and the custom resources embed.
//!
//! Nothing here does I/O or knows the time. The words are those of `docs/architecture.md`.
#![deny(missing_docs)]

mod as_text;
pub mod check;
pub mod command;
pub mod complete;
pub mod data_path;
pub mod duration;
pub mod ends;
pub mod files;
mod int_or_text;
pub mod keys;
pub mod limit;
pub mod location;
pub mod manifest_error;
pub mod money;
pub mod number;
pub mod packing;
pub mod report;
pub mod request;
pub mod retention;
pub mod shown;
pub mod sql;
pub mod table_name;
pub mod template;
pub mod ticks;
pub mod time;
pub mod training;
pub mod version;
pub mod window;
pub mod work;

pub use command::{Command, CommandInput};
pub use complete::{Complete, OnTimeout};
pub use data_path::DataPath;
pub use duration::Span;
pub use files::FilePattern;
pub use keys::SensorKeys;
pub use limit::Limit;
pub use location::{BucketService, Location};
pub use manifest_error::ManifestError;
pub use money::Money;
pub use packing::{Packing, PerPod};
pub use request::RunRequest;
pub use retention::Retention;
pub use sql::SqlSource;
pub use table_name::{Identifier, TableName};
pub use template::Template;
pub use training::{Promote, Task, Training};
pub use version::ModelVersion;
pub use window::TimeRange;
pub use work::Work;
