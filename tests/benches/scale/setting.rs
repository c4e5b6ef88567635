//! How much of everything there is: environment variables, so that a small machine can try.

use std::str::FromStr;

use anyhow::{Context, Result};
use local_aks::aks::{Delay, Span};

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) nodes: u32,
    /// Pods that a node has room for.
    pub(crate) per_node: u32,
    pub(crate) runs: usize,
    /// Of each run; each is an item.
    pub(crate) sensors: u32,
    /// How long an item's pod takes, drawn for each.
    pub(crate) item: Delay,
    pub(crate) provisioning: Delay,
}

fn variable<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(name: &str, default: T) -> Result<T> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}={text}")),
        Err(_) => Ok(default),
    }
}

impl Setting {
    /// Those of the issue, but for what variables say.
    pub(crate) fn read() -> Result<Self> {
        Ok(Self {
            nodes: variable("NODES", 200)?,
            per_node: variable("PER_NODE", 1)?,
            runs: variable("RUNS", 20)?,
            sensors: variable("SENSORS", 500)?,
            item: variable("ITEM", Delay::Uniform { low: Span::seconds(15), high: Span::seconds(25) })?,
            provisioning: variable("PROVISIONING", Delay::Fixed(Span::seconds(20)))?,
        })
    }

    /// Pods that all nodes have room for.
    pub(crate) fn slots(&self) -> u32 {
        self.nodes * self.per_node
    }

    /// Items of all runs.
    pub(crate) fn items(&self) -> u32 {
        u32::try_from(self.runs).unwrap_or(u32::MAX) * self.sensors
    }

    /// The longest that an item takes, in seconds.
    pub(crate) fn longest(&self) -> f64 {
        match self.item {
            Delay::Fixed(span) | Delay::Uniform { high: span, .. } | Delay::LogNormal { p95: span, .. } => {
                span.0.as_secs_f64()
            }
        }
    }
}
