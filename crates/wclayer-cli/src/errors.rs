//! What can go wrong beside the library's own errors, and how any error is reported.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use wclayer::ErrorKind;

use crate::escape::escaped;
use crate::output::{self, Output};

/// The exit code of a command that failed.
pub(crate) const FAILED: u8 = 1;
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
        /// Whether links were followed.
        followed: bool,
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
    #[error("a layer tar is not written to a terminal")]
    OutputIsTerminal,
    /// A tar would come from a terminal.
    #[error("a layer tar is not read from a terminal")]
    InputIsTerminal,
    /// The result could not be printed.
    #[error("cannot write to standard output")]
    Stdout(#[source] io::Error),
    /// What can be extracted has been, but something is missing.
    #[error("{count} of the layer's links could not be made")]
    NotMade {
        /// How many.
        count: u64,
    },
    /// All has been printed already; only the exit code is left.
    #[error("failed")]
    Told,
    /// Ctrl-C cannot be watched for.
    #[error("cannot watch for signals")]
    Signals(#[source] io::Error),
}

impl CliError {
    /// Returns the kind of failure.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Layer(error) => error.kind(),
            #[cfg(not(windows))]
            Self::NeedsHostCompute { .. } => ErrorKind::Unsupported,
            Self::CannotReplace
            | Self::HivesElsewhere
            | Self::OutputIsTerminal
            | Self::InputIsTerminal => ErrorKind::InvalidInput,
            Self::NoEntry { .. } | Self::LinkOutside { .. } | Self::LinkLoop { .. } => {
                ErrorKind::InvalidInput
            }
            Self::Told | Self::NotMade { .. } => ErrorKind::InvalidLayer,
            Self::Stdout(_) | Self::Signals(_) => ErrorKind::Io,
        }
    }

    /// Returns what can be done about it.
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Layer(error) => return error.hint(),
            #[cfg(not(windows))]
            Self::NeedsHostCompute { .. } => {
                "`import`, `export`, `info` and `remove` work on every system, with portable layers."
            }
            Self::CannotReplace => "Delete the layer that is there with `wclayer remove`.",
            Self::HivesElsewhere => "Leave it out: other formats need no empty hives.",
            Self::OutputIsTerminal => "Name a file with -o FILE, or write to a pipe.",
            Self::InputIsTerminal => "Name a file with -i FILE, or read from a pipe.",
            Self::NoEntry { followed: true, .. } => "A symbolic link or junction led there.",
            Self::NoEntry { .. } => "Paths begin with `Files`, `Hives` or `UtilityVM`.",
            Self::NotMade { .. } => "Everything else is there; `--json` lists what is missing.",
            Self::LinkOutside { .. } | Self::LinkLoop { .. } => return None,
            Self::Told | Self::Stdout(_) | Self::Signals(_) => return None,
        };
        Some(hint.to_owned())
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

/// Prints an error, as JSON too where that was asked for, and returns the exit code.
pub(crate) fn report(error: &CliError, output: &Output) -> ExitCode {
    // A reader of a listing that has seen enough is no failure. A layer tar that nobody takes is:
    // its error is the library's.
    if matches!(error, CliError::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    if !matches!(error, CliError::Told) && !error.is_closed_pipe() {
        let causes: Vec<String> = causes(error).map(ToString::to_string).collect();
        let hint = error.hint();
        output::print_error(&error.to_string(), &causes, hint.as_deref());
        if output.is_json() {
            output::print_error_json(&error.kind(), &error.to_string(), &causes, hint.as_deref());
        }
    }
    ExitCode::from(FAILED)
}

fn causes(error: &CliError) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| (**cause).source())
}
