//! Watches: who wants to know about what.
//!
//! A watch belongs to a connection, not to a session: it goes with the connection, and the client registers it again.
//! There are two tables, as in the reference: *data* (from exists, getData, addWatch) and *child* (from getChildren,
//! addWatch in the mode that is not recursive). In each, a connection can have a path watched in several modes, each on
//! its own.
//!
//! Source: `org.apache.zookeeper.server.watch.WatchManager`, `WatcherMode`.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use foldhash::quality::FixedState;
use hashbrown::HashMap;
use zebu_proto::client::{EventType, ReplyHeader, WatchedEvent, WatcherType};
use zebu_proto::jute::{begin_frame, end_frame};
use zebu_proto::{AclList, Perms, Xid, Zxid, path};
use zebu_tree::{Change, Settings, access};

use crate::connection::{ConnId, Connection, Outputs};

type SeededMap<K, V> = HashMap<K, V, FixedState>;

/// How long a watch lasts and what it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchMode {
    /// One event.
    Standard,
    /// All events of the node and changes of its list of children.
    Persistent,
    /// All events of the node and all below it.
    Recursive,
}

/// A set of modes.
type Modes = u8;

impl WatchMode {
    const fn bit(self) -> Modes {
        match self {
            Self::Standard => 1,
            Self::Persistent => 2,
            Self::Recursive => 4,
        }
    }
}

const STANDARD: Modes = WatchMode::Standard.bit();
const PERSISTENT: Modes = WatchMode::Persistent.bit();
const RECURSIVE: Modes = WatchMode::Recursive.bit();
const ALL: Modes = STANDARD | PERSISTENT | RECURSIVE;

/// Number of a connection in the table.
type Key = u32;

/// All watches of a server.
pub struct WatchTable<C> {
    data: Manager,
    child: Manager,
    connections: Vec<Option<Watching<C>>>,
    free: Vec<Key>,
    keys: BTreeMap<ConnId, Key>,
    hash: FixedState,
    /// Connections to be told about the change at hand; kept to save allocations.
    told: Vec<Key>,
    /// Connections that watch something in the data table.
    data_connections: usize,
    fired: WatchesFired,
}

/// A connection that watches something.
struct Watching<C> {
    conn: C,
    /// Modes in the data table and in the child table, by path.
    paths: SeededMap<Arc<str>, (Modes, Modes)>,
    /// Number of `paths` that are in the data table.
    data_paths: usize,
}

/// One of the two tables.
struct Manager {
    paths: SeededMap<Arc<str>, Watchers>,
    /// Number of watches: a connection counts once for each path, whatever the modes.
    watches: usize,
    /// Number of those with the recursive mode.
    recursive: usize,
}

/// Those who watch one path in one table.
enum Watchers {
    One(Key, Modes),
    Many(BTreeMap<Key, Modes>),
}

/// Sums over the data table, for the word `wchs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchTotals {
    /// Connections that watch something.
    pub connections: usize,
    /// Paths that are watched.
    pub paths: usize,
    /// Watches.
    pub watches: usize,
}

/// How many watches events have fired since the table was made or [`WatchTable::reset_fired`], whether or not whoever
/// watches was permitted to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchesFired {
    /// A node came into being.
    pub created: Fired,
    /// A node was deleted.
    pub deleted: Fired,
    /// A node's data changed.
    pub changed: Fired,
    /// A node's list of children changed.
    pub children: Fired,
}

/// Watches fired by the events of one kind. Events that nobody watched for do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fired {
    /// Events.
    pub events: u64,
    /// Watches of all of them.
    pub watches: u64,
    /// Fewest watches of one event.
    pub min: u64,
    /// Most watches of one event.
    pub max: u64,
}

impl Fired {
    fn add(&mut self, watches: u64) {
        self.min = if self.events == 0 {
            watches
        } else {
            self.min.min(watches)
        };
        self.max = self.max.max(watches);
        self.events += 1;
        self.watches += watches;
    }
}

/// Where a walk over the data table stands. The default is the beginning.
#[derive(Clone, Copy, Debug, Default)]
pub struct WatchCursor {
    conn: Option<ConnId>,
    /// Paths of it that are behind.
    behind: usize,
}

/// What a change means to those who watch a path.
struct Event<'a> {
    kind: EventType,
    path: &'a str,
    acl: &'a AclList,
}

