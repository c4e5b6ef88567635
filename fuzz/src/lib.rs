//! What every parser of bytes from outside must hold, whatever the bytes: each target calls one function of this crate.

mod demand;
mod events;
mod manifest;
mod model;
mod mutate;
mod parquet;
mod readings;
mod stored;
mod texts;

pub use demand::demand;
pub use events::events;
pub use manifest::manifest;
pub use model::model;
pub use mutate::{native, skops};
pub use parquet::{let_dependencies_panic, parquet};
pub use readings::readings;
pub use stored::stored;
pub use texts::texts;
