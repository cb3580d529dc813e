//! Cutting a line into words.
//!
//! Words are separated by blanks. A word that starts with a quote goes to the next quote of that kind, blanks and all;
//! between double quotes, `\"` and `\\` stand for the second character. Anywhere else quotes and backslashes are ordinary
//! characters, as in zkCli, so that JSON and Windows paths need no care: `set /a {"x":1}`. Quoted parts may touch:
//! `'it'"'"'s'` is one word.

use thiserror::Error;

/// A word, and whether any of it was quoted: a quoted word is never an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) quoted: bool,
}

impl Word {
    /// A word as an operating system's shell hands it over: its quotes are gone.
    pub(crate) const fn plain(text: String) -> Self {
        Self { text, quoted: false }
    }
}

/// A quote that is opened and not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the quote {0} is not closed")]
pub(crate) struct Unclosed(char);

/// The words of a line.
///
/// # Errors
/// If a quote is left open.
pub(crate) fn split(line: &str) -> Result<Vec<Word>, Unclosed> {
    let cut = cut(line);
    match cut.open {
        None => Ok(cut.words.into_iter().map(|(_, word)| word).collect()),
        Some(quote) => Err(Unclosed(quote)),
    }
}

/// The lines of a text that came at once, pasted: it is cut at line feeds, but not at those between quotes.
pub(crate) fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices('\n') {
        let line = &text[start..at];
        if cut(line).open.is_none() {
            lines.push(line);
            start = at + 1;
        }
    }
    lines.push(&text[start..]);
    lines
}

/// A line that is still being written.
#[derive(Debug)]
pub(crate) struct Unfinished {
    /// The words before the last.
    pub(crate) before: Vec<Word>,
    /// The last word as far as it goes; empty behind a blank.
    pub(crate) last: String,
    /// Where the last word starts, quote included: a byte offset in the line.
    pub(crate) start: usize,
}

/// The words of a line that ends at the cursor.
pub(crate) fn split_unfinished(line: &str) -> Unfinished {
    let cut = cut(line);
    let mut words = cut.words;
    let unfinished = cut.open.is_some() || !line.ends_with(char::is_whitespace);
    let last = if unfinished { words.pop() } else { None };
    let (start, last) = last.map_or((line.len(), String::new()), |(start, word)| (start, word.text));
    Unfinished {
        before: words.into_iter().map(|(_, word)| word).collect(),
        last,
        start,
    }
}

/// A word that reads back as `text`.
pub(crate) fn quote(text: &str) -> String {
    let starts_with_quote = text.starts_with(['"', '\'']);
    if !text.is_empty() && !starts_with_quote && !text.contains(char::is_whitespace) {
        text.to_owned()
    } else if text.contains('\'') {
        format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
    } else {
        format!("'{text}'")
    }
}

struct Cut {
    /// With their offsets.
    words: Vec<(usize, Word)>,
    /// The quote that is still open at the end.
    open: Option<char>,
}

fn cut(line: &str) -> Cut {
    let mut words = Vec::new();
    let mut chars = line.char_indices().peekable();
    while let Some(&(start, first)) = chars.peek() {
        if first.is_whitespace() {
            chars.next();
            continue;
        }
        let mut text = String::new();
        let mut quoted = false;
        while let Some(&(_, quote @ ('"' | '\''))) = chars.peek() {
            quoted = true;
            chars.next();
            if !take_quoted(&mut chars, quote, &mut text) {
                words.push((start, Word { text, quoted }));
                return Cut {
                    words,
                    open: Some(quote),
                };
            }
        }
        while let Some((_, c)) = chars.next_if(|(_, c)| !c.is_whitespace()) {
            text.push(c);
        }
        words.push((start, Word { text, quoted }));
    }
    Cut { words, open: None }
}

/// Takes what follows an opening quote; whether the closing one was found.
fn take_quoted(chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>, quote: char, text: &mut String) -> bool {
    while let Some((_, c)) = chars.next() {
        if c == quote {
            return true;
        }
        let escaped = if c == '\\' && quote == '"' {
            chars.next_if(|(_, next)| matches!(next, '"' | '\\'))
        } else {
            None
        };
        text.push(escaped.map_or(c, |(_, c)| c));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        split(line).unwrap().into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn lines_and_their_words() {
        for (line, words) in [
            ("", &[][..]),
            ("   ", &[]),
            ("ls /", &["ls", "/"]),
            ("  ls \t -R  / ", &["ls", "-R", "/"]),
            ("set /a 'two words'", &["set", "/a", "two words"]),
            ("set /a \"two words\"", &["set", "/a", "two words"]),
            ("set /a ''", &["set", "/a", ""]),
            ("set /a {\"x\":1}", &["set", "/a", "{\"x\":1}"]),
            (r"set /a C:\dir", &["set", "/a", r"C:\dir"]),
            (r#"set /a "C:\dir""#, &["set", "/a", r"C:\dir"]),
            (r#"set /a "say \"hi\" \\""#, &["set", "/a", r#"say "hi" \"#]),
            (r"set /a 'a\'", &["set", "/a", r"a\"]),
            ("set /a it's", &["set", "/a", "it's"]),
            (r#"set /a 'it'"'"'s'"#, &["set", "/a", "it's"]),
            ("ls '/my dir'/x", &["ls", "/my dir/x"]),
            ("ls '/ä ö' ü", &["ls", "/ä ö", "ü"]),
        ] {
            assert_eq!(texts(line), words, "{line:?}");
        }
    }

    #[test]
    fn an_open_quote_is_named() {
        assert_eq!(split("set /a 'x"), Err(Unclosed('\'')));
        assert_eq!(split("set /a \"x\\\""), Err(Unclosed('"')));
    }

    #[test]
    fn a_quoted_word_is_marked() {
        assert!(split("'-x'").unwrap()[0].quoted);
        assert!(!split("-x").unwrap()[0].quoted);
    }

    #[test]
    fn quoted_texts_read_back() {
        for text in ["/a", "", "two words", "it's", "it's \"big\" \\o/", "'", "\"x", "a\\ b"] {
            assert_eq!(texts(&quote(text)), [text], "{text:?}");
        }
    }

    #[test]
    fn pasted_text_is_cut_at_line_feeds_outside_of_quotes() {
        assert_eq!(lines("ls /"), ["ls /"]);
        assert_eq!(lines("ls /\nget /a\n"), ["ls /", "get /a", ""]);
        assert_eq!(lines("set /a 'two\nlines'\nls /"), ["set /a 'two\nlines'", "ls /"]);
        assert_eq!(lines("set /a 'open\nls /"), ["set /a 'open\nls /"]);
    }

    #[test]
    fn the_word_at_the_cursor() {
        for (line, before, last, start) in [
            ("", 0, "", 0),
            ("l", 0, "l", 0),
            ("ls ", 1, "", 3),
            ("ls /a", 1, "/a", 3),
            ("ls '/my d", 1, "/my d", 3),
            ("ls -R \"/my ", 2, "/my ", 6),
        ] {
            let unfinished = split_unfinished(line);
            assert_eq!(
                (unfinished.before.len(), unfinished.last.as_str(), unfinished.start),
                (before, last, start),
                "{line:?}"
            );
        }
    }
}