impl<C: Connection> WatchTable<C> {
    /// Nobody watches anything. The seed hides the order of the tables from outside.
    #[must_use]
    pub fn new(hash_seed: u64) -> Self {
        let hash = FixedState::with_seed(hash_seed);
        Self {
            data: Manager::new(&hash),
            child: Manager::new(&hash),
            connections: Vec::new(),
            free: Vec::new(),
            keys: BTreeMap::new(),
            hash,
            told: Vec::new(),
            data_connections: 0,
            fired: WatchesFired::default(),
        }
    }

    /// Registers a watch for the data of a node, or for its coming into being.
    pub fn add_data(&mut self, conn: &C, path: &str, mode: WatchMode) {
        self.add(conn, path, mode.bit(), 0);
    }

    /// Registers a watch for the list of children of a node.
    pub fn add_child(&mut self, conn: &C, path: &str, mode: WatchMode) {
        self.add(conn, path, 0, mode.bit());
    }

    fn add(&mut self, conn: &C, path: &str, data: Modes, child: Modes) {
        let key = self.key(conn);
        let Some(watching) = &mut self.connections[key as usize] else {
            return;
        };
        let (path, before) = match watching.paths.get_key_value_mut(path) {
            Some((path, modes)) => {
                let before = *modes;
                *modes = (before.0 | data, before.1 | child);
                (path.clone(), before)
            }
            None => {
                let path: Arc<str> = self
                    .data
                    .shared(path)
                    .or_else(|| self.child.shared(path))
                    .unwrap_or_else(|| path.into());
                watching.paths.insert(path.clone(), (data, child));
                (path, (0, 0))
            }
        };
        if before.0 == 0 && data != 0 {
            watching.data_paths += 1;
            self.data_connections += usize::from(watching.data_paths == 1);
        }
        self.data.set(&path, key, before.0, before.0 | data);
        self.child.set(&path, key, before.1, before.1 | child);
    }

    fn key(&mut self, conn: &C) -> Key {
        if let Some(key) = self.keys.get(&conn.id()) {
            return *key;
        }
        let watching = Some(Watching {
            conn: conn.clone(),
            paths: SeededMap::with_hasher(self.hash.clone()),
            data_paths: 0,
        });
        let key = match self.free.pop() {
            Some(key) => {
                self.connections[key as usize] = watching;
                key
            }
            None => {
                self.connections.push(watching);
                Key::try_from(self.connections.len() - 1).expect("fewer connections than 2^32")
            }
        };
        self.keys.insert(conn.id(), key);
        key
    }

    /// Whether a connection has a watch of this type on a path.
    #[must_use]
    pub fn contains(&self, conn: ConnId, path: &str, kind: WatcherType) -> bool {
        let Some(watching) = self
            .keys
            .get(&conn)
            .and_then(|key| self.connections[*key as usize].as_ref())
        else {
            return false;
        };
        let Some(&(data, child)) = watching.paths.get(path) else {
            return false;
        };
        let (data_mask, child_mask) = masks(kind);
        match kind {
            WatcherType::Persistent => data & data_mask != 0,
            WatcherType::Children | WatcherType::Data | WatcherType::Any | WatcherType::PersistentRecursive => {
                data & data_mask != 0 || child & child_mask != 0
            }
        }
    }

    /// Removes a connection's watches of this type on a path. Returns whether there were any.
    pub fn remove(&mut self, conn: ConnId, path: &str, kind: WatcherType) -> bool {
        let (data, child) = masks(kind);
        let Some(&key) = self.keys.get(&conn) else { return false };
        self.take(key, path, data, child)
    }

    /// Removes modes of one connection on one path from both tables.
    fn take(&mut self, key: Key, path: &str, data: Modes, child: Modes) -> bool {
        let Some(watching) = &mut self.connections[key as usize] else {
            return false;
        };
        let Some(modes) = watching.paths.get_mut(path) else {
            return false;
        };
        let before = *modes;
        let after = (before.0 & !data, before.1 & !child);
        *modes = after;
        if before.0 != 0 && after.0 == 0 {
            watching.data_paths -= 1;
            self.data_connections -= usize::from(watching.data_paths == 0);
        }
        if after == (0, 0) {
            watching.paths.remove(path);
        }
        self.data.set_existing(path, key, before.0, after.0);
        self.child.set_existing(path, key, before.1, after.1);
        before != after
    }

    /// Forgets a connection and all its watches.
    pub fn remove_connection(&mut self, conn: ConnId) {
        let Some(key) = self.keys.remove(&conn) else { return };
        if let Some(watching) = self.connections[key as usize].take() {
            self.data_connections -= usize::from(watching.data_paths > 0);
            for (path, (data, child)) in watching.paths {
                self.data.set_existing(&path, key, data, 0);
                self.child.set_existing(&path, key, child, 0);
            }
        }
        self.free.push(key);
    }

