//! The znode tree as a deterministic state machine.
