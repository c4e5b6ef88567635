//! Tells whoever waits what is happening.

use std::sync::Arc;

/// Called with each step, and with what a slow step is doing. Cheap to clone.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(&str) + Send + Sync>);

impl Progress {
    /// Hands each step to `tell`.
    pub fn new(tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// Says nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// One line per step on stderr.
    #[must_use]
    pub fn lines() -> Self {
        Self::new(|step| eprintln!("local-aks: {step}"))
    }

    /// A step begins.
    pub fn step(&self, step: impl AsRef<str>) {
        (self.0)(step.as_ref());
    }
}
