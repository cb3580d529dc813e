//! What a command ends with when it does not succeed.
//!
//! The first line of each message begins as zkCli's does, since scripts look for it; the hint says what to do next.

use std::io;

use thiserror::Error;
use zebu_proto::ErrorCode;

use super::client::{ClientError, Loss};
use super::command::UsageError;
use super::path::NodePath;

/// Why a command did not succeed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum ShellError {
    /// The words are no command.
    #[error("{error}")]
    Usage {
        /// What is wrong with them.
        error: UsageError,
        /// The first of them.
        name: Option<String>,
    },
    /// The server refused, or could not be asked.
    #[error("{}", describe(.error, .target))]
    Client {
        /// What the client says.
        error: ClientError,
        /// What the command was about.
        target: Target,
    },
    /// There was a session, and it was closed.
    #[error("Not connected")]
    NotConnected,
    /// A limit for a node that is not there.
    #[error("{0} does not exist")]
    QuotaTarget(String),
    /// A limit where servers heed none.
    #[error("cannot set a quota on {0}")]
    QuotaPlace(String),
    /// A limit on a node above or below one that has limits.
    #[error("{path} lies {relation} {other}, which has a quota")]
    QuotaNested {
        /// The node that was to have a quota.
        path: String,
        /// `above` or `below`.
        relation: &'static str,
        /// The node that has one.
        other: String,
    },
    /// Limits that are not there.
    #[error("quota for {0} does not exist.")]
    NoQuota(String),
    /// Something that is never deleted.
    #[error("{0} cannot be deleted")]
    Undeletable(String),
    /// A recursive delete that stopped on its way.
    #[error("deleted {deleted} of {total} nodes, then: {error}")]
    PartlyDeleted {
        /// Nodes that are gone.
        deleted: usize,
        /// Nodes that there were.
        total: usize,
        /// What stopped it.
        error: Box<Self>,
    },
    /// A walk that could not look into some nodes.
    #[error("Insufficient permission : {first}{}", more(.count))]
    Denied {
        /// The first of them.
        first: String,
        /// How many.
        count: usize,
    },
    /// Not a line of the history.
    #[error("{0} is not in the history")]
    Redo(usize),
    /// A file named in the command.
    #[error("cannot read {path}: {source}")]
    File {
        /// Which one.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// No more commands can be read: the terminal or the file fails, or holds what is not UTF-8.
    #[error("cannot read commands: {0}")]
    Input(io::Error),
    /// The machine gives no thread for the session.
    #[error("cannot start a session: {0}")]
    Session(io::Error),
    /// Nowhere to write results to.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// What a request was about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Target {
    /// No node in particular.
    #[default]
    Session,
    /// A node to look at.
    Read(String),
    /// A node to change.
    Write(String),
    /// A node to create.
    Create(String),
}

impl Target {
    pub(crate) fn path(&self) -> Option<&str> {
        match self {
            Self::Session => None,
            Self::Read(path) | Self::Write(path) | Self::Create(path) => Some(path),
        }
    }
}

/// Says what a request was about when it fails.
pub(crate) trait On<T> {
    /// A request that looks at `path`.
    fn reading(self, path: impl Into<String>) -> Result<T, ShellError>;
    /// A request that changes `path`.
    fn writing(self, path: impl Into<String>) -> Result<T, ShellError>;
    /// A request that creates `path`.
    fn creating(self, path: impl Into<String>) -> Result<T, ShellError>;
}

impl<T> On<T> for Result<T, ClientError> {
    fn reading(self, path: impl Into<String>) -> Result<T, ShellError> {
        self.map_err(|error| ShellError::on(error, Target::Read(path.into())))
    }

    fn writing(self, path: impl Into<String>) -> Result<T, ShellError> {
        self.map_err(|error| ShellError::on(error, Target::Write(path.into())))
    }

    fn creating(self, path: impl Into<String>) -> Result<T, ShellError> {
        self.map_err(|error| ShellError::on(error, Target::Create(path.into())))
    }
}

impl From<ClientError> for ShellError {
    fn from(error: ClientError) -> Self {
        Self::on(error, Target::Session)
    }
}

