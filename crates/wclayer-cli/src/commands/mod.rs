//! The commands, one file each: its arguments and what it does.

pub(crate) mod cat;
pub(crate) mod completions;
pub(crate) mod create;
pub(crate) mod diff;
pub(crate) mod du;
pub(crate) mod export;
mod export_tar;
mod export_transport;
mod export_windows;
pub(crate) mod extract;
pub(crate) mod find;
mod find_tests;
pub(crate) mod gc;
pub(crate) mod host_compute;
pub(crate) mod import;
mod import_result;
mod import_transport;
mod import_windows;
pub(crate) mod info;
mod info_tar;
mod info_transport;
pub(crate) mod ls;
pub(crate) mod makebaselayer;
pub(crate) mod man;
mod missing;
pub(crate) mod mount;
mod output_file;
pub(crate) mod remove;
pub(crate) mod repair;
pub(crate) mod squash;
pub(crate) mod stat;
pub(crate) mod tree;
pub(crate) mod unmount;
pub(crate) mod validate;
pub(crate) mod verify;
mod view_options;

use crate::cli::Command;
use crate::errors::CliError;
use crate::output::Output;

/// Carries a command out.
pub(crate) fn run(command: Command, output: &Output) -> Result<(), CliError> {
    match command {
        Command::Create(arguments) => create::run(&arguments, output),
        Command::Diff(arguments) => diff::run(&arguments, output),
        Command::Du(arguments) => du::run(&arguments, output),
        Command::Export(arguments) => export::run(&arguments, output),
        Command::Extract(arguments) => extract::run(&arguments, output),
        Command::Find(arguments) => find::run(&arguments, output),
        Command::Gc(arguments) => gc::run(&arguments, output),
        Command::Import(arguments) => import::run(&arguments, output),
        Command::Info(arguments) => info::run(&arguments, output),
        Command::Makebaselayer(arguments) => makebaselayer::run(&arguments, output),
        Command::Mount(arguments) => mount::run(&arguments, output),
        Command::Remove(arguments) => remove::run(&arguments, output),
        Command::Repair(arguments) => repair::run(&arguments, output),
        Command::Squash(arguments) => squash::run(&arguments, output),
        Command::Unmount(arguments) => unmount::run(&arguments, output),
        Command::Validate(arguments) => validate::run(&arguments, output),
        Command::Verify(arguments) => verify::run(&arguments, output),
        Command::Cat(arguments) => cat::run(&arguments, output),
        Command::Ls(arguments) => ls::run(&arguments, output),
        Command::Stat(arguments) => stat::run(&arguments, output),
        Command::Tree(arguments) => tree::run(&arguments, output),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
    }
}
