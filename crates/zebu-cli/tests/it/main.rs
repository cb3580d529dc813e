//! The program as others start it.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod descriptors;
