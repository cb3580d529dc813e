//! Where results go: as text or JSON, to a terminal or not.

use std::io::{self, Write};

use jiff::tz::TimeZone;
use serde_json::Value;

use super::error::ShellError;
use super::outcome::Outcome;
use super::{json, text};

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people, and for scripts that know zkCli.
    Text,
    /// One document to a command.
    Json,
}

/// Writes the results of commands.
pub(crate) struct Sink<'a> {
    format: Format,
    zone: TimeZone,
    out: &'a mut dyn Write,
    /// What has come in pieces and makes one document.
    paths: Option<Vec<Value>>,
    warnings: Vec<Value>,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(format: Format, zone: TimeZone, out: &'a mut dyn Write) -> Self {
        Self {
            format,
            zone,
            out,
            paths: None,
            warnings: Vec::new(),
        }
    }

    /// Takes a result.
    ///
    /// # Errors
    /// Those of the output.
    pub(crate) fn put(&mut self, outcome: &Outcome) -> io::Result<()> {
        if self.format == Format::Text {
            return text::write(outcome, &self.zone, self.out);
        }
        match outcome {
            Outcome::Path(path) => {
                self.paths.get_or_insert_default().push(path.as_str().into());
                Ok(())
            }
            Outcome::Warning(text) => {
                self.warnings.push(text.as_str().into());
                Ok(())
            }
            _ => {
                let mut value = json::value(outcome);
                if !self.warnings.is_empty()
                    && let Value::Object(fields) = &mut value
                {
                    fields.insert("warnings".into(), Value::Array(std::mem::take(&mut self.warnings)));
                }
                writeln!(self.out, "{value}")
            }
        }
    }

    /// Ends the command: what came in pieces is written.
    ///
    /// # Errors
    /// Those of the output.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        if let Some(paths) = self.paths.take() {
            writeln!(self.out, "{}", serde_json::json!({ "paths": paths }))?;
        }
        self.out.flush()
    }
}

/// Writes an error: its message, and what to do next on a line of its own.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write_error(error: &ShellError, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Text => {
            writeln!(out, "{error}")?;
            if let Some(hint) = error.hint() {
                writeln!(out, "  ({hint})")?;
            }
            Ok(())
        }
        Format::Json => writeln!(out, "{}", json::error_value(error)),
    }
}

/// Shows control characters in place of obeying them: what servers and nodes hold is not to move the cursor, clear the
/// screen or worse. Line feeds and tabs pass.
pub(crate) struct ForTerminal<W>(pub(crate) W);

impl<W: Write> Write for ForTerminal<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(&visible(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The bytes with all control characters, and what is not UTF-8, written as `\xNN`.
fn visible(bytes: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() && !matches!(c, '\n' | '\t') {
                shown.extend(format!("\\x{:02x}", u32::from(c)).bytes());
            } else {
                shown.extend(c.encode_utf8(&mut [0; 4]).bytes());
            }
        }
        for byte in chunk.invalid() {
            shown.extend(format!("\\x{byte:02x}").bytes());
        }
    }
    shown
}

/// Text with its control characters made visible.
pub(crate) fn visible_text(text: &str) -> String {
    String::from_utf8_lossy(&visible(text.as_bytes())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_control_characters() {
        let mut out = Vec::new();
        ForTerminal(&mut out)
            .write_all(b"a\tb\n\x1b[2J\xff \xc3\xa4 \xc2\x9b\x7f")
            .unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "a\tb\n\\x1b[2J\\xff ä \\x9b\\x7f");
    }
}
