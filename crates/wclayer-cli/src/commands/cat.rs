//! `cat`: the content of a file of a layer.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use wclayer::Error;
use wclayer::layer::Content;
use wclayer::source::{self, Access, Passed};
use wclayer::view::{Node, View};

use super::view_options::{Opened, ViewOptions};
use crate::errors::CliError;
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

/// The size of the pieces in which content is copied, in bytes.
const PIECE: usize = 256 * 1024;

/// Print a file of a layer, or one of its alternate data streams
///
/// Of a compressed tar no more is read than up to the end of the file. Should a malformed tar have
/// the path twice, that is the first; everything else shows the last.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    view: ViewOptions,
    /// The file, and behind a colon the name of an alternate data stream
    ///
    /// Written with `/` or `\`, in any case; `C:\Users` is `Files/Users`.
    #[arg(value_name = "PATH[:STREAM]", value_parser = stream_path())]
    path: StreamPath,
    /// Follow symbolic links and junctions
    #[arg(long)]
    follow: bool,
}

/// Copies the content to standard output.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let StreamPath(path, stream) = &arguments.path;
    let opened = if arguments.follow {
        arguments.view.open(Access::Listing, output)?
    } else {
        match in_passing(arguments, output)? {
            Some(opened) => opened,
            None => return Ok(()),
        }
    };
    let node = opened.find(path, arguments.follow)?;
    if let Some(target) = node_view::missing_target(&node) {
        return Err(no_content(
            &node,
            format!("a hard link to `{target}`, which is in none of the layers"),
            "Name the parent layers with -l, nearest first.",
        ));
    }
    match opened.view.content(&node, stream.as_ref()) {
        Err(Error::NoStream { stream: None, .. }) => Err(without_data(&opened.view, &node)?),
        content => {
            let mut places = opened.view.places();
            let place = places.nth(node.layer).unwrap_or(&arguments.view.layer);
            copy(content?, place, &opened.cancelled)
        }
    }
}

/// Says what it is that has no data.
fn without_data(view: &View, node: &Node) -> Result<CliError, CliError> {
    if let Some(target) = node_view::link_target(view, node)? {
        let what = format!("a link to `{target}`");
        return Ok(no_content(node, what, "--follow prints what it leads to."));
    }
    if node.is_plain_directory() {
        let what = "a directory".to_owned();
        return Ok(no_content(node, what, "`wclayer ls` lists it."));
    }
    let (path, stream) = (node.path.to_string(), None);
    Ok(Error::NoStream { path, stream }.into())
}

fn no_content(node: &Node, what: String, hint: &'static str) -> CliError {
    CliError::NoContent {
        path: node.path.to_string(),
        what,
        hint,
    }
}

/// Copies the content out of the compressed tars on top, if it can be found that way; else opens
/// what has to be asked.
fn in_passing(arguments: &Arguments, output: &Output) -> Result<Option<Opened>, CliError> {
    let StreamPath(path, stream) = &arguments.path;
    let chain = arguments.view.seen_chain()?;
    let cancelled = signals::watch()?;
    let bar = Bar::start(output, Some(chain.tars_size()), Arc::clone(&cancelled));
    let places: Vec<_> = chain
        .layers()
        .iter()
        .map(|it| it.path().to_owned())
        .collect();
    match source::content_in_passing(&places, path, stream.as_ref(), &bar)? {
        Passed::Content { reader, layer } => {
            bar.clear();
            copy(reader, &places[layer], &cancelled).map(|()| None)
        }
        Passed::Below(layers) if layers > 0 => {
            let opened = Opened::open_chain(&arguments.view.layer, chain, layers, output);
            opened.map(Some)
        }
        _ => arguments.view.open(Access::Listing, output).map(Some),
    }
}

/// Copies content of the layer that is at `place`.
fn copy(mut content: impl Content, place: &Path, cancelled: &AtomicBool) -> Result<(), CliError> {
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
        // A file gets the hole; everything else reads zeros.
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
