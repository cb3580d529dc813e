//! What a data directory holds, as Java loads it, and what a server serves, as a client sees it: both as the same lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::context::Context;
use crate::interop::client::{Acl, Answer, Op, Session, Stat};
use crate::java::JavaVersion;

use super::load::SUPER;

/// A JVM that ends after seconds is faster without its second compiler.
pub(crate) const FAST_START: [&str; 3] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"];

/// Differences that are shown; one fault shows in many lines.
const SHOWN_MAX: usize = 6;

/// Lines of a dump by what they are about: for a node `node<TAB>/path`, for a session `session<TAB>0x1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dump {
    lines: BTreeMap<String, String>,
    /// What Java's tools say about each file.
    pub(crate) files: BTreeMap<String, String>,
}

impl Dump {
    fn add(&mut self, line: &str) {
        let mut fields = line.split('\t');
        let kind = fields.next().unwrap_or_default();
        let about = fields.next().unwrap_or_default();
        if kind == "file" {
            let said = fields.next().unwrap_or_default();
            self.files.insert(about.to_owned(), said.to_owned());
            return;
        }
        // One session has many ephemeral nodes; all other kinds have one line for each thing.
        let (key, value) = match kind {
            "ephemeral" => (line.to_owned(), String::new()),
            "digest" | "zxid" | "refused" => (kind.to_owned(), line.to_owned()),
            _ => (format!("{kind}\t{about}"), line.to_owned()),
        };
        self.lines.insert(key, value);
    }

    /// Only the lines about what clients see.
    pub(crate) fn served(&self) -> Self {
        let lines = self.lines.iter().filter(|(key, _)| key.starts_with("node\t"));
        Self {
            lines: lines.map(|(key, line)| (key.clone(), line.clone())).collect(),
            files: BTreeMap::new(),
        }
    }

    /// All but what is about this node.
    pub(crate) fn without(mut self, path: &str) -> Self {
        for kind in ["node", "stored"] {
            self.lines.remove(&format!("{kind}\t{path}"));
        }
        self
    }

    /// All but that digests of transactions differed on the way to what is there in the end.
    pub(crate) fn without_mismatches(mut self) -> Self {
        self.lines.retain(|key, _| !key.starts_with("mismatch"));
        self
    }

    /// How many nodes there are.
    pub(crate) fn node_count(&self) -> usize {
        self.lines.keys().filter(|key| key.starts_with("node\t")).count()
    }

    /// The sessions with their timeouts in milliseconds.
    pub(crate) fn sessions(&self) -> Result<BTreeMap<i64, i32>> {
        let mut sessions = BTreeMap::new();
        for line in self.lines.values().filter(|line| line.starts_with("session\t")) {
            let fields: Vec<&str> = line.split('\t').collect();
            let [_, id, timeout_ms] = fields[..] else {
                bail!("a session line of another form: {line}");
            };
            let id = u64::from_str_radix(id.trim_start_matches("0x"), 16)?;
            sessions.insert(id.cast_signed(), timeout_ms.parse()?);
        }
        Ok(sessions)
    }

    /// What is wrong with the directory by itself: it cannot be loaded, or the tree is not the one of the digests.
    pub(crate) fn fault(&self, digest: bool) -> Option<String> {
        if let Some(refused) = self.lines.get("refused") {
            return Some(refused.clone());
        }
        if let Some((key, _)) = self.lines.iter().find(|(key, _)| key.starts_with("mismatch")) {
            return Some(format!("the digest of a transaction is not that of the tree: {key}"));
        }
        let line = self.lines.get("digest")?;
        let fields: Vec<&str> = line.split('\t').collect();
        let [_, kept, computed] = fields[..] else {
            return Some(format!("a digest line of another form: {line}"));
        };
        (digest && kept != computed).then(|| format!("digest {kept}, computed from the nodes {computed}"))
    }

