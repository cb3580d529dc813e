//! Paths as the user writes them, and as the server knows them.

use std::fmt;

use thiserror::Error;
use zebu_proto::path;

/// A valid path, seen from the chroot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodePath(String);

/// Text that is no path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum PathError {
    /// Relative, or empty.
    #[error("{0:?} is not a path: a path starts with /")]
    Relative(String),
    /// Ends with a slash.
    #[error("{0:?} is not a path: a path does not end with /")]
    TrailingSlash(String),
    /// An empty component, `.` or `..`, or a character that names cannot have.
    #[error("{0:?} is not a path: a part of it is empty, . or .., or holds a character that names cannot have")]
    Component(String),
}

impl NodePath {
    /// Checks a path.
    ///
    /// # Errors
    /// If no node can have it.
    pub(crate) fn parse(text: &str) -> Result<Self, PathError> {
        if path::is_valid(text) {
            return Ok(Self(text.into()));
        }
        Err(if !text.starts_with('/') {
            PathError::Relative(text.into())
        } else if text.ends_with('/') && path::is_valid(text.trim_end_matches('/')) {
            PathError::TrailingSlash(text.into())
        } else {
            PathError::Component(text.into())
        })
    }

    /// Checks a path that the server will append a number to: it may end with a slash.
    ///
    /// # Errors
    /// If no node can have it.
    pub(crate) fn parse_sequential(text: &str) -> Result<Self, PathError> {
        if path::is_valid(&format!("{text}1")) {
            return Ok(Self(text.into()));
        }
        Self::parse(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of the parent; the root is its own.
    pub(crate) fn parent(&self) -> &str {
        path::event_parent(&self.0)
    }
}

impl fmt::Display for NodePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The node that all of the user's paths lie below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chroot(String);

impl Chroot {
    /// From a valid path, or an empty string for the root.
    pub(crate) const fn new(path: String) -> Self {
        Self(path)
    }

    pub(crate) const fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as the server knows it.
    pub(crate) fn full(&self, path: &NodePath) -> String {
        if self.is_root() {
            path.0.clone()
        } else if path.0 == "/" {
            self.0.clone()
        } else {
            format!("{}{}", self.0, path.0)
        }
    }

    /// A path of the server as the user knows it. One that is not below the chroot stays what it is: an event on
    /// `/zookeeper/config`, for one.
    pub(crate) fn strip<'a>(&self, full: &'a str) -> &'a str {
        match full.strip_prefix(&self.0) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            Some(_) | None => full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_refused_with_a_reason() {
        let check = |text: &str, error: fn(String) -> PathError| {
            assert_eq!(NodePath::parse(text), Err(error(text.into())));
        };
        check("", PathError::Relative);
        check("a/b", PathError::Relative);
        check("/a/", PathError::TrailingSlash);
        check("//", PathError::Component);
        check("/a//b", PathError::Component);
        check("/a/../b", PathError::Component);
        check("/a\u{1}", PathError::Component);
        assert!(NodePath::parse("/").is_ok());
        assert!(NodePath::parse("/a b/c").is_ok());
        assert!(NodePath::parse_sequential("/a/").is_ok());
        assert!(NodePath::parse_sequential("/").is_ok());
        assert!(NodePath::parse_sequential("a").is_err());
    }

    #[test]
    fn a_chroot_goes_in_front_and_comes_off_again() {
        let path = |text| NodePath::parse(text).unwrap();
        let chroot = Chroot::new("/app".into());
        assert_eq!(chroot.full(&path("/")), "/app");
        assert_eq!(chroot.full(&path("/x")), "/app/x");
        assert_eq!(chroot.strip("/app"), "/");
        assert_eq!(chroot.strip("/app/x"), "/x");
        assert_eq!(chroot.strip("/apple"), "/apple");
        assert_eq!(chroot.strip("/zookeeper/config"), "/zookeeper/config");
        let root = Chroot::default();
        assert_eq!(root.full(&path("/x")), "/x");
        assert_eq!(root.strip("/x"), "/x");
        assert_eq!(root.strip("/"), "/");
    }
}
