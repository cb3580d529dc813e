//! What a znode's path may look like.
//!
//! Source: `org.apache.zookeeper.common.PathUtils`, `PrepRequestProcessor.validatePathForCreate`.

/// Whether `path` is a valid path: absolute, no empty, `.` or `..` component, no trailing slash, none of the characters
/// that ZooKeeper excludes (control characters, private use, specials; the exclusion of surrogates excludes every
/// character above U+FFFF).
#[must_use]
pub fn is_valid(path: &str) -> bool {
    let Some(relative) = path.strip_prefix('/') else {
        return false;
    };
    if relative.is_empty() {
        return true;
    }
    // Nearly all paths are plain, and this is asked of every write: one pass settles those.
    let mut previous = b'/';
    let is_plain = relative.bytes().all(|byte| {
        let starts_oddly = previous == b'/' && matches!(byte, b'/' | b'.');
        previous = byte;
        matches!(byte, b' '..=b'~') && !starts_oddly
    });
    if is_plain {
        return previous != b'/';
    }
    relative.split('/').all(is_valid_component)
}

fn is_valid_component(component: &str) -> bool {
    !matches!(component, "" | "." | "..") && component.chars().all(is_valid_char)
}

const fn is_valid_char(c: char) -> bool {
    !matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}' | '\u{10000}'..)
}

/// Splits at the last slash: parent and name. The parent of a top-level node is the empty string, an alias of the root.
/// `None` without a slash.
#[must_use]
pub fn split(path: &str) -> Option<(&str, &str)> {
    path.rsplit_once('/')
}

/// The parent in the form that events show: `/` for a top-level node.
#[must_use]
pub fn event_parent(path: &str) -> &str {
    match split(path) {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

/// The components of a path in any of the forms in which a node is looked up. `None` if no node can have this path.
///
/// The empty string and `/` are the root.
pub fn components(path: &str) -> Option<core::str::Split<'_, char>> {
    let mut parts = path.split('/');
    // What stands before the first slash must be empty.
    if parts.next() == Some("") { Some(parts) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_paths() {
        for path in [
            "/",
            "/a",
            "/a/b",
            "/...",
            "/.a",
            "/a.",
            "/..a",
            "/\u{a0}",
            "/\u{f900}",
            "/ä/ö",
            "/a b",
            "/\u{ffef}",
            "/\u{d7ff}",
        ] {
            assert!(is_valid(path), "{path:?}");
        }
    }

    #[test]
    fn invalid_paths() {
        for path in [
            "",
            "a",
            "a/b",
            "/a/",
            "//",
            "//a",
            "/a//b",
            "/.",
            "/..",
            "/a/.",
            "/a/../b",
            "/\0",
            "/\u{1}",
            "/\u{1f}",
            "/\u{7f}",
            "/\u{9f}",
            "/\u{e000}",
            "/\u{f8ff}",
            "/\u{fff0}",
            "/\u{fffd}",
            "/\u{ffff}",
            "/\u{1f600}",
        ] {
            assert!(!is_valid(path), "{path:?}");
        }
    }

    #[test]
    fn the_parent_of_a_top_level_node_is_empty_but_events_call_it_slash() {
        assert_eq!(split("/a"), Some(("", "a")));
        assert_eq!(event_parent("/a"), "/");
        assert_eq!(event_parent("/a/b"), "/a");
        assert_eq!(split("a"), None);
    }
}