impl From<UsageError> for ShellError {
    fn from(error: UsageError) -> Self {
        Self::Usage { error, name: None }
    }
}

impl ShellError {
    pub(crate) const fn on(error: ClientError, target: Target) -> Self {
        Self::Client { error, target }
    }

    /// Whether the reader of our output has gone, which is no failure of ours.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The server's code, where it gave one.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Client { error, .. } => error.code(),
            Self::PartlyDeleted { error, .. } => error.code(),
            Self::Denied { .. } => Some(ErrorCode::NoAuth),
            Self::Usage { .. }
            | Self::NotConnected
            | Self::QuotaTarget(_)
            | Self::QuotaPlace(_)
            | Self::QuotaNested { .. }
            | Self::NoQuota(_)
            | Self::Undeletable(_)
            | Self::Redo(_)
            | Self::File { .. }
            | Self::Input(_)
            | Self::Session(_)
            | Self::Output(_) => None,
        }
    }

    /// The node that it is about.
    pub(crate) fn path(&self) -> Option<&str> {
        match self {
            Self::Client { target, .. } => target.path(),
            Self::QuotaTarget(path)
            | Self::QuotaPlace(path)
            | Self::QuotaNested { path, .. }
            | Self::NoQuota(path)
            | Self::Undeletable(path)
            | Self::Denied { first: path, .. } => Some(path),
            Self::PartlyDeleted { error, .. } => error.path(),
            Self::Usage { .. }
            | Self::NotConnected
            | Self::Redo(_)
            | Self::File { .. }
            | Self::Input(_)
            | Self::Session(_)
            | Self::Output(_) => None,
        }
    }

    /// What to do next.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { error, name } => error.hint(name.as_deref()),
            Self::Client { error, target } => hint(error, target),
            Self::NotConnected => Some("connect HOST:PORT opens a session".into()),
            Self::QuotaTarget(path) => Some(format!("create {path} comes first")),
            Self::QuotaNested { other, .. } => Some(format!("delquota {other} removes it")),
            Self::NoQuota(path) => Some(format!("setquota -N 1000 {path} sets one")),
            Self::QuotaPlace(_) => Some("set it on nodes below the root and outside of /zookeeper".into()),
            Self::Undeletable(_) => Some("name one of the nodes below it".into()),
            Self::PartlyDeleted { .. } => Some("the same command goes on with the rest".into()),
            Self::Denied { first, .. } => Some(format!("getAcl {first} shows who may; addauth presents credentials")),
            Self::Redo(_) => Some("history lists what is".into()),
            Self::File { .. } | Self::Input(_) | Self::Session(_) | Self::Output(_) => None,
        }
    }
}

fn more(count: &usize) -> String {
    match count.saturating_sub(1) {
        0 => String::new(),
        others => format!(" and {others} more"),
    }
}

/// The message for an error of the client.
fn describe(error: &ClientError, target: &Target) -> String {
    let (Some(code), Some(path)) = (error.code(), target.path()) else {
        return match error.code() {
            Some(ErrorCode::AuthFailed) => "Authentication failed".into(),
            _ => error.to_string(),
        };
    };
    match code {
        ErrorCode::NoNode => format!("Node does not exist: {path}"),
        ErrorCode::NodeExists => format!("Node already exists: {path}"),
        ErrorCode::NotEmpty => format!("Node not empty: {path}"),
        ErrorCode::NoChildrenForEphemerals => format!("Ephemerals cannot have children: {path}"),
        ErrorCode::NotReadOnly => format!("Not a read-only call: {path}"),
        ErrorCode::InvalidAcl => format!("Acl is not valid : {path}"),
        ErrorCode::NoAuth => format!("Insufficient permission : {path}"),
        ErrorCode::BadArguments => format!("Arguments are not valid : {path}"),
        ErrorCode::BadVersion => format!("version No is not valid : {path}"),
        ErrorCode::QuotaExceeded => format!("Quota has exceeded : {path}"),
        ErrorCode::NoWatcher => format!("No such watcher for {path}"),
        _ => format!("{error}: {path}"),
    }
}