    /// Tells those who watch about a change: in the order of the reference, each connection once for each event.
    #[allow(clippy::too_many_arguments, reason = "the parts of one change")]
    pub fn trigger(
        &mut self,
        change: Change,
        path: &str,
        acl: &AclList,
        parent_acl: Option<&AclList>,
        zxid: Zxid,
        settings: &Settings,
        outputs: &mut impl Outputs<C>,
    ) {
        if self.data.watches == 0 && self.child.watches == 0 {
            return;
        }
        let kind = match change {
            Change::Created => EventType::NodeCreated,
            Change::Deleted => EventType::NodeDeleted,
            Change::DataChanged => EventType::NodeDataChanged,
        };
        let event = Event { kind, path, acl };
        let mut told = core::mem::take(&mut self.told);
        told.clear();
        self.data_watchers(path, &mut told);
        self.tell(&event, zxid, &told, settings, outputs);
        if change == Change::Deleted {
            let mut also = Vec::new();
            self.child_watchers(path, &mut also);
            also.retain(|key| told.binary_search(key).is_err());
            self.tell(&event, zxid, &also, settings, outputs);
        }
        if let Some(acl) = parent_acl {
            let event = Event {
                kind: EventType::NodeChildrenChanged,
                path: path::event_parent(path),
                acl,
            };
            told.clear();
            self.child_watchers(event.path, &mut told);
            self.tell(&event, zxid, &told, settings, outputs);
        }
        self.told = told;
    }

    /// Collects those who watch a path's data, or recursively the path or something above it; one-shot watches go.
    /// Sorted, each once.
    fn data_watchers(&mut self, path: &str, told: &mut Vec<Key>) {
        if self.data.watches == 0 {
            return;
        }
        self.data.collect(path, ALL, told);
        if self.data.recursive > 0 {
            let mut above = path;
            while above != "/" {
                above = path::event_parent(above);
                self.data.collect(above, RECURSIVE, told);
            }
        }
        told.sort_unstable();
        told.dedup();
        self.consume(path, told, STANDARD, 0);
    }

    /// Collects those who watch a path's list of children; one-shot watches go. Sorted.
    fn child_watchers(&mut self, path: &str, told: &mut Vec<Key>) {
        if self.child.watches == 0 {
            return;
        }
        self.child.collect(path, STANDARD | PERSISTENT, told);
        told.sort_unstable();
        self.consume(path, told, 0, STANDARD);
    }

    fn consume(&mut self, path: &str, told: &[Key], data: Modes, child: Modes) {
        for key in told {
            self.take(*key, path, data, child);
        }
    }

    /// Sends an event to each of these connections that may read the node. It is encoded once.
    fn tell(
        &mut self,
        event: &Event<'_>,
        zxid: Zxid,
        told: &[Key],
        settings: &Settings,
        outputs: &mut impl Outputs<C>,
    ) {
        if told.is_empty() {
            return;
        }
        let fired = match event.kind {
            EventType::NodeCreated => &mut self.fired.created,
            EventType::NodeDeleted => &mut self.fired.deleted,
            EventType::NodeDataChanged => &mut self.fired.changed,
            EventType::NodeChildrenChanged => &mut self.fired.children,
        };
        fired.add(told.len() as u64);
        let frame = event_frame(event.kind, event.path, zxid);
        for key in told {
            let Some(watching) = &self.connections[*key as usize] else {
                continue;
            };
            let may_know =
                event.acl.is_open() || access::permits(event.acl, Perms::READ, &watching.conn.ids(), settings);
            if may_know {
                outputs.send(&watching.conn, |rope| zebu_proto::jute::Write::put(rope, &frame));
            }
        }
    }

    /// Sums over the data table.
    #[must_use]
    pub fn totals(&self) -> WatchTotals {
        WatchTotals {
            connections: self.data_connections,
            paths: self.data.paths.len(),
            watches: self.data.watches,
        }
    }

    /// How many watches events have fired.
    #[must_use]
    pub const fn fired(&self) -> &WatchesFired {
        &self.fired
    }

    /// Begins to count anew.
    pub fn reset_fired(&mut self) {
        self.fired = WatchesFired::default();
    }

