//! Time of the processor: what other programs take on a busy machine is held against neither side.

use rustix::time::{ClockId, clock_gettime};

/// Seconds that this thread has had on a processor.
pub(crate) fn thread_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
