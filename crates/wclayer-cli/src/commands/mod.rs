//! The commands: a file for each, with its `Arguments` and their [`Command`].
//!
//! To add a command, add its file and a line to [`COMMANDS`]: help, completions, manual pages and
//! the dispatch follow from it.

mod cat;
mod completions;
mod create;
mod diff;
mod du;
mod export;
mod export_tar;
mod export_transport;
mod export_windows;
mod extract;
mod find;
mod find_tests;
mod gc;
mod host_compute;
mod image_options;
mod import;
mod import_result;
mod import_transport;
mod import_windows;
mod info;
mod info_image;
mod info_tar;
mod info_transport;
mod ls;
mod makebaselayer;
mod man;
mod missing;
mod mount;
mod output_file;
mod parent_options;
mod remove;
mod repair;
mod squash;
mod stat;
mod tree;
mod unmount;
mod validate;
mod verify;
mod view_options;

use clap::{ArgMatches, FromArgMatches, Subcommand};

use crate::errors::{CliError, FAILED};
use crate::output::Output;

/// All commands, in the order of `wclayer --help`.
const COMMANDS: &[Entry] = &[
    Entry::new::<cat::Arguments>("cat"),
    Entry::new::<create::Arguments>("create"),
    Entry::new::<diff::Arguments>("diff"),
    Entry::new::<du::Arguments>("du"),
    Entry::new::<export::Arguments>("export"),
    Entry::new::<extract::Arguments>("extract"),
    Entry::new::<find::Arguments>("find"),
    Entry::new::<gc::Arguments>("gc"),
    Entry::new::<import::Arguments>("import"),
    Entry::new::<info::Arguments>("info"),
    Entry::new::<ls::Arguments>("ls"),
    Entry::new::<makebaselayer::Arguments>("makebaselayer"),
    Entry::new::<mount::Arguments>("mount"),
    Entry::new::<remove::Arguments>("remove"),
    Entry::new::<repair::Arguments>("repair"),
    Entry::new::<squash::Arguments>("squash"),
    Entry::new::<stat::Arguments>("stat"),
    Entry::new::<tree::Arguments>("tree"),
    Entry::new::<unmount::Arguments>("unmount"),
    Entry::new::<validate::Arguments>("validate"),
    Entry::new::<verify::Arguments>("verify"),
    Entry::new::<completions::Arguments>("completions"),
    Entry::new::<man::Arguments>("man"),
];

/// A command with its arguments.
pub(crate) trait Command {
    /// Runs the command.
    fn run(&self, output: &Output) -> Result<(), CliError>;

    /// Returns whether to print results and errors as JSON.
    fn wants_json(&self) -> bool {
        false
    }

    /// Returns a conflict between arguments that clap cannot detect.
    fn conflict(&self) -> Option<&'static str> {
        None
    }

    /// Returns the exit code of a failure.
    fn exit_code_of_failure(&self) -> u8 {
        FAILED
    }
}

/// A line of [`COMMANDS`].
struct Entry {
    name: &'static str,
    describe: fn(clap::Command) -> clap::Command,
    parse: fn(&ArgMatches) -> Result<Box<dyn Command>, clap::Error>,
}

impl Entry {
    const fn new<A: Command + clap::Args + 'static>(name: &'static str) -> Self {
        Self {
            name,
            describe: A::augment_args,
            parse: |matches| Ok(Box::new(A::from_arg_matches(matches)?)),
        }
    }
}

/// The command on the command line.
pub(crate) struct Chosen(pub(crate) Box<dyn Command>);

impl FromArgMatches for Chosen {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let chosen = matches.subcommand().and_then(|(name, matches)| {
            let entry = COMMANDS.iter().find(|entry| entry.name == name)?;
            Some((entry, matches))
        });
        let (entry, matches) =
            chosen.ok_or_else(|| clap::Error::new(clap::error::ErrorKind::MissingSubcommand))?;
        (entry.parse)(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Chosen {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        let describe = |entry: &Entry| (entry.describe)(clap::Command::new(entry.name));
        command.subcommands(COMMANDS.iter().map(describe))
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        COMMANDS.iter().any(|entry| entry.name == name)
    }
}
