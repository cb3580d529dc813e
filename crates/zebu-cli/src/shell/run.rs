//! Carrying commands out.

use std::fs;

use zebu_proto::ErrorCode;

use super::client::{Client, ClientError};
use super::command::{Command, Create, DataForm, Members, Reconfig};
use super::context::Context;
use super::error::{On as _, ShellError};
use super::help;
use super::outcome::Outcome;
use super::path::{Chroot, NodePath};
use super::quota::Quota;
use super::sink::Sink;
use super::subtree::{self, Visit};
use super::words::{self, Word};

/// The node with the ensemble's configuration, outside of every chroot.
const CONFIG: &str = "/zookeeper/config";

/// What comes after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The next one.
    Go,
    /// Nothing.
    Quit,
}

impl Context {
    /// Carries out a line and notes it in the history.
    ///
    /// # Errors
    /// Whatever keeps the command from succeeding. The shell is as good as before.
    pub(crate) fn run_line(&mut self, line: &str, sink: &mut Sink<'_>) -> Result<Flow, ShellError> {
        if line.trim().is_empty() {
            return Ok(Flow::Go);
        }
        self.remember(line);
        let words = words::split(line).map_err(super::command::UsageError::from)?;
        self.run_words(&words, sink)
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// Whatever keeps it from succeeding. The shell is as good as before.
    pub(crate) fn run_words(&mut self, words: &[Word], sink: &mut Sink<'_>) -> Result<Flow, ShellError> {
        let command = Command::parse(words).map_err(|error| ShellError::Usage {
            error,
            name: words.first().map(|word| word.text.clone()),
        })?;
        let result = match command {
            None => Ok(Flow::Go),
            Some(command) => self.run(command, sink),
        };
        // Also what came before an error is worth showing.
        let ended = sink.end();
        let flow = result?;
        ended?;
        Ok(flow)
    }

    fn run(&mut self, command: Command, sink: &mut Sink<'_>) -> Result<Flow, ShellError> {
        match command {
            Command::Quit => {
                self.close();
                return Ok(Flow::Quit);
            }
            Command::Redo { number } => {
                let line = self.line(number).ok_or(ShellError::Redo(number))?.to_owned();
                let words = words::split(&line).map_err(super::command::UsageError::from)?;
                // Redoing a redo could go on for ever.
                if let Ok(Some(Command::Redo { .. })) = Command::parse(&words) {
                    return Err(ShellError::Redo(number));
                }
                return self.run_words(&words, sink);
            }
            Command::Connect { servers } => {
                let session = self.connect(servers)?.session_id();
                let servers = self.servers().to_string();
                sink.put(&Outcome::Connected { servers, session })?;
            }
            Command::Close => {
                self.client()?;
                self.close();
                sink.put(&Outcome::Done)?;
            }
            Command::Help { about } => sink.put(&Outcome::Text(help::text(about)))?,
            Command::History => sink.put(&Outcome::History(self.last_lines()))?,
            Command::PrintWatches { on: Some(on) } => {
                self.show_events(on);
                sink.put(&Outcome::Done)?;
            }
            Command::PrintWatches { on: None } => {
                let state = if self.shows_events() { "on" } else { "off" };
                sink.put(&Outcome::Text(format!("printwatches is {state}")))?;
            }
            Command::Version => sink.put(&Outcome::Named {
                name: "version",
                text: format!("ZooKeeper CLI version: zebu {}", env!("CARGO_PKG_VERSION")),
            })?,
            command => {
                let nodes = Nodes {
                    client: self.client()?,
                    chroot: self.chroot(),
                };
                nodes.run(command, sink)?;
            }
        }
        Ok(Flow::Go)
    }
}

/// Commands that a server answers.
struct Nodes<'a> {
    client: &'a Client,
    chroot: &'a Chroot,
}

