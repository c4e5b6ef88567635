//! What every parser of bytes from outside must hold, whatever the bytes: each target calls one function of this crate.

mod manifest;
mod model;
mod mutate;
mod stored;
mod texts;

pub use manifest::manifest;
pub use model::model;
pub use mutate::{native, skops};
pub use stored::stored;
pub use texts::texts;
