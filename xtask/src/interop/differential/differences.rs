//! What differs between two texts, and the list of what may.

use std::cell::Cell;
use std::fmt;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::java::JavaVersion;

/// A line that only one side printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// Printed for the Java server alone.
    Java(String),
    /// Printed for zebu alone.
    Zebu(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Java(line) => write!(f, "java: {line}"),
            Self::Zebu(line) => write!(f, "zebu: {line}"),
        }
    }
}

/// The smallest set of lines to take out of both texts so that the rest is the same, in the order of the texts.
pub(super) fn between(java: &[String], zebu: &[String]) -> Vec<Difference> {
    let same_start = java.iter().zip(zebu).take_while(|(a, b)| a == b).count();
    let (java, zebu) = (&java[same_start..], &zebu[same_start..]);
    let same_end = java
        .iter()
        .rev()
        .zip(zebu.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let (java, zebu) = (&java[..java.len() - same_end], &zebu[..zebu.len() - same_end]);
    // common[i][j]: length of the longest common subsequence of java[i..] and zebu[j..].
    let mut common = vec![vec![0_u32; zebu.len() + 1]; java.len() + 1];
    for i in (0..java.len()).rev() {
        for j in (0..zebu.len()).rev() {
            common[i][j] = if java[i] == zebu[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut found = Vec::new();
    while i < java.len() || j < zebu.len() {
        if i < java.len() && j < zebu.len() && java[i] == zebu[j] {
            i += 1;
            j += 1;
        } else if j == zebu.len() || (i < java.len() && common[i + 1][j] >= common[i][j + 1]) {
            found.push(Difference::Java(java[i].clone()));
            i += 1;
        } else {
            found.push(Difference::Zebu(zebu[j].clone()));
            j += 1;
        }
    }
    found
}

/// The list of `interop/differences.toml`.
#[derive(Debug)]
pub(super) struct Differences {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    /// Absent: both.
    reference: Option<JavaVersion>,
    driver: String,
    scenarios: Vec<String>,
    java: Vec<Pattern>,
    zebu: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    text: String,
    used: Cell<bool>,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    difference: Vec<RawEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    name: String,
    reason: String,
    reference: Option<String>,
    #[serde(default = "anything")]
    driver: String,
    #[serde(default)]
    scenarios: Vec<String>,
    #[serde(default)]
    java: Vec<String>,
    #[serde(default)]
    zebu: Vec<String>,
}

fn anything() -> String {
    "*".to_owned()
}

impl Differences {
    /// Reads the list.
    ///
    /// # Errors
    /// When it is no TOML, has an unknown key, or an entry has no reason, no pattern or an unknown reference.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text).context("differences.toml cannot be read")?;
        let entries = file.difference.into_iter().map(Entry::new).collect::<Result<_>>()?;
        Ok(Self { entries })
    }

    /// Whether an entry allows this difference. Every pattern that does counts as used.
    pub(super) fn cover(&self, version: JavaVersion, driver: &str, scenario: &str, difference: &Difference) -> bool {
        let mut covered = false;
        for entry in self
            .entries
            .iter()
            .filter(|entry| entry.applies(version, driver, scenario))
        {
            let (patterns, line) = match difference {
                Difference::Java(line) => (&entry.java, line),
                Difference::Zebu(line) => (&entry.zebu, line),
            };
            for pattern in patterns.iter().filter(|pattern| matches(&pattern.text, line)) {
                pattern.used.set(true);
                covered = true;
            }
        }
        covered
    }

    /// The patterns that have covered nothing.
    pub(super) fn unused(&self) -> Vec<String> {
        let mut unused = Vec::new();
        for entry in &self.entries {
            for (side, patterns) in [("java", &entry.java), ("zebu", &entry.zebu)] {
                for pattern in patterns.iter().filter(|pattern| !pattern.used.get()) {
                    unused.push(format!("{}, {side}: {}", entry.name, pattern.text));
                }
            }
        }
        unused
    }
}

impl Entry {
    fn new(raw: RawEntry) -> Result<Self> {
        let name = raw.name;
        if raw.reason.trim().is_empty() {
            bail!("differences.toml: {name} gives no reason");
        }
        if raw.java.is_empty() && raw.zebu.is_empty() {
            bail!("differences.toml: {name} has no pattern");
        }
        let reference = match raw.reference.as_deref() {
            None => None,
            Some("3.8") => Some(JavaVersion::Debian38),
            Some("3.9") => Some(JavaVersion::Maven39),
            Some(other) => bail!("differences.toml: {name}: the reference is 3.8 or 3.9, not {other}"),
        };
        let patterns = |texts: Vec<String>| {
            let pattern = |text| Pattern {
                text,
                used: Cell::new(false),
            };
            texts.into_iter().map(pattern).collect()
        };
        Ok(Self {
            name,
            reference,
            driver: raw.driver,
            scenarios: if raw.scenarios.is_empty() {
                vec![anything()]
            } else {
                raw.scenarios
            },
            java: patterns(raw.java),
            zebu: patterns(raw.zebu),
        })
    }

    fn applies(&self, version: JavaVersion, driver: &str, scenario: &str) -> bool {
        self.reference.is_none_or(|reference| reference == version)
            && matches(&self.driver, driver)
            && self.scenarios.iter().any(|pattern| matches(pattern, scenario))
    }
}

/// Whether `text` is like `pattern`, in which `*` stands for any text and everything else for itself.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    // `split` yields at least one piece; the last one must stand at the very end.
    let end = pieces.pop().unwrap_or("");
    for piece in pieces {
        match text.split_once(piece) {
            Some((_, behind)) => text = behind,
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn check_between(java: &str, zebu: &str, expected: &str) {
        let found: Vec<String> = between(&lines(java), &lines(zebu))
            .iter()
            .map(|difference| match difference {
                Difference::Java(line) => format!("-{line}"),
                Difference::Zebu(line) => format!("+{line}"),
            })
            .collect();
        assert_eq!(found.join(" "), expected);
    }

    #[test]
    fn only_the_lines_that_differ_are_found() {
        check_between("a b c", "a b c", "");
        check_between("a b c", "a x c", "-b +x");
        check_between("a b c d", "b c e d", "-a +e");
        check_between("", "a", "+a");
        check_between("a b", "", "-a -b");
        check_between("a x b", "b x a", "-a -x +x +a");
    }

    fn check_matches(pattern: &str, text: &str, expected: bool) {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
    }

    #[test]
    fn a_star_stands_for_any_text() {
        check_matches("a", "a", true);
        check_matches("a", "ab", false);
        check_matches("*", "", true);
        check_matches("a*c", "abc", true);
        check_matches("a*c", "ac", true);
        check_matches("a*c", "acb", false);
        check_matches("*b*", "abc", true);
        check_matches("*b*b", "ab", false);
        check_matches("a*a", "a", false);
        check_matches("[a]*", "[a](", true);
    }

    const LIST: &str = r#"
        [[difference]]
        name = "one"
        reason = "because"
        reference = "3.8"
        scenarios = ["full/*"]
        java = ["old *"]
        zebu = ["new *", "never"]
    "#;

    #[test]
    fn an_entry_covers_its_lines_only() {
        let list = Differences::parse(LIST).unwrap();
        let old = Difference::Java("old 1".to_owned());
        assert!(!list.cover(JavaVersion::Maven39, "raw", "full/x", &old));
        assert!(!list.cover(JavaVersion::Debian38, "raw", "plain/x", &old));
        assert!(!list.cover(
            JavaVersion::Debian38,
            "raw",
            "full/x",
            &Difference::Zebu("old 1".to_owned())
        ));
        assert_eq!(list.unused().len(), 3);
        assert!(list.cover(JavaVersion::Debian38, "raw", "full/x", &old));
        assert!(list.cover(
            JavaVersion::Debian38,
            "raw",
            "full/x",
            &Difference::Zebu("new 2".to_owned())
        ));
        assert_eq!(list.unused(), ["one, zebu: never"]);
    }

    fn check_refused(from: &str, to: &str) {
        assert!(Differences::parse(&LIST.replace(from, to)).is_err(), "{to}");
    }

    #[test]
    fn a_list_that_says_too_little_is_refused() {
        check_refused("because", " ");
        check_refused("3.8", "3.7");
        check_refused("scenarios", "scenario");
        assert!(Differences::parse("[[difference]]\nname = \"x\"\nreason = \"y\"").is_err());
    }
}