impl Nodes<'_> {
    fn run(&self, command: Command, sink: &mut Sink<'_>) -> Result<(), ShellError> {
        let outcome = match command {
            Command::AddAuth { scheme, auth } => {
                self.client.add_auth(&scheme, auth.as_bytes())?;
                Outcome::Done
            }
            Command::AddWatch { path, mode } => {
                self.client
                    .add_watch(&self.chroot.full(&path), mode)
                    .reading(path.as_str())?;
                Outcome::Done
            }
            Command::Config {
                clients_only,
                watch,
                stat,
            } => self.config(clients_only, watch, stat)?,
            Command::Create(create) => self.create(&create)?,
            Command::Delete { path, version } => {
                self.client
                    .delete(&self.chroot.full(&path), version)
                    .writing(path.as_str())?;
                Outcome::Done
            }
            Command::DeleteAll { path, batch } => self.delete_all(&path, batch)?,
            Command::DelQuota { path, limits } => {
                self.quota(&path).delete(&limits)?;
                Outcome::Done
            }
            Command::Get {
                path,
                form,
                watch,
                stat: show_stat,
            } => {
                let (data, stat) = self
                    .client
                    .data(&self.chroot.full(&path), watch)
                    .reading(path.as_str())?;
                let path = path.to_string();
                Outcome::Data {
                    path,
                    data,
                    form,
                    stat,
                    show_stat,
                }
            }
            Command::GetAcl { path, stat: show_stat } => {
                let (acl, stat) = self.client.acl(&self.chroot.full(&path)).reading(path.as_str())?;
                let path = path.to_string();
                Outcome::Acl {
                    path,
                    acl,
                    stat,
                    show_stat,
                }
            }
            Command::GetAllChildrenNumber { path } => {
                let number = self
                    .client
                    .all_children_number(&self.chroot.full(&path))
                    .reading(path.as_str())?;
                Outcome::Count(usize::try_from(number).unwrap_or(0))
            }
            Command::GetEphemerals { path } => self.ephemerals(path.as_ref())?,
            Command::ListQuota { path } => self.quota(&path).list()?,
            Command::Ls {
                path,
                watch,
                stat: _,
                recursive: true,
            } => return self.list_all(&path, watch, sink),
            Command::Ls {
                path,
                watch,
                stat: show_stat,
                recursive: false,
            } => {
                let (mut children, stat) = self
                    .client
                    .children(&self.chroot.full(&path), watch)
                    .reading(path.as_str())?;
                children.sort_unstable();
                let path = path.to_string();
                Outcome::Children {
                    path,
                    children,
                    stat,
                    show_stat,
                }
            }
            Command::Reconfig(reconfig) => self.reconfig(reconfig)?,
            Command::RemoveWatches { path, kind, local } => {
                let removed = self.client.remove_watches(&self.chroot.full(&path), kind, local);
                if !removed.reading(path.as_str())? {
                    return Err(ClientError::Refused(ErrorCode::NoWatcher)).reading(path.as_str());
                }
                Outcome::Done
            }
            Command::Set {
                path,
                data,
                version,
                stat: show_stat,
            } => {
                let full = self.chroot.full(&path);
                let stat = self
                    .client
                    .set_data(&full, Some(&data), version)
                    .writing(path.as_str())?;
                let path = path.to_string();
                Outcome::Stat { path, stat, show_stat }
            }
            Command::SetAcl {
                path,
                acl,
                version,
                stat: show_stat,
                recursive: false,
            } => {
                let full = self.chroot.full(&path);
                let stat = self.client.set_acl(&full, &acl, version).writing(path.as_str())?;
                let path = path.to_string();
                Outcome::Stat { path, stat, show_stat }
            }
            Command::SetAcl {
                path,
                acl,
                version,
                stat: _,
                recursive: true,
            } => self.set_acl_below(&path, &acl, version)?,
            Command::SetQuota { path, limits } => {
                for warning in self.quota(&path).set(&limits)? {
                    sink.put(&warning)?;
                }
                Outcome::Done
            }
            Command::Stat { path, watch } => {
                let stat = self
                    .client
                    .exists(&self.chroot.full(&path), watch)
                    .reading(path.as_str())?;
                let stat = stat
                    .ok_or(ClientError::Refused(ErrorCode::NoNode))
                    .reading(path.as_str())?;
                let path = path.to_string();
                Outcome::Stat {
                    path,
                    stat,
                    show_stat: true,
                }
            }
            Command::Sync { path } => {
                self.client.sync(&self.chroot.full(&path)).reading(path.as_str())?;
                Outcome::Synced
            }
            Command::WhoAmI => Outcome::Identities(self.client.identities()?),
            // `Context::run` has seen to these.
            Command::Close
            | Command::Connect { .. }
            | Command::Help { .. }
            | Command::History
            | Command::PrintWatches { .. }
            | Command::Quit
            | Command::Redo { .. }
            | Command::Version => return Ok(()),
        };
        Ok(sink.put(&outcome)?)
    }

    fn quota<'b>(&'b self, path: &'b NodePath) -> Quota<'b> {
        Quota::new(self.client, self.chroot, path)
    }

    fn shown(&self, full: &str) -> String {
        self.chroot.strip(full).to_owned()
    }

    fn create(&self, create: &Create) -> Result<Outcome, ShellError> {
        let Create {
            path,
            data,
            acl,
            mode,
            ttl_ms,
        } = create;
        let full = self.chroot.full(path);
        // Below a chroot, a sequential node of the root needs its slash: the number is its name.
        let full = if path.as_str() == "/" && !self.chroot.is_root() && mode.is_sequential() {
            format!("{full}/")
        } else {
            full
        };
        let created = self
            .client
            .create(&full, data.as_deref(), acl.clone(), *mode, *ttl_ms)
            .creating(path.as_str())?;
        Ok(Outcome::Created(self.shown(&created)))
    }

    fn ephemerals(&self, path: Option<&NodePath>) -> Result<Outcome, ShellError> {
        let prefix = path.map_or_else(|| self.chroot.as_str().to_owned(), |path| self.chroot.full(path));
        let prefix = if prefix.is_empty() { "/".to_owned() } else { prefix };
        let mut paths: Vec<String> = self
            .client
            .ephemerals(&prefix)?
            .iter()
            .map(|path| self.shown(path))
            .collect();
        paths.sort_unstable();
        Ok(Outcome::Paths(paths))
    }

    fn list_all(&self, path: &NodePath, watch: bool, sink: &mut Sink<'_>) -> Result<(), ShellError> {
        let root = self.chroot.full(path);
        let denied = subtree::walk(self.client, &root, watch, &mut |full| {
            sink.put(&Outcome::Path(self.shown(full)))?;
            Ok(Visit::Go)
        });
        denied
            .map_err(|error| self.retarget(error))?
            .check(|full| self.shown(full))
    }

    fn delete_all(&self, path: &NodePath, batch: usize) -> Result<Outcome, ShellError> {
        let full = self.chroot.full(path);
        if full == "/" {
            return Err(ShellError::Undeletable(full));
        }
        subtree::delete(self.client, &full, batch, |full| self.shown(full)).map_err(|error| self.retarget(error))?;
        Ok(Outcome::Done)
    }

    fn set_acl_below(&self, path: &NodePath, acl: &[zebu_proto::Acl], version: i32) -> Result<Outcome, ShellError> {
        let root = self.chroot.full(path);
        // Listed before anything changes: the new ACL may not let us look any more.
        let mut paths = Vec::new();
        let denied = subtree::walk(self.client, &root, false, &mut |full| {
            paths.push(full.to_owned());
            Ok(Visit::Go)
        });
        denied
            .map_err(|error| self.retarget(error))?
            .check(|full| self.shown(full))?;
        for full in paths {
            match self.client.set_acl(&full, acl, version) {
                // Gone since.
                Err(ClientError::Refused(ErrorCode::NoNode)) if full != root => {}
                result => {
                    result.writing(self.shown(&full))?;
                }
            }
        }
        Ok(Outcome::Done)
    }

    /// An error about a path as the server knows it, as one about what the user wrote.
    fn retarget(&self, error: ShellError) -> ShellError {
        use super::error::Target;
        match error {
            ShellError::Client { error, target } => {
                let target = match target {
                    Target::Session => Target::Session,
                    Target::Read(path) => Target::Read(self.shown(&path)),
                    Target::Write(path) => Target::Write(self.shown(&path)),
                    Target::Create(path) => Target::Create(self.shown(&path)),
                };
                ShellError::on(error, target)
            }
            error => error,
        }
    }

    fn config(&self, clients_only: bool, watch: bool, show_stat: bool) -> Result<Outcome, ShellError> {
        let (data, stat) = self.client.data(CONFIG, watch).reading(CONFIG)?;
        if clients_only {
            let text = String::from_utf8_lossy(&data.unwrap_or_default()).into_owned();
            return Ok(Outcome::Named {
                name: "clients",
                text: clients_of(&text),
            });
        }
        Ok(Outcome::Data {
            path: CONFIG.into(),
            data,
            form: DataForm::Plain,
            stat,
            show_stat,
        })
    }

    fn reconfig(&self, reconfig: Reconfig) -> Result<Outcome, ShellError> {
        let (joining, leaving, members) = match reconfig.members {
            Members::Change { joining, leaving } => (joining, leaving, None),
            Members::All(members) => (None, None, Some(members)),
            Members::File(path) => {
                let text = fs::read_to_string(&path).map_err(|source| ShellError::File { path, source })?;
                (None, None, Some(members_of(&text)))
            }
        };
        let result = self.client.reconfig(
            joining.as_deref(),
            leaving.as_deref(),
            members.as_deref(),
            reconfig.config_id,
        );
        let (data, stat) = result.writing(CONFIG)?;
        let mut text = b"Committed new configuration:\n".to_vec();
        text.extend(data.unwrap_or_default());
        Ok(Outcome::Data {
            path: CONFIG.into(),
            data: Some(text),
            form: DataForm::Plain,
            stat,
            show_stat: reconfig.stat,
        })
    }
}

