//! The `zebu` command.

fn main() {}
