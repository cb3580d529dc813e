//! Texts with placeholders for what differs from run to run.

use std::collections::BTreeMap;

/// Whether `text` has the form of `template`; otherwise returned is where it has not. `names` are placeholders that stand
/// for one text each.
pub(crate) fn check(template: &str, text: &str, names: &BTreeMap<&str, String>) -> Result<(), String> {
    let (expected, found): (Vec<_>, Vec<_>) = (template.split('\n').collect(), text.split('\n').collect());
    for (number, expected) in expected.iter().enumerate() {
        let Some(found) = found.get(number) else {
            return Err(format!("line {}: expected {expected:?}, found the end", number + 1));
        };
        if !line_fits(expected, found, names) {
            return Err(format!("line {}: expected {expected:?}, found {found:?}", number + 1));
        }
    }
    if found.len() > expected.len() {
        return Err(format!("too much: {:?}", &found[expected.len()..]));
    }
    Ok(())
}

fn line_fits(template: &str, text: &str, names: &BTreeMap<&str, String>) -> bool {
    let Some(open) = template.find('<') else {
        return template == text;
    };
    // A value may itself stand in such brackets.
    let Some(close) = template[open..].find('>').map(|close| open + close) else {
        return template == text;
    };
    let (before, placeholder, after) = (&template[..open], &template[open + 1..close], &template[close + 1..]);
    let Some(rest) = text.strip_prefix(before) else {
        return false;
    };
    (0..=rest.len())
        .rev()
        .filter(|end| rest.is_char_boundary(*end))
        .any(|end| value_fits(placeholder, &rest[..end], names) && line_fits(after, &rest[end..], names))
}

fn value_fits(placeholder: &str, value: &str, names: &BTreeMap<&str, String>) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match placeholder {
        "n" => digits(value.strip_prefix('-').unwrap_or(value)),
        "port" => value.parse::<u16>().is_ok(),
        "decimal" => value
            .split_once('.')
            .is_some_and(|(whole, part)| digits(whole) && digits(part) && part.len() <= 4),
        "text" => !value.is_empty(),
        "date" => date_fits(value),
        "version" => value.split_once(", built on ").is_some_and(|(version, date)| {
            version.starts_with("3.9.") && line_fits("<n>-<n>-<n> <n>:<n> UTC", date, names)
        }),
        name => names.get(name).is_some_and(|expected| expected == value),
    }
}

/// `Mon Nov 23 15:48:06 UTC 2026`
fn date_fits(value: &str) -> bool {
    let fields: Vec<&str> = value.split(' ').collect();
    let [weekday, month, day, time, "UTC", year] = fields[..] else {
        return false;
    };
    let number = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&weekday)
        && month.len() == 3
        && number(day, 2)
        && time.split(':').count() == 3
        && time.split(':').all(|part| number(part, 2))
        && number(year, 4)
}

#[test]
fn placeholders_stand_for_what_they_say() {
    let names = BTreeMap::from([("session A", "0x17".to_owned())]);
    let fits = |template: &str, text: &str| check(template, text, &names).is_ok();
    assert!(fits("a <n> b <decimal>\n", "a -12 b 0.25\n"));
    assert!(!fits("a <n>", "a "));
    assert!(!fits("a <n>", "a 1.5"));
    assert!(fits("<session A>: <text>", "0x17: <NA>"));
    assert!(!fits("<session A>", "0x18"));
    assert!(fits("<date>", "Mon Nov 23 15:48:06 UTC 2026"));
    assert!(!fits("<date>", "Mon Nov 23 15:48:06 2026"));
    assert!(!fits("one\n", "one\ntwo\n"));
    assert!(!fits("one\ntwo\n", "one\n"));
}
