//! The codecs against golden bytes: what Java's programs really sent and wrote. `testdata/README.md` says where they
//! come from.

mod between;
mod config;
mod fixture;
mod request_bytes;
mod snapshot;
mod txn;
mod wire;
