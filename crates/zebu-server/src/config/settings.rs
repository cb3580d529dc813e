//! Which value of a key counts when several places give one, and what there is to say about the others.

use std::collections::BTreeMap;
use std::path::Path;

use zebu_proto::properties::Pair;

use super::error::ConfigError;
use super::nearest::nearest;
use super::notice::{Notice, NoticeKind, Place};
use super::system::{Property, SystemProperties};
use super::table::{self, Found, Key, Meaning, PREFIX, PropertyName};

/// A key with the value that counts.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) row: &'static Key,
    pub(super) place: Place,
    /// The key or property as it was written.
    pub(super) spelled: String,
    pub(super) value: String,
    strength: Strength,
}

/// The strongest value of a key counts. Compared field by field from above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Strength {
    /// A property that Java looks at after the file.
    property_above_file: bool,
    /// A name that Java reads, and not a spelling that only zebu understands.
    working_name: bool,
    source: Source,
    /// Of two lines the later.
    number: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Variable,
    Argument,
    File,
}

impl Setting {
    /// The error that this value is not allowed.
    pub(super) fn refuse(&self, allowed: impl Into<String>) -> ConfigError {
        ConfigError::Value {
            place: self.place.clone(),
            key: self.spelled.clone(),
            value: self.value.clone(),
            allowed: allowed.into(),
        }
    }

    /// The error that zebu cannot do what this asks for.
    pub(super) fn not_supported(&self, why: &'static str) -> ConfigError {
        ConfigError::NotSupported {
            place: self.place.clone(),
            key: self.spelled.clone(),
            why,
        }
    }
}

/// All settings that count, by key: the name of the row, or the name in the file for rows of many keys.
pub(super) struct Settings(BTreeMap<String, Setting>);

impl Settings {
    /// What `properties` and the lines of `file` come to. Notices go to `notices`.
    pub(super) fn collect(
        properties: &SystemProperties,
        file: Option<(&Path, &[Pair])>,
        notices: &mut Vec<Notice>,
    ) -> Self {
        let mut collector = Collector {
            settings: BTreeMap::new(),
            notices,
        };
        for (number, property) in (0..).zip(properties.iter()) {
            collector.property(number, property);
        }
        if let Some((path, pairs)) = file {
            for pair in pairs {
                collector.line(path, pair);
            }
        }
        let settings = collector.settings;
        for setting in settings.values() {
            notices.extend(setting.standing_notice());
        }
        Self(settings)
    }

    /// The setting of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.0.get(key)
    }

    /// All settings with their keys, in the order in which they were given.
    pub(super) fn in_order(&self) -> Vec<(&str, &Setting)> {
        let mut settings: Vec<_> = self.0.iter().map(|(key, setting)| (key.as_str(), setting)).collect();
        settings.sort_by_key(|(_, setting)| (setting.strength.source, setting.strength.number));
        settings
    }

    /// Where a key was given.
    pub(super) fn place(&self, key: &str) -> Place {
        self.get(key).map_or(Place::Default, |setting| setting.place.clone())
    }
}

impl Setting {
    /// What there is to say about a key that counts but does nothing.
    fn standing_notice(&self) -> Option<Notice> {
        let key = self.spelled.clone();
        let kind = match self.row.meaning {
            Meaning::NotYet { what, quiet } if !quiet.contains(&self.value.as_str()) => {
                NoticeKind::NotSupported { key, what }
            }
            Meaning::Nothing { why } => NoticeKind::WithoutMeaning { key, why },
            Meaning::NotYet { .. }
            | Meaning::Used(_)
            | Meaning::Membership
            | Meaning::Ensemble
            | Meaning::Refused { .. }
            | Meaning::DeadSpelling(_) => return None,
        };
        Some(Notice::new(&self.place, kind))
    }
}

/// Properties that belong to the JVM or to Java libraries. They are named as such and not compared with known names.
const JVM_PREFIXES: [&str; 16] = [
    "java.",
    "javax.",
    "jdk.",
    "sun.",
    "com.sun.",
    "com.ibm.",
    "file.",
    "user.",
    "os.",
    "log4j",
    "logback.",
    "org.slf4j.",
    "io.netty.",
    "org.eclipse.jetty.",
    "http.",
    "https.",
];

struct Collector<'a> {
    settings: BTreeMap<String, Setting>,
    notices: &'a mut Vec<Notice>,
}

