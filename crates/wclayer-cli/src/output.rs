//! Prints results to stdout and everything else to stderr.
//!
//! A result is a [`Summary`] or one JSON object (`docs/json.md`). Colour depends on `--color`,
//! NO_COLOR and whether the output is a terminal.

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::time::Instant;

use anstyle::{AnsiColor, Style};
use clap::ColorChoice;
use serde::Serialize;

use crate::cli::GlobalOptions;
use crate::errors::CliError;
use crate::escape::escaped;

const TITLE: Style = Style::new().bold();
const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();

/// The caller's choices about output.
#[derive(Debug)]
pub(crate) struct Output {
    quiet: bool,
    verbose: u8,
    json: bool,
    started: Instant,
}

impl Output {
    /// Reads the caller's options.
    pub(crate) fn new(options: &GlobalOptions, json: bool) -> Self {
        let GlobalOptions {
            quiet,
            verbose,
            color: _,
        } = *options;
        Self {
            quiet,
            verbose,
            json,
            started: Instant::now(),
        }
    }

    /// Returns whether results and errors are printed as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Returns whether to print only results and errors.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Returns whether to print steps.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose > 0
    }

    /// Prints a step if the caller wants them.
    pub(crate) fn step(&self, text: fmt::Arguments<'_>) {
        if self.verbose == 0 {
            return;
        }
        let text = text.to_string();
        let text = escaped(&text);
        let mut stderr = anstream::stderr().lock();
        let _ = match self.verbose {
            ..=1 => writeln!(stderr, "{text}"),
            _ => writeln!(
                stderr,
                "[{:9.3} s] {text}",
                self.started.elapsed().as_secs_f64()
            ),
        };
    }

    /// Prints a warning.
    pub(crate) fn warn(&self, text: &str) {
        if !self.quiet {
            let text = escaped(text);
            let _ = writeln!(anstream::stderr(), "{WARNING}Warning:{WARNING:#} {text}");
        }
    }

    /// Prints what a command did: as JSON, or as a summary unless quiet.
    pub(crate) fn result(
        &self,
        summary: &impl fmt::Display,
        json: &impl Serialize,
    ) -> Result<(), CliError> {
        match self.quiet && !self.json {
            true => Ok(()),
            false => self.answer(summary, json),
        }
    }

    /// Prints the answer of a query, even if quiet: as JSON or text.
    pub(crate) fn answer(
        &self,
        text: &impl fmt::Display,
        json: &impl Serialize,
    ) -> Result<(), CliError> {
        finish(match self.json {
            true => print_json(json),
            false => print(text),
        })
    }

    /// Prints details below an error; names in `text` must be escaped.
    pub(crate) fn below_error(&self, text: &str) {
        let _ = anstream::stderr().write_all(text.as_bytes());
    }

    /// Prints a summary to stderr, for commands that write something else to stdout.
    pub(crate) fn aside(&self, summary: &Summary) {
        if !self.quiet {
            let _ = write!(anstream::stderr(), "{summary}");
        }
    }
}

/// A title and aligned rows of a label and a value. Control characters are escaped.
#[derive(Debug)]
pub(crate) struct Summary {
    title: String,
    rows: Vec<(&'static str, String)>,
}

impl Summary {
    /// Starts a summary.
    pub(crate) fn new(title: String) -> Self {
        Self {
            title: escaped(&title).into_owned(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, label: &'static str, value: impl fmt::Display) {
        let value = value.to_string();
        self.rows.push((label, escaped(&value).into_owned()));
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE}{}{TITLE:#}", self.title)?;
        let width = self
            .rows
            .iter()
            .map(|(label, _)| label.len())
            .max()
            .unwrap_or(0);
        self.rows
            .iter()
            .try_for_each(|(label, value)| writeln!(f, "  {label:width$}  {value}"))
    }
}

/// Returns buffered standard output for text, and whether to use colour.
pub(crate) fn text_sink() -> (BufWriter<TextSink>, bool) {
    let stdout = anstream::stdout();
    let has_color = stdout.current_choice() != anstream::ColorChoice::Never;
    let sink: TextSink = match has_color {
        true => Box::new(stdout.lock()),
        // Without colour there are no escape sequences to strip.
        false => Box::new(io::stdout().lock()),
    };
    (BufWriter::with_capacity(TEXT_BUFFER, sink), has_color)
}

/// A destination of text.
pub(crate) type TextSink = Box<dyn Write>;

/// The size of the buffer for text, in bytes.
const TEXT_BUFFER: usize = 64 * 1024;

/// Applies `--color` to all further output.
pub(crate) fn set_color(choice: ColorChoice) {
    match choice {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    }
    .write_global();
}

/// Prints an error with its causes and its hint, each on one line and escaped, since all of them may
/// contain names from a layer.
pub(crate) fn print_error(message: &str, causes: &[String], hint: Option<&str>) {
    let mut text = format!("{ERROR}Error:{ERROR:#} {}\n", escaped(message));
    match causes {
        [] => {}
        [cause] => text += &format!("Caused by: {}\n", escaped(cause)),
        causes => {
            text += "Caused by:\n";
            for (number, cause) in causes.iter().enumerate() {
                text += &format!("{}: {}\n", number + 1, escaped(cause));
            }
        }
    }
    if let Some(hint) = hint {
        text += &format!("{HINT}Hint:{HINT:#} {}\n", escaped(hint));
    }
    // Without stderr, the message is lost.
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// An error as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorJson<K> {
    /// The kind of failure.
    pub(crate) kind: K,
    /// What failed.
    pub(crate) message: String,
    /// The causes, nearest first.
    pub(crate) causes: Vec<String>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

/// Prints an error as JSON.
pub(crate) fn print_error_json(error: ErrorJson<impl Serialize>) {
    #[derive(Serialize)]
    struct FailureJson<K> {
        error: ErrorJson<K>,
    }
    // If this fails, the exit code still reports the failure.
    let _ = print_json(&FailureJson { error });
}

/// Prints clap's message about wrong usage as JSON.
pub(crate) fn print_usage_error_json(text: &str, hint: Option<&str>) {
    let message = text.split("\n\n").next().unwrap_or(text);
    let message = message
        .strip_prefix("error: ")
        .unwrap_or(message)
        .trim_end();
    print_error_json(ErrorJson {
        kind: "usage",
        message: message.to_owned(),
        causes: Vec::new(),
        hint: Some(
            hint.unwrap_or("Run `wclayer --help` for the usage.")
                .to_owned(),
        ),
    });
}

/// Prints a text and flushes it: a failure to flush at exit would go unnoticed.
pub(crate) fn print(text: &impl fmt::Display) -> io::Result<()> {
    let mut stdout = anstream::stdout();
    write!(stdout, "{text}")?;
    stdout.flush()
}

fn print_json(value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&text)?;
    stdout.flush()
}

/// Ignores a closed pipe: the reader stopped early, and the command has done its work.
fn finish(printed: io::Result<()>) -> Result<(), CliError> {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Stdout(error)),
        _ => Ok(()),
    }
}
