//! The four-letter words and which of them are answered.

use std::collections::BTreeSet;

/// The words of ZooKeeper 3.9, in the order of the alphabet.
const WORDS: [&str; 18] = [
    "conf", "cons", "crst", "dirs", "dump", "envi", "gtmk", "hash", "isro", "mntr", "ruok", "srst", "srvr", "stat",
    "stmk", "wchc", "wchp", "wchs",
];

/// Words that change nothing and whose answer has a bound: the server's state, or one line per connection (`stat`).
///
/// Not among them: `crst srst stmk` change something, `cons dump wchc wchp` show what clients do and grow with sessions
/// and watches, `gtmk` is of no use to anyone.
const HARMLESS: [&str; 10] = [
    "conf", "dirs", "envi", "hash", "isro", "mntr", "ruok", "srvr", "stat", "wchs",
];

/// The four-letter words that are answered (`4lw.commands.whitelist`).
///
/// Java's default is `srvr` alone, and then every monitor needs a change of configuration. zebu's is
/// [`FourLetterWords::harmless`]. A list in the configuration replaces it, as on Java.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FourLetterWords(BTreeSet<&'static str>);

impl FourLetterWords {
    /// Every word (`*`).
    #[must_use]
    pub fn all() -> Self {
        Self(BTreeSet::from(WORDS))
    }

    /// `ruok srvr stat mntr conf isro envi dirs hash wchs`.
    #[must_use]
    pub fn harmless() -> Self {
        Self(BTreeSet::from(HARMLESS))
    }

    /// Whether `word` is answered. A word that ZooKeeper does not know never is.
    #[must_use]
    pub fn allows(&self, word: &str) -> bool {
        self.0.contains(word)
    }

    /// The words that are answered, in the order of the alphabet.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().copied()
    }

    /// A list as in `zoo.cfg`: words between commas, `*` for all. `srvr` is always on, since the status script asks it.
    /// Returned beside it: what is no word.
    ///
    /// Source: `FourLetterCommands.isEnabled`.
    pub(super) fn from_list(list: &str) -> (Self, Vec<String>) {
        let mut words = BTreeSet::from(["srvr"]);
        let mut strangers = Vec::new();
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            if item == "*" {
                return (Self::all(), strangers);
            }
            match WORDS.iter().find(|word| **word == item) {
                Some(word) => drop(words.insert(word)),
                None => strangers.push(item.to_owned()),
            }
        }
        (Self(words), strangers)
    }

    /// Adds `isro`, by which a client finds out whether a server serves reads only.
    pub(super) fn allow_isro(&mut self) {
        self.0.insert("isro");
    }
}
