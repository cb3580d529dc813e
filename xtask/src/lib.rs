//! Automation for the zebu workspace: the whole test run, and the processes that interop suites need.
//!
//! Start reading at [`steps`]: it is the list of everything that `cargo xtask test` runs. A new interop suite is one
//! file in [`interop`] and one entry in that list; it starts its servers with [`server::Server`], which works the same
//! way for zebu and for the Java server, so that a suite can be run against each and the answers compared.
//!
//! Suites talk to servers through real clients, or through [`interop::client`], which shares no code with zebu. Nothing
//! else here knows the protocol beyond the `srvr` word that tells when a server is ready.

pub mod bench;
pub mod chaos;
pub mod context;
pub mod ensemble;
pub mod fuzz;
pub mod install;
pub mod interop;
pub mod java;
pub mod migration;
pub mod ports;
pub mod process;
mod random;
pub mod report;
pub mod runner;
pub mod server;
pub mod steps;
pub mod workspace;
pub mod zebu;
