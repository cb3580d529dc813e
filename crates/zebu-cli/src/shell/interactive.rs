//! A prompt.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use jiff::tz::TimeZone;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Editor, ExternalPrinter, Helper};

use super::client::Servers;
use super::complete::complete;
use super::context::{Announce, Context, Settings};
use super::error::ShellError;
use super::run::Flow;
use super::sink::{Format, Sink, visible_text};
use super::{events, output, report, words};

/// Lines of history that are saved.
const HISTORY_LINES_MAX: usize = 1000;

/// Reads commands from the terminal until it is told to stop.
///
/// # Errors
/// If the terminal cannot be used, or there is no thread for the session.
pub(super) fn run(settings: Settings, servers: Servers, format: Format) -> Result<ExitCode, ShellError> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .max_history_size(HISTORY_LINES_MAX)
        .map_err(input_error)?
        .build();
    let mut editor: Editor<Completion, DefaultHistory> = Editor::with_config(config).map_err(input_error)?;
    let printer = editor.create_external_printer().map_err(input_error)?;
    println!("Connecting to {servers}. help lists the commands, control-D leaves.");
    let context = Context::open(settings, servers, announce(format, printer))?;
    if let Err(error) = context.client()?.wait_connected() {
        report(&error.into(), format);
    }
    let context = Rc::new(RefCell::new(context));
    editor.set_helper(Some(Completion(context.clone())));
    let history = history_file();
    if let Some(history) = &history {
        // There is none the first time.
        let _ = editor.load_history(history);
    }
    let result = read_commands(&mut editor, &context, format, history.as_deref());
    context.borrow_mut().close();
    result.map(|()| ExitCode::SUCCESS)
}

fn read_commands(
    editor: &mut Editor<Completion, DefaultHistory>,
    context: &Rc<RefCell<Context>>,
    format: Format,
    history: Option<&Path>,
) -> Result<(), ShellError> {
    let mut out = output();
    let mut sink = Sink::new(format, TimeZone::system(), &mut *out);
    loop {
        let prompt = context.borrow().prompt();
        let line = match editor.readline(&prompt) {
            Ok(line) => line,
            // Control-C drops the line.
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(input_error(error)),
        };
        if is_worth_saving(&line) {
            editor.add_history_entry(&line).map_err(input_error)?;
            if let Some(history) = history {
                // Without a place for it there is no history next time, and nothing else is lost.
                let _ = editor.append_history(history);
            }
        }
        for line in words::lines(&line) {
            match context.borrow_mut().run_line(line, &mut sink) {
                Ok(Flow::Go) => {}
                Ok(Flow::Quit) => return Ok(()),
                Err(error @ ShellError::Output(_)) => return Err(error),
                Err(error) => report(&error, format),
            }
        }
    }
}

/// Passwords stay out of files, and so do lines without a word.
fn is_worth_saving(text: &str) -> bool {
    let firsts = || text.lines().filter_map(|line| line.split_whitespace().next());
    firsts().next().is_some() && !firsts().any(|first| first.eq_ignore_ascii_case("addauth"))
}

/// Events appear above the line that is being written.
fn announce(format: Format, printer: impl ExternalPrinter + Send + 'static) -> Announce {
    let printer = Mutex::new(printer);
    Arc::new(move |event, chroot| {
        let text = match format {
            Format::Text => events::text(event, chroot),
            Format::Json => events::value(event, chroot).to_string(),
        };
        if let Ok(mut printer) = printer.lock() {
            // A terminal that is gone takes the shell with it, soon.
            let _ = printer.print(format!("{}\n", visible_text(&text)));
        }
    })
}

/// Where lines are kept from one shell to the next, by the XDG rules. The folder is made.
fn history_file() -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let folder = absolute("XDG_STATE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/state")))?
        .join("zebu");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("shell_history"))
}

fn input_error(error: ReadlineError) -> ShellError {
    ShellError::Input(match error {
        ReadlineError::Io(error) => error,
        error => std::io::Error::other(error),
    })
}

/// Completion of the line that is being written.
struct Completion(Rc<RefCell<Context>>);

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &rustyline::Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, candidates) = complete(&self.0.borrow(), &line[..pos]);
        let pairs = candidates
            .into_iter()
            .map(|candidate| Pair {
                display: visible_text(&candidate.display),
                replacement: candidate.replacement,
            })
            .collect();
        Ok((start, pairs))
    }
}

impl Helper for Completion {}
impl Hinter for Completion {
    type Hint = String;
}
impl Highlighter for Completion {}
impl Validator for Completion {}
