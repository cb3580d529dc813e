//! A load generator for ZooKeeper servers.
//!
//! It answers one question: how much work does a server do per second, and what does one operation cost it. So it
//! must not be the bottleneck itself: on a machine with two cores, whatever the generator burns the server cannot
//! have. One thread drives all connections with epoll, requests are copied from a template and sent many at a time,
//! replies are checked where they lie in the read buffer, and nothing is allocated per operation.
//!
//! It knows nothing of zebu: the few records it needs are encoded in [`wire`], from the description of the protocol and
//! independently of `zebu-proto`, so that a mistake there cannot hide here.
//!
//! Start reading at [`load`], the closed loop. [`fill`] makes a tree of a given size, [`probe`] waits for a server that
//! is starting, [`cpu`] reads what a process has used.

pub mod cpu;
pub mod fill;
pub mod load;
pub mod probe;
pub mod session;
pub mod wire;
pub mod workload;

mod connection;
mod error;

pub use error::BenchError;
