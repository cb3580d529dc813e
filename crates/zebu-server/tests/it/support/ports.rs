//! Ports that are known before anything listens on them: those of servers that are to find each other.

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range that the kernel hands to outgoing connections: nobody else comes upon them by chance, not even while a
/// server is down.
const FIRST: u32 = 11_000;
const COUNT: u32 = 20_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port of the loopback address that nothing listens on. Processes that run at the same time start at different places.
pub(crate) fn free_port() -> u16 {
    let start = process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + start.wrapping_add(turn) % COUNT).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}
