//! This server among others: the ports between the servers of an ensemble.

pub(crate) mod election_port;
