//! The commands: what they are called, which options and arguments they take, what they are for.
//!
//! Parsing, completion and help all read this table. Names and options are those of zkCli.

/// A command.
pub(crate) struct Spec {
    pub(crate) verb: Verb,
    pub(crate) name: &'static str,
    pub(crate) options: &'static [OptionSpec],
    pub(crate) arguments: &'static [Argument],
    pub(crate) about: &'static str,
    /// Complete command lines.
    pub(crate) examples: &'static [&'static str],
}

/// Which command it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table says what each is")]
pub(crate) enum Verb {
    AddAuth,
    AddWatch,
    Close,
    Config,
    Connect,
    Create,
    Delete,
    DeleteAll,
    DelQuota,
    Get,
    GetAcl,
    GetAllChildrenNumber,
    GetEphemerals,
    Help,
    History,
    ListQuota,
    Ls,
    PrintWatches,
    Quit,
    Reconfig,
    Redo,
    RemoveWatches,
    Set,
    SetAcl,
    SetQuota,
    Stat,
    Sync,
    Version,
    WhoAmI,
}

/// An option: `-s`, or `-v version` if it takes a value.
pub(crate) struct OptionSpec {
    /// Without the dash. Options of one letter may be joined.
    pub(crate) name: &'static str,
    /// What the value is called.
    pub(crate) value: Option<&'static str>,
    pub(crate) about: &'static str,
}

/// An argument by position.
pub(crate) struct Argument {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
}

impl Spec {
    /// One line: name, options, arguments.
    pub(crate) fn usage(&self) -> String {
        let mut usage = self.name.to_owned();
        for option in self.options {
            match option.value {
                None => usage.push_str(&format!(" [-{}]", option.name)),
                Some(value) => usage.push_str(&format!(" [-{} {value}]", option.name)),
            }
        }
        for argument in self.arguments {
            let Argument { name, required } = argument;
            usage.push_str(&if *required {
                format!(" {name}")
            } else {
                format!(" [{name}]")
            });
        }
        usage
    }

    /// The command with this name; letter case does not matter if it matters to no other command.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        COMMANDS.iter().find(|spec| spec.name == name).or_else(|| {
            let alias = if name == "exit" { "quit" } else { name };
            COMMANDS.iter().find(|spec| spec.name.eq_ignore_ascii_case(alias))
        })
    }

    /// The option with this name.
    pub(crate) fn option(&self, name: &str) -> Option<&'static OptionSpec> {
        self.options.iter().find(|option| option.name == name)
    }
}

const fn flag(name: &'static str, about: &'static str) -> OptionSpec {
    OptionSpec {
        name,
        value: None,
        about,
    }
}

const fn valued(name: &'static str, value: &'static str, about: &'static str) -> OptionSpec {
    OptionSpec {
        name,
        value: Some(value),
        about,
    }
}

const fn required(name: &'static str) -> Argument {
    Argument { name, required: true }
}

const fn optional(name: &'static str) -> Argument {
    Argument { name, required: false }
}

const STAT: OptionSpec = flag("s", "show the node's stat too");
const WATCH: OptionSpec = flag("w", "tell the next change");
const PATH: &[Argument] = &[required("path")];

