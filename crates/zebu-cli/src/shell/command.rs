//! Words as commands.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use thiserror::Error;
use zebu_proto::client::{AddWatchMode, WatcherType};
use zebu_proto::{Acl, CreateMode, Owner};

use super::acl::{self, AclError};
use super::client::{Servers, ServersError};
use super::path::{NodePath, PathError};
use super::spec::{COMMANDS, Spec, Verb};
use super::words::{Unclosed, Word};

/// A command with everything it needs, checked as far as that is possible without a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table in `spec` says what each is")]
pub(crate) enum Command {
    AddAuth {
        scheme: String,
        auth: String,
    },
    AddWatch {
        path: NodePath,
        mode: AddWatchMode,
    },
    Close,
    Config {
        clients_only: bool,
        watch: bool,
        stat: bool,
    },
    Connect {
        servers: Option<Servers>,
    },
    Create(Create),
    Delete {
        path: NodePath,
        version: i32,
    },
    DeleteAll {
        path: NodePath,
        batch: usize,
    },
    DelQuota {
        path: NodePath,
        limits: Vec<Limit>,
    },
    Get {
        path: NodePath,
        form: DataForm,
        watch: bool,
        stat: bool,
    },
    GetAcl {
        path: NodePath,
        stat: bool,
    },
    GetAllChildrenNumber {
        path: NodePath,
    },
    GetEphemerals {
        path: Option<NodePath>,
    },
    Help {
        about: Option<&'static str>,
    },
    History,
    ListQuota {
        path: NodePath,
    },
    Ls {
        path: NodePath,
        watch: bool,
        stat: bool,
        recursive: bool,
    },
    PrintWatches {
        on: Option<bool>,
    },
    Quit,
    Reconfig(Reconfig),
    Redo {
        number: usize,
    },
    RemoveWatches {
        path: NodePath,
        kind: WatcherType,
        local: bool,
    },
    Set {
        path: NodePath,
        data: Vec<u8>,
        version: i32,
        stat: bool,
    },
    SetAcl {
        path: NodePath,
        acl: Vec<Acl>,
        version: i32,
        stat: bool,
        recursive: bool,
    },
    SetQuota {
        path: NodePath,
        limits: Vec<(Limit, i64)>,
    },
    Stat {
        path: NodePath,
        watch: bool,
    },
    Sync {
        path: NodePath,
    },
    Version,
    WhoAmI,
}

/// A node to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Create {
    pub(crate) path: NodePath,
    /// `None` for null.
    pub(crate) data: Option<Vec<u8>>,
    pub(crate) acl: Vec<Acl>,
    pub(crate) mode: CreateMode,
    /// Milliseconds, for the modes that have it.
    pub(crate) ttl_ms: i64,
}

/// A change of the ensemble's members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reconfig {
    pub(crate) members: Members,
    /// −1 for any.
    pub(crate) config_id: i64,
    pub(crate) stat: bool,
}

/// Which members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Members {
    /// From a file with the lines of a dynamic configuration.
    File(String),
    /// All, separated by commas.
    All(String),
    /// Those that change.
    Change {
        joining: Option<String>,
        leaving: Option<String>,
    },
}

/// How data is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataForm {
    Plain,
    Base64,
    Hex,
}

/// A limit of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Limit {
    SoftNodes,
    SoftBytes,
    HardNodes,
    HardBytes,
}

