//! A small blocking client: one session, one thread that keeps it, requests from any other.
//!
//! It knows the wire, sessions and watches, and nothing of commands, text or chroots: every path is one from the server's
//! root. Start reading at [`Client`]; what keeps the session alive is in `session`.

mod decode;
mod encode;
mod error;
mod frame;
mod servers;
mod session;
#[cfg(test)]
mod tests;
mod watches;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use zebu_proto::client::{AddWatchMode, CreateRequest, MultiOp, MultiRequest, Request, WatcherType};
use zebu_proto::jute::Reader;
use zebu_proto::{Acl, AclList, CreateMode, ErrorCode, OpCode, RequestedAcl, SessionId, Stat};

pub(crate) use error::{ClientError, Loss};
pub(crate) use servers::{Servers, ServersError};
pub(crate) use session::{ClientConfig, End, Event, SessionState, Ticket};
pub(crate) use watches::Removed;

use session::{Reply, Session};

/// A request is given up when it got no answer for this long, or for the session timeout if that is longer. The
/// connection lives on: pings are answered in turn with requests, so a server that is merely slow is told from a dead one.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a close waits for the server's answer: the session would time out anyway.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// A session with a ZooKeeper server. All calls block until the answer is there.
///
/// Calls wait for a connection when there is none, until all servers have been tried once. Reads whose connection is
/// lost are sent once more; writes are not, since they may have been done.
///
/// Dropping it ends the connection; only [`Client::close`] ends the session on the server.
pub(crate) struct Client {
    session: Arc<Session>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Starts connecting and returns at once. `on_event` is called on the session's thread and delays it.
    ///
    /// # Errors
    /// If the machine gives no more threads.
    pub(crate) fn start(config: ClientConfig, on_event: impl Fn(Event) + Send + Sync + 'static) -> io::Result<Self> {
        let session = Arc::new(Session::new(config, Box::new(on_event)));
        let thread = std::thread::Builder::new().name("zebu-shell-session".into()).spawn({
            let session = session.clone();
            move || session.run()
        })?;
        Ok(Self {
            session,
            thread: Some(thread),
        })
    }

    /// Returns when there is a connection.
    ///
    /// # Errors
    /// When all servers were tried in vain, or the session is over.
    pub(crate) fn wait_connected(&self) -> Result<(), ClientError> {
        self.session.wait_connected()
    }

    /// How things stand.
    pub(crate) fn state(&self) -> SessionState {
        self.session.phase()
    }

    /// The session's id, [`SessionId::NONE`] before the first connection.
    pub(crate) fn session_id(&self) -> SessionId {
        self.session.session_id()
    }

    /// Closes the session: its ephemeral nodes go. Closing it again does nothing.
    pub(crate) fn close(&self) {
        if matches!(self.state(), SessionState::Connected | SessionState::ConnectedReadOnly)
            && let Ok(ticket) = self.session.submit(&Request::CloseSession)
        {
            // Without an answer the session ends by its timeout.
            let _ = ticket.wait(CLOSE_PATIENCE);
        }
        self.session.end(End::Closed);
    }

    fn patience(&self) -> Duration {
        PATIENCE.max(self.session.timeout())
    }

    /// Sends a request without waiting for its answer; many may be under way.
    ///
    /// # Errors
    /// If there is no connection. Nothing was sent then.
    pub(crate) fn submit(&self, request: &Request<'_>) -> Result<Ticket, ClientError> {
        self.session.submit(request)
    }

    /// Waits for the answer to [`Client::submit`].
    ///
    /// # Errors
    /// If none came, or the server refused.
    fn wait(&self, ticket: Ticket) -> Result<Vec<u8>, ClientError> {
        accepted(ticket.wait(self.patience())?)
    }

    /// Waits for the answer to a submitted getChildren2.
    ///
    /// # Errors
    /// If none came, or the server refused.
    pub(crate) fn wait_children(&self, ticket: Ticket) -> Result<Vec<String>, ClientError> {
        Ok(decode::children(&self.wait(ticket)?)?.0)
    }

    /// A request that changes something: sent once.
    fn write(&self, request: &Request<'_>) -> Result<Vec<u8>, ClientError> {
        self.wait(self.submit(request)?)
    }

    /// A request that changes nothing: sent again if its connection is lost in a way that may not repeat.
    fn read(&self, request: &Request<'_>) -> Result<Vec<u8>, ClientError> {
        match self.write(request) {
            Err(ClientError::ConnectionLost(loss)) if loss.may_pass() => self.write(request),
            result => result,
        }
    }