/// All commands, in the order of the alphabet.
pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        verb: Verb::AddWatch,
        name: "addWatch",
        options: &[valued(
            "m",
            "mode",
            "PERSISTENT: this node and its list of children; PERSISTENT_RECURSIVE (default): this node and all below it",
        )],
        arguments: PATH,
        about: "tell every change from now on",
        examples: &["addWatch /app", "addWatch -m PERSISTENT /app/config"],
    },
    Spec {
        verb: Verb::AddAuth,
        name: "addauth",
        options: &[],
        arguments: &[required("scheme"), optional("auth")],
        about: "present credentials; such lines are not saved to the history file",
        examples: &["addauth digest bob:secret"],
    },
    Spec {
        verb: Verb::Close,
        name: "close",
        options: &[],
        arguments: &[],
        about: "close the session",
        examples: &[],
    },
    Spec {
        verb: Verb::Config,
        name: "config",
        options: &[flag("c", "only its version and where clients connect"), WATCH, STAT],
        arguments: &[],
        about: "show the ensemble's configuration",
        examples: &["config", "config -c"],
    },
    Spec {
        verb: Verb::Connect,
        name: "connect",
        options: &[],
        arguments: &[optional("host:port")],
        about: "open a new session, at the same servers if none are named",
        examples: &["connect localhost:2181", "connect zk1:2181,zk2:2181/app"],
    },
    Spec {
        verb: Verb::Create,
        name: "create",
        options: &[
            flag("s", "sequential: the server appends a number to the name"),
            flag("e", "ephemeral: goes with the session"),
            flag("c", "container: goes when its last child goes"),
            valued(
                "t",
                "ttl",
                "goes when it was not changed and had no children for this many milliseconds",
            ),
        ],
        arguments: &[required("path"), optional("data"), optional("acl")],
        about: "create a node",
        examples: &[
            "create /app",
            "create /app/greeting 'hello world'",
            "create -e -s /app/lock- '' digest:bob:HASH:cdrwa,world:anyone:r",
        ],
    },
    Spec {
        verb: Verb::Delete,
        name: "delete",
        options: &[valued("v", "version", "only if the node has this data version")],
        arguments: PATH,
        about: "delete a node that has no children",
        examples: &["delete /app/greeting", "delete -v 3 /app/greeting"],
    },
    Spec {
        verb: Verb::DeleteAll,
        name: "deleteall",
        options: &[valued(
            "b",
            "batch size",
            "nodes deleted in one transaction, 1000 by default",
        )],
        arguments: PATH,
        about: "delete a node and all below it",
        examples: &["deleteall /app"],
    },
    Spec {
        verb: Verb::DelQuota,
        name: "delquota",
        options: &[
            flag("n", "the soft limit on nodes"),
            flag("b", "the soft limit on bytes"),
            flag("N", "the hard limit on nodes"),
            flag("B", "the hard limit on bytes"),
        ],
        arguments: PATH,
        about: "remove limits from a node, all of them without options",
        examples: &["delquota /app", "delquota -N /app"],
    },
    Spec {
        verb: Verb::Get,
        name: "get",
        options: &[
            STAT,
            WATCH,
            flag("b", "show the data in base64"),
            flag("x", "show the data as a hex dump"),
        ],
        arguments: PATH,
        about: "show a node's data",
        examples: &["get /app/greeting", "get -s -x /app/greeting"],
    },
    Spec {
        verb: Verb::GetAcl,
        name: "getAcl",
        options: &[STAT],
        arguments: PATH,
        about: "show who may do what with a node",
        examples: &["getAcl /app"],
    },
    Spec {
        verb: Verb::GetAllChildrenNumber,
        name: "getAllChildrenNumber",
        options: &[],
        arguments: PATH,
        about: "count the nodes below a node",
        examples: &["getAllChildrenNumber /app"],
    },
    Spec {
        verb: Verb::GetEphemerals,
        name: "getEphemerals",
        options: &[],
        arguments: &[optional("path")],
        about: "list the ephemeral nodes of this session, or those whose path starts so",
        examples: &["getEphemerals", "getEphemerals /app"],
    },
    Spec {
        verb: Verb::Help,
        name: "help",
        options: &[],
        arguments: &[optional("command")],
        about: "list the commands, or explain one",
        examples: &["help", "help create"],
    },
    Spec {
        verb: Verb::History,
        name: "history",
        options: &[],
        arguments: &[],
        about: "list the last commands",
        examples: &[],
    },
    Spec {
        verb: Verb::ListQuota,
        name: "listquota",
        options: &[],
        arguments: PATH,
        about: "show a node's limits and what is used of them",
        examples: &["listquota /app"],
    },
    Spec {
        verb: Verb::Ls,
        name: "ls",
        options: &[
            STAT,
            flag("w", "tell the next change of the list"),
            flag("R", "all nodes below too"),
        ],
        arguments: PATH,
        about: "list a node's children",
        examples: &["ls /", "ls -R /app"],
    },
    Spec {
        verb: Verb::PrintWatches,
        name: "printwatches",
        options: &[],
        arguments: &[optional("on|off")],
        about: "say or choose whether events are shown",
        examples: &["printwatches off"],
    },
    Spec {
        verb: Verb::Quit,
        name: "quit",
        options: &[],
        arguments: &[],
        about: "close the session and leave; so does exit, and control-D",
        examples: &[],
    },
    Spec {
        verb: Verb::Reconfig,
        name: "reconfig",
        options: &[
            STAT,
            valued("v", "version", "only if the configuration has this version, in hex"),
            valued("file", "path", "all members, from the lines of a file"),
            valued("members", "id=host:port:port;port,...", "all members"),
            valued("add", "id=host:port:port;port,...", "members to add or change"),
            valued("remove", "id,...", "members to remove"),
        ],
        arguments: &[],
        about: "change the members of the ensemble",
        examples: &[
            "reconfig -add server.4=zk4:2888:3888;2181",
            "reconfig -remove 2,3",
            "reconfig -file members.cfg",
        ],
    },
    Spec {
        verb: Verb::Redo,
        name: "redo",
        options: &[],
        arguments: &[required("number")],
        about: "run a command of the history again",
        examples: &["redo 3"],
    },
    Spec {
        verb: Verb::RemoveWatches,
        name: "removewatches",
        options: &[
            flag("c", "those on the list of children"),
            flag("d", "those on the node and its data"),
            flag("p", "persistent ones"),
            flag("r", "persistent recursive ones"),
            flag("a", "all (default)"),
            flag("l", "here alone, if there is no connection"),
        ],
        arguments: PATH,
        about: "remove this session's watches from a node",
        examples: &["removewatches /app", "removewatches -d /app"],
    },
    Spec {
        verb: Verb::Set,
        name: "set",
        options: &[
            STAT,
            valued("v", "version", "only if the node has this data version"),
            flag("b", "the data is given in base64"),
        ],
        arguments: &[required("path"), required("data")],
        about: "set a node's data",
        examples: &["set /app/greeting 'good morning'", "set -v 3 /app/greeting {\"x\":1}"],
    },
    Spec {
        verb: Verb::SetAcl,
        name: "setAcl",
        options: &[
            STAT,
            valued("v", "version", "only if the node has this ACL version"),
            flag("R", "all nodes below too"),
        ],
        arguments: &[required("path"), required("acl")],
        about: "set who may do what with a node: c(reate) d(elete) r(ead) w(rite) a(dmin)",
        examples: &[
            "setAcl /app world:anyone:r,ip:10.0.0.0/8:cdrwa",
            "setAcl -R /app auth::cdrwa",
        ],
    },
    Spec {
        verb: Verb::SetQuota,
        name: "setquota",
        options: &[
            valued("n", "val", "soft limit on nodes, the node itself included"),
            valued("b", "val", "soft limit on bytes of data"),
            valued("N", "val", "hard limit on nodes"),
            valued("B", "val", "hard limit on bytes of data"),
        ],
        arguments: PATH,
        about: "limit a node and all below it; servers log a soft limit and enforce a hard one with enforceQuota=true",
        examples: &["setquota -N 10000 /app", "setquota -b 1000000 /app"],
    },
    Spec {
        verb: Verb::Stat,
        name: "stat",
        options: &[WATCH],
        arguments: PATH,
        about: "show a node's stat",
        examples: &["stat /app", "stat -w /not-there-yet"],
    },
    Spec {
        verb: Verb::Sync,
        name: "sync",
        options: &[],
        arguments: PATH,
        about: "wait until the server has caught up with the leader",
        examples: &["sync /app"],
    },
    Spec {
        verb: Verb::Version,
        name: "version",
        options: &[],
        arguments: &[],
        about: "show this program's version",
        examples: &[],
    },
    Spec {
        verb: Verb::WhoAmI,
        name: "whoami",
        options: &[],
        arguments: &[],
        about: "show who the server takes you for",
        examples: &[],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_the_alphabet_and_unique() {
        for pair in COMMANDS.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} {}", pair[0].name, pair[1].name);
        }
    }

    #[test]
    fn commands_are_found_in_any_case_and_by_their_second_name() {
        assert_eq!(Spec::find("getAcl").unwrap().name, "getAcl");
        assert_eq!(Spec::find("getacl").unwrap().name, "getAcl");
        assert_eq!(Spec::find("exit").unwrap().name, "quit");
        assert!(Spec::find("rm").is_none());
    }

    #[test]
    fn usage_lines() {
        let usage = |name| Spec::find(name).unwrap().usage();
        assert_eq!(usage("ls"), "ls [-s] [-w] [-R] path");
        assert_eq!(usage("create"), "create [-s] [-e] [-c] [-t ttl] path [data] [acl]");
        assert_eq!(usage("whoami"), "whoami");
    }
}
