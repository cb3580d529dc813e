//! What clients do: a mixture in which every kind of promise is put to the test.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use super::client::Client;
use super::history::{Answer, Outcome, Request};
use crate::interop::client::Mode;

/// Nodes that stay, and are set again and again.
pub(super) const REGISTERS: [&str; 5] = ["/r/0", "/r/1", "/r/2", "/r/3", "/r/4"];
/// Nodes that come and go.
const CHURN: [&str; 5] = ["/d/0", "/d/1", "/d/2", "/d/3", "/d/4"];
/// Below this stand sequential nodes that are never deleted.
const QUEUE: &str = "/q";
/// Below this stand ephemeral nodes.
pub(super) const EPHEMERALS: &str = "/e";
/// Below this stand those that want the lock, in the order of their numbers.
pub(super) const LOCK: &str = "/lock";
/// What only the holder of the lock may set.
pub(super) const LOCKED: &str = "/locked";
/// What a client has of its own at most.
const EPHEMERALS_MAX: usize = 3;
/// Looks at the queue of the lock before a client gives up.
const LOCK_LOOKS: u32 = 12;

/// Makes the nodes that all others need.
pub(crate) fn prepare(client: &mut Client<'_>) -> Result<()> {
    let folders = ["/r", "/d", QUEUE, EPHEMERALS, LOCK, LOCKED];
    for path in folders.iter().chain(&REGISTERS) {
        let value = client.value();
        let create = Request::Create {
            path: (*path).to_owned(),
            value,
            mode: Mode::Persistent,
        };
        match client.call(&[create])?.as_deref() {
            Some([Outcome::Done { .. }]) => {}
            other => bail!("before any fault {path} cannot be made: {other:?}"),
        }
    }
    Ok(())
}

/// A client at work.
#[derive(Debug)]
pub(crate) struct Worker<'a> {
    client: Client<'a>,
    /// The last version that was seen of a node.
    versions: BTreeMap<String, i32>,
    /// The session whose nodes the next two speak of.
    session: Option<i64>,
    ephemerals: Vec<String>,
    /// Whether a node of this session may stand in the lock's queue without being wanted any more.
    litters: bool,
    think: Duration,
}

impl<'a> Worker<'a> {
    /// `think` bounds the pause between two steps.
    pub(crate) fn new(client: Client<'a>, think: Duration) -> Self {
        Self {
            client,
            versions: BTreeMap::new(),
            session: None,
            ephemerals: Vec::new(),
            litters: false,
            think,
        }
    }