    /// Number of watches in both tables.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.data.watches + self.child.watches
    }

    /// Whether nobody watches anything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Walks over the data table, connection by connection, and looks at no more than `count` watches before it pauses:
    /// for those who must not hold the table for as long as all of them take. Returns whether there is more.
    ///
    /// With a connection that has very many, each step passes over those behind it, and looks at a part of as many more:
    /// so all steps together take no longer than a few times one step alone would.
    ///
    /// What changes between two calls may be missed, or be found twice.
    pub fn walk(&self, cursor: &mut WatchCursor, count: usize, mut found: impl FnMut(&C, &Arc<str>)) -> bool {
        let mut left = count.max(cursor.behind / 32);
        let from = cursor.conn.map_or(Bound::Unbounded, Bound::Included);
        for (conn, key) in self.keys.range((from, Bound::Unbounded)) {
            if left == 0 {
                return true;
            }
            if cursor.conn != Some(*conn) {
                *cursor = WatchCursor {
                    conn: Some(*conn),
                    behind: 0,
                };
                // To look at a connection without watches costs something, too.
                left -= 1;
            }
            let Some(watching) = &self.connections[*key as usize] else {
                continue;
            };
            for (path, (data, _)) in watching.paths.iter().skip(cursor.behind) {
                if left == 0 {
                    return true;
                }
                left -= 1;
                cursor.behind += 1;
                if *data != 0 {
                    found(&watching.conn, path);
                }
            }
        }
        false
    }
}

/// The frame of a notification.
pub(crate) fn event_frame(kind: EventType, path: &str, zxid: Zxid) -> Vec<u8> {
    let mut frame = Vec::with_capacity(4 + ReplyHeader::BYTES + 12 + path.len());
    let start = begin_frame(&mut frame);
    ReplyHeader::ok(Xid::NOTIFICATION, zxid).encode(&mut frame);
    WatchedEvent { event: kind, path }.encode(&mut frame);
    end_frame(&mut frame, start);
    frame
}

/// The modes that a type of watch means, in the data table and in the child table.
const fn masks(kind: WatcherType) -> (Modes, Modes) {
    match kind {
        WatcherType::Children => (0, STANDARD),
        WatcherType::Data => (STANDARD, 0),
        WatcherType::Any => (ALL, ALL),
        WatcherType::Persistent => (PERSISTENT, PERSISTENT),
        WatcherType::PersistentRecursive => (RECURSIVE, 0),
    }
}

impl Manager {
    fn new(hash: &FixedState) -> Self {
        Self {
            paths: SeededMap::with_hasher(hash.clone()),
            watches: 0,
            recursive: 0,
        }
    }

    /// The path as it is held already.
    fn shared(&self, path: &str) -> Option<Arc<str>> {
        self.paths.get_key_value(path).map(|(path, _)| path.clone())
    }

    fn collect(&self, path: &str, modes: Modes, told: &mut Vec<Key>) {
        match self.paths.get(path) {
            None => {}
            Some(Watchers::One(key, have)) if have & modes != 0 => told.push(*key),
            Some(Watchers::One(..)) => {}
            Some(Watchers::Many(all)) => {
                told.extend(all.iter().filter(|(_, have)| **have & modes != 0).map(|(key, _)| *key));
            }
        }
    }

    /// Sets the modes of a connection on a path that may not be in the table yet.
    fn set(&mut self, path: &Arc<str>, key: Key, before: Modes, after: Modes) {
        if before == 0 && after != 0 {
            self.count(before, after);
            match self.paths.get_mut(path) {
                None => {
                    self.paths.insert(path.clone(), Watchers::One(key, after));
                }
                Some(watchers) => watchers.set(key, after),
            }
        } else {
            self.set_existing(path, key, before, after);
        }
    }

    /// Sets the modes of a connection on a path that it watches already, if it does.
    fn set_existing(&mut self, path: &str, key: Key, before: Modes, after: Modes) {
        if before == after {
            return;
        }
        self.count(before, after);
        if let Some(watchers) = self.paths.get_mut(path) {
            if after != 0 {
                watchers.set(key, after);
            } else if watchers.remove(key) {
                self.paths.remove(path);
            }
        }
    }

    fn count(&mut self, before: Modes, after: Modes) {
        let one = |modes: Modes| usize::from(modes != 0);
        self.watches = self.watches + one(after) - one(before);
        self.recursive = self.recursive + one(after & RECURSIVE) - one(before & RECURSIVE);
    }
}

impl Watchers {
    fn set(&mut self, key: Key, modes: Modes) {
        match self {
            Self::One(one, have) if *one == key => *have = modes,
            Self::One(one, have) => *self = Self::Many(BTreeMap::from([(*one, *have), (key, modes)])),
            Self::Many(all) => {
                all.insert(key, modes);
            }
        }
    }

