//! Help.

use super::spec::{COMMANDS, Spec};

/// All commands, or one of them, by its name, in full.
pub(crate) fn text(about: Option<&str>) -> String {
    about.and_then(Spec::find).map_or_else(all, one)
}

fn all() -> String {
    let mut text = String::new();
    for spec in COMMANDS {
        text.push_str(&format!("  {:<21} {}\n", spec.name, spec.about));
    }
    text.push_str("help COMMAND explains one of them. Words with blanks in them are quoted: set /a 'two words'");
    text
}

fn one(spec: &Spec) -> String {
    let mut text = format!("{}\n  {}", spec.usage(), spec.about);
    for option in spec.options {
        let name = option.value.map_or_else(
            || format!("-{}", option.name),
            |value| format!("-{} {value}", option.name),
        );
        text.push_str(&format!("\n  {name:<14} {}", option.about));
    }
    for example in spec.examples {
        text.push_str(&format!("\n  > {example}"));
    }
    text
}
