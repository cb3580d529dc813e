//! Behaviour of node, replica and watches together, as clients would see it.

mod bench;
mod ensemble;
mod local;
mod order;
mod sessions;
mod watches;
