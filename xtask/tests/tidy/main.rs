//! Checks on the workspace itself. They need nothing but the Rust toolchain and no network.
//!
//! - [`crates`]: which crate may use which, lint lines, the map in `ARCHITECTURE.md`;
//! - [`purity`]: the pure crates reach neither files nor sockets nor clocks;
//! - [`modules`]: every source file belongs to a program or library;
//! - [`text`]: what no file of the project may hold.
//!
//! What a check finds is a list of sentences that name the file; an empty list passes.

#![allow(clippy::unwrap_used, reason = "a check that cannot read the workspace has failed")]

mod crates;
mod modules;
mod purity;
mod text;
mod tree;

/// Fails with all findings at once, so that one run is enough to see everything.
#[track_caller]
fn expect_none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}
