//! Requests that are answered from the applied state.

use alloc::borrow::Cow;
use core::ops::DerefMut;

use zebu_proto::client::{
    AddWatchMode, EventType, MultiHeader, MultiOp, MultiRequest, ReplyHeader, Request, SetWatches,
};
use zebu_proto::jute::Write;
use zebu_proto::{AclList, ErrorCode, Id, OpCode, Perms, SessionId, Xid, Zxid};
use zebu_tree::{NodeView, Tree, access};

use crate::auth;
use crate::connection::Connection;
use crate::output::Rope;
use crate::watch::{WatchMode, WatchTable, event_frame};

/// What is decided: the tree as of the last transaction applied.
pub struct Replica {
    pub(crate) tree: Tree,
    is_serving: bool,
}

/// Access to the watches for somebody who reads.
pub trait WatchAccess<C> {
    /// Waits until nobody else uses the table.
    fn lock(&self) -> impl DerefMut<Target = WatchTable<C>>;
}

/// Who reads.
#[derive(Clone, Copy)]
pub struct Reader<'a, C> {
    /// Whose watches are registered.
    pub conn: &'a C,
    /// Whose ephemeral nodes are listed.
    pub session: SessionId,
    /// Identities at the time of the request.
    pub ids: &'a [Id],
}

/// What becomes of the connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It goes on.
    Open,
    /// It is closed once the reply is sent.
    Close,
}

/// How many times the largest frame the reply of a multiRead may be. A small request can name much data many times; the
/// reference answers whatever it is, up to the end of its memory, and its own clients take no reply above one such frame
/// unless told to.
const MULTI_READ_FACTOR: usize = 4;

/// Why a read was refused.
type Refusal = ErrorCode;

impl Replica {
    /// A replica with this state.
    #[must_use]
    pub const fn new(tree: Tree) -> Self {
        Self { tree, is_serving: true }
    }

    /// Whether clients may see it. A server without a leader may hold what will have to be taken back.
    #[must_use]
    pub const fn is_serving(&self) -> bool {
        self.is_serving
    }

    /// Clients may see it from now on, or may not any more.
    pub const fn set_serving(&mut self, is_serving: bool) {
        self.is_serving = is_serving;
    }

    /// Puts another tree in the place of this one, which is returned for the caller to drop where that holds up nobody.
    pub const fn replace(&mut self, tree: Tree) -> Tree {
        core::mem::replace(&mut self.tree, tree)
    }

    /// The tree.
    #[must_use]
    pub const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The tree, to begin and end captures of snapshots. Transactions are applied by [`Node::commit`](crate::Node::commit)
    /// only.
    pub const fn tree_mut(&mut self) -> &mut Tree {
        &mut self.tree
    }

    /// Answers a request that is not a write: appends its reply, and events that come before it, to `out`.
    ///
    /// The header's zxid, the data, and the watch that is registered belong to one state, as long as the caller keeps
    /// this reference and puts `out` before everything that is sent to the connection later.
    pub fn read<C: Connection>(
        &self,
        watches: &impl WatchAccess<C>,
        reader: &Reader<'_, C>,
        xid: Xid,
        op: i32,
        body: &[u8],
        out: &mut Rope,
    ) -> After {
        let zxid = self.tree.last_zxid();
        let Some(op) = OpCode::from_i32(op).filter(|op| op.is_client_request() && !op.is_write()) else {
            // The zxid of an unknown operation is −1.
            out.reply(ReplyHeader::error(xid, Zxid(-1), ErrorCode::Unimplemented), |_| {});
            return After::Close;
        };
        let answered = match Request::decode(op, body) {
            Ok(request) => self.answer(watches, reader, xid, &request, out),
            Err(_) => Err(ErrorCode::MarshallingError),
        };
        if let Err(error) = answered {
            out.reply(ReplyHeader::error(xid, zxid, error), |_| {});
        }
        After::Open
    }

