//! The images of the operator, the scorer and ingest: static binaries, FROM scratch, made and pushed without a daemon.

mod build;
mod platform;
mod push;

pub use build::{Binaries, INGEST, PROGRAMS, build, build_for, cargo};
pub use platform::Platform;
pub use push::{Images, Registry, push, push_one};
