//! Suites against real clients and real Java servers: one file each.
//!
//! A suite is a function `run(&Context) -> Result<Tally>` that starts its own servers on free ports in temporary
//! folders, leaves nothing running, and counts single checks. Its fixed files (drivers, expected results) lie in the
//! folder `interop/<suite>` of the workspace.

pub mod client;
pub mod crash;
pub mod datadir;
pub mod differential;
pub mod kazoo;
pub(crate) mod log_file;
pub mod mixed;
mod observer_masters;
pub mod servers;
