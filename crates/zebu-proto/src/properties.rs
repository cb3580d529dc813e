//! The syntax of Java properties files, `java.util.Properties.load`.
//!
//! Two differences: the text is UTF-8 (Java reads ISO 8859-1, which is what stands in for a file that is not UTF-8), and
//! every pair keeps the number of its line. Nothing here knows what a key means.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// One `key=value`, both without the blanks around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Where it begins, counted from 1.
    pub line: u32,
    /// What stands before the sign.
    pub key: String,
    /// What stands behind it.
    pub value: String,
}

/// A `\u` without four hexadecimal digits after it, the one thing that this syntax refuses.
#[derive(Debug, PartialEq, Eq)]
pub struct BadEscape {
    /// Where it begins, counted from 1.
    pub line: u32,
}

/// The text of a file, and whether it had to be read as ISO 8859-1.
#[must_use]
pub fn decode(bytes: Vec<u8>) -> (String, bool) {
    match String::from_utf8(bytes) {
        Ok(mut text) => {
            if text.starts_with('\u{feff}') {
                text.drain(..'\u{feff}'.len_utf8());
            }
            (text, false)
        }
        Err(error) => (error.as_bytes().iter().map(|byte| char::from(*byte)).collect(), true),
    }
}

/// All pairs in the order of the text; a key may come more than once.
///
/// # Errors
/// For a malformed `\u`, with its line.
pub fn parse(text: &str) -> Result<Vec<Pair>, BadEscape> {
    let mut pairs = Vec::new();
    let mut lines = (1..).zip(natural_lines(text));
    while let Some((line, natural)) = lines.next() {
        let mut logical = natural.trim_start_matches(BLANKS).to_owned();
        while ends_in_continuation(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next() else { break };
            let next = next.trim_start_matches(BLANKS);
            // As long as a line has nothing but its backslash, what follows may still be a comment.
            if !(logical.is_empty() && is_comment(next)) {
                logical.push_str(next);
            }
        }
        if logical.is_empty() || is_comment(natural.trim_start_matches(BLANKS)) {
            continue;
        }
        let (key, value) = split(&logical);
        let read = |raw| unescape(raw).ok_or(BadEscape { line });
        pairs.push(Pair {
            line,
            key: read(key)?,
            value: read(value)?,
        });
    }
    Ok(pairs)
}

/// What separates and indents; a line end does neither.
const BLANKS: [char; 3] = [' ', '\t', '\x0c'];

/// The text between line ends, which are `\n`, `\r` and `\r\n`.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\n', '\r']) else {
            rest = None;
            return Some(text);
        };
        let (line, tail) = text.split_at(end);
        rest = tail.strip_prefix("\r\n").or_else(|| tail.get(1..));
        Some(line)
    })
}

fn is_comment(line: &str) -> bool {
    line.starts_with(['#', '!'])
}

/// Whether the line ends in a backslash that is not itself escaped. A comment has no continuation.
fn ends_in_continuation(line: &str) -> bool {
    let backslashes = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
    backslashes % 2 == 1 && !is_comment(line)
}

/// The key ends at the first `=`, `:` or blank without a backslash; blanks and one such sign follow.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .find(|c| {
            let ends = !escaped && (c == '=' || c == ':' || BLANKS.contains(&c));
            escaped = !escaped && c == '\\';
            ends
        })
        .unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(BLANKS);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(BLANKS))
}

