//! The zebu server: configuration, sockets, timers, log thread, four-letter words.

pub mod config;
