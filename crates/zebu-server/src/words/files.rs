//! `conf` and `dirs`: how the server is set up, and how much it stores.

use std::fmt::Write;
use std::num::NonZeroU32;
use std::path::Path;

use zebu_proto::quorum::MemberAddress;

use crate::shared::Shared;

/// `dirs`. Source: `DirsCommand`.
pub(super) fn sizes(shared: &Shared) -> String {
    let [data, log] = directories(shared).map(|directory| directory_bytes(&directory));
    format!("datadir_size: {data}\nlogdir_size: {log}\n")
}

/// `conf`. Source: `ZooKeeperServer.dumpConf`.
pub(super) fn configuration(shared: &Shared) -> String {
    let config = &shared.config;
    let port = shared
        .client_address
        .get()
        .map_or(-1, |address| i32::from(address.port()));
    let [data, log] = directories(shared);
    let mut out = String::new();
    let mut line = |key: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(out, "{key}={value}");
    };
    line("clientPort", &port);
    line("secureClientPort", &-1);
    line("dataDir", &data.display());
    line("dataDirSize", &directory_bytes(&data));
    line("dataLogDir", &log.display());
    line("dataLogSize", &directory_bytes(&log));
    line("tickTime", &config.tick_time_ms);
    line(
        "maxClientCnxns",
        &config.limits.max_client_cnxns.map_or(0, NonZeroU32::get),
    );
    line("minSessionTimeout", &config.sessions.min_timeout_ms);
    line("maxSessionTimeout", &config.sessions.max_timeout_ms);
    match config.client_port_listen_backlog {
        Some(backlog) => line("clientPortListenBacklog", &backlog),
        None => line("clientPortListenBacklog", &-1),
    }
    if !config.is_distributed() {
        // A standalone server of the reference takes no notice of its number.
        line("serverId", &0);
        return out;
    }
    let sid = config.server_id.unwrap_or_default();
    line("serverId", &sid);
    let ensemble = &config.ensemble;
    line("initLimit", &ensemble.init_limit_ticks.map_or(0, NonZeroU32::get));
    line("syncLimit", &ensemble.sync_limit_ticks.map_or(0, NonZeroU32::get));
    line("electionAlg", &3);
    let membership = shared.membership.read().clone();
    let own = membership.config.members.get(&sid);
    let ports = |port: fn(&MemberAddress) -> u16| {
        let addresses = own.iter().flat_map(|member| &member.addresses);
        addresses
            .map(port)
            .map(|port| port.to_string())
            .collect::<Vec<_>>()
            .join("|")
    };
    line("electionPort", &ports(|address| address.election_port));
    line("quorumPort", &ports(|address| address.quorum_port));
    line("peerType", &u8::from(membership.is_observer));
    let _ = write!(out, "membership: \n{}", membership.config);
    out
}

/// Where the snapshots are, and where the log is.
fn directories(shared: &Shared) -> [std::path::PathBuf; 2] {
    let config = &shared.config;
    [&config.data_dir, &config.data_log_dir].map(|directory| {
        let directory = directory.join("version-2");
        std::path::absolute(&directory).unwrap_or(directory)
    })
}

/// Lengths of all files in a directory and in those below it. What cannot be read counts nothing: files come and go.
pub(super) fn directory_bytes(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => directory_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
