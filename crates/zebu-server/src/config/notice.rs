//! What the operator should know about the configuration although the server starts with it.

use std::fmt;
use std::path::PathBuf;

use super::one_line::OneLine;

/// Where a setting was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A line of `zoo.cfg` or of the dynamic file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line, counted from 1.
        line: u32,
    },
    /// `-D` on the command line.
    Argument,
    /// An environment variable with options for a JVM.
    Variable(&'static str),
    /// No place: it was not given.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", OneLine(path.display())),
            Self::Argument => f.write_str("-D"),
            Self::Variable(name) => f.write_str(name),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One line for the operator; [`fmt::Display`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Where the setting is that it speaks of.
    pub place: Place,
    /// What there is to say.
    pub kind: NoticeKind,
}

/// How much a notice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The server does what the file asks for, or what the Java server would do.
    Info,
    /// Something in the file does not do what whoever wrote it wanted.
    Warning,
}

/// What a [`Notice`] says. Values are not repeated where they may be passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoticeKind {
    /// Nobody knows this key.
    Unknown {
        /// As it was written.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// The Java server has it, zebu has not, and starting without it is safe.
    NotSupported {
        /// The key.
        key: String,
        /// What is missing.
        what: &'static str,
    },
    /// It has no meaning for this server.
    WithoutMeaning {
        /// The key.
        key: String,
        /// Why.
        why: &'static str,
    },
    /// Options for a JVM.
    JvmOptions {
        /// As they were written, without values of properties.
        options: Vec<String>,
    },
    /// A quote in a list of JVM options has no end.
    OpenQuote,
    /// The documentation's spelling, which the Java server does not read; it is taken for the working one.
    DeadSpelling {
        /// As it was written.
        key: String,
        /// What it was taken for.
        working: &'static str,
    },
    /// The key comes again later in the file, and the later line counts.
    Repeated {
        /// The key.
        key: String,
        /// The line that counts.
        winner: u32,
    },
    /// A stronger place gives another value.
    Overridden {
        /// The key or property that does not count.
        key: String,
        /// The place that does.
        by: Place,
    },
    /// A property that is only read from `zoo.cfg`.
    FileOnly {
        /// The property.
        property: String,
        /// The key in `zoo.cfg`.
        key: &'static str,
    },
    /// A value out of range that the Java server corrects, too.
    Corrected {
        /// The key.
        key: &'static str,
        /// As it was written.
        value: String,
        /// What is used.
        used: String,
        /// Why.
        why: &'static str,
    },
    /// A switch that only one word changes, with another word.
    ReadAs {
        /// The key.
        key: &'static str,
        /// As it was written.
        value: String,
        /// The word it is taken for.
        used: &'static str,
        /// The one word that would change it.
        word: &'static str,
    },
    /// A path that depends on where the server is started, without `./` to say that this is meant.
    RelativePath {
        /// The key.
        key: &'static str,
    },
    /// An item of the list of four-letter words that is none.
    NoSuchWord {
        /// As it was written.
        word: String,
    },
    /// The file is not UTF-8.
    Latin1,
    /// A line that has a value and no key.
    NoKey,
    /// `peerType` says another thing than the list of servers.
    RoleDiffers {
        /// What counts.
        used: &'static str,
    },
    /// The number of voters is a bad one.
    Voters {
        /// How many there are.
        count: usize,
        /// What is bad about it.
        why: &'static str,
    },
}

impl Notice {
    pub(super) fn new(place: &Place, kind: NoticeKind) -> Self {
        Self {
            place: place.clone(),
            kind,
        }
    }

    /// How much it matters.
    #[must_use]
    pub fn level(&self) -> Level {
        match &self.kind {
            NoticeKind::WithoutMeaning { .. }
            | NoticeKind::JvmOptions { .. }
            | NoticeKind::RelativePath { .. }
            | NoticeKind::Latin1 => Level::Info,
            NoticeKind::Unknown { .. }
            | NoticeKind::NotSupported { .. }
            | NoticeKind::OpenQuote
            | NoticeKind::DeadSpelling { .. }
            | NoticeKind::Repeated { .. }
            | NoticeKind::Overridden { .. }
            | NoticeKind::FileOnly { .. }
            | NoticeKind::Corrected { .. }
            | NoticeKind::ReadAs { .. }
            | NoticeKind::NoSuchWord { .. }
            | NoticeKind::NoKey
            | NoticeKind::RoleDiffers { .. }
            | NoticeKind::Voters { .. } => Level::Warning,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.kind)
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown {
                key,
                nearest: Some(nearest),
            } => write!(f, "{key:?} is not known and was ignored; is it {nearest:?}?"),
            Self::Unknown { key, nearest: None } => write!(f, "{key:?} is not known and was ignored"),
            Self::NotSupported { key, what } => {
                write!(f, "{key:?} is not supported yet and was ignored: {what}")
            }
            Self::WithoutMeaning { key, why } => write!(f, "{key:?} has no meaning here: {why}"),
            Self::JvmOptions { options } => {
                write!(
                    f,
                    "there is no JVM here, without meaning: {}",
                    OneLine(options.join(" "))
                )
            }
            Self::OpenQuote => f.write_str("a quote is not closed; it was taken to end with the text"),
            Self::DeadSpelling { key, working } => write!(
                f,
                "{key:?} was taken for {working:?}; the Java server does not read that spelling"
            ),
            Self::Repeated { key, winner } => {
                write!(f, "{key:?} comes again in line {winner}, and that line counts")
            }
            Self::Overridden { key, by } => write!(f, "{key:?} does not count: {by} is stronger"),
            Self::FileOnly { property, key } => write!(
                f,
                "{property:?} was ignored: {key:?} is read from zoo.cfg only, as on Java"
            ),
            Self::Corrected { key, value, used, why } => write!(f, "{key:?} is {value:?}, {used} is used: {why}"),
            Self::ReadAs { key, value, used, word } => write!(
                f,
                "{key:?} is {value:?} and was taken for {used:?}, as on Java; only {word:?} changes it"
            ),
            Self::RelativePath { key } => write!(
                f,
                "{key:?} depends on the directory the server is started in; write ./ before it if that is meant"
            ),
            Self::NoSuchWord { word } => write!(f, "{word:?} is no four-letter word and was ignored"),
            Self::Latin1 => f.write_str("the file is not UTF-8 and was read as ISO 8859-1"),
            Self::NoKey => f.write_str("a value without a key was ignored"),
            Self::RoleDiffers { used } => write!(
                f,
                "\"peerType\" says another thing than the list of servers; this server is a {used}"
            ),
            Self::Voters { count, why } => write!(f, "{count} voting servers: {why}"),
        }
    }
}
