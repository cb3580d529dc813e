//! Filling a tree from a snapshot.

use alloc::string::String;

use thiserror::Error;
use zebu_proto::snapshot::{ACL_KEY_OPEN, NodeRecord};
use zebu_proto::{AclList, SessionId, ValueRef, Zxid};

use crate::hash::SeededMap;
use crate::node::{ROOT, Slot};
use crate::{Settings, Tree};

/// A snapshot whose parts do not fit together.
#[derive(Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A node came before its parent, or its parent is missing.
    #[error("the node {path:?} has no parent in the snapshot")]
    NoParent {
        /// The node.
        path: String,
    },
    /// A node names an ACL that is not in the table.
    #[error("the node {path:?} has the unknown ACL {key}")]
    UnknownAcl {
        /// The node.
        path: String,
        /// Key of the ACL.
        key: i64,
    },
    /// A path stands twice.
    #[error("the node {path:?} is in the snapshot twice")]
    Twice {
        /// The node.
        path: String,
    },
    /// The root is missing.
    #[error("the snapshot has no root node")]
    NoRoot,
}

/// A tree in the making: the parts of a snapshot, in their order.
pub struct Loader {
    tree: Tree,
    acls: SeededMap<i64, AclList>,
    has_root: bool,
    /// The parent of the last node: as a rule many in a row have the same.
    last_parent: (String, Slot),
}

impl Loader {
    /// An empty state.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let acls = SeededMap::with_hasher(foldhash::quality::FixedState::with_seed(settings.hash_seed));
        Self {
            tree: Tree::without_nodes(settings),
            acls,
            has_root: false,
            last_parent: (String::new(), ROOT),
        }
    }

    /// A session with its timeout in milliseconds.
    pub fn session(&mut self, session: SessionId, timeout_ms: i32) {
        self.tree.sessions.insert(session, timeout_ms);
    }

    /// An entry of the table of ACLs.
    pub fn acl(&mut self, key: i64, list: AclList) {
        self.acls.insert(key, list);
    }

    /// A node; its parent must have come before.
    ///
    /// # Errors
    /// If it does not fit to what came before.
    pub fn node(&mut self, record: &NodeRecord<'_>) -> Result<(), LoadError> {
        let path = &*record.path;
        let data = record.data.map_or(ValueRef::Null, ValueRef::Bytes);
        if path.is_empty() {
            if self.has_root {
                return Err(LoadError::Twice {
                    path: String::from("/"),
                });
            }
            self.has_root = true;
            self.tree.add_root(&record.stat, data);
            if record.acl_key != ACL_KEY_OPEN {
                let acl = self.list(record)?.clone();
                self.tree.set_acl(ROOT, &acl);
            }
            return Ok(());
        }
        if !self.has_root {
            return Err(LoadError::NoRoot);
        }
        let no_parent = || LoadError::NoParent { path: path.into() };
        let (parent, name) = zebu_proto::path::split(path).ok_or_else(no_parent)?;
        // The root's path is empty here: `//a` would be a second name of `/a`.
        if parent == "/" {
            return Err(no_parent());
        }
        if self.last_parent.0 != parent {
            let slot = self.tree.find(parent).ok_or_else(no_parent)?;
            self.last_parent.0.clear();
            self.last_parent.0.push_str(parent);
            self.last_parent.1 = slot;
        }
        let parent = self.last_parent.1;
        if self.tree.find_child(parent, name).is_some() {
            return Err(LoadError::Twice { path: path.into() });
        }
        let acl = self.list(record)?.clone();
        self.tree
            .insert_node(path, parent, name, data, &acl, &record.stat, |_| ());
        Ok(())
    }

    fn list(&self, record: &NodeRecord<'_>) -> Result<&AclList, LoadError> {
        const OPEN: &AclList = &AclList::OPEN;
        if record.acl_key == ACL_KEY_OPEN {
            return Ok(OPEN);
        }
        let unknown = || LoadError::UnknownAcl {
            path: record.path.clone().into_owned(),
            key: record.acl_key,
        };
        self.acls.get(&record.acl_key).ok_or_else(unknown)
    }

    /// The tree, complete as of `zxid`.
    ///
    /// # Errors
    /// If there is no root.
    pub fn finish(mut self, zxid: Zxid) -> Result<Tree, LoadError> {
        if !self.has_root {
            return Err(LoadError::NoRoot);
        }
        self.tree.ensure_system_nodes();
        self.tree.rebuild_quotas();
        self.tree.last_zxid = zxid;
        Ok(self.tree)
    }
}

#[cfg(test)]
mod tests {
    use zebu_proto::StatPersisted;

    use super::*;

    fn load(paths: &[&str]) -> Result<Tree, LoadError> {
        let mut loader = Loader::new(Settings::default());
        for path in paths {
            loader.node(&NodeRecord {
                path: (*path).into(),
                data: None,
                acl_key: ACL_KEY_OPEN,
                stat: StatPersisted::default(),
            })?;
        }
        loader.finish(Zxid(1))
    }

    #[test]
    fn nodes_that_do_not_fit_to_what_came_before_are_refused() {
        assert!(load(&["", "/a", "/a/b"]).is_ok());
        for (paths, error) in [
            (&[][..], LoadError::NoRoot),
            (&["/a"], LoadError::NoRoot),
            (&["", ""], LoadError::Twice { path: "/".into() }),
            (&["", "/a", "/a"], LoadError::Twice { path: "/a".into() }),
            (&["", "/a/b"], LoadError::NoParent { path: "/a/b".into() }),
            (&["", "a"], LoadError::NoParent { path: "a".into() }),
            // Found by fuzzing: it was taken for a child of the root, with the digest of another path.
            (&["", "//a"], LoadError::NoParent { path: "//a".into() }),
        ] {
            assert_eq!(load(paths).err(), Some(error), "{paths:?}");
        }
    }
}
