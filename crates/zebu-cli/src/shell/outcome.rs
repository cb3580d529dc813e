//! What commands have to say, before it is text or JSON.

use zebu_proto::{Acl, SessionId, Stat};

use super::command::DataForm;
use super::quota::Numbers;

/// A result. Most commands have one; those that list many nodes have one for each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// Done, and nothing to show for it.
    Done,
    /// A node's children, sorted.
    Children {
        path: String,
        children: Vec<String>,
        stat: Stat,
        show_stat: bool,
    },
    /// One of many paths.
    Path(String),
    /// A node's data, `None` for null.
    Data {
        path: String,
        data: Option<Vec<u8>>,
        form: DataForm,
        stat: Stat,
        show_stat: bool,
    },
    /// A node's stat after a change, or as it was asked for.
    Stat { path: String, stat: Stat, show_stat: bool },
    /// The path of a new node.
    Created(String),
    /// A node's ACL.
    Acl {
        path: String,
        acl: Vec<Acl>,
        stat: Stat,
        show_stat: bool,
    },
    /// How many nodes there are below one, or were deleted.
    Count(usize),
    /// A server is level with its leader.
    Synced,
    /// Paths, as a list.
    Paths(Vec<String>),
    /// Scheme and user.
    Identities(Vec<(String, String)>),
    /// Limits of a node, and what is used of them.
    Quota {
        path: String,
        limits: Numbers,
        usage: Numbers,
    },
    /// Something that the user should know, though the command succeeded.
    Warning(String),
    /// Text for people: help, versions, the configuration.
    Text(String),
    /// Text under a name of its own in JSON.
    Named { name: &'static str, text: String },
    /// A session was opened.
    Connected { servers: String, session: SessionId },
    /// The last commands with their numbers.
    History(Vec<(usize, String)>),
}
