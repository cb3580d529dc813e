//! The files that change when the ensemble does.
//!
//! | File | Holds |
//! |---|---|
//! | `zoo.cfg.dynamic.<version>` | the committed list of servers, without its version |
//! | `zoo.cfg.dynamic.next` | the list that was proposed last, with its version, while it is not known to be committed |
//! | `zoo.cfg.bak` | `zoo.cfg` as it was when the list of servers still stood in it |
//!
//! Each is written under another name, synced, renamed, and its directory synced.
//!
//! Source: `QuorumPeerConfig.writeDynamicConfig`, `editStaticConfig`, `backupOldConfig`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use zebu_proto::Sid;
use zebu_proto::properties;
use zebu_proto::quorum::QuorumConfig;

fn beside(config_file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(config_file);
    name.push(suffix);
    name.into()
}

/// Where the list that was proposed last is.
pub(crate) fn next(config_file: &Path) -> PathBuf {
    beside(config_file, ".dynamic.next")
}

/// Keeps `zoo.cfg` as it is, before the list of servers goes to a file of its own.
///
/// # Errors
/// If a file cannot be read or written.
pub(crate) fn back_up(config_file: &Path) -> io::Result<()> {
    write(&beside(config_file, ".bak"), &fs::read(config_file)?)
}

/// Keeps the list that was proposed last.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write_next(config_file: &Path, config: &QuorumConfig) -> io::Result<()> {
    let mut text = sorted_lines(config);
    let _ = write!(text, "\nversion={}", config.version);
    write(&next(config_file), text.as_bytes())
}

/// There is no list that is not committed any more.
///
/// # Errors
/// If the file is there and cannot be removed.
pub(crate) fn remove_next(config_file: &Path) -> io::Result<()> {
    match fs::remove_file(next(config_file)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Keeps the committed list, and lets `zoo.cfg` name its file.
///
/// # Errors
/// If a file cannot be read or written.
pub(crate) fn write_committed(config_file: &Path, config: &QuorumConfig, own: Sid) -> io::Result<()> {
    let list = beside(config_file, &format!(".dynamic.{}", config.version));
    write(&list, sorted_lines(config).as_bytes())?;
    // What the list says of the client port does not stand in two places.
    let has_client_port = config.members.get(&own).is_some_and(|member| member.client.is_some());
    let text = String::from_utf8_lossy(&fs::read(config_file)?).into_owned();
    let edited = without_list(&text, &fs::canonicalize(&list)?, has_client_port);
    write(config_file, edited.as_bytes())
}

fn sorted_lines(config: &QuorumConfig) -> String {
    let text = config.to_string();
    let mut lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("version=")).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// `zoo.cfg` without the list of servers and all comments, and with the name of the list's file.
fn without_list(text: &str, list: &Path, has_client_port: bool) -> String {
    let mut edited = String::new();
    // It was read when the server started.
    for pair in properties::parse(text).unwrap_or_default() {
        let is_of_list = ["server.", "group", "weight", "dynamicConfigFile", "peerType"];
        let is_of_list = is_of_list.iter().any(|key| pair.key.starts_with(key));
        let is_in_list = is_of_list || has_client_port && pair.key.starts_with("clientPort");
        if !is_in_list {
            let value = pair.value.replace('\\', "\\\\");
            let _ = writeln!(edited, "{}={value}", pair.key);
        }
    }
    let _ = writeln!(edited, "dynamicConfigFile={}", list.display());
    edited
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path, ".tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZOO_CFG: &str = "# how it was\ntickTime=2000\ndataDir=/d\\\\e\nclientPort=2181\nserver.1=a:1:2\ngroup.1=1\nweight.1=1\n\
                           peerType=participant\nreconfigEnabled=true\n";

    #[test]
    fn the_list_of_servers_goes_to_a_file_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("zoo.cfg");
        fs::write(&file, ZOO_CFG).unwrap();
        back_up(&file).unwrap();
        let mut config = QuorumConfig::parse("server.2=b:1:2\nserver.10=c:1:2;3\nserver.1=a:1:2\nversion=1a").unwrap();
        write_next(&file, &config).unwrap();
        let read = |suffix: &str| fs::read_to_string(beside(&file, suffix)).unwrap();
        let lines = "server.10=c:1:2:participant;0.0.0.0:3\nserver.1=a:1:2:participant\nserver.2=b:1:2:participant";
        assert_eq!(read(".dynamic.next"), format!("{lines}\nversion=1a"));

        write_committed(&file, &config, Sid(1)).unwrap();
        remove_next(&file).unwrap();
        remove_next(&file).unwrap();
        let list = fs::canonicalize(dir.path()).unwrap().join("zoo.cfg.dynamic.1a");
        let named = format!("dynamicConfigFile={}\n", list.display());
        let kept = "tickTime=2000\ndataDir=/d\\\\e\nclientPort=2181\nreconfigEnabled=true\n";
        assert_eq!(read(""), format!("{kept}{named}"));
        assert_eq!(read(".bak"), ZOO_CFG);
        assert_eq!(read(".dynamic.1a"), lines);
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["zoo.cfg", "zoo.cfg.bak", "zoo.cfg.dynamic.1a"]);

        config.version = zebu_proto::quorum::ConfigVersion(0x1b);
        write_committed(&file, &config, Sid(10)).unwrap();
        assert!(!read("").contains("clientPort"), "it stands in the list");
        assert!(read("").ends_with("zoo.cfg.dynamic.1b\n"));
    }
}