    /// The first differences, or nothing.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let mut text = String::new();
        let mut count = 0;
        let keys: std::collections::BTreeSet<&String> = self.lines.keys().chain(other.lines.keys()).collect();
        for key in keys {
            let (ours, theirs) = (self.lines.get(key), other.lines.get(key));
            if ours == theirs {
                continue;
            }
            count += 1;
            if count <= SHOWN_MAX {
                let show = |line: Option<&String>| line.map_or("-".to_owned(), |line| line.clone());
                // Writing to a string cannot fail.
                let _ = write!(text, "\n  {key}\n    {}\n    {}", show(ours), show(theirs));
            }
        }
        (count > 0).then(|| format!("{count} lines differ:{text}"))
    }

    #[cfg(test)]
    pub(crate) fn parse(text: &str) -> Self {
        let mut dump = Self::default();
        text.lines().for_each(|line| dump.add(line));
        dump
    }
}

/// The program that loads directories with Java's own classes.
#[derive(Debug)]
pub(crate) struct Loader {
    classes: PathBuf,
}

impl Loader {
    /// Compiles it against the newest Java server; it runs with either.
    pub(crate) fn build(context: &Context) -> Result<Self> {
        let workspace = context.workspace();
        let classes = workspace.interop_target("datadir");
        fs::create_dir_all(&classes).with_context(|| format!("cannot make {}", classes.display()))?;
        let mut javac = Command::new("javac");
        javac
            .arg("-nowarn")
            .arg("-cp")
            .arg(JavaVersion::Maven39.class_path(workspace)?);
        javac.arg("-d").arg(&classes);
        context.run(javac.arg(workspace.interop_source("datadir").join("Dump.java")))?;
        Ok(Self { classes })
    }

    /// Dumps directories, each with its folders `data` and, if there is one, `log`. They are copied first.
    pub(crate) fn dump(
        &self,
        context: &Context,
        version: JavaVersion,
        properties: &[(String, String)],
        directories: &[PathBuf],
    ) -> Result<Vec<Dump>> {
        let copies = tempfile::tempdir()?;
        let mut class_path = self.classes.clone().into_os_string();
        class_path.push(":");
        class_path.push(version.class_path(context.workspace())?);
        let mut command = Command::new("java");
        command.arg("-cp").arg(class_path).arg("-Xmx256m");
        for (name, value) in properties {
            command.arg(format!("-D{name}={value}"));
        }
        let output = copies.path().join("dump");
        command
            .args(FAST_START)
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error");
        command.arg("Dump").arg(&output);
        for (number, directory) in directories.iter().enumerate() {
            let copy = copies.path().join(number.to_string());
            copy_folder(directory, &copy)?;
            let data = copy.join("data");
            let log = copy.join("log");
            if version == JavaVersion::Debian38 {
                remove_empty_logs(if log.exists() { &log } else { &data })?;
            }
            let argument = if log.exists() {
                format!("{}:{}", data.display(), log.display())
            } else {
                data.display().to_string()
            };
            command.arg(argument);
        }
        context.run(&mut command)?;
        let output = fs::read_to_string(&output).context("cannot read the dump")?;
        let mut dumps = Vec::new();
        for line in output.lines() {
            if line.starts_with("### ") {
                dumps.push(Dump::default());
            } else if let Some(dump) = dumps.last_mut() {
                dump.add(line);
            }
        }
        ensure!(
            dumps.len() == directories.len(),
            "{} of {} directories were dumped",
            dumps.len(),
            directories.len()
        );
        Ok(dumps)
    }
}

