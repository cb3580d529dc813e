//! Transaction log, snapshots and epoch files in ZooKeeper's own format.
