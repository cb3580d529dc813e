//! Lines from a pipe or a file.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::client::Servers;
use super::context::{Announce, Context, Settings};
use super::error::ShellError;
use super::run::Flow;
use super::sink::{Format, Sink};
use super::{events, output, report};

/// Carries out every line. One that fails does not keep the others from being carried out; the exit code tells of it.
///
/// # Errors
/// If lines cannot be read, results cannot be written, or there is no thread for the session.
pub(super) fn run(
    settings: Settings,
    servers: Servers,
    format: Format,
    lines: &mut dyn BufRead,
) -> Result<ExitCode, ShellError> {
    let mut context = Context::open(settings, servers, announce(format))?;
    let mut out = output();
    let mut sink = Sink::new(format, TimeZone::system(), &mut *out);
    let mut failed = false;
    for line in lines.lines() {
        let line = line.map_err(ShellError::Input)?;
        match context.run_line(&line, &mut sink) {
            Ok(Flow::Go) => {}
            Ok(Flow::Quit) => break,
            Err(error @ ShellError::Output(_)) => return Err(error),
            Err(error) => {
                failed = true;
                report(&error, format);
            }
        }
    }
    context.close();
    Ok(ExitCode::from(u8::from(failed)))
}

/// Events go among the results, as in zkCli, except for those of the connection, which nobody asked about.
fn announce(format: Format) -> Announce {
    Arc::new(move |event, chroot| {
        if matches!(event, super::client::Event::State(_)) {
            return;
        }
        let text = match format {
            Format::Text => events::text(event, chroot),
            Format::Json => events::value(event, chroot).to_string(),
        };
        // Where results cannot be written any more, the next command finds out.
        let _ = writeln!(io::stdout(), "{text}");
    })
}