/// Without its backslashes, then without blanks and control characters at both ends, as the server does with every key
/// and value. `None` if a `\u` is malformed. Halves of surrogate pairs that stay alone become U+FFFD.
fn unescape(raw: &str) -> Option<String> {
    let mut units = Vec::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
            continue;
        }
        let unit = match chars.next() {
            Some('u') => {
                let digits = chars.as_str().get(..4)?;
                chars = chars.as_str().get(4..)?.chars();
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                u16::from_str_radix(digits, 16).ok()?
            }
            Some('t') => u16::from(b'\t'),
            Some('n') => u16::from(b'\n'),
            Some('r') => u16::from(b'\r'),
            Some('f') => 0x0c,
            Some(other) => {
                units.extend_from_slice(other.encode_utf16(&mut [0; 2]));
                continue;
            }
            None => continue,
        };
        units.push(unit);
    }
    let text = String::from_utf16_lossy(&units);
    Some(text.trim_matches(|c| c <= ' ').to_owned())
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    fn pairs(text: &str) -> Vec<(u32, String, String)> {
        let pairs = parse(text).expect("no bad escape");
        pairs
            .into_iter()
            .map(|pair| (pair.line, pair.key, pair.value))
            .collect()
    }

    fn check(text: &str, expected: &[(u32, &str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(n, k, v)| (*n, (*k).to_owned(), (*v).to_owned()))
            .collect();
        assert_eq!(pairs(text), expected, "{text:?}");
    }

    #[test]
    fn equals_colon_and_blank_all_separate() {
        check(
            "a=1\nb:2\nc 3\nd\t4\ne = 5\nf : 6\ng\x0c7",
            &[
                (1, "a", "1"),
                (2, "b", "2"),
                (3, "c", "3"),
                (4, "d", "4"),
                (5, "e", "5"),
                (6, "f", "6"),
                (7, "g", "7"),
            ],
        );
    }

    #[test]
    fn only_the_first_separator_separates() {
        check(
            "a==1\nb=:2\nc : = 3\nd=x=y",
            &[(1, "a", "=1"), (2, "b", ":2"), (3, "c", "= 3"), (4, "d", "x=y")],
        );
        check("server.1=h:2888:3888", &[(1, "server.1", "h:2888:3888")]);
    }

    #[test]
    fn comments_and_blank_lines_count_but_say_nothing() {
        check(
            "# a=1\n  ! b=2\n\n \t\nc=3 # not a comment\n",
            &[(5, "c", "3 # not a comment")],
        );
        check("# no continuation \\\na=1", &[(2, "a", "1")]);
        check("", &[]);
        check("\n\n", &[]);
    }

    #[test]
    fn a_key_may_have_no_value_and_a_value_no_key() {
        check(
            "a\nb=\nc \n=d",
            &[(1, "a", ""), (2, "b", ""), (3, "c", ""), (4, "", "d")],
        );
    }

    #[test]
    fn a_backslash_at_the_end_continues_the_line() {
        check("a=1,\\\n   2,\\\r\n\t3\nb=4", &[(1, "a", "1,2,3"), (4, "b", "4")]);
        check("a=1\\\\\nb=2", &[(1, "a", "1\\"), (2, "b", "2")]);
        check("a=1\\\\\\\n2", &[(1, "a", "1\\2")]);
        check("a=1\\\n# 2\nb=3", &[(1, "a", "1# 2"), (3, "b", "3")]);
        check("a=1\\\n\nb=3", &[(1, "a", "1"), (3, "b", "3")]);
        check("a=1\\", &[(1, "a", "1")]);
        check("\\\na=1", &[(1, "a", "1")]);
        check("\\", &[]);
    }

    #[test]
    fn every_kind_of_line_end_ends_a_line() {
        check(
            "a=1\rb=2\r\nc=3\n\rd=4",
            &[(1, "a", "1"), (2, "b", "2"), (3, "c", "3"), (5, "d", "4")],
        );
    }

    #[test]
    fn escapes_are_undone_in_key_and_value() {
        check("a\\=b\\:c\\ d=1", &[(1, "a=b:c d", "1")]);
        check("a=x\\ty\\nz\\q\\\\", &[(1, "a", "x\ty\nzq\\")]);
        check("a=\\u00e9\\u4E2D\\uD83D\\uDE00", &[(1, "a", "é中😀")]);
        check("a=\\ud83d!", &[(1, "a", "\u{fffd}!")]);
        check("path=C:\\\\zk\\\\data", &[(1, "path", "C:\\zk\\data")]);
    }

    #[test]
    fn a_malformed_unicode_escape_names_its_line() {
        for bad in ["\\u12", "\\u12g4", "\\u+123", "\\uéééé", "\\u"] {
            assert_eq!(parse(&format!("a=1\n\nb={bad}")), Err(BadEscape { line: 3 }), "{bad}");
        }
    }

    #[test]
    fn keys_and_values_lose_blanks_and_control_characters_at_both_ends() {
        check("  a=1 \t\x01\n\\ b\\ =\\ 2\\ ", &[(1, "a", "1"), (2, "b", "2")]);
    }

    #[test]
    fn the_text_is_utf_8_without_its_mark_and_otherwise_latin_1() {
        assert_eq!(decode(b"\xef\xbb\xbfa=\xc3\xa9".to_vec()), ("a=é".to_owned(), false));
        assert_eq!(
            decode(b"# gr\xf6\xdfer\na=1".to_vec()),
            ("# größer\na=1".to_owned(), true)
        );
    }

    mod property {
        use alloc::format;
        use alloc::string::String;
        use alloc::vec::Vec;

        use proptest::prelude::*;

        use super::super::{decode, parse};

        /// Writes a pair so that no character in it is taken for syntax.
        fn store(key: &str, value: &str) -> String {
            let escape = |text: &str| {
                text.chars().fold(String::new(), |mut out, c| {
                    match c {
                        '\n' => out.push_str("\\n"),
                        '\r' => out.push_str("\\r"),
                        '\t' => out.push_str("\\t"),
                        '\x0c' => out.push_str("\\f"),
                        '=' | ':' | ' ' | '#' | '!' | '\\' => out.extend(['\\', c]),
                        other => out.push(other),
                    }
                    out
                })
            };
            format!("{}={}", escape(key), escape(value))
        }

        proptest! {
            #[test]
            fn no_text_panics(text in any::<String>()) {
                let _ = parse(&text);
            }

            #[test]
            fn no_text_of_syntax_panics(text in "[ab=: \\t\\\\#!u0-9\\n\\r\\f]{0,60}") {
                let lines = u32::try_from(text.len()).expect("60 fit") + 1;
                if let Ok(pairs) = parse(&text) {
                    prop_assert!(pairs.iter().all(|pair| (1..=lines).contains(&pair.line)));
                    prop_assert!(pairs.is_sorted_by_key(|pair| pair.line));
                }
            }

            #[test]
            fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
                let (text, _) = decode(bytes);
                let _ = parse(&text);
            }

            #[test]
            fn what_is_written_is_read(
                entries in prop::collection::vec(("[^\u{0}-\u{20}]{1,8}", "[^\u{0}-\u{20}]([^\r]{0,8}[^\u{0}-\u{20}])?"), 0..6),
            ) {
                let text: Vec<_> = entries.iter().map(|(key, value)| store(key, value)).collect();
                let read = parse(&text.join("\n")).expect("every escape is whole");
                let read: Vec<_> = read.into_iter().map(|pair| (pair.key, pair.value)).collect();
                prop_assert_eq!(read, entries);
            }
        }
    }
}
