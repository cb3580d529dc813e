//! `zebu shell addWatch PATH`: what happens to nodes, for as long as somebody wants to know.

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use jiff::tz::TimeZone;

use super::client::{Event, Servers, SessionState};
use super::context::{Context, Settings};
use super::error::ShellError;
use super::events;
use super::sink::{Format, Sink};
use super::words::Word;

/// Events that wait to be written. With more of them the session's thread waits too, and with it the server.
const EVENTS_MAX: usize = 1024;

/// Carries out the command and writes events until the session is over.
///
/// # Errors
/// If the command fails, the session ends, or nobody reads the output any more.
pub(super) fn run(
    words: &[Word],
    settings: Settings,
    servers: Servers,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), ShellError> {
    let (sender, events) = sync_channel(EVENTS_MAX);
    let announce = Arc::new(move |event: &Event, chroot: &super::path::Chroot| {
        let text = match format {
            Format::Text => events::text(event, chroot),
            Format::Json => events::value(event, chroot).to_string(),
        };
        // Whoever reads has gone, and with it the reason to send.
        let _ = sender.send((event.clone(), text));
    });
    let mut context = Context::open(settings, servers, announce)?;
    context.run_words(words, &mut Sink::new(format, TimeZone::system(), out))?;
    for (event, text) in events {
        match event {
            Event::State(SessionState::Ended(end)) => {
                return Err(end.error().into());
            }
            Event::State(_) => {}
            Event::Watch { .. } | Event::Removed(..) => {
                writeln!(out, "{text}")?;
                out.flush()?;
            }
        }
    }
    Ok(())
}
