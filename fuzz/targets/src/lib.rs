//! What is checked for any bytes whatever.
//!
//! Each target is a function that takes the bytes and panics when something is wrong with zebu, never because something
//! is wrong with the bytes. The fuzzer calls it (`cargo xtask fuzz`), and so does an ordinary test, with the corpus and
//! with mutations of it, so that no target rots between two runs of the fuzzer.
//!
//! To add a target: a module with a function `run`, a line in [`TARGETS`], a program in `fuzz/fuzz_targets`, and real
//! bytes in `fuzz/corpus`; a test says what is missing.

pub mod access;
pub mod config;
pub mod election_message;
pub mod epoch_files;
pub mod handshake;
pub mod log_file;
pub mod node;
pub mod paths;
pub mod quorum_config;
pub mod quorum_packet;
pub mod quota;
pub mod reply;
pub mod request;
pub mod snapshot_body;
pub mod snapshot_file;
pub mod snapshot_parts;
pub mod txn_record;

mod cursor;
mod data_dir;
mod request_bytes;

/// A target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name of the program in `fuzz/fuzz_targets` and of the folder in `fuzz/corpus`.
    pub name: &'static str,
    /// The check.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "access",
        run: access::run,
    },
    Target {
        name: "config",
        run: config::run,
    },
    Target {
        name: "election_message",
        run: election_message::run,
    },
    Target {
        name: "epoch_files",
        run: epoch_files::run,
    },
    Target {
        name: "handshake",
        run: handshake::run,
    },
    Target {
        name: "log_file",
        run: log_file::run,
    },
    Target {
        name: "node",
        run: node::run,
    },
    Target {
        name: "paths",
        run: paths::run,
    },
    Target {
        name: "quorum_config",
        run: quorum_config::run,
    },
    Target {
        name: "quorum_packet",
        run: quorum_packet::run,
    },
    Target {
        name: "quota",
        run: quota::run,
    },
    Target {
        name: "reply",
        run: reply::run,
    },
    Target {
        name: "request",
        run: request::run,
    },
    Target {
        name: "snapshot_body",
        run: snapshot_body::run,
    },
    Target {
        name: "snapshot_file",
        run: snapshot_file::run,
    },
    Target {
        name: "snapshot_parts",
        run: snapshot_parts::run,
    },
    Target {
        name: "txn_record",
        run: txn_record::run,
    },
];