    /// Creates a node and returns its path, which has a suffix if the mode is sequential. `ttl_ms` belongs to the modes
    /// with a time to live, and is not looked at otherwise.
    ///
    /// # Errors
    /// As the server refuses, or without a connection.
    pub(crate) fn create(
        &self,
        path: &str,
        data: Option<&[u8]>,
        acl: Vec<Acl>,
        mode: CreateMode,
        ttl_ms: i64,
    ) -> Result<String, ClientError> {
        let (op, ttl_ms) = match mode {
            CreateMode::Container => (OpCode::CreateContainer, -1),
            CreateMode::PersistentWithTtl | CreateMode::PersistentSequentialWithTtl => (OpCode::CreateTtl, ttl_ms),
            // Not create2, which servers before 3.5 do not know.
            CreateMode::Persistent
            | CreateMode::Ephemeral
            | CreateMode::PersistentSequential
            | CreateMode::EphemeralSequential => (OpCode::Create, -1),
        };
        let body = self.write(&Request::Create(CreateRequest {
            op,
            path: path.into(),
            data,
            acl: RequestedAcl::List(AclList::new(acl)),
            flags: mode.flags(),
            ttl_ms,
        }))?;
        Ok(Reader::new(&body).required_string("path")?.into_owned())
    }

    /// Deletes a node if it has this data version, −1 standing for any.
    ///
    /// # Errors
    /// As the server refuses, or without a connection.
    pub(crate) fn delete(&self, path: &str, version: i32) -> Result<(), ClientError> {
        let path = path.into();
        self.write(&Request::Delete { path, version }).map(|_| ())
    }

    /// Deletes all these nodes or none of them, in order. An error names the index of the node that was in the way.
    ///
    /// # Errors
    /// The index is `None` where the request failed as a whole.
    pub(crate) fn delete_all(&self, paths: &[String]) -> Result<(), (Option<usize>, ClientError)> {
        let ops = paths
            .iter()
            .map(|path| MultiOp::Delete {
                path: path.into(),
                version: -1,
            })
            .collect();
        let body = self
            .write(&Request::Multi(MultiRequest { ops }))
            .map_err(|error| (None, error))?;
        match decode::deletes(&body).map_err(|error| (None, error.into()))? {
            None => Ok(()),
            Some((index, code)) => Err((Some(index), refusal(code))),
        }
    }

