//! Paths of znodes.

use zebu_proto::path;

/// The functions on paths agree with one another.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for line in text.split('\n') {
        check(line);
    }
}

fn check(text: &str) {
    let parts: Option<Vec<&str>> = path::components(text).map(Iterator::collect);
    if let Some(parts) = &parts {
        assert_eq!(
            format!("/{}", parts.join("/")),
            text.to_owned() + if text.is_empty() { "/" } else { "" }
        );
    }
    if let Some((parent, name)) = path::split(text) {
        assert_eq!(format!("{parent}/{name}"), text);
        assert!(!name.contains('/'));
    }
    assert!(!path::event_parent(text).is_empty());
    if !path::is_valid(text) {
        return;
    }
    let (parent, name) = path::split(text).expect("a valid path has a slash");
    if text == "/" {
        return;
    }
    assert!(parent.is_empty() || path::is_valid(parent));
    assert!(!name.is_empty());
    assert!(path::is_valid(path::event_parent(text)));
    // A server gives names with ten digits behind them, events name nodes below.
    assert!(path::is_valid(&format!("{text}0000000001")));
    assert!(path::is_valid(&format!("{text}/x")));
}