    /// The client when the work is over.
    pub(crate) fn into_client(self) -> Client<'a> {
        self.client
    }

    /// Works until the run ends.
    pub(crate) fn run(&mut self) -> Result<()> {
        while self.client.connect() {
            if self.client.session() != self.session {
                self.session = self.client.session();
                self.ephemerals.clear();
                self.litters = false;
            }
            if self.litters {
                self.tidy()?;
            }
            self.step()?;
            let pause_us = u64::try_from(self.think.as_micros()).unwrap_or(u64::MAX);
            thread::sleep(Duration::from_micros(self.client.random.below(pause_us.max(1))));
        }
        Ok(())
    }

    fn step(&mut self) -> Result<()> {
        match self.client.random.below(100) {
            0..14 => {
                let set = self.set(&REGISTERS, false);
                self.send(&[set])?;
            }
            14..26 => {
                let set = self.set(&REGISTERS, true);
                self.send(&[set])?;
            }
            26..40 => {
                let get = self.get(&REGISTERS);
                self.send(&[get])?;
            }
            40..52 => {
                let get = self.get(&REGISTERS);
                self.send(&[Request::Sync, get])?;
            }
            52..70 => self.churn()?,
            70..76 => self.set_two()?,
            76..79 => {
                let value = self.client.value();
                self.send(&[Request::Create {
                    path: format!("{QUEUE}/{value}-"),
                    value,
                    mode: Mode::Sequential,
                }])?;
            }
            79..86 => self.ephemeral()?,
            86..89 => self.look_at_ephemerals()?,
            89..93 => self.lock()?,
            93..98 => self.burst()?,
            98 => self.client.hang_up(),
            _ => match self.client.random.below(6) {
                0..2 => {
                    self.send(&[Request::Close])?;
                }
                2 => self.client.abandon(),
                _ => self.client.hang_up(),
            },
        }
        Ok(())
    }

    fn set(&mut self, paths: &[&str], conditional: bool) -> Request {
        let path = (*self.client.random.pick(paths)).to_owned();
        let version = if conditional {
            self.versions.get(&path).copied().unwrap_or(0)
        } else {
            -1
        };
        let value = self.client.value();
        Request::Set { path, value, version }
    }

    fn get(&mut self, paths: &[&str]) -> Request {
        Request::Get((*self.client.random.pick(paths)).to_owned())
    }

    fn churn(&mut self) -> Result<()> {
        let path = (*self.client.random.pick(&CHURN)).to_owned();
        let request = match self.client.random.below(8) {
            0..3 => Request::Create {
                value: self.client.value(),
                path,
                mode: Mode::Persistent,
            },
            3 => Request::Delete { path, version: -1 },
            4 => Request::Delete {
                version: self.versions.get(&path).copied().unwrap_or(0),
                path,
            },
            5 => self.set(&CHURN, true),
            6 => self.set(&CHURN, false),
            _ => self.get(&CHURN),
        };
        self.send(&[request])?;
        Ok(())
    }

    /// Two registers at once, if a third has not changed.
    fn set_two(&mut self) -> Result<()> {
        let first = self.client.random.below(5);
        let path = |step: u64| REGISTERS[usize::try_from((first + step) % 5).unwrap_or(0)].to_owned();
        let version = match self.client.random.once_in(2) {
            true => self.versions.get(&path(2)).copied().unwrap_or(0),
            false => -1,
        };
        let parts = vec![
            Request::Check { path: path(2), version },
            Request::Set {
                path: path(0),
                value: self.client.value(),
                version: -1,
            },
            Request::Set {
                path: path(1),
                value: self.client.value(),
                version: -1,
            },
        ];
        self.send(&[Request::Multi(parts)])?;
        Ok(())
    }

    fn ephemeral(&mut self) -> Result<()> {
        let value = self.client.value();
        let path = format!("{EPHEMERALS}/{value}");
        let request = match self.ephemerals.pop() {
            Some(path) if self.ephemerals.len() + 1 >= EPHEMERALS_MAX || self.client.random.once_in(3) => {
                Request::Delete { path, version: -1 }
            }
            Some(old) => {
                self.ephemerals.extend([old, path.clone()]);
                Request::Create {
                    path,
                    value,
                    mode: Mode::Ephemeral,
                }
            }
            None => {
                self.ephemerals.push(path.clone());
                Request::Create {
                    path,
                    value,
                    mode: Mode::Ephemeral,
                }
            }
        };
        self.send(&[request])?;
        Ok(())
    }

    /// Lists them, and reads one of them, whoever it belongs to.
    fn look_at_ephemerals(&mut self) -> Result<()> {
        let listed = self.send(&[Request::Children(EPHEMERALS.to_owned())])?.pop();
        if let Some(Outcome::Done {
            answer: Answer::Children { names, .. },
            ..
        }) = listed
            && !names.is_empty()
        {
            let path = format!("{EPHEMERALS}/{}", self.client.random.pick(&names));
            self.send(&[Request::Get(path)])?;
        }
        Ok(())
    }

    /// Several requests on their way at once, reads behind the writes they must see.
    fn burst(&mut self) -> Result<()> {
        let mut requests = Vec::new();
        for _ in 0..3 {
            let set = self.set(&REGISTERS, false);
            let Request::Set { path, .. } = &set else { continue };
            let get = Request::Get(path.clone());
            requests.extend([set, get]);
        }
        requests.push(Request::Sync);
        requests.push(self.get(&REGISTERS));
        self.send(&requests)?;
        Ok(())
    }

    /// Queues for the lock, uses it if the turn comes soon, and leaves the queue.
    fn lock(&mut self) -> Result<()> {
        self.litters = true;
        let value = self.client.value();
        let create = Request::Create {
            path: format!("{LOCK}/{value}-"),
            value,
            mode: Mode::EphemeralSequential,
        };
        let Some(Outcome::Done {
            answer: Answer::Created { path, .. },
            ..
        }) = self.send(&[create])?.pop()
        else {
            return Ok(());
        };
        for _ in 0..LOCK_LOOKS {
            let Some(Outcome::Done {
                answer: Answer::Children { names, .. },
                ..
            }) = self.send(&[Request::Children(LOCK.to_owned())])?.pop()
            else {
                return Ok(());
            };
            let first = names.iter().min_by_key(|name| number(name));
            if first.is_some_and(|name| path.ends_with(name.as_str())) {
                return self.hold(path);
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.leave(path)
    }

    fn hold(&mut self, path: String) -> Result<()> {
        for _ in 0..=self.client.random.below(3) {
            let parts = vec![
                Request::Check {
                    path: path.clone(),
                    version: -1,
                },
                Request::Set {
                    path: LOCKED.to_owned(),
                    value: self.client.value(),
                    version: -1,
                },
            ];
            if !matches!(self.send(&[Request::Multi(parts)])?.first(), Some(Outcome::Done { .. })) {
                return Ok(());
            }
        }
        self.leave(path)
    }

    fn leave(&mut self, path: String) -> Result<()> {
        let left = self.send(&[Request::Delete { path, version: -1 }])?;
        self.litters = !matches!(left.first(), Some(Outcome::Done { .. }));
        Ok(())
    }

    /// Takes this session's nodes out of the lock's queue; those of older sessions go by themselves.
    fn tidy(&mut self) -> Result<()> {
        // A list that is not the newest may miss a node whose creation was not answered.
        let outcomes = self.send(&[Request::Sync, Request::Children(LOCK.to_owned())])?;
        let Some(Outcome::Done {
            answer: Answer::Children { names, .. },
            ..
        }) = outcomes.last()
        else {
            return Ok(());
        };
        let mut clean = true;
        let own: Vec<String> = names.iter().filter(|name| self.client.made(name)).cloned().collect();
        for name in own {
            let path = format!("{LOCK}/{name}");
            let gone = self.send(&[Request::Delete { path, version: -1 }])?;
            clean &= matches!(gone.first(), Some(Outcome::Done { .. } | Outcome::Refused { .. }));
        }
        self.litters = !clean;
        Ok(())
    }

    /// Sends, and keeps the versions that answers tell of. No outcomes when the run has ended.
    fn send(&mut self, requests: &[Request]) -> Result<Vec<Outcome>> {
        let outcomes = self.client.call(requests)?.unwrap_or_default();
        for (request, outcome) in requests.iter().zip(&outcomes) {
            let (path, version) = match (request, outcome) {
                (
                    Request::Get(path),
                    Outcome::Done {
                        answer: Answer::Data { stat, .. },
                        ..
                    },
                )
                | (
                    Request::Set { path, .. },
                    Outcome::Done {
                        answer: Answer::Stat(stat),
                        ..
                    },
                ) => (path, stat.version),
                (Request::Create { path, .. }, Outcome::Done { .. }) => (path, 0),
                _ => continue,
            };
            self.versions.insert(path.clone(), version);
        }
        Ok(outcomes)
    }
}

/// The number at the end of a sequential node's name.
pub(super) fn number(name: &str) -> Option<i64> {
    name.rsplit('-').next()?.parse().ok()
}
