//! What may be changed while it runs.

use std::time::Duration;

use super::super::bucket::Rate;
use super::super::delay::Delay;
use super::super::span::Span;

/// How long things take, and how much is served.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// From an accepted PUT until a new machine starts, drawn for each machine.
    pub(crate) provisioning: Delay,
    /// From an accepted deletion until the machines go.
    pub(in super::super) deleting: Duration,
    /// How long a change of labels, taints or other properties takes.
    pub(in super::super) updating: Duration,
    /// Whether the count falls by itself after deleteMachines, which Azure does not document.
    pub(in super::super) count_falls: bool,
    /// How many machines a page of their list holds.
    pub(in super::super) page: usize,
    /// The bucket of each pool's PUTs.
    pub(crate) put_bucket: Rate,
    /// The bucket of all other requests.
    pub(crate) request_bucket: Rate,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            provisioning: Delay::Fixed(Span::seconds(20)),
            deleting: Duration::from_secs(2),
            updating: Duration::from_secs(1),
            count_falls: true,
            page: 100,
            put_bucket: Rate { size: 20, refill: Span::seconds(60) },
            request_bucket: Rate { size: 60, refill: Span::seconds(1) },
        }
    }
}
