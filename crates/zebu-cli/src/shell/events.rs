//! Events as text and as JSON.

use serde_json::{Value, json};

use super::client::{End, Event, Removed, SessionState};
use super::path::Chroot;

/// The name of a session's state in prompts.
///
/// Source: `org.apache.zookeeper.ZooKeeper.States`.
pub(crate) const fn state_name(state: SessionState) -> &'static str {
    match state {
        SessionState::Connecting => "CONNECTING",
        SessionState::Connected => "CONNECTED",
        SessionState::ConnectedReadOnly => "CONNECTEDREADONLY",
        SessionState::Ended(End::Closed | End::Expired) => "CLOSED",
        SessionState::Ended(End::AuthFailed) => "AUTH_FAILED",
    }
}

/// The parts of an event: state, type, path.
///
/// Source: `org.apache.zookeeper.Watcher.Event`.
fn parts(event: &Event) -> (&'static str, String, Option<&str>) {
    let connected = "SyncConnected";
    match event {
        Event::State(state) => {
            let state = match state {
                SessionState::Connecting => "Disconnected",
                SessionState::Connected => connected,
                SessionState::ConnectedReadOnly => "ConnectedReadOnly",
                SessionState::Ended(End::Closed) => "Closed",
                SessionState::Ended(End::Expired) => "Expired",
                SessionState::Ended(End::AuthFailed) => "AuthFailed",
            };
            (state, "None".into(), None)
        }
        Event::Watch { event, path } => (connected, format!("{event:?}"), Some(path)),
        Event::Removed(kind, path) => {
            let kind = match kind {
                Removed::Data => "DataWatchRemoved",
                Removed::Child => "ChildWatchRemoved",
                Removed::Persistent => "PersistentWatchRemoved",
            };
            (connected, kind.into(), Some(path))
        }
    }
}

/// An event as zkCli shows it, without the last line feed.
pub(crate) fn text(event: &Event, chroot: &Chroot) -> String {
    let (state, kind, path) = parts(event);
    let path = path.map_or("null", |path| chroot.strip(path));
    format!("\nWATCHER::\n\nWatchedEvent state:{state} type:{kind} path:{path}")
}

/// An event as a document.
pub(crate) fn value(event: &Event, chroot: &Chroot) -> Value {
    let (state, kind, path) = parts(event);
    json!({ "event": { "state": state, "type": kind, "path": path.map(|path| chroot.strip(path)) } })
}

#[cfg(test)]
mod tests {
    use zebu_proto::client::EventType;

    use super::*;

    #[test]
    fn events_have_the_lines_of_zk_cli_and_paths_below_the_chroot() {
        let chroot = Chroot::new("/app".into());
        let event = Event::Watch {
            event: EventType::NodeDataChanged,
            path: "/app/x".into(),
        };
        assert_eq!(
            text(&event, &chroot),
            "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:NodeDataChanged path:/x"
        );
        assert_eq!(
            text(&Event::State(SessionState::Connected), &chroot),
            "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:None path:null"
        );
        assert_eq!(
            value(&event, &chroot).to_string(),
            r#"{"event":{"path":"/x","state":"SyncConnected","type":"NodeDataChanged"}}"#
        );
    }
}
