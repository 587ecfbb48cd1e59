//! What can go wrong beside the library's own errors, and how any error is reported.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use wclayer::ErrorKind;

use crate::escape::escaped;
use crate::hints;
use crate::output::{self, ErrorJson, Output};
use crate::signals;

/// The exit code of a command that failed, and of a check that found something.
pub(crate) const FAILED: u8 = 1;
/// The exit code of a failure where [`FAILED`] is an answer: of `diff` and `validate`, as of
/// diff(1) and grep(1).
pub(crate) const FAILED_TO_ANSWER: u8 = 2;
/// The exit code of a command line that cannot be understood.
pub(crate) const WRONG_USAGE: u8 = 2;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The library failed.
    #[error(transparent)]
    Layer(#[from] wclayer::Error),
    /// The command works on Windows only.
    #[cfg(not(windows))]
    #[error("`{command}` needs Windows with the Host Compute Service (vmcompute.dll)")]
    NeedsHostCompute {
        /// The command's name.
        command: &'static str,
    },
    /// A layer of Windows is never replaced.
    #[error("--force replaces portable layers and transport folders only")]
    CannotReplace,
    /// Only transport folders can be given empty hives.
    #[error("--hives goes with --format transport only")]
    HivesElsewhere,
    /// There is nothing at a path.
    #[error("there is no `{}` in `{}`", escaped(path), layer.display())]
    NoEntry {
        /// The path inside the layer.
        path: String,
        /// The layer.
        layer: PathBuf,
        /// Why, as a hint.
        why: String,
    },
    /// What is at a path has no content to print.
    #[error("`{}` is {what}", escaped(path))]
    NoContent {
        /// The path inside the layer.
        path: String,
        /// What it is.
        what: String,
        /// What can be done.
        hint: &'static str,
    },
    /// There is no layer of this number.
    #[error("there is no layer {number}: the chain has layers 0 to {last}")]
    NoLayerNumber {
        /// The number.
        number: usize,
        /// The largest number that there is.
        last: usize,
    },
    /// A layer is none of the chain.
    #[error("`{}` is no layer of the chain", place.display())]
    NotInChain {
        /// Where it is.
        place: PathBuf,
    },
    /// A link leads out of the layer.
    #[error("`{}` leads out of the layer, to `{}`", escaped(link), escaped(target))]
    LinkOutside {
        /// The link.
        link: String,
        /// Where it leads.
        target: String,
    },
    /// Links lead in a circle.
    #[error("the links at `{}` lead in a circle", escaped(path))]
    LinkLoop {
        /// The path inside the layer.
        path: String,
    },
    /// A tar would go to a terminal.
    #[error("refusing to write a layer tar to a terminal")]
    OutputIsTerminal,
    /// The output is there, and is not to be replaced.
    #[error("`{}` exists", output.display())]
    OutputExists {
        /// The output.
        output: PathBuf,
    },
    /// The output would take the place of a layer that is read.
    #[error("the output `{}` is part of the layer `{}`", output.display(), layer.display())]
    OutputIsLayer {
        /// The output.
        output: PathBuf,
        /// The layer.
        layer: PathBuf,
    },
    /// A layer that is looked into would come from standard input.
    #[error("cannot look into a layer on standard input")]
    InputIsDash,
    /// A tar would come from a terminal.
    #[error("refusing to read a layer tar from a terminal")]
    InputIsTerminal,
    /// The result could not be printed.
    #[error("cannot write to standard output")]
    Stdout(#[source] io::Error),
    /// A failure, and what was probably meant: said instead of the failure's own hint.
    #[error("{0}")]
    Hinted(Box<CliError>, &'static str),
    /// The JSON that was begun has the error in it; it is to be told on stderr only.
    #[error(transparent)]
    InJson(Box<CliError>),
    /// What can be extracted has been, but something is missing.
    #[error("{count} of the layer's entries could not be extracted")]
    NotMade {
        /// How many.
        count: u64,
    },
    /// The failure has been printed already; only the exit code is left.
    #[error("failed")]
    Told,
    /// What was looked for has been found and printed: differences, errors in a layer.
    #[error("found")]
    Found,
    /// Ctrl-C cannot be watched for.
    #[error("cannot watch for signals")]
    Signals(#[source] io::Error),
}

impl CliError {
    /// Returns the kind of failure.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Layer(error) => error.kind(),
            Self::InJson(error) | Self::Hinted(error, _) => error.kind(),
            #[cfg(not(windows))]
            Self::NeedsHostCompute { .. } => ErrorKind::Unsupported,
            Self::CannotReplace
            | Self::HivesElsewhere
            | Self::NoContent { .. }
            | Self::OutputIsTerminal
            | Self::InputIsDash
            | Self::OutputIsLayer { .. }
            | Self::InputIsTerminal
            | Self::NoLayerNumber { .. }
            | Self::NotInChain { .. } => ErrorKind::InvalidInput,
            Self::NoEntry { .. } | Self::LinkOutside { .. } | Self::LinkLoop { .. } => {
                ErrorKind::InvalidInput
            }
            Self::OutputExists { .. } => ErrorKind::Exists,
            Self::Told | Self::Found | Self::NotMade { .. } => ErrorKind::InvalidLayer,
            Self::Stdout(_) | Self::Signals(_) => ErrorKind::Io,
        }
    }

    /// Returns whether nobody reads what is written: no reason to complain.
    fn is_closed_pipe(&self) -> bool {
        causes(self).any(|cause| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        })
    }
}

/// Says what could not be done with a file: `.map_err(on_path("open", path))`.
pub(crate) fn on_path(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_owned();
    move |source| {
        wclayer::Error::Io {
            action,
            path,
            source,
        }
        .into()
    }
}

/// Prints an error, as JSON too where that was asked for, and returns the exit code: `failed`, if
/// the command was not stopped.
pub(crate) fn report(error: &CliError, failed: u8, output: &Output) -> ExitCode {
    // A reader of a listing that has seen enough is no failure. A layer tar that nobody takes is:
    // its error is the library's.
    if matches!(error, CliError::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    if matches!(error, CliError::Found) {
        return ExitCode::from(FAILED);
    }
    if !matches!(error, CliError::Told) && !error.is_closed_pipe() {
        let told = json(error);
        output::print_error(&told.message, &told.causes, told.hint.as_deref());
        // What standard output does not take is not said there.
        let is_json_open = !matches!(error, CliError::InJson(_) | CliError::Stdout(_));
        if output.is_json() && is_json_open {
            output::print_error_json(told);
        }
    }
    ExitCode::from(match error.kind() {
        ErrorKind::Cancelled => signals::exit_code(),
        _ => failed,
    })
}

/// Returns what is told of an error.
pub(crate) fn json(error: &CliError) -> ErrorJson<ErrorKind> {
    ErrorJson {
        kind: error.kind(),
        message: error.to_string(),
        causes: causes(error).map(ToString::to_string).collect(),
        hint: hints::hint(error),
    }
}

fn causes(error: &CliError) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let error = match error {
        CliError::Hinted(error, _) => error,
        error => error,
    };
    std::iter::successors(error.source(), |cause| (**cause).source())
}
