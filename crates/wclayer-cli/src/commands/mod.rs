//! The commands, one file each: its arguments and what it does.

pub(crate) mod completions;
pub(crate) mod create;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod info;
pub(crate) mod makebaselayer;
pub(crate) mod man;
pub(crate) mod mount;
pub(crate) mod remove;
pub(crate) mod unmount;

use crate::cli::Command;
use crate::errors::CliError;
use crate::output::Output;

/// Carries a command out.
pub(crate) fn run(command: Command, output: &Output) -> Result<(), CliError> {
    match command {
        Command::Create(_) => Err(CliError::needs_host_compute("create")),
        Command::Export(arguments) => export::run(&arguments, output),
        Command::Import(arguments) => import::run(&arguments, output),
        Command::Info(arguments) => info::run(&arguments, output),
        Command::Makebaselayer(_) => Err(CliError::needs_host_compute("makebaselayer")),
        Command::Mount(_) => Err(CliError::needs_host_compute("mount")),
        Command::Remove(arguments) => remove::run(&arguments, output),
        Command::Unmount(_) => Err(CliError::needs_host_compute("unmount")),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
    }
}
