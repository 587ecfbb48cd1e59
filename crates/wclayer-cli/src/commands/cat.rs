//! `cat`: the content of a file of a layer.

use std::io::{self, Write};

use clap::Args;
use wclayer::chain::Access;

use super::view_options::ViewOptions;
use crate::errors::CliError;
use crate::output::Output;
use crate::path_argument::{StreamPath, stream_path};

const EXAMPLES: &str = "\
Examples:
  wclayer cat layers/app Files/app/settings.json
  wclayer cat app.tar.gz Files/setup.exe:Zone.Identifier";

/// The size of the pieces in which content is copied, in bytes.
const PIECE: usize = 256 * 1024;

/// Print a file of a layer, or one of its alternate data streams
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    /// The file, and behind a colon the name of an alternate data stream
    #[arg(value_name = "PATH[:STREAM]", value_parser = stream_path())]
    path: StreamPath,
    /// Follow symbolic links and junctions
    #[arg(long)]
    follow: bool,
}

/// Copies the content to standard output.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let opened = arguments.view.open(Access::Listing, output)?;
    let StreamPath(path, stream) = &arguments.path;
    let node = opened.find(path, arguments.follow)?;
    let mut content = opened.view.content(&node, stream.as_ref())?;
    let mut stdout = io::stdout().lock();
    let mut piece = vec![0; PIECE];
    loop {
        opened.check_cancelled()?;
        let read = content.read(&mut piece).map_err(wclayer::Error::Input)?;
        if read == 0 {
            return stdout.flush().map_err(CliError::Stdout);
        }
        let written = stdout.write_all(&piece[..read]);
        written.map_err(CliError::Stdout)?;
    }
}
