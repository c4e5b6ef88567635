//! PostgreSQL, as readings come from it and results go to it: how it is reached, and how values are written.
//!
//! No text of SQL is ever made of data: values are bound, and names of tables and columns are checked and quoted.
#![deny(missing_docs)]

mod away;
mod connect;
mod copy;
mod error;
mod numeric;
mod parameters;
mod rows;
mod settings;
mod table;
mod tls;
mod upsert;
mod values;

pub use connect::{Database, Session};
pub use copy::{CopyRows, TooLong};
pub use error::{Category, SqlError};
pub use parameters::Parameter;
pub use rows::{Batch, Column, Rows};
pub use table::{ColumnType, TableShape};
pub use upsert::Upsert;
pub use values::Kind;