    /// Removes a connection. Returns whether nobody is left.
    fn remove(&mut self, key: Key) -> bool {
        match self {
            Self::One(one, _) => *one == key,
            Self::Many(all) => {
                all.remove(&key);
                all.is_empty()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use zebu_proto::client::ConnectResponse;
    use zebu_proto::{Id, OwnerRules, SessionId};

    use super::*;
    use crate::connection::{Answered, Close};
    use crate::{Rope, SessionHandle};

    #[derive(Clone)]
    struct Conn(u64);

    impl Connection for Conn {
        fn id(&self) -> ConnId {
            ConnId(self.0)
        }

        fn ids(&self) -> Arc<[Id]> {
            [].into()
        }

        fn session(&self) -> SessionId {
            SessionId::NONE
        }
    }

    /// Nobody is told anything.
    struct Silence;

    impl Outputs<Conn> for Silence {
        fn send(&mut self, _: &Conn, _: impl FnOnce(&mut Rope)) {}
        fn answered(&mut self, _: &Conn, _: Answered) {}
        fn abandoned(&mut self, _: usize) {}
        fn established(&mut self, _: &Conn, _: &Arc<SessionHandle>, _: &ConnectResponse) {}
        fn close(&mut self, _: &Conn, _: Close) {}
    }

    fn settings() -> Settings {
        Settings {
            owner_rules: OwnerRules {
                extended_types: false,
                emulate_353: false,
            },
            skip_acl: false,
            digest_scheme: true,
            enforce_quota: false,
            digest: true,
            close_session_txn: true,
            txn_bytes_max: 1 << 20,
            hash_seed: 1,
        }
    }

    /// Connection 1 watches nothing but children, 2 and 4 the data of `/p`, 4 in two modes, and 4 much else.
    fn table() -> WatchTable<Conn> {
        let mut table = WatchTable::new(7);
        table.add_child(&Conn(1), "/p", WatchMode::Standard);
        table.add_data(&Conn(2), "/p", WatchMode::Standard);
        table.add_data(&Conn(4), "/p", WatchMode::Standard);
        table.add_data(&Conn(4), "/p", WatchMode::Recursive);
        for number in 0..10 {
            table.add_data(&Conn(4), &alloc::format!("/many/{number}"), WatchMode::Persistent);
        }
        table
    }

    #[test]
    fn a_connection_counts_once_for_a_path_whatever_the_modes() {
        let mut table = table();
        let totals = |connections, paths, watches| WatchTotals {
            connections,
            paths,
            watches,
        };
        assert_eq!(table.totals(), totals(2, 11, 12));
        assert_eq!(table.len(), 13);
        assert!(table.remove(ConnId(2), "/p", WatcherType::Data));
        assert_eq!(table.totals(), totals(1, 11, 11));
        assert!(table.remove(ConnId(4), "/p", WatcherType::Data));
        assert_eq!(table.totals(), totals(1, 11, 11), "the recursive mode is left");
        table.remove_connection(ConnId(4));
        assert_eq!(table.totals(), totals(0, 0, 0));
        table.remove_connection(ConnId(1));
        assert!(table.is_empty());
    }

    #[test]
    fn a_walk_finds_everything_in_steps_of_any_size() {
        let table = table();
        for count in 1..20 {
            let mut cursor = WatchCursor::default();
            let mut found = BTreeSet::new();
            let mut steps = 0;
            while table.walk(&mut cursor, count, |conn, path| {
                assert!(found.insert((conn.0, path.clone())), "found once");
            }) {
                steps += 1;
                assert!(steps < 40, "it ends");
            }
            assert_eq!(found.len(), 12, "in steps of {count}");
        }
    }

    #[test]
    fn fired_watches_are_counted_by_kind() {
        let mut table = table();
        let mut trigger = |change, path: &str| {
            table.trigger(change, path, &AclList::OPEN, None, Zxid(1), &settings(), &mut Silence);
        };
        trigger(Change::DataChanged, "/p");
        trigger(Change::DataChanged, "/p");
        trigger(Change::DataChanged, "/elsewhere");
        trigger(Change::Deleted, "/p");
        let changed = Fired {
            events: 2,
            watches: 3,
            min: 1,
            max: 2,
        };
        assert_eq!(
            table.fired().changed,
            changed,
            "one shots first, then the recursive one alone"
        );
        assert_eq!(
            table.fired().deleted.events,
            2,
            "who watches the children hears of it as well"
        );
        table.reset_fired();
        assert_eq!(*table.fired(), WatchesFired::default());
    }
}
