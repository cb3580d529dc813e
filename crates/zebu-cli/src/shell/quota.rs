//! Quotas: limits on a node and all below it, kept in ordinary nodes below `/zookeeper/quota`.
//!
//! Clients create these nodes; servers only heed them. The paths are those of the server, chroot included: that is where
//! servers look.
//!
//! Source: `org.apache.zookeeper.cli.SetQuotaCommand`, `DelQuotaCommand`, `ListQuotaCommand`, `org.apache.zookeeper.Quotas`.

use std::collections::BTreeMap;

use zebu_proto::{AclList, CreateMode, ErrorCode};

use super::client::{Client, ClientError, child_path};
use super::command::Limit;
use super::error::{On as _, ShellError};
use super::outcome::Outcome;
use super::path::{Chroot, NodePath};
use super::subtree::{self, Visit};

const ROOT: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";
const NODES: &str = "count";
const BYTES: &str = "bytes";

/// The numbers of a limits or usage node by name; those that are not there are −1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers(BTreeMap<String, i64>);

impl Numbers {
    /// Reads a node's data. What is missing or no number counts as −1.
    fn parse(data: &[u8]) -> Self {
        let text = String::from_utf8_lossy(data);
        let pairs = text.split([',', ';']).filter_map(|pair| {
            let mut parts = pair.split('=').filter(|part| !part.is_empty());
            let name = parts.next()?;
            let number = parts.next().and_then(|number| number.trim().parse().ok()).unwrap_or(-1);
            Some((name.to_owned(), number))
        });
        Self(pairs.collect())
    }

    /// The text form: the two old numbers, then the others behind an `=` that keeps old readers from stumbling.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{NODES}={},{BYTES}={}", self.number(NODES), self.number(BYTES));
        let others: Vec<_> = self
            .0
            .iter()
            .filter(|(name, _)| *name != NODES && *name != BYTES)
            .collect();
        if !others.is_empty() {
            text.push('=');
        }
        for (name, number) in others {
            text.push_str(&format!(";{name}={number}"));
        }
        text
    }

    fn number(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(-1)
    }

    fn set(&mut self, limit: Limit, number: i64) {
        self.0.insert(name_of(limit).into(), number);
    }

    /// All numbers.
    pub(crate) const fn entries(&self) -> &BTreeMap<String, i64> {
        &self.0
    }
}

const fn name_of(limit: Limit) -> &'static str {
    match limit {
        Limit::SoftNodes => NODES,
        Limit::SoftBytes => BYTES,
        Limit::HardNodes => "countHardLimit",
        Limit::HardBytes => "byteHardLimit",
    }
}

/// The quota of one node.
pub(crate) struct Quota<'a> {
    client: &'a Client,
    /// As the user wrote it.
    shown: &'a str,
    /// As the server knows it.
    path: String,
    /// Where its quota is kept.
    place: String,
}

impl<'a> Quota<'a> {
    pub(crate) fn new(client: &'a Client, chroot: &Chroot, path: &'a NodePath) -> Self {
        let full = chroot.full(path);
        Self {
            client,
            shown: path.as_str(),
            place: if full == "/" {
                ROOT.into()
            } else {
                format!("{ROOT}{full}")
            },
            path: full,
        }
    }

    /// The limits and the usage.
    pub(crate) fn list(&self) -> Result<Outcome, ShellError> {
        Ok(Outcome::Quota {
            path: self.shown.into(),
            limits: self.read(LIMITS)?,
            usage: self.read(STATS)?,
        })
    }

    fn read(&self, name: &str) -> Result<Numbers, ShellError> {
        match self.client.data(&child_path(&self.place, name), false) {
            Ok((data, _)) => Ok(Numbers::parse(&data.unwrap_or_default())),
            Err(ClientError::Refused(ErrorCode::NoNode)) => Err(ShellError::NoQuota(self.shown.into())),
            Err(error) => Err(error).reading(self.shown),
        }
    }

    /// Sets limits beside those that are there. The results are warnings about limits that are exceeded already.
    pub(crate) fn set(&self, limits: &[(Limit, i64)]) -> Result<Vec<Outcome>, ShellError> {
        if self.path == "/" || self.path == "/zookeeper" || self.path.starts_with("/zookeeper/") {
            return Err(ShellError::QuotaPlace(self.shown.into()));
        }
        if self.client.exists(&self.path, false).reading(self.shown)?.is_none() {
            return Err(ShellError::QuotaTarget(self.shown.into()));
        }
        self.check_below()?;
        self.check_above()?;
        let numbers = match self.read(LIMITS) {
            Ok(mut numbers) => {
                for (limit, number) in limits {
                    numbers.set(*limit, *number);
                }
                self.write_limits(&numbers)?;
                numbers
            }
            Err(ShellError::NoQuota(_)) => {
                self.create(limits)?;
                self.read(LIMITS)?
            }
            Err(error) => return Err(error),
        };
        Ok(warnings(&numbers, &self.read(STATS)?))
    }

    fn write_limits(&self, numbers: &Numbers) -> Result<(), ShellError> {
        let node = child_path(&self.place, LIMITS);
        let text = numbers.to_text();
        self.client.set_data(&node, Some(text.as_bytes()), -1).writing(node)?;
        Ok(())
    }

