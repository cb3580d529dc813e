//! A running server as its clients see it.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod ending;
mod ensemble;
mod fairness;
mod limits;
mod snapshots;
mod support;
mod template;
mod words;

use std::net::SocketAddr;

use zebu_server::{Config, Server};

/// A server with its directory.
struct Running {
    address: SocketAddr,
    server: Server,
    dir: tempfile::TempDir,
}

fn start(configure: impl FnOnce(&mut Config)) -> Running {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::for_test(dir.path());
    configure(&mut config);
    let server = Server::start(config).unwrap();
    Running {
        address: server.client_address(),
        server,
        dir,
    }
}

impl Running {
    fn word(&self, word: &str) -> String {
        support::word(self.address, word.as_bytes())
    }
}
