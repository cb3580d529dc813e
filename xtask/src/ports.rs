//! Free TCP ports on the loopback address.
//!
//! A server that is to be restarted needs a port known beforehand, so port 0 will not do. Ports are taken from below
//! the range that the kernel hands to outgoing connections (32768 and up on Linux): a port of that range may be taken
//! by any client between the moment it was found free and the moment the server binds it, or while the server is down.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

/// First port that is considered.
const FIRST: u16 = 10_000;
/// First port that is not considered any more.
const END: u16 = 32_000;

/// Steps through the range, so that one run never offers the same port twice before it went through all.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that nothing listens on.
///
/// # Errors
/// When no port of the range is free.
pub fn free_port() -> Result<u16> {
    free_ports(1)
}

/// The first of `count` consecutive ports that nothing listens on.
///
/// # Errors
/// When the range holds no such run of ports.
pub fn free_ports(count: u16) -> Result<u16> {
    let places = (END - FIRST) / count.max(1);
    for _ in 0..places {
        let first = candidate(count.max(1), places);
        if (first..first + count).all(is_free) {
            return Ok(first);
        }
    }
    bail!("no {count} consecutive free ports between {FIRST} and {END}")
}

/// The loopback address with this port.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// The next place to look at. Processes that run at the same time start at different places, by their id.
fn candidate(count: u16, places: u16) -> u16 {
    let turn = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
    let place = (process::id().wrapping_mul(97) + turn) % u32::from(places);
    let place = u16::try_from(place).expect("less than `places`, which is a u16");
    FIRST + place * count
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(loopback(port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_not_offered() {
        let first = free_ports(3).unwrap();
        let _held = TcpListener::bind(loopback(first + 1)).unwrap();
        assert!(!is_free(first + 1));
        let other = free_ports(3).unwrap();
        assert!(other + 2 < first + 1 || other > first + 1);
    }

    #[test]
    fn ports_stay_below_the_range_of_outgoing_connections() {
        for count in [1, 5, 10] {
            let first = free_ports(count).unwrap();
            assert!(first >= FIRST);
            assert!(first + count <= END);
        }
    }
}
