//! The tree against a second, slow and obvious implementation of it, over random sequences of requests.
//!
//! * [`agree`]: the same transactions, results, events and states as the [`twin`], with any number of transactions
//!   between prepare and apply.
//! * [`replay`]: transactions applied again onto any later state give the same final state.
//! * [`capture`]: a snapshot is the state at its zxid, whatever is written while it is read.
//!
//! A failure prints its seed. `TREE_SEED=<seed>` runs that one alone, `TREE_RUNS=<n>` changes the number of seeds.
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "small numbers throughout"
)]

mod agree;
mod capture;
mod dump;
mod random;
mod replay;
mod twin;
