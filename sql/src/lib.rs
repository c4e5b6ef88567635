//! PostgreSQL, as readings come from it: how it is reached, and how values are written.
//!
//! No text of SQL is ever made of data: values are bound.
#![deny(missing_docs)]

mod away;
mod connect;
mod error;
mod numeric;
mod parameters;
mod rows;
mod settings;
mod tls;
mod values;

pub use connect::{Database, Session};
pub use error::{Category, SqlError};
pub use parameters::Parameter;
pub use rows::{Batch, Column, Rows};
pub use values::Kind;
