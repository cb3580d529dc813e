//! The store as its users see it.
#![allow(clippy::unwrap_used, reason = "a test may")]

mod chain;
mod crash;
mod damage;
mod hostile;
mod java;
mod log_part;
mod round_trip;
mod support;
mod twin;
mod upkeep;
