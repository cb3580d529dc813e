//! Completion: the first word is a command, words with a dash are its options, words with a slash are paths.

use super::client::child_path;
use super::context::Context;
use super::path::NodePath;
use super::spec::{COMMANDS, Spec};
use super::words::{self, Unfinished, Word};

/// A word that could stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// What a list of candidates shows.
    pub(crate) display: String,
    /// What takes the word's place, quotes and all.
    pub(crate) replacement: String,
}

/// The words that could stand at the end of `line`, and where they would start.
pub(crate) fn complete(context: &Context, line: &str) -> (usize, Vec<Candidate>) {
    let Unfinished { before, last, start } = words::split_unfinished(line);
    let candidates = match before.split_first() {
        None => commands(&last),
        Some((name, rest)) => {
            let spec = Spec::find(&name.text);
            if last.starts_with('-') {
                options(spec, &last)
            } else if last.starts_with('/') {
                paths(context, &last)
            } else {
                words_for(spec, rest, &last)
            }
        }
    };
    (start, candidates)
}

fn commands(prefix: &str) -> Vec<Candidate> {
    COMMANDS
        .iter()
        .filter(|spec| {
            spec.name
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        })
        .map(|spec| word(spec.name, " "))
        .collect()
}

fn options(spec: Option<&Spec>, prefix: &str) -> Vec<Candidate> {
    let options = spec.map_or(&[][..], |spec| spec.options);
    options
        .iter()
        .map(|option| format!("-{}", option.name))
        .filter(|option| option.starts_with(prefix))
        .map(|option| word(&option, " "))
        .collect()
}

/// What a few commands take besides paths; the start of a path where one is due.
fn words_for(spec: Option<&Spec>, before: &[Word], prefix: &str) -> Vec<Candidate> {
    let Some(spec) = spec else { return Vec::new() };
    let due = before.iter().filter(|word| !word.text.starts_with('-')).count();
    match spec.arguments.get(due).map(|argument| argument.name) {
        Some("path") if prefix.is_empty() => vec![word("/", "")],
        Some("command") => commands(prefix),
        Some("on|off") => ["on", "off"]
            .into_iter()
            .filter(|choice| choice.starts_with(prefix))
            .map(|choice| word(choice, " "))
            .collect(),
        Some(_) | None => Vec::new(),
    }
}

fn word(text: &str, end: &str) -> Candidate {
    Candidate {
        display: text.into(),
        replacement: format!("{text}{end}"),
    }
}

/// The nodes whose path starts so. Without a connection there are none: nobody is to wait for a key press.
fn paths(context: &Context, prefix: &str) -> Vec<Candidate> {
    let Some((parent, name)) = prefix.rsplit_once('/') else {
        return Vec::new();
    };
    let parent = if parent.is_empty() { "/" } else { parent };
    let Ok(path) = NodePath::parse(parent) else {
        return Vec::new();
    };
    let client = match context.client() {
        Ok(client) if context.is_connected() => client,
        Ok(_) | Err(_) => return Vec::new(),
    };
    // A node that is not there, or not to be looked at, has nothing to complete.
    let Ok((mut children, _)) = client.children(&context.chroot().full(&path), false) else {
        return Vec::new();
    };
    children.retain(|child| child.starts_with(name));
    children.sort_unstable();
    children
        .into_iter()
        .map(|child| Candidate {
            replacement: words::quote(&child_path(parent, &child)),
            display: child,
        })
        .collect()
}
