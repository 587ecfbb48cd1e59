//! The errors of the command, and the report of any error.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use wclayer::ErrorKind;

use crate::escape::escaped;
use crate::hints;
use crate::output::{self, ErrorJson, Output};
use crate::signals;

/// The exit code of a command that failed, or of a check that found something.
pub(crate) const FAILED: u8 = 1;
/// The exit code of a failure of `diff` and `validate`, for which [`FAILED`] is an answer, as for
/// diff(1) and grep(1).
pub(crate) const FAILED_TO_ANSWER: u8 = 2;
/// The exit code of wrong usage.
pub(crate) const WRONG_USAGE: u8 = 2;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The library failed.
    #[error(transparent)]
    Layer(#[from] wclayer::Error),
    /// The command requires Windows.
    #[cfg(not(windows))]
    #[error("`{command}` requires Windows with the Host Compute Service (vmcompute.dll)")]
    NeedsHostCompute {
        /// The command's name.
        command: &'static str,
    },
    /// A Windows layer is never replaced.
    #[error("--force replaces only portable layers and transport folders")]
    CannotReplace,
    /// Only transport folders take empty hives.
    #[error("--hives requires --format transport")]
    HivesElsewhere,
    /// Nothing is at a path.
    #[error("there is no `{}` in `{}`", escaped(path), layer.display())]
    NoEntry {
        /// The path inside the layer.
        path: String,
        /// The layer.
        layer: PathBuf,
        /// The reason, as a hint.
        why: String,
    },
    /// The entry at a path has no content to print.
    #[error("`{}` is {what}", escaped(path))]
    NoContent {
        /// The path inside the layer.
        path: String,
        /// The kind of entry.
        what: Contentless,
    },
    /// The chain has no layer with this number.
    #[error("there is no layer {number}: the chain has layers 0 to {last}")]
    NoLayerNumber {
        /// The number.
        number: usize,
        /// The number of the last layer.
        last: usize,
    },
    /// A path is not that of a layer of the chain.
    #[error("`{}` is not a layer of the chain", place.display())]
    NotInChain {
        /// The path.
        place: PathBuf,
    },
    /// The target of a link is outside the layer.
    #[error(
        "the target `{}` of `{}` is outside the layer",
        escaped(target),
        escaped(link)
    )]
    LinkOutside {
        /// The link.
        link: String,
        /// Its target.
        target: String,
    },
    /// Links form a loop.
    #[error("the links at `{}` form a loop", escaped(path))]
    LinkLoop {
        /// The path inside the layer.
        path: String,
    },
    /// A tar would go to a terminal.
    #[error("refusing to write a layer tar to a terminal")]
    OutputIsTerminal,
    /// The output exists, and must not be replaced.
    #[error("`{}` already exists", output.display())]
    OutputExists {
        /// The output.
        output: PathBuf,
    },
    /// The output would overwrite a layer that is read.
    #[error("the output `{}` is part of the layer `{}`", output.display(), layer.display())]
    OutputIsLayer {
        /// The output.
        output: PathBuf,
        /// The layer.
        layer: PathBuf,
    },
    /// A layer would come from standard input, which can be read only once.
    #[error("cannot read a layer from standard input")]
    InputIsDash,
    /// A tar would come from a terminal.
    #[error("refusing to read a layer tar from a terminal")]
    InputIsTerminal,
    /// Standard output failed.
    #[error("cannot write to standard output")]
    Stdout(#[source] io::Error),
    /// A failure that a mistake may have caused, whose hint replaces that of the failure.
    #[error("{0}")]
    Mistaken(Box<CliError>, Mistake),
    /// The error is already part of the JSON on stdout; print it to stderr only.
    #[error(transparent)]
    InJson(Box<CliError>),
    /// Some entries could not be extracted.
    #[error("cannot extract {count} of the entries")]
    NotMade {
        /// How many.
        count: u64,
    },
    /// The failure has already been printed; only the exit code is left.
    #[error("failed")]
    Reported,
    /// Differences, or errors in a layer, were found and printed.
    #[error("found")]
    Found,
    /// Signals cannot be caught.
    #[error("cannot catch signals")]
    Signals(#[source] io::Error),
}

/// An entry without content.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Contentless {
    /// A directory.
    #[error("a directory")]
    Directory,
    /// A symbolic link or junction to a path.
    #[error("a link to `{0}`")]
    Link(String),
    /// A hard link to a path that does not exist.
    #[error("a hard link to `{0}`, which no layer of the chain contains")]
    HardLink(String),
}

/// A likely mistake in a command line.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mistake {
    /// `ls -l` for a long listing.
    LongListing,
    /// `diff -l` for parents of only one side.
    ParentsOfOneSide,
    /// `find --newer` with neither a time nor an entry.
    NotATime,
}

impl CliError {
    /// Returns the kind of failure.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Layer(error) => error.kind(),
            Self::InJson(error) | Self::Mistaken(error, _) => error.kind(),
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
            Self::Reported | Self::Found | Self::NotMade { .. } => ErrorKind::InvalidLayer,
            Self::Stdout(_) | Self::Signals(_) => ErrorKind::Io,
        }
    }

    /// Returns whether the reader of the output went away, which needs no report.
    fn is_closed_pipe(&self) -> bool {
        causes(self).any(|cause| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        })
    }
}

/// Adds the action and the path to a system error: `.map_err(on_path("open", path))`.
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

/// Prints an error, with --json as JSON too, and returns the exit code: `failed`, or that of a
/// signal.
pub(crate) fn report(error: &CliError, failed: u8, output: &Output) -> ExitCode {
    // A reader of a listing may stop early. For a layer tar that is a failure, which the library
    // reports.
    if matches!(error, CliError::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    if matches!(error, CliError::Found) {
        return ExitCode::from(FAILED);
    }
    if !matches!(error, CliError::Reported) && !error.is_closed_pipe() {
        let printed = json(error);
        output::print_error(&printed.message, &printed.causes, printed.hint.as_deref());
        // An error of standard output cannot be printed there.
        let is_json_open = !matches!(error, CliError::InJson(_) | CliError::Stdout(_));
        if output.is_json() && is_json_open {
            output::print_error_json(printed);
        }
    }
    ExitCode::from(match error.kind() {
        ErrorKind::Cancelled => signals::exit_code(),
        _ => failed,
    })
}

/// Returns an error as JSON.
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
        CliError::Mistaken(error, _) => error,
        error => error,
    };
    std::iter::successors(error.source(), |cause| (**cause).source())
}