/// What to do about an error of the client.
fn hint(error: &ClientError, target: &Target) -> Option<String> {
    if let Some(code) = error.code() {
        return hint_for_code(code, target);
    }
    match error {
        ClientError::NotConnected(Loss::Io { .. } | Loss::Pending | Loss::NoSession) => Some(
            "is a server running there? zebu serve starts one; -s HOST:PORT (or connect HOST:PORT) names another"
                .into(),
        ),
        ClientError::NotConnected(Loss::Closed) => Some(
            "it may be starting, without a quorum, or at its limit of connections (maxClientCnxns); try again, or another"
                .into(),
        ),
        ClientError::NotConnected(loss) | ClientError::ConnectionLost(loss)
            if matches!(loss, Loss::Garbage(_) | Loss::UnexpectedReply { .. }) =>
        {
            Some("is it the client port of a ZooKeeper server?".into())
        }
        ClientError::NotConnected(Loss::FrameLength { .. }) => {
            Some("is it the client port of a ZooKeeper server, and one without TLS?".into())
        }
        ClientError::ConnectionLost(Loss::FrameLength { length, .. }) if *length > 0 => {
            Some(format!("--max-frame {length} lets it through"))
        }
        ClientError::ConnectionLost(_) | ClientError::Timeout(_) => match target {
            Target::Write(path) | Target::Create(path) => Some(format!(
                "whether the change was made is unknown: stat {path} shows it. Data above the server's jute.maxbuffer has the connection closed too"
            )),
            Target::Session | Target::Read(_) => Some("try again".into()),
        },
        ClientError::SessionExpired | ClientError::AuthFailed | ClientError::Closed => {
            Some("connect opens a new session".into())
        }
        ClientError::RequestTooLarge { bytes, .. } => Some(format!(
            "--max-frame {bytes} lets it through; the server's jute.maxbuffer must allow it too"
        )),
        ClientError::NotConnected(_)
        | ClientError::Refused(_)
        | ClientError::UnknownCode(_)
        | ClientError::Answer(_) => None,
    }
}

fn hint_for_code(code: ErrorCode, target: &Target) -> Option<String> {
    let path = target.path().unwrap_or("/");
    let parent = NodePath::parse(path).map_or_else(|_| "/".to_owned(), |path| path.parent().to_owned());
    Some(match code {
        ErrorCode::NoNode if matches!(target, Target::Create(_)) => format!("create {parent} comes first"),
        ErrorCode::NoNode if path == "/" => "the chroot does not exist; connect without it and create it".into(),
        ErrorCode::NoNode => format!("ls {parent} lists what is there"),
        ErrorCode::NodeExists => format!("set {path} changes its data"),
        ErrorCode::NotEmpty => format!("deleteall {path} deletes it and all below it"),
        ErrorCode::NoChildrenForEphemerals => "ephemeral nodes have no children; create the parent without -e".into(),
        ErrorCode::NotReadOnly => "the server has no quorum and answers reads only; connect to another one".into(),
        ErrorCode::InvalidAcl => {
            "the scheme or the id is not known to the server; auth::PERMS needs an addauth before it".into()
        }
        ErrorCode::NoAuth => format!("getAcl {path} shows who may; addauth presents credentials"),
        ErrorCode::BadVersion => format!("stat {path} shows the version it has; without -v any version will do"),
        ErrorCode::QuotaExceeded => format!("listquota on {path} or a node above it shows the limits"),
        ErrorCode::NoWatcher => "watches belong to the session that set them".into(),
        ErrorCode::Unimplemented => {
            "the server does not offer this: a ttl needs extendedTypesEnabled=true, reconfig an ensemble, some commands a newer release".into()
        }
        ErrorCode::AuthFailed => "is the scheme one of the server's? digest takes user:password".into(),
        ErrorCode::ReconfigDisabled => "reconfigEnabled=true in the servers' configuration allows it".into(),
        ErrorCode::ReconfigInProgress => "another change is under way; try again when it is done".into(),
        ErrorCode::NewConfigNoQuorum => "start the new members first, and let them catch up".into(),
        ErrorCode::EphemeralOnLocalSession => {
            "localSessionsUpgradingEnabled=true in the servers' configuration allows it".into()
        }
        _ => return None,
    })
}
