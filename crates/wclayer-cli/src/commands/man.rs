//! `man`: prints manual pages, generated from the description of the command line.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use super::Command;
use crate::cli;
use crate::errors::{CliError, on_path};
use crate::file_argument::new_folder;
use crate::output::Output;

const EXAMPLE: &str = "\
Examples:
  wclayer man | man -l -
  wclayer man ~/.local/share/man/man1";

/// Print the manual page, or write the pages of all commands to a folder
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Folder for the pages of the program and of each command, created if missing
    #[arg(value_name = "DIR", value_parser = new_folder("omit DIR to print the page to stdout"))]
    directory: Option<PathBuf>,
}

impl Command for Arguments {
    fn run(&self, _output: &Output) -> Result<(), CliError> {
        if let Some(directory) = &self.directory {
            fs::create_dir_all(directory).map_err(on_path("create", directory))?;
            // `help` would add a second page for every command.
            let command = cli::Arguments::command().disable_help_subcommand(true);
            return clap_mangen::generate_to(command, directory)
                .map_err(on_path("write the manual pages to", directory));
        }
        let mut page = Vec::new();
        Man::new(cli::command())
            .render(&mut page)
            .and_then(|()| io::stdout().write_all(&page))
            .and_then(|()| io::stdout().flush())
            .map_err(CliError::Stdout)
    }
}