/// Does what a person must do before Java 3.8.0 starts again after a kill between the making of a log file and its
/// first byte: it refuses a directory with an empty log, which later releases remove themselves.
pub(crate) fn remove_empty_logs(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder.join("version-2"))? {
        let entry = entry?;
        let is_log = entry.file_name().to_string_lossy().starts_with("log.");
        if is_log && entry.metadata()?.len() == 0 {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Reads everything that a server serves, through a session that is closed again. Nothing else may go on.
pub(crate) fn live(address: SocketAddr) -> Result<Dump> {
    let mut session = Session::open(address, 10_000)?;
    session.must(&Op::Auth {
        scheme: "digest".to_owned(),
        credentials: SUPER.to_owned(),
    })?;
    let mut dump = Dump::default();
    let mut level = vec!["/".to_owned()];
    while !level.is_empty() {
        let requests: Vec<Op> = level
            .iter()
            .flat_map(|path| {
                [
                    Op::Get(path.clone()),
                    Op::GetAcl(path.clone()),
                    Op::Children(path.clone()),
                ]
            })
            .collect();
        let answers = session.call_all(&requests)?;
        let mut next = Vec::new();
        for (path, triple) in level.iter().zip(answers.chunks(3)) {
            let [
                (_, Answer::Data(data, stat)),
                (_, Answer::Acl(acl, _)),
                (_, Answer::Children(names, _)),
            ] = triple
            else {
                bail!("{path} cannot be read: {triple:?}");
            };
            dump.add(&node_line(path, data.as_deref(), acl, stat));
            let parent = path.trim_end_matches('/');
            next.extend(names.iter().map(|name| format!("{parent}/{name}")));
        }
        level = next;
    }
    session.close()?;
    Ok(dump)
}

/// The line that `Dump.java` prints for a node.
fn node_line(path: &str, data: Option<&[u8]>, acl: &[Acl], stat: &Stat) -> String {
    let data = data.map_or("null".to_owned(), |data| {
        data.iter().fold("'".to_owned(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    });
    let acl: Vec<String> = acl
        .iter()
        .map(|entry| format!("{}:{}:{}", entry.perms, entry.scheme, entry.id))
        .collect();
    format!(
        "node\t{path}\t{data}\t{}\t{:#x}\t{:#x}\t{}\t{}\t{}\t{}\t{}\t{:#x}\t{}\t{}\t{:#x}",
        acl.join(","),
        stat.czxid,
        stat.mzxid,
        stat.ctime,
        stat.mtime,
        stat.version,
        stat.cversion,
        stat.aversion,
        stat.ephemeral_owner,
        stat.data_length,
        stat.num_children,
        stat.pzxid
    )
}

/// Copies a folder with all that is in it.
pub(crate) fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_told_as_java_tells_it() {
        let stat = Stat {
            czxid: 0x10,
            mzxid: 0x11,
            ctime: 5,
            mtime: 6,
            version: 1,
            cversion: -1,
            aversion: 2,
            ephemeral_owner: -1,
            data_length: 1,
            num_children: 3,
            pzxid: 0x12,
        };
        let acl = [Acl::new(31, "world", "anyone"), Acl::new(1, "ip", "127.0.0.1")];
        let expected = "node\t/a\t'78\t31:world:anyone,1:ip:127.0.0.1\t0x10\t0x11\t5\t6\t1\t-1\t2\t\
            0xffffffffffffffff\t1\t3\t0x12";
        assert_eq!(node_line("/a", Some(b"x"), &acl, &stat), expected);
        assert!(node_line("/a", None, &acl, &stat).contains("\tnull\t"));
        assert!(node_line("/a", Some(b""), &acl, &stat).contains("\t'\t"));
    }

    #[test]
    fn every_kind_of_line_is_compared() {
        let text = "zxid\t0x5\nsession\t0x1\t1000\nephemeral\t0x1\t/e\nephemeral\t0x1\t/f\nnode\t/\t'\tx\n\
            stored\t/\t0\t0x0\ndigest\t0x1\t0x1\nfile\tlog.1\tread\n";
        let dump = Dump::parse(text);
        assert_eq!(dump.difference(&dump), None);
        assert_eq!(dump.fault(true), None);
        for line in text.lines().filter(|line| !line.starts_with("file")) {
            let less: String = text
                .lines()
                .filter(|other| *other != line)
                .map(|line| format!("{line}\n"))
                .collect();
            assert!(dump.difference(&Dump::parse(&less)).is_some(), "{line}");
        }
        assert_eq!(dump.sessions().unwrap(), BTreeMap::from([(1, 1000)]));
        assert_eq!(dump.served().lines.len(), 1);
        assert!(Dump::parse("digest\t0x1\t0x2").fault(true).is_some());
        assert!(Dump::parse("digest\t0x1\t0x2").fault(false).is_none());
        assert!(Dump::parse("mismatch\t0x2").fault(true).is_some());
        assert!(Dump::parse("refused\twhy").fault(true).is_some());
    }
}
