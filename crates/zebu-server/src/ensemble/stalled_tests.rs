//! Servers of an ensemble whose nodes do nothing for a while, as if their machines had been asleep.

use std::num::NonZeroU32;
use std::sync::mpsc::{Receiver, Sender, channel};

use zebu_proto::Sid;
use zebu_proto::quorum::QuorumConfig;

use crate::shared::{NodeEvent, ServerRole};
use crate::stalled_tests::support::{self, ports::free_port};
use crate::stalled_tests::support::{Client, create, op, until};
use crate::{Config, Server};

const SYNC_LIMIT_MS: u64 = 500;

/// A node's nap.
struct Nap {
    has_begun: Receiver<()>,
    end: Sender<()>,
}

/// Puts a nap into the queue of a server's node.
fn nap(server: &Server) -> Nap {
    let (end, has_ended) = channel::<()>();
    let (begun, has_begun) = channel();
    server.shared.queue.push(NodeEvent::Inspect(Box::new(move |_| {
        let _ = begun.send(());
        let _ = has_ended.recv();
    })));
    Nap { has_begun, end }
}

/// Stops a server's node until what is returned is dropped.
fn stall(server: &Server) -> Nap {
    let nap = nap(server);
    nap.has_begun.recv().unwrap();
    nap
}

/// Two servers that vote, and the folders of their data.
fn pair() -> (Vec<Server>, Vec<tempfile::TempDir>) {
    let mut membership = QuorumConfig::default();
    for number in 1..=2 {
        let line = format!("127.0.0.1:{}:{}", free_port(), free_port());
        membership.add(&format!("server.{number}"), &line).unwrap();
    }
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let servers = dirs.iter().zip(1..).map(|(dir, number)| {
        let mut config = Config::for_test(dir.path());
        config.server_id = Some(Sid(number));
        config.ensemble.membership = membership.clone();
        config.ensemble.init_limit_ticks = NonZeroU32::new(100);
        config.ensemble.sync_limit_ticks = NonZeroU32::new(5);
        Server::start(config).unwrap()
    });
    (servers.collect(), dirs.into())
}

/// A leader that was held up finds a write and at once, by its clock alone, that nobody follows it any more. The write is
/// the last of its epoch then: what is logged is what others can be told of.
#[test]
fn what_a_leader_prepares_last_belongs_to_its_history() {
    let (servers, _dirs) = pair();
    let leader = |servers: &[Server]| {
        let leads = |server: &Server| server.shared.role() == ServerRole::Leader;
        let follows = |server: &Server| server.shared.role() == ServerRole::Follower;
        let is_whole = servers.iter().any(follows);
        servers.iter().position(leads).filter(|_| is_whole)
    };
    until("one leads and one follows", || leader(&servers).is_some());
    let leads = leader(&servers).unwrap();
    let (leader_of_now, follower) = (&servers[leads], &servers[1 - leads]);
    let mut client = Client::new(leader_of_now.client_address(), 30_000);

    let (nap_of_follower, first_nap) = (stall(follower), stall(leader_of_now));
    client.send(op::CREATE, &create("/last", b"", 0));
    let shared = &leader_of_now.shared;
    until("the write is in the queue", || shared.limits.outstanding() == 1);
    // Both are taken from the queue together.
    let second_nap = nap(leader_of_now);
    drop(first_nap.end);
    second_nap.has_begun.recv().unwrap();
    let since = shared.clock.mono();
    until("the follower is given up", || {
        shared.clock.mono().since(since) > 2 * SYNC_LIMIT_MS
    });
    drop(second_nap.end);
    until("nobody leads", || shared.role() == ServerRole::Looking);
    drop(nap_of_follower.end);

    until("one leads and one follows again", || leader(&servers).is_some());
    for server in &servers {
        let mut client = Client::new(server.client_address(), 30_000);
        assert_eq!(client.call(op::SYNC, &support::path("/")).err, 0);
        assert_eq!(client.call(op::EXISTS, &support::watch("/last")).err, 0);
    }
    for server in servers {
        server.stop();
    }
}
