//! `cat`: prints the content of a file in a layer.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use wclayer::Error;
use wclayer::layer::ContentReader;
use wclayer::source::{self, Access, Passed};
use wclayer::view::{Node, View};

use super::Command;
use super::image_options::report_chosen;
use super::view_options::{Opened, ViewOptions};
use crate::errors::{CliError, Contentless};
use crate::node_view;
use crate::output::Output;
use crate::path_argument::{StreamPath, stream_path};
use crate::progress::Bar;
use crate::signals;
use crate::sparse_sink::SparseSink;

const EXAMPLES: &str = "\
Examples:
  wclayer cat layers/app Files/app/settings.json
  wclayer cat app.tar.gz Files/setup.exe:Zone.Identifier";

/// How much content is copied at a time, in bytes.
const PIECE: usize = 256 * 1024;

/// Print a file in a layer, or one of its alternate data streams
///
/// A compressed tar is read to its end before anything is printed, because a later entry for the same
/// path replaces an earlier one. Layers below the one that contains the file are not read.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    /// File to print, with the name of an alternate data stream after a colon
    ///
    /// Use `/` or `\` in any letter case; `C:\Users` means `Files/Users`.
    #[arg(value_name = "PATH[:STREAM]", value_parser = stream_path())]
    path: StreamPath,
    /// Follow symbolic links and junctions
    #[arg(long)]
    follow: bool,
}

impl Command for Arguments {
    fn run(&self, output: &Output) -> Result<(), CliError> {
        let StreamPath(path, stream) = &self.path;
        let opened = if self.follow {
            self.view.open(Access::Listing, output)?
        } else {
            match in_passing(self, output)? {
                Some(opened) => opened,
                None => return Ok(()),
            }
        };
        let node = opened.find(path, self.follow)?;
        if let Some(target) = node_view::missing_target(&node) {
            return Err(no_content(&node, Contentless::HardLink(target.to_string())));
        }
        match opened.view.content(&node, stream.as_ref()) {
            Err(Error::NoStream { stream: None, .. }) => Err(without_data(&opened.view, &node)?),
            content => {
                let mut places = opened.view.places();
                let place = places.nth(node.layer).unwrap_or(&self.view.layer);
                copy(content?.reader(), place, &opened.cancelled)
            }
        }
    }
}

/// Returns an error that describes an entry without data.
fn without_data(view: &View, node: &Node) -> Result<CliError, CliError> {
    if let Some(target) = node_view::link_target(view, node)? {
        return Ok(no_content(node, Contentless::Link(target)));
    }
    if node.is_plain_directory() {
        return Ok(no_content(node, Contentless::Directory));
    }
    let (path, stream) = (node.path.to_string(), None);
    Ok(Error::NoStream { path, stream }.into())
}

fn no_content(node: &Node, what: Contentless) -> CliError {
    CliError::NoContent {
        path: node.path.to_string(),
        what,
    }
}

/// Copies the content out of the compressed tars at the top of the chain while reading them. If it is
/// not there, opens the rest of the chain.
fn in_passing(arguments: &Arguments, output: &Output) -> Result<Option<Opened>, CliError> {
    let StreamPath(path, stream) = &arguments.path;
    let chain = arguments.view.seen_chain()?;
    let cancelled = signals::watch()?;
    let bar = Bar::start(output, Some(chain.tars_size()), Arc::clone(&cancelled));
    match source::content_in_passing(chain.layers(), path, stream.as_ref(), &bar)? {
        Passed::Content { content, layer } => {
            bar.clear();
            report_chosen(&chain, output);
            let place = Path::new(chain.layers()[layer].label());
            copy(content.reader(), place, &cancelled).map(|()| None)
        }
        Passed::Below(layers) if layers > 0 => {
            let opened = Opened::open_chain(&arguments.view.layer, chain, layers, output);
            opened.map(Some)
        }
        _ => arguments.view.open(Access::Listing, output).map(Some),
    }
}

/// Copies content of the layer at `place`.
fn copy(mut content: ContentReader, place: &Path, cancelled: &AtomicBool) -> Result<(), CliError> {
    let of_layer = |error: io::Error| Error::Layer {
        operation: "read",
        layer: place.display().to_string(),
        source: Box::new(error.downcast::<Error>().unwrap_or_else(Error::Input)),
    };
    let mut stdout = SparseSink::new(io::stdout().lock());
    let mut piece = vec![0; PIECE];
    loop {
        if cancelled.load(Ordering::Relaxed) {
            return Err(Error::Cancelled.into());
        }
        // Only a file can hold the hole; anything else gets zeros.
        if stdout.takes_holes() {
            let hole = content.skip_hole().map_err(of_layer)?;
            stdout.skip(hole).map_err(CliError::Stdout)?;
        }
        let read = content.read(&mut piece).map_err(of_layer)?;
        if read == 0 {
            return stdout.finish().map_err(CliError::Stdout);
        }
        let written = stdout.write_all(&piece[..read]);
        written.map_err(CliError::Stdout)?;
    }
}
