//! `import --format windows`.

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use wclayer::ParentChain;
use wclayer::hcs::{self, Contents, Function, HostCompute, ImportOptions};
use wclayer::hub::EntriesOnly;
use wclayer::tar::BlobReader;
use wclayer::volume::Volume;

use super::host_compute;
use super::import::{self, Arguments, Source};
use super::import_result::Imported;
use crate::errors::{CliError, on_path};
use crate::output::Output;
use crate::progress::Bar;
use crate::signals;

/// Imports a layer with the Host Compute Service and prints the result.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    if arguments.force {
        return Err(CliError::CannotReplace);
    }
    let host = arguments.host.open("import --format windows", output)?;
    let source = Source::open(arguments.input.as_deref())?;
    import::print_plan(arguments, &source, output);
    let path = hcs::full_path(&arguments.path)?;
    let parents = match arguments.parents.layers.is_empty() {
        // An old layer at the path may record parents, which do not matter here.
        true => ParentChain::none(),
        false => host_compute::parents(&host, &path, &arguments.parents, output)?,
    };
    let options = ImportOptions::default()
        .contents(contents(
            &host,
            arguments.input.as_deref(),
            &parents,
            output,
        )?)
        .parents(parents);
    let progress = Bar::start(output, source.size, signals::watch()?);
    let started = Instant::now();
    let mut reader = BlobReader::new(source.bytes, arguments.diff_id, &progress)?;
    let entries_only = EntriesOnly(&progress);
    let imported = hcs::import(&host, &mut reader, &path, &options, &entries_only);
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

/// Checks whether the filter writer supports the layer: it cannot make hard links, and its writes
/// cannot be undone. A pipe cannot be read twice.
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
