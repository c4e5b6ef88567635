//! One local cluster per machine: bridge, addresses and control groups are the machine's. The lock is an abstract Unix
//! socket, which goes with the process that holds it and leaves no file. `up` hands it on to the daemon.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

const NAME: &[u8] = b"local-aks";

/// Held by `up`, by the daemon, or by `down`.
#[derive(Debug)]
pub(crate) struct Lock(UnixListener);

impl Lock {
    /// Takes the lock; `None` if another process has it.
    pub(crate) fn take() -> anyhow::Result<Option<Self>> {
        match UnixListener::bind_addr(&SocketAddr::from_abstract_name(NAME)?) {
            Ok(listener) => Ok(Some(Self(listener))),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Ok(None),
            Err(error) => Err(error).context("cannot take the lock of this machine's local cluster"),
        }
    }

    /// For the daemon's standard input.
    pub(crate) fn hand_on(&self) -> anyhow::Result<OwnedFd> {
        Ok(OwnedFd::from(self.0.try_clone()?))
    }

    /// In the daemon: the lock that `up` has handed on.
    pub(crate) fn from_stdin() -> anyhow::Result<Self> {
        Ok(Self(UnixListener::from(std::io::stdin().as_fd().try_clone_to_owned()?)))
    }

    /// In the daemon: tells whoever asks which folder the cluster is of. Never returns.
    pub(crate) fn answer(&self, root: &std::path::Path) {
        for caller in self.0.incoming().flatten() {
            let mut caller = caller;
            // A caller that is gone needs no answer.
            let _ = caller.write_all(root.as_os_str().as_encoded_bytes());
        }
    }
}

/// Who has the lock.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The daemon of the cluster in this folder.
    Daemon(PathBuf),
    /// `up` or `down`, at work.
    Busy,
    /// Nobody.
    Nobody,
}

/// Asks who has the lock.
pub(crate) fn holder() -> anyhow::Result<Holder> {
    let Ok(mut stream) = UnixStream::connect_addr(&SocketAddr::from_abstract_name(NAME)?) else {
        return Ok(Holder::Nobody);
    };
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        Ok(_) if !answer.is_empty() => Ok(Holder::Daemon(PathBuf::from(answer))),
        _ => Ok(Holder::Busy),
    }
}
