//! `import --format transport`.

use std::time::Instant;

use wclayer::hub::EntriesOnly;
use wclayer::source;
use wclayer::tar::BlobReader;
use wclayer::transport::{self, ImportOptions};

use super::host_compute::Disks;
use super::import::{self, Arguments, Source};
use super::import_result::Imported;
use crate::errors::CliError;
use crate::output::Output;
use crate::progress::Bar;
use crate::signals;

/// Imports a layer into a transport folder and prints the result.
pub(crate) fn run(arguments: &Arguments, output: &Output) -> Result<(), CliError> {
    let input = Source::open(arguments.input.as_deref())?;
    import::print_plan(arguments, &input, output);
    arguments.parents.print(output);
    let parents = arguments.parents.chain();
    let options = ImportOptions::default()
        .parents(source::open_parents(&arguments.parents.chain(), &())?)
        .hives(arguments.hives)
        .replace(arguments.force);
    let disks = Disks::new();
    let progress = Bar::start(output, input.size, signals::watch()?);
    let started = Instant::now();
    let mut reader = BlobReader::new(input.bytes, arguments.diff_id, &progress)?;
    let entries_only = EntriesOnly(&progress);
    let made = transport::import(&disks, &mut reader, &arguments.path, options, &entries_only)?;
    let blob = reader.blob().cloned().ok_or(wclayer::Error::WorkerLost)?;
    drop(reader);
    let taken = started.elapsed();
    drop(progress);
    Imported {
        format: "transport",
        blob: &blob,
        parents: &parents,
        entries: made.found.entries,
        content_size: made.found.content_size,
        warnings: &made.warnings,
    }
    .show(arguments, taken, output)
}