    fn answer<C: Connection>(
        &self,
        watches: &impl WatchAccess<C>,
        reader: &Reader<'_, C>,
        xid: Xid,
        request: &Request<'_>,
        out: &mut Rope,
    ) -> Result<(), Refusal> {
        let ok = ReplyHeader::ok(xid, self.tree.last_zxid());
        match request {
            Request::Ping => out.reply(ReplyHeader { xid: Xid::PING, ..ok }, |_| {}),
            Request::GetData { path, watch } => {
                let node = self.readable(reader, path)?;
                if *watch {
                    watches.lock().add_data(reader.conn, path, WatchMode::Standard);
                }
                out.reply(ok, |out| {
                    out.value(node.data());
                    node.stat().encode(out);
                });
            }
            Request::Exists { path, watch } => {
                let node = self.existing(reader, watches, path, *watch)?;
                out.reply(ok, |out| node.stat().encode(out));
            }
            Request::GetChildren { path, watch } => {
                let node = self.listed(reader, watches, path, *watch)?;
                out.reply(ok, |out| encode_children(&node, out));
            }
            Request::GetChildren2 { path, watch } => {
                let node = self.listed(reader, watches, path, *watch)?;
                out.reply(ok, |out| {
                    encode_children(&node, out);
                    node.stat().encode(out);
                });
            }
            Request::GetAllChildrenNumber { path } => {
                self.readable(reader, path)?;
                let count = self.tree.descendants(path).unwrap_or(0);
                out.reply(ok, |out| out.length(count));
            }
            Request::GetAcl { path } => {
                let (acl, node) = self.acl(reader, path)?;
                out.reply(ok, |out| {
                    acl.encode(out);
                    node.stat().encode(out);
                });
            }
            Request::Sync { path } => out.reply(ok, |out| out.optional_string(path.as_deref())),
            Request::MultiRead(multi) => {
                let mark = out.mark();
                let bytes_max = MULTI_READ_FACTOR.saturating_mul(self.tree.settings().txn_bytes_max);
                let mut is_whole = true;
                out.reply(ok, |out| is_whole = self.multi_read(reader, multi, bytes_max, out));
                if !is_whole {
                    out.rollback(&mark);
                    return Err(ErrorCode::BadArguments);
                }
            }
            Request::GetEphemerals { prefix } => {
                let prefix = prefix.as_deref().unwrap_or_default();
                let mut paths = self.tree.ephemerals(reader.session);
                if !matches!(prefix.trim(), "" | "/") {
                    paths.retain(|path| path.starts_with(prefix));
                }
                out.reply(ok, |out| {
                    out.length(paths.len());
                    paths.iter().for_each(|path| out.string(path));
                });
            }
            Request::WhoAmI => out.reply(ok, |out| {
                out.length(reader.ids.len());
                for id in reader.ids {
                    out.string(&id.scheme);
                    out.string(auth::user_name(id));
                }
            }),
            Request::SetWatches(set) => {
                self.set_watches(watches, reader, set, out);
                out.reply(ok, |_| {});
            }
            Request::AddWatch { path, mode } => {
                let mode = mode.ok_or(ErrorCode::MarshallingError)?;
                let mut watches = watches.lock();
                match mode {
                    AddWatchMode::Persistent => {
                        watches.add_data(reader.conn, path, WatchMode::Persistent);
                        watches.add_child(reader.conn, path, WatchMode::Persistent);
                    }
                    AddWatchMode::PersistentRecursive => watches.add_data(reader.conn, path, WatchMode::Recursive),
                }
                out.reply(ok, |out| out.int(0));
            }
            Request::CheckWatches { path, kind } => {
                let kind = kind.ok_or(ErrorCode::MarshallingError)?;
                if !watches.lock().contains(reader.conn.id(), path, kind) {
                    return Err(ErrorCode::NoWatcher);
                }
                out.reply(ok, |_| {});
            }
            Request::RemoveWatches { path, kind } => {
                let kind = kind.ok_or(ErrorCode::MarshallingError)?;
                if !watches.lock().remove(reader.conn.id(), path, kind) {
                    return Err(ErrorCode::NoWatcher);
                }
                out.reply(ok, |_| {});
            }
            // Without SASL the reference answers success and no token: the client then goes on without.
            Request::Sasl { .. } => out.reply(ReplyHeader::ok(xid, Zxid::ZERO), |out| out.buffer(None)),
            Request::Auth { .. }
            | Request::Create(_)
            | Request::Delete { .. }
            | Request::SetData { .. }
            | Request::SetAcl { .. }
            | Request::CloseSession
            | Request::Multi(_)
            | Request::Reconfig { .. } => return Err(ErrorCode::MarshallingError),
        }
        Ok(())
    }

    /// The node, if it exists and may be read.
    fn readable<C>(&self, reader: &Reader<'_, C>, path: &str) -> Result<NodeView<'_>, Refusal> {
        let node = self.tree.node(path).ok_or(ErrorCode::NoNode)?;
        self.check(node.acl(), Perms::READ, reader.ids)?;
        Ok(node)
    }

    fn check(&self, acl: &AclList, wanted: Perms, ids: &[Id]) -> Result<(), Refusal> {
        if access::permits(acl, wanted, ids, self.tree.settings()) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }

    /// exists watches a missing node as well.
    fn existing<C: Connection>(
        &self,
        reader: &Reader<'_, C>,
        watches: &impl WatchAccess<C>,
        path: &str,
        watch: bool,
    ) -> Result<NodeView<'_>, Refusal> {
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let node = self.tree.node(path);
        if let Some(node) = &node {
            self.check(node.acl(), Perms::READ, reader.ids)?;
        }
        if watch {
            watches.lock().add_data(reader.conn, path, WatchMode::Standard);
        }
        node.ok_or(ErrorCode::NoNode)
    }

