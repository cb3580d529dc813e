//! `zebu shell`: look at a tree and change it, by hand or from a script.
//!
//! A line becomes words (`words`), words become a command (`command`, by the table in `spec`), a command becomes results
//! (`run`, over the session in `client`), and results become text or JSON (`sink`). `interactive` and `batch` are where lines
//! come from.

mod acl;
mod batch;
mod client;
mod command;
mod complete;
mod context;
mod error;
mod events;
mod follow;
mod help;
mod interactive;
mod json;
mod outcome;
mod path;
mod quota;
mod run;
mod sink;
mod spec;
mod subtree;
#[cfg(test)]
mod tests;
mod text;
mod words;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;

use client::Servers;
use command::{Command, UsageError};
use context::{Context, Settings};
use error::ShellError;
use sink::{ForTerminal, Format, Sink, write_error};
use words::Word;

/// Look at a tree and change it: one command, or a shell to type them in.
///
/// The commands are those of zkCli, with the same options and the same output. Without a command, a terminal gets a
/// prompt with history and completion; from a pipe, every line is a command.
#[derive(Args)]
#[command(after_help = "Examples:
  zebu shell                                    a prompt, on localhost:2181
  zebu shell -s zk1:2181,zk2:2181/app           several servers, and all paths below /app
  zebu shell ls -R /                            one command
  zebu shell create /app 'hello world'
  zebu shell --json get /app | jq .stat.version
  zebu shell addWatch /app                      what happens at and below /app, until interrupted
  zebu shell < commands.txt                     one command to a line
  zebu shell help                               the commands
  zebu shell help create                        one of them

The exit code is 0 if all commands succeeded, else 1; errors go to standard error, the rest to standard output.
Scripts for zkCli may keep their -server HOST:PORT, -timeout MS and -r.")]
pub(crate) struct Shell {
    /// Servers to connect to, and the node that all paths lie below.
    #[arg(
        short,
        long = "server",
        value_name = "HOST:PORT[,HOST:PORT...][/CHROOT]",
        default_value = "localhost:2181"
    )]
    servers: String,
    /// Session timeout to ask for, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 30_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)))]
    timeout: u32,
    /// Results as JSON, one document to a command; errors too, on standard error.
    #[arg(long)]
    json: bool,
    /// Accept a server that has no quorum and answers reads only.
    #[arg(short = 'r', long)]
    read_only: bool,
    /// Largest answer to accept, in bytes (jute.maxbuffer of a Java client).
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20, value_parser = clap::value_parser!(u32).range(1024..=1 << 30))]
    max_frame: u32,
    /// A command and its arguments.
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

impl Shell {
    pub(crate) fn run(mut self) -> ExitCode {
        self.accept_zk_cli_spelling();
        let format = if self.json { Format::Json } else { Format::Text };
        match self.run_in(format) {
            Ok(code) => code,
            Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
            Err(error) => {
                report(&error, format);
                ExitCode::FAILURE
            }
        }
    }

    /// Takes zkCli's own options, of one dash and many letters, off the front of the command, where they have ended up.
    fn accept_zk_cli_spelling(&mut self) {
        let mut words = std::mem::take(&mut self.command).into_iter().peekable();
        while let Some(option) = words.next_if(|word| matches!(word.as_str(), "-server" | "-timeout" | "-r")) {
            match (option.as_str(), words.next_if(|_| option != "-r")) {
                ("-r", _) => self.read_only = true,
                ("-server", Some(servers)) => self.servers = servers,
                ("-timeout", Some(ms)) if ms.parse::<u32>().is_ok_and(|ms| ms > 0) => {
                    self.timeout = ms.parse().unwrap_or(self.timeout);
                }
                // Left to be refused.
                (_, value) => {
                    self.command = std::iter::once(option).chain(value).chain(words).collect();
                    return;
                }
            }
        }
        self.command = words.collect();
    }

    fn run_in(self, format: Format) -> Result<ExitCode, ShellError> {
        let servers = Servers::parse(&self.servers).map_err(UsageError::from)?;
        let settings = Settings {
            timeout: Duration::from_millis(u64::from(self.timeout)),
            read_only: self.read_only,
            frame_bytes_max: usize::try_from(self.max_frame).unwrap_or(usize::MAX),
        };
        if !self.command.is_empty() {
            return one_command(self.command, settings, servers, format);
        }
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            return interactive::run(settings, servers, format);
        }
        batch::run(settings, servers, format, &mut io::stdin().lock())
    }
}

fn one_command(
    words: Vec<String>,
    settings: Settings,
    servers: Servers,
    format: Format,
) -> Result<ExitCode, ShellError> {
    let words: Vec<Word> = words.into_iter().map(Word::plain).collect();
    if let Ok(Some(Command::AddWatch { .. })) = Command::parse(&words) {
        return follow::run(&words, settings, servers, format, &mut *output()).map(|()| ExitCode::SUCCESS);
    }
    // A session that ends with its one command has no use for events.
    let mut context = Context::open(settings, servers, Arc::new(|_, _| {}))?;
    let mut out = output();
    let result = context.run_words(&words, &mut Sink::new(format, TimeZone::system(), &mut *out));
    context.close();
    result.map(|_| ExitCode::SUCCESS)
}

/// Standard output, made harmless if it is a terminal. What it holds back is written when a command ends.
fn output() -> Box<dyn Write> {
    let out = BufWriter::new(io::stdout());
    if io::stdout().is_terminal() {
        Box::new(ForTerminal(out))
    } else {
        Box::new(out)
    }
}

/// Shows an error on standard error. If even that cannot be written, the exit code must do.
fn report(error: &ShellError, format: Format) {
    let stderr = io::stderr();
    let _ = if stderr.is_terminal() {
        write_error(error, format, &mut ForTerminal(stderr.lock()))
    } else {
        write_error(error, format, &mut stderr.lock())
    };
}
