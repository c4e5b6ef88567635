//! Child processes, and the orphans that come to the first process of a container.

use std::collections::BTreeSet;
use std::io;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{self, SignalKind};
use wait4::{ResUse, try_wait4_pid};

/// Those that are waited for: whoever reaps orphans leaves them alone.
static OURS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn ours() -> MutexGuard<'static, BTreeSet<i32>> {
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child at the head of a process group of its own. Dropped, it is killed with all its group.
pub(super) struct Child {
    pid: Pid,
    died: unix::Signal,
    over: bool,
}

impl Child {
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        // Heard from before there is anything to hear.
        let died = unix::signal(SignalKind::child())?;
        let mut ours = ours();
        let number = command.spawn()?.id().cast_signed();
        ours.insert(number);
        Ok(Self { pid: Pid::from_raw(number), died, over: false })
    }

    /// Sends a signal to all its group.
    pub(super) fn signal(&self, signal: Signal) {
        if !self.over
            && let Err(error) = killpg(self.pid, signal)
        {
            tracing::warn!(%error, "the command could not be sent {signal}");
        }
    }

    /// Waits for its end and kills what it left running in its group. Nothing is lost when the waiting is given up.
    pub(super) async fn ended(&mut self) -> io::Result<ResUse> {
        loop {
            if self.is_over() {
                return self.reap();
            }
            reap_orphans();
            self.died.recv().await;
        }
    }

    /// Whether it has ended. It stays to be waited for, so that its number is nobody else's.
    fn is_over(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(waitid(Id::Pid(self.pid), flags), Ok(WaitStatus::StillAlive) | Err(Errno::EINTR))
    }

    fn reap(&mut self) -> io::Result<ResUse> {
        // Nobody is left in most cases.
        let _ = killpg(self.pid, Signal::SIGKILL);
        self.over = true;
        let ended = try_wait4_pid(self.pid.as_raw().cast_unsigned());
        ours().remove(&self.pid.as_raw());
        reap_orphans();
        ended?.ok_or_else(|| io::Error::other("the command has ended and is still there"))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.over {
            let _ = killpg(self.pid, Signal::SIGKILL);
            ours().remove(&self.pid.as_raw());
        }
    }
}

/// Processes that have lost their parent come to the first process of a container, which has to take note of their end.
fn reap_orphans() {
    if std::process::id() != 1 {
        return;
    }
    let ours = ours();
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(Some(pid)) = waitid(Id::All, flags).map(|status| status.pid()) {
        // Who waits for one of ours looks for orphans afterwards.
        if ours.contains(&pid.as_raw()) || waitpid(pid, Some(WaitPidFlag::WNOHANG)).is_err() {
            return;
        }
    }
}
