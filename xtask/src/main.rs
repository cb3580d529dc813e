//! Automation for the zebu workspace.

fn main() {}