    /// Creates the nodes of a quota: those on the way, then the limits, then the usage, which the server then counts.
    fn create(&self, limits: &[(Limit, i64)]) -> Result<(), ShellError> {
        let mut numbers = Numbers::default();
        for limit in [Limit::SoftNodes, Limit::SoftBytes, Limit::HardNodes, Limit::HardBytes] {
            numbers.set(limit, -1);
        }
        for (limit, number) in limits {
            numbers.set(*limit, *number);
        }
        let names = self.path.split('/').filter(|name| !name.is_empty());
        let mut place = ROOT.to_owned();
        for name in names {
            place = child_path(&place, name);
            self.create_node(&place, None)?;
        }
        self.create_node(&child_path(&place, LIMITS), Some(&numbers.to_text()))?;
        self.create_node(&child_path(&place, STATS), Some("count=0,bytes=0"))
    }

    fn create_node(&self, path: &str, text: Option<&str>) -> Result<(), ShellError> {
        let (data, acl) = (text.map(str::as_bytes), AclList::OPEN.to_vec());
        match self.client.create(path, data, acl, CreateMode::Persistent, -1) {
            Ok(_) | Err(ClientError::Refused(ErrorCode::NodeExists)) => Ok(()),
            Err(error) => Err(error).creating(path),
        }
    }

    /// A server that finds two quotas on one way heeds the deeper one only, so nobody is to set them.
    fn check_below(&self) -> Result<(), ShellError> {
        let mut found = None;
        let walked = subtree::walk(self.client, &self.place, false, &mut |path| {
            if let Some(place) = path.strip_suffix(LIMITS).and_then(|place| place.strip_suffix('/'))
                && place != self.place
            {
                found = Some(place.strip_prefix(ROOT).unwrap_or(place).to_owned());
                return Ok(Visit::Stop);
            }
            Ok(Visit::Go)
        });
        match walked {
            Ok(_) => {}
            Err(error) if error.code() == Some(ErrorCode::NoNode) => return Ok(()),
            Err(error) => return Err(error),
        }
        found.map_or(Ok(()), |other| Err(self.nested("above", other)))
    }

    fn check_above(&self) -> Result<(), ShellError> {
        let ends = self.path.match_indices('/').map(|(at, _)| at).skip(1);
        for ancestor in ends.map(|end| &self.path[..end]) {
            let limits = format!("{ROOT}{ancestor}/{LIMITS}");
            if self.client.exists(&limits, false).reading(ancestor)?.is_some() {
                return Err(self.nested("below", ancestor.to_owned()));
            }
        }
        Ok(())
    }

    fn nested(&self, relation: &'static str, other: String) -> ShellError {
        ShellError::QuotaNested {
            path: self.shown.into(),
            relation,
            other,
        }
    }

    /// Removes these limits, or with none named the whole quota and the nodes on the way to it that it leaves empty.
    pub(crate) fn delete(&self, limits: &[Limit]) -> Result<(), ShellError> {
        let mut numbers = self.read(LIMITS)?;
        if !limits.is_empty() {
            for limit in limits {
                numbers.set(*limit, -1);
            }
            return self.write_limits(&numbers);
        }
        for name in [LIMITS, STATS] {
            self.delete_node(&child_path(&self.place, name))?;
        }
        let mut place = self.place.as_str();
        while place != ROOT && self.client.children(place, false).reading(place)?.0.is_empty() {
            self.delete_node(place)?;
            place = place.rsplit_once('/').map_or(ROOT, |(parent, _)| parent);
        }
        Ok(())
    }

    fn delete_node(&self, path: &str) -> Result<(), ShellError> {
        match self.client.delete(path, -1) {
            Ok(()) | Err(ClientError::Refused(ErrorCode::NoNode)) => Ok(()),
            Err(error) => Err(error).writing(path),
        }
    }
}

fn warnings(limits: &Numbers, usage: &Numbers) -> Vec<Outcome> {
    let exceeded = |soft, hard, used: i64| {
        [soft, hard]
            .into_iter()
            .map(|name| limits.number(name))
            .any(|limit| limit > -1 && limit < used)
    };
    let (nodes, bytes) = (usage.number(NODES), usage.number(BYTES));
    let mut warnings = Vec::new();
    if exceeded(NODES, "countHardLimit", nodes) {
        warnings.push(Outcome::Warning(format!(
            "there are more nodes than the quota allows: {nodes}"
        )));
    }
    if exceeded(BYTES, "byteHardLimit", bytes) {
        warnings.push(Outcome::Warning(format!(
            "there are more bytes than the quota allows: {bytes}"
        )));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_the_servers() {
        for text in [
            "count=3,bytes=10",
            "count=-1,bytes=-1",
            "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3",
        ] {
            assert_eq!(Numbers::parse(text.as_bytes()).to_text(), text);
        }
        assert_eq!(Numbers::parse(b"").to_text(), "count=-1,bytes=-1");
        assert_eq!(Numbers::parse(b"bytes=;count=x\xff").to_text(), "count=-1,bytes=-1");
    }
}
