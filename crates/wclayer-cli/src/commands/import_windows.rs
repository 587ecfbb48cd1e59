//! `import --format windows`: a layer tar into a layer that Windows runs containers from.

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use wclayer::hcs::{self, Contents, Function, HcsError, HostCompute, ImportOptions};
use wclayer::hub::EntriesOnly;
use wclayer::tar::BlobReader;
use wclayer::volume::Volume;
use wclayer::{ParentChain, Progress};

use super::host_compute;
use super::import::{self, Arguments, Source};
use super::import_result::Imported;
use crate::errors::{CliError, on_path};
use crate::output::Output;
use crate::progress::Bar;
use crate::signals;

/// Imports a layer with the Host Compute Service and shows what it is.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    if arguments.force {
        return Err(CliError::CannotReplace);
    }
    let host = arguments.host.open("import --format windows", output)?;
    let source = Source::open(arguments.input.as_deref())?;
    import::tell_plan(arguments, &source, output);
    let path = hcs::full_path(&arguments.path)?;
    let parents = match arguments.layers.is_empty() {
        // What an old layer at the path says does not count.
        true => ParentChain::none(),
        false => host_compute::parents(&host, &path, &arguments.layers, output)?,
    };
    let options = ImportOptions {
        contents: contents(&host, arguments.input.as_deref(), &parents, output)?,
        parents,
    };
    let progress = Bar::start(output, source.size, signals::watch()?);
    let started = Instant::now();
    let mut reader = BlobReader::new(source.bytes, arguments.diff_id, &progress)?;
    let entries_only = EntriesOnly(&progress);
    let imported = hcs::import(&host, &mut reader, &path, &options, &entries_only);
    let imported = imported.map_err(|error| match error {
        error if progress.is_cancelled() && !is_left_behind(&error) => wclayer::Error::Cancelled,
        error => error,
    });
    let (imported, taken) = (imported?, started.elapsed());
    let blob = reader.blob().cloned().ok_or(wclayer::Error::WorkerLost)?;
    drop(reader);
    drop(progress);
    Imported {
        format: "windows",
        blob: &blob,
        parents: &options.parents,
        entries: imported.entries,
        content_size: imported.content_size,
        warnings: &imported.warnings,
    }
    .show(arguments, taken, output)
}

/// Returns whether something is left of a layer that was given up, which the caller has to know.
fn is_left_behind(error: &wclayer::Error) -> bool {
    match error {
        wclayer::Error::Layer { source, .. } => is_left_behind(source),
        error => matches!(error, wclayer::Error::Hcs(HcsError::LeftBehind { .. })),
    }
}

/// Finds out whether the filter writer can take the layer, where that matters: it cannot make hard
/// links, and what has been written cannot be taken back. A pipe is not read twice.
fn contents<V: Volume>(
    host: &HostCompute<V>,
    input: Option<&Path>,
    parents: &ParentChain,
    output: &Output,
) -> Result<Contents, CliError> {
    if parents.is_empty() || !host.service.has(Function::ImportLayerBegin) {
        return Ok(Contents::Anything);
    }
    let Some(input) = input.filter(|input| input.is_file()) else {
        output.step(format_args!("the input is a pipe: using the legacy writer"));
        return Ok(Contents::Anything);
    };
    let file = File::open(input).map_err(on_path("open", input))?;
    let contents = Contents::of(&mut BlobReader::new(file, None, &())?)?;
    output.step(match contents {
        Contents::FilesAndRemovals => format_args!("no hard links: using the filter writer"),
        Contents::Anything => format_args!("hard links: using the legacy writer"),
    });
    Ok(contents)
}