/// The version of a configuration and where clients connect, as one line.
///
/// Source: `org.apache.zookeeper.server.util.ConfigUtils.getClientConfigStr`.
fn clients_of(config: &str) -> String {
    let mut version = "";
    let mut clients = Vec::new();
    for (key, value) in config.lines().filter_map(|line| line.split_once('=')) {
        if key.trim() == "version" {
            version = value.trim();
        }
        if let Some((_, client)) = value.split_once(';').filter(|_| key.trim().starts_with("server.")) {
            // A second `;` is followed by the port for TLS.
            let client = client.split(';').next().unwrap_or_default().trim();
            match client.contains(':') {
                true => clients.push(client.to_owned()),
                false if client.is_empty() => {}
                false => clients.push(format!("0.0.0.0:{client}")),
            }
        }
    }
    format!("{version} {}", clients.join(","))
}

/// The lines of a dynamic configuration that say who is a member.
fn members_of(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    let lines: Vec<_> = lines
        .filter(|line| ["server.", "group.", "weight."].iter().any(|key| line.starts_with(key)))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_a_configuration() {
        let config = "server.1=a:2888:3888:participant;0.0.0.0:2181\n\
                      server.2=b:2888:3888:participant;2182\n\
                      server.3=c:2888:3888:observer;[::1]:2183;[::1]:2281\n\
                      server.4=d:2888:3888:participant\n\
                      version=100000000";
        assert_eq!(clients_of(config), "100000000 0.0.0.0:2181,0.0.0.0:2182,[::1]:2183");
        assert_eq!(clients_of(""), " ");
    }

    #[test]
    fn members_of_a_file_are_its_lines_without_the_rest() {
        assert_eq!(
            members_of("# ours\nserver.1=a:1:2\n\n  server.2=b:1:2;3 \nversion=5\ngroup.1=1:2\n"),
            "server.1=a:1:2\nserver.2=b:1:2;3\ngroup.1=1:2"
        );
    }
}