    fn listed<C: Connection>(
        &self,
        reader: &Reader<'_, C>,
        watches: &impl WatchAccess<C>,
        path: &str,
        watch: bool,
    ) -> Result<NodeView<'_>, Refusal> {
        let node = self.readable(reader, path)?;
        if watch {
            watches.lock().add_child(reader.conn, path, WatchMode::Standard);
        }
        Ok(node)
    }

    fn acl<C>(&self, reader: &Reader<'_, C>, path: &str) -> Result<(Cow<'_, AclList>, NodeView<'_>), Refusal> {
        let node = self.tree.node(path).ok_or(ErrorCode::NoNode)?;
        self.check(node.acl(), Perms::READ.union(Perms::ADMIN), reader.ids)?;
        let acl = match self.check(node.acl(), Perms::ADMIN, reader.ids) {
            Ok(()) => Cow::Borrowed(node.acl()),
            Err(_) => Cow::Owned(access::masked(node.acl())),
        };
        Ok((acl, node))
    }

    /// Appends the results. Returns whether all of them fit into `bytes_max`.
    fn multi_read<C>(
        &self,
        reader: &Reader<'_, C>,
        multi: &MultiRequest<'_>,
        bytes_max: usize,
        out: &mut Rope,
    ) -> bool {
        let before = out.len();
        for op in &multi.ops {
            if out.len() - before > bytes_max {
                return false;
            }
            let (MultiOp::GetData { path } | MultiOp::GetChildren { path }) = op else {
                continue;
            };
            let header = MultiHeader {
                kind: op.op().code(),
                done: false,
                err: 0,
            };
            match self.readable(reader, path) {
                Err(error) => encode_multi_error(error.code(), out),
                Ok(node) => {
                    header.encode(out);
                    if matches!(op, MultiOp::GetData { .. }) {
                        out.value(node.data());
                        node.stat().encode(out);
                    } else {
                        encode_children(&node, out);
                    }
                }
            }
        }
        MultiHeader::END.encode(out);
        true
    }

    /// Registers again what a client watched before it lost its connection, or tells it what it missed.
    fn set_watches<C: Connection>(
        &self,
        watches: &impl WatchAccess<C>,
        reader: &Reader<'_, C>,
        set: &SetWatches<'_>,
        out: &mut Rope,
    ) {
        let mut watches = watches.lock();
        let mut tell = |kind, path: &str| out.put(&event_frame(kind, path, Zxid(-1)));
        for path in &set.data {
            match self.tree.node(path) {
                None => tell(EventType::NodeDeleted, path),
                Some(node) if node.stored_stat().mzxid > set.relative_zxid => tell(EventType::NodeDataChanged, path),
                Some(_) => watches.add_data(reader.conn, path, WatchMode::Standard),
            }
        }
        for path in &set.exist {
            match self.tree.node(path) {
                Some(_) => tell(EventType::NodeCreated, path),
                None => watches.add_data(reader.conn, path, WatchMode::Standard),
            }
        }
        for path in &set.child {
            match self.tree.node(path) {
                None => tell(EventType::NodeDeleted, path),
                Some(node) if node.stored_stat().pzxid > set.relative_zxid => {
                    tell(EventType::NodeChildrenChanged, path)
                }
                Some(_) => watches.add_child(reader.conn, path, WatchMode::Standard),
            }
        }
        for path in &set.persistent {
            watches.add_data(reader.conn, path, WatchMode::Persistent);
            watches.add_child(reader.conn, path, WatchMode::Persistent);
        }
        for path in &set.persistent_recursive {
            watches.add_data(reader.conn, path, WatchMode::Recursive);
        }
    }
}

fn encode_children(node: &NodeView<'_>, out: &mut Rope) {
    out.length(node.children_count() as usize);
    for name in node.children() {
        out.string(name);
    }
}

/// An error as the result of a multi's element: the code stands twice, and different clients read either.
pub(crate) fn encode_multi_error(code: i32, out: &mut impl Write) {
    MultiHeader {
        kind: OpCode::Error.code(),
        done: false,
        err: code,
    }
    .encode(out);
    out.int(code);
}