impl Collector<'_> {
    fn line(&mut self, path: &Path, pair: &Pair) {
        let place = Place::File {
            path: path.to_owned(),
            line: pair.line,
        };
        if pair.key.is_empty() {
            self.say(&place, NoticeKind::NoKey);
            return;
        }
        // A line that Java does not know becomes a property, which may have a name of its own.
        let property = format!("{PREFIX}{}", pair.key);
        let (row, key) = match (table::by_key(&pair.key), table::by_property(&property)) {
            (Some(row), _) => (row, pair.key.as_str()),
            (None, Some((Found::Exact(row), key))) => (row, key),
            (None, Some((Found::OtherForm(_), _)) | None) => {
                let nearest = nearest_key(&pair.key).map(str::to_owned);
                let key = pair.key.clone();
                self.say(&place, NoticeKind::Unknown { key, nearest });
                return;
            }
        };
        let strength = Strength {
            property_above_file: row.property_above_file(&property),
            working_name: true,
            source: Source::File,
            number: pair.line,
        };
        self.add(
            key,
            Setting {
                row,
                place,
                spelled: pair.key.clone(),
                value: pair.value.clone(),
                strength,
            },
        );
    }

    fn property(&mut self, number: u32, property: &Property) {
        let place = &property.place;
        let name = property.name.as_str();
        let source = match place {
            Place::Argument => Source::Argument,
            Place::Variable(_) | Place::File { .. } | Place::Default => Source::Variable,
        };
        let (row, key) = match (table::by_property(name), table::by_key(name)) {
            (Some((Found::Exact(row), key)), _) => (row, key),
            // Java has no `-D zookeeper.clientPort`; on zebu's own command line it means what it says.
            (Some((Found::OtherForm(row), key)), _)
                if source == Source::Argument || row.property == PropertyName::Bare =>
            {
                (row, key)
            }
            (None, Some(row)) if source == Source::Argument => (row, name),
            (Some((Found::OtherForm(row), _)), _) => {
                let property = name.to_owned();
                self.say(
                    place,
                    NoticeKind::FileOnly {
                        property,
                        key: row.name,
                    },
                );
                return;
            }
            (None, _) => {
                self.say(place, strange_property(name));
                return;
            }
        };
        let strength = Strength {
            property_above_file: row.property_above_file(name),
            working_name: true,
            source,
            number,
        };
        self.add(
            key,
            Setting {
                row,
                place: place.clone(),
                spelled: name.to_owned(),
                value: property.value.clone(),
                strength,
            },
        );
    }

    /// Adds a setting unless there is a stronger one.
    fn add(&mut self, key: &str, mut setting: Setting) {
        let mut key = key;
        if let Meaning::DeadSpelling(working) = setting.row.meaning {
            let spelled = setting.spelled.clone();
            self.say(&setting.place, NoticeKind::DeadSpelling { key: spelled, working });
            let Some(row) = table::by_key(working) else { return };
            setting.row = row;
            setting.strength.working_name = false;
            key = working;
        }
        let Some(other) = self.settings.remove(key) else {
            self.settings.insert(key.to_owned(), setting);
            return;
        };
        let (winner, loser) = if setting.strength > other.strength {
            (setting, other)
        } else {
            (other, setting)
        };
        if let Some(kind) = superseded(&loser, &winner) {
            self.say(&loser.place, kind);
        }
        self.settings.insert(key.to_owned(), winner);
    }

    fn say(&mut self, place: &Place, kind: NoticeKind) {
        self.notices.push(Notice::new(place, kind));
    }
}

impl Key {
    fn property_above_file(&self, property: &str) -> bool {
        matches!(self.property, PropertyName::Stronger(name) if name == property)
    }

    /// How to write this key with `-D`.
    fn property_name(&self) -> String {
        match self.property {
            PropertyName::Prefixed | PropertyName::PrefixedOrBare => format!("{PREFIX}{}", self.name),
            PropertyName::Bare | PropertyName::FileOnly => self.name.to_owned(),
            PropertyName::Stronger(name) => name.to_owned(),
        }
    }
}

/// What there is to say of a value that does not count: nothing if it is the same, or if Java's own rule of the last
/// option was used.
fn superseded(loser: &Setting, winner: &Setting) -> Option<NoticeKind> {
    let key = loser.spelled.clone();
    match (&loser.place, &winner.place) {
        (Place::File { .. }, Place::File { line, .. }) if loser.spelled == winner.spelled => {
            Some(NoticeKind::Repeated { key, winner: *line })
        }
        (loser_place, winner_place) if loser_place == winner_place => None,
        (_, by) => {
            let by = by.clone();
            (loser.value != winner.value).then_some(NoticeKind::Overridden { key, by })
        }
    }
}

/// The known key that `key` may have been meant for.
pub(super) fn nearest_key(key: &str) -> Option<&'static str> {
    let key = key.strip_prefix(PREFIX).unwrap_or(key);
    // The number in `sever.1` stands where a row has its N.
    let number = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let pattern = format!("{number}N");
    let name = if number.len() < key.len() && number.ends_with('.') {
        &pattern
    } else {
        key
    };
    nearest(name, table::keys().filter(|row| row.is_suggested()).map(|row| row.name))
}

fn strange_property(name: &str) -> NoticeKind {
    let key = name.to_owned();
    if name.is_empty() {
        NoticeKind::NoKey
    } else if JVM_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        NoticeKind::WithoutMeaning {
            key,
            why: "it is a property of the JVM or of a Java library",
        }
    } else {
        let nearest = nearest_key(name).and_then(table::by_key).map(Key::property_name);
        NoticeKind::Unknown { key, nearest }
    }
}
