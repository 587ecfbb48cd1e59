//! `completions`: prints completion scripts for shells.

use std::io::{self, Write};

use clap::Args;
use clap_complete::Shell;

use super::Command;
use crate::cli;
use crate::errors::CliError;
use crate::output::Output;

const EXAMPLE: &str = "\
Example:
  wclayer completions bash > ~/.local/share/bash-completion/completions/wclayer";

/// Print the completion script for a shell
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Arguments {
    /// Shell to print the script for
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Command for Arguments {
    fn run(&self, _output: &Output) -> Result<(), CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut cli::command(), "wclayer", &mut script);
        let mut stdout = io::stdout();
        (stdout.write_all(&script).and_then(|()| stdout.flush())).map_err(CliError::Stdout)
    }
}