    /// A node's stat, `None` if there is no node. With `watch`, the next change of the node is told.
    ///
    /// # Errors
    /// As the server refuses, or without a connection.
    pub(crate) fn exists(&self, path: &str, watch: bool) -> Result<Option<Stat>, ClientError> {
        let path = path.into();
        match self.read(&Request::Exists { path, watch }) {
            Ok(body) => Ok(Some(Stat::decode(&mut Reader::new(&body))?)),
            Err(ClientError::Refused(ErrorCode::NoNode)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A node's data, `None` for null, and its stat.
    ///
    /// # Errors
    /// As the server refuses, or without a connection.
    pub(crate) fn data(&self, path: &str, watch: bool) -> Result<(Option<Vec<u8>>, Stat), ClientError> {
        let path = path.into();
        Ok(decode::data(&self.read(&Request::GetData { path, watch })?)?)
    }

    /// Sets a node's data if it has this version, −1 standing for any.
    ///
    /// # Errors
    /// As the server refuses, or without a connection.
    pub(crate) fn set_data(&self, path: &str, data: Option<&[u8]>, version: i32) -> Result<Stat, ClientError> {
        let path = path.into();
        let body = self.write(&Request::SetData { path, data, version })?;
        Ok(Stat::decode(&mut Reader::new(&body))?)
    }

    /// A node's ACL and stat.
    ///
    /// # Errors
    /// As the server refuses, or without a connection.
    pub(crate) fn acl(&self, path: &str) -> Result<(Vec<Acl>, Stat), ClientError> {
        let path = path.into();
        Ok(decode::acl(&self.read(&Request::GetAcl { path })?)?)
    }

    /// Sets a node's ACL if it has this ACL version, −1 standing for any.
    ///
    /// # Errors
    /// As the server refuses, or without a connection.
    pub(crate) fn set_acl(&self, path: &str, acl: &[Acl], version: i32) -> Result<Stat, ClientError> {
        let path = path.into();
        let acl = RequestedAcl::List(AclList::new(acl.to_vec()));
        let body = self.write(&Request::SetAcl { path, acl, version })?;
        Ok(Stat::decode(&mut Reader::new(&body))?)
    }

    /// The names of a node's children, in no order, and the node's stat.
    ///
    /// # Errors
    /// As the server refuses, or without a connection.
    pub(crate) fn children(&self, path: &str, watch: bool) -> Result<(Vec<String>, Stat), ClientError> {
        let path = path.into();
        Ok(decode::children(&self.read(&Request::GetChildren2 { path, watch })?)?)
    }

    /// How many nodes there are below a node.
    ///
    /// # Errors
    /// As the server refuses, or without a connection.
    pub(crate) fn all_children_number(&self, path: &str) -> Result<i32, ClientError> {
        let path = path.into();
        let body = self.read(&Request::GetAllChildrenNumber { path })?;
        Ok(Reader::new(&body).int("totalNumber")?)
    }

    /// Paths of the session's ephemeral nodes that start with `prefix`.
    ///
    /// # Errors
    /// Without a connection.
    pub(crate) fn ephemerals(&self, prefix: &str) -> Result<Vec<String>, ClientError> {
        let prefix = Some(prefix.into());
        let body = self.read(&Request::GetEphemerals { prefix })?;
        Ok(decode::strings(&mut Reader::new(&body), "ephemerals")?)
    }

    /// Returns when the server has caught up with what the leader has decided.
    ///
    /// # Errors
    /// As the server refuses, or without a connection.
    pub(crate) fn sync(&self, path: &str) -> Result<(), ClientError> {
        let path = Some(path.into());
        self.read(&Request::Sync { path }).map(|_| ())
    }

    /// Who the server takes this connection for: scheme and user.
    ///
    /// # Errors
    /// As the server refuses, or without a connection.
    pub(crate) fn identities(&self) -> Result<Vec<(String, String)>, ClientError> {
        Ok(decode::identities(&self.read(&Request::WhoAmI)?)?)
    }

    /// Presents credentials, on this connection and on each that follows.
    ///
    /// # Errors
    /// If the server refuses them, after which it closes the connection. They are not sent again then.
    pub(crate) fn add_auth(&self, scheme: &str, auth: &[u8]) -> Result<(), ClientError> {
        let request = Request::Auth {
            scheme: scheme.into(),
            auth: Some(auth),
        };
        self.write(&request)?;
        self.session.remember_auth(scheme, auth);
        Ok(())
    }

    /// Registers a watch that stays.
    ///
    /// # Errors
    /// As the server refuses, or without a connection.
    pub(crate) fn add_watch(&self, path: &str, mode: AddWatchMode) -> Result<(), ClientError> {
        let path = path.into();
        let mode = Some(mode);
        self.read(&Request::AddWatch { path, mode }).map(|_| ())
    }

    /// Removes watches from the server, and then here. With `local`, here alone if there is no connection; whether there
    /// were any is the result.
    ///
    /// # Errors
    /// As the server refuses, or without a connection.
    pub(crate) fn remove_watches(&self, path: &str, kind: WatcherType, local: bool) -> Result<bool, ClientError> {
        let request = Request::RemoveWatches {
            path: path.into(),
            kind: Some(kind),
        };
        match self.write(&request) {
            Ok(_) => {
                self.session.forget_watches(kind, path);
                Ok(true)
            }
            Err(ClientError::NotConnected(_)) if local => Ok(self.session.forget_watches(kind, path)),
            Err(error) => Err(error),
        }
    }

    /// Changes the members of the ensemble: `joining` and `leaving`, or `members` in their place. Returns the new
    /// configuration and the stat of its node.
    ///
    /// # Errors
    /// As the server refuses, or without a connection.
    pub(crate) fn reconfig(
        &self,
        joining: Option<&str>,
        leaving: Option<&str>,
        members: Option<&str>,
        config_id: i64,
    ) -> Result<(Option<Vec<u8>>, Stat), ClientError> {
        let body = self.write(&Request::Reconfig {
            joining: joining.map(Into::into),
            leaving: leaving.map(Into::into),
            new_members: members.map(Into::into),
            config_id,
        })?;
        Ok(decode::data(&body)?)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.session.end(End::Closed);
        if let Some(thread) = self.thread.take()
            && thread.is_finished()
        {
            // Unfinished, it is looking up a name or connecting, and ends right after that.
            let _ = thread.join();
        }
    }
}

/// The body of an answer that is no refusal.
fn accepted(reply: Reply) -> Result<Vec<u8>, ClientError> {
    if reply.code == 0 {
        Ok(reply.body)
    } else {
        Err(refusal(reply.code))
    }
}

fn refusal(code: i32) -> ClientError {
    ErrorCode::from_i32(code).map_or(ClientError::UnknownCode(code), ClientError::Refused)
}

/// The path of a child.
pub(crate) fn child_path(parent: &str, name: &str) -> String {
    let parent = if parent == "/" { "" } else { parent };
    format!("{parent}/{name}")
}
