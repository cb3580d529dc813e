//! Watch events.

use crate::jute::{DecodeError, DecodeErrorKind, Reader, Write};

/// What happened to a node.
///
/// Source: `org.apache.zookeeper.Watcher.Event.EventType`; the types made by clients themselves are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are the protocol's own")]
pub enum EventType {
    NodeCreated = 1,
    NodeDeleted = 2,
    NodeDataChanged = 3,
    NodeChildrenChanged = 4,
}

/// The record of a notification, behind a reply header with xid −1.
///
/// Source: `org.apache.zookeeper.proto.WatcherEvent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchedEvent<'a> {
    /// What happened.
    pub event: EventType,
    /// To which node.
    pub path: &'a str,
}

/// `KeeperState.SyncConnected`: the only state a server ever sends.
const SYNC_CONNECTED: i32 = 3;

impl<'a> WatchedEvent<'a> {
    /// Appends the record.
    pub fn encode(&self, out: &mut impl Write) {
        out.int(self.event as i32);
        out.int(SYNC_CONNECTED);
        out.string(self.path);
    }

    /// Reads the record.
    ///
    /// # Errors
    /// If it ends early, the type is not one that servers send, or the path is not UTF-8.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let event = match reader.int("type")? {
            1 => EventType::NodeCreated,
            2 => EventType::NodeDeleted,
            3 => EventType::NodeDataChanged,
            4 => EventType::NodeChildrenChanged,
            other => return Err(reader.error("type", DecodeErrorKind::Unknown(other))),
        };
        reader.int("state")?;
        let path = reader.buffer("path")?.unwrap_or_default();
        let path = core::str::from_utf8(path).map_err(|_| reader.error("path", DecodeErrorKind::Inconsistent))?;
        Ok(Self { event, path })
    }
}
