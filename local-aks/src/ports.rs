//! Free ports for servers that stand alone.

use std::net::TcpListener;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;

/// Below those that the kernel gives to clients: one that tries again and again while its server is down would be given the
/// server's own port now and then, reach itself, and keep it. Above those of a cluster.
const FIRST: u32 = 24_000;
const COUNT: u32 = 8_000;

/// So many ports that nothing listens on, each handed out once in a while: their servers take them somewhat later.
pub(crate) fn free<const N: usize>(host: &str) -> anyhow::Result<[u16; N]> {
    static NEXT: OnceLock<AtomicU32> = OnceLock::new();
    // Programs that run side by side begin far from each other.
    let next = NEXT.get_or_init(|| AtomicU32::new(std::process::id().wrapping_mul(97)));
    let mut ports = [0; N];
    for port in &mut ports {
        let is_free = |port: &u16| TcpListener::bind((host, *port)).is_ok();
        let mut candidates = (0..COUNT)
            .filter_map(|_| u16::try_from(FIRST + next.fetch_add(1, Ordering::Relaxed) % COUNT).ok().filter(is_free));
        *port = candidates.next().with_context(|| format!("no port is free at {host}"))?;
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_different_and_none_that_something_listens_on() {
        let ports = free::<3>("127.0.0.1").unwrap();
        let taken = TcpListener::bind(("127.0.0.1", ports[0])).unwrap();
        let all: std::collections::BTreeSet<_> = ports.into_iter().chain(free::<3>("127.0.0.1").unwrap()).collect();
        assert_eq!(all.len(), 6, "{all:?}");
        assert!(all.iter().all(|port| (24_000..32_000).contains(port)), "{all:?}");
        drop(taken);
    }
}
