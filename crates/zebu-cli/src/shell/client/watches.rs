//! Which watches the session has, so that a new connection can have them too.
//!
//! A server forgets a connection's watches when the connection ends; the client registers them again and names the last
//! zxid that it has seen, so that the server can tell what happened in between.

use std::borrow::Cow;
use std::collections::BTreeSet;

use zebu_proto::Zxid;
use zebu_proto::client::{AddWatchMode, EventType, SetWatches, WatcherType};

/// What a successful read leaves behind on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchKind {
    /// From getData, or exists of a node that is there.
    Data,
    /// From exists; becomes [`WatchKind::Data`] if the node is there.
    Exists,
    /// From getChildren.
    Child,
    /// From addWatch.
    Persistent(AddWatchMode),
}

/// Watches by kind and path.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    data: BTreeSet<String>,
    exist: BTreeSet<String>,
    child: BTreeSet<String>,
    persistent: BTreeSet<String>,
    persistent_recursive: BTreeSet<String>,
}

/// Kinds of watches as the events of their removal name them.
///
/// Source: `org.apache.zookeeper.Watcher.Event.EventType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    Data,
    Child,
    Persistent,
}

/// Bytes of paths in one setWatches request, as much as Java sends: far below the least `jute.maxbuffer` in use.
const SET_WATCHES_BYTES_MAX: usize = 128 * 1024;

impl Watches {
    /// Notes a watch that the server has registered.
    pub(crate) fn add(&mut self, kind: WatchKind, path: &str) {
        self.list_mut(kind).insert(path.into());
    }

    fn list_mut(&mut self, kind: WatchKind) -> &mut BTreeSet<String> {
        match kind {
            WatchKind::Data => &mut self.data,
            WatchKind::Exists => &mut self.exist,
            WatchKind::Child => &mut self.child,
            WatchKind::Persistent(AddWatchMode::Persistent) => &mut self.persistent,
            WatchKind::Persistent(AddWatchMode::PersistentRecursive) => &mut self.persistent_recursive,
        }
    }

    /// Forgets the one-shot watches that an event has used up.
    ///
    /// Source: `org.apache.zookeeper.ZKWatchManager.materialize`.
    pub(crate) fn fired(&mut self, event: EventType, path: &str) {
        if event == EventType::NodeChildrenChanged {
            self.child.remove(path);
            return;
        }
        self.data.remove(path);
        self.exist.remove(path);
        if event == EventType::NodeDeleted {
            self.child.remove(path);
        }
    }

    /// Forgets watches that were removed, and says which kinds there were.
    pub(crate) fn remove(&mut self, kind: WatcherType, path: &str) -> Vec<Removed> {
        let mut removed = Vec::new();
        if matches!(kind, WatcherType::Children | WatcherType::Any) && self.child.remove(path) {
            removed.push(Removed::Child);
        }
        if matches!(kind, WatcherType::Data | WatcherType::Any) && (self.data.remove(path) | self.exist.remove(path)) {
            removed.push(Removed::Data);
        }
        let persistent = matches!(kind, WatcherType::Persistent | WatcherType::Any) && self.persistent.remove(path);
        let recursive = matches!(kind, WatcherType::PersistentRecursive | WatcherType::Any)
            && self.persistent_recursive.remove(path);
        if persistent || recursive {
            removed.push(Removed::Persistent);
        }
        removed
    }

    /// The requests that register everything again, none if there is nothing.
    pub(crate) fn to_requests(&self, last_zxid: Zxid) -> Vec<SetWatches<'_>> {
        let mut requests: Vec<SetWatches<'_>> = Vec::new();
        let mut bytes = 0;
        for (index, list) in [
            &self.data,
            &self.exist,
            &self.child,
            &self.persistent,
            &self.persistent_recursive,
        ]
        .into_iter()
        .enumerate()
        {
            for path in list {
                bytes += 4 + path.len();
                if requests.is_empty() || bytes > SET_WATCHES_BYTES_MAX {
                    bytes = 4 + path.len();
                    requests.push(SetWatches {
                        relative_zxid: last_zxid,
                        ..SetWatches::default()
                    });
                }
                if let Some(request) = requests.last_mut() {
                    let lists = [
                        &mut request.data,
                        &mut request.exist,
                        &mut request.child,
                        &mut request.persistent,
                        &mut request.persistent_recursive,
                    ];
                    lists[index].push(Cow::Borrowed(path));
                }
            }
        }
        requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Watches {
        let mut watches = Watches::default();
        watches.add(WatchKind::Data, "/a");
        watches.add(WatchKind::Exists, "/b");
        watches.add(WatchKind::Child, "/a");
        watches.add(WatchKind::Persistent(AddWatchMode::Persistent), "/a");
        watches.add(WatchKind::Persistent(AddWatchMode::PersistentRecursive), "/a");
        watches
    }

    /// The lists of one request, as text.
    fn lists(watches: &Watches) -> String {
        let requests = watches.to_requests(Zxid(5));
        let [request] = &requests[..] else {
            return format!("{} requests", requests.len());
        };
        format!(
            "{:?} {:?} {:?} {:?} {:?}",
            request.data, request.exist, request.child, request.persistent, request.persistent_recursive
        )
    }

    #[test]
    fn everything_is_registered_again_with_the_last_zxid() {
        assert_eq!(lists(&some()), r#"["/a"] ["/b"] ["/a"] ["/a"] ["/a"]"#);
        assert_eq!(some().to_requests(Zxid(5))[0].relative_zxid, Zxid(5));
        assert!(Watches::default().to_requests(Zxid(5)).is_empty());
    }

    #[test]
    fn an_event_uses_up_the_one_shot_watches_that_it_is_about_and_no_others() {
        let check = |event, path, expected: &str| {
            let mut watches = some();
            watches.fired(event, path);
            assert_eq!(lists(&watches), expected, "{event:?} {path}");
        };
        check(EventType::NodeDataChanged, "/a", r#"[] ["/b"] ["/a"] ["/a"] ["/a"]"#);
        check(EventType::NodeCreated, "/b", r#"["/a"] [] ["/a"] ["/a"] ["/a"]"#);
        check(
            EventType::NodeChildrenChanged,
            "/a",
            r#"["/a"] ["/b"] [] ["/a"] ["/a"]"#,
        );
        check(EventType::NodeDeleted, "/a", r#"[] ["/b"] [] ["/a"] ["/a"]"#);
    }

    #[test]
    fn a_removal_takes_the_kinds_that_it_names() {
        let check = |kind, expected: &[Removed]| {
            let mut watches = some();
            assert_eq!(watches.remove(kind, "/a"), expected, "{kind:?}");
            assert_eq!(watches.remove(kind, "/a"), [], "{kind:?} again");
        };
        check(WatcherType::Data, &[Removed::Data]);
        check(WatcherType::Children, &[Removed::Child]);
        check(WatcherType::Persistent, &[Removed::Persistent]);
        check(WatcherType::PersistentRecursive, &[Removed::Persistent]);
        check(WatcherType::Any, &[Removed::Child, Removed::Data, Removed::Persistent]);
    }

    #[test]
    fn many_watches_are_registered_in_several_requests() {
        let mut watches = Watches::default();
        for number in 0..3000 {
            watches.add(WatchKind::Data, &format!("/{number:0100}"));
            watches.add(WatchKind::Child, &format!("/{number:0100}"));
        }
        let requests = watches.to_requests(Zxid(5));
        assert_eq!(requests.len(), 5);
        let paths: usize = requests
            .iter()
            .map(|request| request.data.len() + request.child.len())
            .sum();
        assert_eq!(paths, 6000);
    }
}
