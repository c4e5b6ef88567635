//! What the server's handlers and its driver share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use super::Machines;
use super::control_plane::ControlPlane;
use super::faults::{Outages, RequestFaults};
use super::fleet::Fleet;
use super::identity::{Application, Tokens};
use super::log::RequestLog;
use super::webhook::Cloud;

pub(super) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

pub(super) struct App {
    pub(super) fleet: Mutex<Fleet>,
    pub(super) tokens: Mutex<Tokens>,
    pub(super) log: Mutex<RequestLog>,
    pub(super) faults: Mutex<RequestFaults>,
    pub(super) outages: Mutex<Outages>,
    /// Tells the doors that an outage began or ended by order.
    pub(super) outages_changed: watch::Sender<()>,
    pub(super) seed: u64,
    /// Wakes the driver: there may be new work, or old work may be due earlier.
    pub(super) changed: Notify,
    pub(super) machines: Arc<dyn Machines>,
    pub(super) control_plane: Arc<dyn ControlPlane>,
    pub(super) application: Application,
    pub(super) cloud: Cloud,
    pub(super) clock: Clock,
}

impl App {
    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub(super) fn fleet(&self) -> MutexGuard<'_, Fleet> {
        lock(&self.fleet)
    }
}

/// A panic in another request is no reason to stop serving this one.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
