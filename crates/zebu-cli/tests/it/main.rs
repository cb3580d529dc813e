//! The program as others start it.

mod descriptors;
