//! The ZooKeeper wire and disk records: identifiers, jute codec, client, transaction and snapshot records.