impl Limit {
    /// By the letters of the options.
    const ALL: [(&'static str, Self); 4] = [
        ("n", Self::SoftNodes),
        ("b", Self::SoftBytes),
        ("N", Self::HardNodes),
        ("B", Self::HardBytes),
    ];

    const fn least(self) -> i64 {
        match self {
            Self::SoftNodes | Self::HardNodes => 1,
            Self::SoftBytes | Self::HardBytes => 0,
        }
    }
}

/// Words that are no command.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum UsageError {
    /// No such command.
    #[error("Command not found: {0}")]
    Command(String),
    /// No such option.
    #[error("{command} has no option -{option}")]
    Option { command: &'static str, option: String },
    /// An option without its value.
    #[error("{command} -{option} needs a value: {value}")]
    OptionValue {
        command: &'static str,
        option: &'static str,
        value: &'static str,
    },
    /// An argument is missing.
    #[error("{command} needs {argument}")]
    Missing {
        command: &'static str,
        argument: &'static str,
    },
    /// More arguments than the command takes.
    #[error("{command} does not know what to do with {word:?}")]
    Surplus { command: &'static str, word: String },
    /// A number that is none, or out of range.
    #[error("{name} is a number from {least} to {most}, not {text:?}")]
    Number {
        name: &'static str,
        text: String,
        least: i64,
        most: i64,
    },
    /// A word that is none of those possible.
    #[error("{text:?} is none of {choices}")]
    Choice { text: String, choices: &'static str },
    /// Data that is no base64.
    #[error("the data is not in base64: {0}")]
    Base64(base64::DecodeError),
    /// Options that exclude each other, or of which one is needed.
    #[error("{0}")]
    Combination(&'static str),
    /// A path that no node can have.
    #[error(transparent)]
    Path(#[from] PathError),
    /// An ACL that is none.
    #[error(transparent)]
    Acl(#[from] AclError),
    /// A connect string that is none.
    #[error(transparent)]
    Servers(#[from] ServersError),
    /// A quote left open.
    #[error(transparent)]
    Unclosed(#[from] Unclosed),
}

impl UsageError {
    /// What to do about it, for the command that the words began with.
    pub(crate) fn hint(&self, name: Option<&str>) -> Option<String> {
        let usage = || name.and_then(Spec::find).map(|spec| format!("usage: {}", spec.usage()));
        match self {
            Self::Command(name) => Some(match nearest(name) {
                Some(near) => format!("did you mean {near}? help lists the commands"),
                None => "help lists the commands".into(),
            }),
            Self::Surplus { .. } => {
                usage().map(|usage| format!("{usage}; words with blanks in them need quotes: 'a b'"))
            }
            Self::Option { option, .. } => usage().map(|usage| {
                format!("{usage}; a word that is no option but starts so is quoted, or follows --: -- -{option}")
            }),
            Self::OptionValue { .. }
            | Self::Missing { .. }
            | Self::Number { .. }
            | Self::Choice { .. }
            | Self::Base64(_)
            | Self::Combination(_) => usage(),
            Self::Acl(_) => Some("an ACL looks like world:anyone:cdrwa or digest:bob:HASH:rw,ip:10.0.0.0/8:r".into()),
            Self::Path(PathError::Relative(text)) if !text.is_empty() => Some(format!("write /{text}")),
            Self::Path(_) | Self::Servers(_) | Self::Unclosed(_) => None,
        }
    }
}

/// The command that differs from `name` in the fewest letters, if they are few.
fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    COMMANDS
        .iter()
        .map(|spec| (distance(&name, &spec.name.to_ascii_lowercase()), spec.name))
        .filter(|(distance, _)| *distance <= 2 && *distance < name.len())
        .min()
        .map(|(_, name)| name)
}

/// Letters to insert, remove or replace to make one text the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

impl Command {
    /// Reads a command. `None` without words.
    ///
    /// # Errors
    /// If there is no such command, or it cannot be given these words.
    pub(crate) fn parse(words: &[Word]) -> Result<Option<Self>, UsageError> {
        let Some((name, rest)) = words.split_first() else {
            return Ok(None);
        };
        let spec = Spec::find(&name.text).ok_or_else(|| UsageError::Command(name.text.clone()))?;
        if let [word] = rest
            && !word.quoted
            && matches!(word.text.as_str(), "-?" | "-h" | "--help")
        {
            return Ok(Some(Self::Help { about: Some(spec.name) }));
        }
        Given::sort(spec, rest)?.into_command().map(Some)
    }
}

/// The words of a command, sorted into options and arguments.
struct Given {
    spec: &'static Spec,
    options: Vec<(&'static str, String)>,
    arguments: std::vec::IntoIter<String>,
}

impl Given {
    fn sort(spec: &'static Spec, words: &[Word]) -> Result<Self, UsageError> {
        let mut options = Vec::new();
        let mut arguments = Vec::new();
        let mut words = words.iter();
        let mut options_end = false;
        while let Some(word) = words.next() {
            let dashed = word.text.strip_prefix('-').filter(|_| !options_end && !word.quoted);
            match dashed {
                Some("-") => options_end = true,
                // "-1" is a number and "-" nothing special.
                Some(name) if name.starts_with(|c: char| !c.is_ascii_digit()) => {
                    take_option(spec, name, &mut words, &mut options)?;
                }
                Some(_) | None => arguments.push(word.text.clone()),
            }
        }
        if let Some(word) = arguments.get(spec.arguments.len()) {
            let (command, word) = (spec.name, word.clone());
            return Err(UsageError::Surplus { command, word });
        }
        if let Some(missing) = spec.arguments.get(arguments.len()).filter(|argument| argument.required) {
            return Err(UsageError::Missing {
                command: spec.name,
                argument: missing.name,
            });
        }
        Ok(Self {
            spec,
            options,
            arguments: arguments.into_iter(),
        })
    }

    fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(option, _)| *option == name)
    }

    /// The value of an option; the last one, if it was given twice.
    fn value(&self, name: &str) -> Option<&str> {
        self.options
            .iter()
            .rev()
            .find(|(option, _)| *option == name)
            .map(|(_, value)| value.as_str())
    }

    fn number(&self, option: &str, name: &'static str, least: i64, most: i64) -> Result<Option<i64>, UsageError> {
        self.value(option)
            .map(|text| number(name, text, least, most))
            .transpose()
    }

    /// The value of `-v`, −1 without it.
    fn version(&self) -> Result<i32, UsageError> {
        let version = self.number("v", "version", i64::from(i32::MIN), i64::from(i32::MAX))?;
        Ok(version.and_then(|version| i32::try_from(version).ok()).unwrap_or(-1))
    }

    /// The next argument; empty where [`Given::sort`] has seen to it that there is one.
    fn word(&mut self) -> String {
        self.arguments.next().unwrap_or_default()
    }

    fn path(&mut self) -> Result<NodePath, UsageError> {
        Ok(NodePath::parse(&self.word())?)
    }

    fn into_command(mut self) -> Result<Command, UsageError> {
        let (stat, watch) = (self.has("s"), self.has("w"));
        Ok(match self.spec.verb {
            Verb::AddAuth => Command::AddAuth {
                scheme: self.word(),
                auth: self.word(),
            },
            Verb::AddWatch => Command::AddWatch {
                mode: self.watch_mode()?,
                path: self.path()?,
            },
            Verb::Close => Command::Close,
            Verb::Config => Command::Config {
                clients_only: self.has("c"),
                watch,
                stat,
            },
            Verb::Connect => Command::Connect {
                servers: self.arguments.next().map(|text| Servers::parse(&text)).transpose()?,
            },
            Verb::Create => Command::Create(self.create()?),
            Verb::Delete => Command::Delete {
                version: self.version()?,
                path: self.path()?,
            },
            Verb::DeleteAll => Command::DeleteAll {
                batch: self
                    .number("b", "batch size", 1, 100_000)?
                    .and_then(|size| usize::try_from(size).ok())
                    .unwrap_or(1000),
                path: self.path()?,
            },
            Verb::DelQuota => Command::DelQuota {
                limits: Limit::ALL
                    .iter()
                    .filter(|(name, _)| self.has(name))
                    .map(|(_, limit)| *limit)
                    .collect(),
                path: self.path()?,
            },
            Verb::Get => Command::Get {
                form: match (self.has("x"), self.has("b")) {
                    (true, _) => DataForm::Hex,
                    (false, true) => DataForm::Base64,
                    (false, false) => DataForm::Plain,
                },
                path: self.path()?,
                watch,
                stat,
            },
            Verb::GetAcl => Command::GetAcl {
                path: self.path()?,
                stat,
            },
            Verb::GetAllChildrenNumber => Command::GetAllChildrenNumber { path: self.path()? },
            Verb::GetEphemerals => Command::GetEphemerals {
                path: self.arguments.next().map(|text| NodePath::parse(&text)).transpose()?,
            },
            Verb::Help => Command::Help {
                about: match self.arguments.next() {
                    None => None,
                    Some(name) => Some(Spec::find(&name).ok_or(UsageError::Command(name))?.name),
                },
            },
            Verb::History => Command::History,
            Verb::ListQuota => Command::ListQuota { path: self.path()? },
            Verb::Ls => Command::Ls {
                recursive: self.has("R"),
                path: self.path()?,
                watch,
                stat,
            },
            Verb::PrintWatches => Command::PrintWatches {
                on: match self.arguments.next().as_deref() {
                    None => None,
                    Some("on") => Some(true),
                    Some("off") => Some(false),
                    Some(other) => return Err(choice(other, "on, off")),
                },
            },
            Verb::Quit => Command::Quit,
            Verb::Reconfig => Command::Reconfig(self.reconfig()?),
            Verb::Redo => Command::Redo {
                number: usize::try_from(number("number", &self.word(), 0, i64::from(i32::MAX))?).unwrap_or(usize::MAX),
            },
            Verb::RemoveWatches => Command::RemoveWatches {
                kind: self.watcher_type(),
                local: self.has("l"),
                path: self.path()?,
            },
            Verb::Set => Command::Set {
                version: self.version()?,
                path: self.path()?,
                data: {
                    let text = self.word();
                    if self.has("b") {
                        BASE64.decode(text).map_err(UsageError::Base64)?
                    } else {
                        text.into_bytes()
                    }
                },
                stat,
            },
            Verb::SetAcl => Command::SetAcl {
                version: self.version()?,
                recursive: self.has("R"),
                path: self.path()?,
                acl: acl::parse(&self.word())?,
                stat,
            },
            Verb::SetQuota => Command::SetQuota {
                limits: self.limits()?,
                path: self.path()?,
            },
            Verb::Stat => Command::Stat {
                path: self.path()?,
                watch,
            },
            Verb::Sync => Command::Sync { path: self.path()? },
            Verb::Version => Command::Version,
            Verb::WhoAmI => Command::WhoAmI,
        })
    }

    fn create(&mut self) -> Result<Create, UsageError> {
        let (ephemeral, sequential, container, ttl) = (self.has("e"), self.has("s"), self.has("c"), self.has("t"));
        let mode = match (ephemeral, sequential, container, ttl) {
            (false, false, false, false) => CreateMode::Persistent,
            (true, false, false, false) => CreateMode::Ephemeral,
            (false, true, false, false) => CreateMode::PersistentSequential,
            (true, true, false, false) => CreateMode::EphemeralSequential,
            (false, false, true, false) => CreateMode::Container,
            (false, false, false, true) => CreateMode::PersistentWithTtl,
            (false, true, false, true) => CreateMode::PersistentSequentialWithTtl,
            (_, _, true, _) => {
                return Err(UsageError::Combination(
                    "a container (-c) is neither ephemeral, sequential nor has it a ttl",
                ));
            }
            (true, _, false, true) => {
                return Err(UsageError::Combination(
                    "an ephemeral node (-e) has no ttl (-t): it goes with its session",
                ));
            }
        };
        let ttl_ms = self.number("t", "ttl", 1, Owner::TTL_MS_MAX)?.unwrap_or(-1);
        let path = self.word();
        let path = if sequential {
            NodePath::parse_sequential(&path)?
        } else {
            NodePath::parse(&path)?
        };
        let data = self.arguments.next().map(String::into_bytes);
        let acl = match self.arguments.next() {
            None => zebu_proto::AclList::OPEN.to_vec(),
            Some(text) => acl::parse(&text)?,
        };
        Ok(Create {
            path,
            data,
            acl,
            mode,
            ttl_ms,
        })
    }

    fn reconfig(&self) -> Result<Reconfig, UsageError> {
        let text = |name| self.value(name).map(str::to_owned);
        let (file, members) = (text("file"), text("members"));
        let (joining, leaving) = (text("add"), text("remove"));
        let changes = joining.is_some() || leaving.is_some();
        let members = match (file, members) {
            (Some(file), None) if !changes => Members::File(file),
            (None, Some(members)) if !changes => Members::All(members),
            (None, None) if changes => Members::Change { joining, leaving },
            (None, None) => {
                return Err(UsageError::Combination(
                    "one of -file, -members, -add and -remove is needed",
                ));
            }
            (_, _) => {
                return Err(UsageError::Combination(
                    "all members come from -file or from -members, without -add and -remove",
                ));
            }
        };
        let config_id = match self.value("v") {
            None => -1,
            Some(text) => i64::from_str_radix(text, 16).map_err(|_| UsageError::Choice {
                text: text.into(),
                choices: "the numbers in hex that config shows as version=",
            })?,
        };
        Ok(Reconfig {
            members,
            config_id,
            stat: self.has("s"),
        })
    }

    fn limits(&self) -> Result<Vec<(Limit, i64)>, UsageError> {
        let mut limits = Vec::new();
        for (name, limit) in Limit::ALL {
            if let Some(value) = self.number(name, "val", limit.least(), i64::MAX)? {
                limits.push((limit, value));
            }
        }
        if limits.is_empty() {
            return Err(UsageError::Combination("setquota needs one of -n, -b, -N and -B"));
        }
        Ok(limits)
    }

    fn watch_mode(&self) -> Result<AddWatchMode, UsageError> {
        match self.value("m").map(str::to_ascii_uppercase).as_deref() {
            None | Some("PERSISTENT_RECURSIVE") => Ok(AddWatchMode::PersistentRecursive),
            Some("PERSISTENT") => Ok(AddWatchMode::Persistent),
            Some(other) => Err(choice(other, "PERSISTENT, PERSISTENT_RECURSIVE")),
        }
    }

    /// The first one named, in zkCli's order.
    fn watcher_type(&self) -> WatcherType {
        if self.has("c") {
            WatcherType::Children
        } else if self.has("d") {
            WatcherType::Data
        } else if self.has("p") {
            WatcherType::Persistent
        } else if self.has("r") {
            WatcherType::PersistentRecursive
        } else {
            WatcherType::Any
        }
    }
}

/// Takes what a word with a dash says: one option by its whole name, or several flags of one letter, the last of which
/// may have a value, here or in the next word.
fn take_option<'a>(
    spec: &'static Spec,
    name: &str,
    words: &mut impl Iterator<Item = &'a Word>,
    options: &mut Vec<(&'static str, String)>,
) -> Result<(), UsageError> {
    let unknown = || UsageError::Option {
        command: spec.name,
        option: name.into(),
    };
    let mut next_value = |option: &'static str, value| {
        words
            .next()
            .map(|word| (option, word.text.clone()))
            .ok_or(UsageError::OptionValue {
                command: spec.name,
                option,
                value,
            })
    };
    if let Some(option) = spec.option(name) {
        options.push(match option.value {
            None => (option.name, String::new()),
            Some(value) => next_value(option.name, value)?,
        });
        return Ok(());
    }
    for (at, letter) in name.char_indices() {
        let end = at + letter.len_utf8();
        let option = spec.option(&name[at..end]).ok_or_else(unknown)?;
        match option.value {
            None => options.push((option.name, String::new())),
            Some(value) if end == name.len() => options.push(next_value(option.name, value)?),
            Some(_) => {
                options.push((option.name, name[end..].to_owned()));
                return Ok(());
            }
        }
    }
    Ok(())
}

fn number(name: &'static str, text: &str, least: i64, most: i64) -> Result<i64, UsageError> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| UsageError::Number {
            name,
            text: text.into(),
            least,
            most,
        })
}

fn choice(text: &str, choices: &'static str) -> UsageError {
    UsageError::Choice {
        text: text.into(),
        choices,
    }
}
