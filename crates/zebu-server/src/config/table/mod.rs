//! Every key that a ZooKeeper server knows and what it means here: one row each, nothing said about a key elsewhere.
//!
//! Source: `QuorumPeerConfig.parseProperties` and the classes that read system properties, releases 3.5 to 3.9.

use super::draft::Draft;
use super::value::Set;

mod auth;
mod ensemble;
mod operations;
mod server;
mod spellings;
mod storage;

/// One key.
pub(super) struct Key {
    /// As in `zoo.cfg`. A name that ends in `.N` stands for every name with another text after the point.
    pub(super) name: &'static str,
    /// The system property of the same meaning.
    pub(super) property: PropertyName,
    /// What is done with it.
    pub(super) meaning: Meaning,
}

/// How a key is called as a system property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PropertyName {
    /// `zookeeper.` and the key.
    Prefixed,
    /// The same, or the key alone (older releases).
    PrefixedOrBare,
    /// The key alone. Java does not read such a key from `zoo.cfg`; zebu does.
    Bare,
    /// There is none.
    FileOnly,
    /// Another name, which counts more than the key in `zoo.cfg`.
    Stronger(&'static str),
}

/// What is done with a key.
pub(super) enum Meaning {
    /// It is a field of the configuration.
    Used(Set),
    /// It is part of the list of servers.
    Membership,
    /// It matters only between servers; a standalone server has no use for it, as on Java.
    Ensemble,
    /// Java has it, zebu has not, and going on without it is safe. `quiet` values ask for what zebu does anyway.
    NotYet {
        what: &'static str,
        quiet: &'static [&'static str],
    },
    /// Java has it, zebu has not, and going on without it would not be safe.
    Refused { why: &'static str },
    /// It has no meaning for this server.
    Nothing { why: &'static str },
    /// A spelling from the documentation that Java does not read; the working name is the other one.
    DeadSpelling(&'static str),
}

/// All keys, by subject.
static TABLES: [&[Key]; 6] = [
    server::KEYS,
    storage::KEYS,
    auth::KEYS,
    ensemble::KEYS,
    operations::KEYS,
    spellings::KEYS,
];

/// All keys.
pub(super) fn keys() -> impl Iterator<Item = &'static Key> {
    TABLES.iter().copied().flatten()
}

/// The row of a key of `zoo.cfg`.
pub(super) fn by_key(key: &str) -> Option<&'static Key> {
    keys()
        .find(|row| row.name == key)
        .or_else(|| keys().find(|row| row.covers(key)))
}

/// What a system property is.
pub(super) enum Found {
    /// The property that Java reads for this row.
    Exact(&'static Key),
    /// The prefix before a key that Java reads from `zoo.cfg` only, or only without the prefix.
    OtherForm(&'static Key),
}

/// The row that a system property belongs to, and the key that it stands for in `zoo.cfg`.
pub(super) fn by_property(name: &str) -> Option<(Found, &str)> {
    let stronger = |row: &&Key| matches!(row.property, PropertyName::Stronger(it) if it == name);
    if let Some(row) = keys().find(stronger) {
        return Some((Found::Exact(row), row.name));
    }
    if let Some(key) = name.strip_prefix(PREFIX) {
        let row = by_key(key)?;
        return Some(match row.property {
            PropertyName::Prefixed | PropertyName::PrefixedOrBare => (Found::Exact(row), key),
            PropertyName::Bare | PropertyName::FileOnly | PropertyName::Stronger(_) => (Found::OtherForm(row), key),
        });
    }
    let row = by_key(name)?;
    matches!(row.property, PropertyName::Bare | PropertyName::PrefixedOrBare).then_some((Found::Exact(row), name))
}

/// What Java puts before a key to make it a system property.
pub(super) const PREFIX: &str = "zookeeper.";

impl Key {
    /// Whether this is a row for many keys, and `key` is one of them.
    fn covers(&self, key: &str) -> bool {
        self.name
            .strip_suffix('N')
            .filter(|prefix| prefix.ends_with('.'))
            .and_then(|prefix| key.strip_prefix(prefix))
            .is_some_and(|rest| !rest.is_empty())
    }

    /// Whether to suggest this name to somebody who wrote an unknown one.
    pub(super) fn is_suggested(&self) -> bool {
        !matches!(self.meaning, Meaning::DeadSpelling(_))
    }
}

// The rows are written with these.

const fn used(name: &'static str, property: PropertyName, set: Set) -> Key {
    row(name, property, Meaning::Used(set))
}

const fn flag(name: &'static str, property: PropertyName, set: fn(&mut Draft, bool)) -> Key {
    used(name, property, Set::Flag(set))
}

const fn not_yet(name: &'static str, property: PropertyName, what: &'static str) -> Key {
    row(name, property, Meaning::NotYet { what, quiet: &[] })
}

/// Not yet, but fine with these values.
const fn not_yet_but(
    name: &'static str,
    property: PropertyName,
    what: &'static str,
    quiet: &'static [&'static str],
) -> Key {
    row(name, property, Meaning::NotYet { what, quiet })
}

const fn nothing(name: &'static str, property: PropertyName, why: &'static str) -> Key {
    row(name, property, Meaning::Nothing { why })
}

const fn row(name: &'static str, property: PropertyName, meaning: Meaning) -> Key {
    Key {
        name,
        property,
        meaning,
    }
}
