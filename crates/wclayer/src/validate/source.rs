//! Opening what is to be checked, and its parents.
//!
//! A portable layer is its tar. A transport folder becomes one on the way: a thread writes it into
//! a pipe from which the pass reads, and offsets mean nothing then.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use super::{Report, ValidateOptions, pass};
use crate::error::{Error, Result, io_error};
use crate::hub::Progress;
use crate::parent_chain::ParentChain;
use crate::source::{self, Access, Chain, Disks, Kind, LayerRef, Needed};
use crate::tar::TarLayerWriter;
use crate::transport;
use crate::view::View;

pub(super) fn validate(
    reference: &LayerRef,
    options: &ValidateOptions,
    progress: &dyn Progress,
) -> Result<Report> {
    let layer = source::recognise(reference)?;
    layer.check()?;
    let parents = match options.has_unknown_parents {
        // Something that nothing is known of.
        true => Some(View::new(Vec::new())),
        false => open_parents(reference, &options.parents, progress)?,
    };
    let parents = parents.as_ref();
    let report = Report::new(options.limit);
    match layer.kind() {
        Kind::Portable | Kind::DamagedPortable => {
            // Nothing is said of a tar or an index that is damaged.
            let (_, tar) = layer.portable()?.open_checked()?;
            pass::run(tar.reader(), parents, report, progress)
        }
        Kind::Transport => validate_transport(layer.path(), parents, report, progress),
        Kind::Tar(_) | Kind::Special => {
            let tar = File::open(layer.path()).map_err(io_error("open", layer.path()))?;
            pass::run(tar, parents, report, progress)
        }
        _ => Err(layer.refuse(Needed::View)),
    }
}

/// Opens the parents that are given, else those that the layer names; `None` without any.
pub(super) fn open_parents(
    layer: &LayerRef,
    given: &ParentChain<LayerRef>,
    progress: &dyn Progress,
) -> Result<Option<View>> {
    let parents = Chain::resolve(layer, given, false)?.below(1);
    match parents.layers().is_empty() {
        true => Ok(None),
        false => parents.open(Access::Listing, progress).map(Some),
    }
}

fn validate_transport(
    folder: &Path,
    parents: Option<&View>,
    report: Report,
    progress: &dyn Progress,
) -> Result<Report> {
    let report = Report {
        has_offsets: false,
        ..report
    };
    let (reader, writer) = io::pipe().map_err(Error::Input)?;
    let folder = folder.to_owned();
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || {
            let writer = TarLayerWriter::new(BufWriter::with_capacity(64 * 1024, writer));
            // Closes the pipe, which ends the tar.
            transport::export(&Disks::new(), &folder, writer, &()).map(drop)
        });
        let checked = pass::run(reader, parents, report, progress);
        let written = writing.join().map_err(|_| Error::WorkerLost)?;
        let report = checked?;
        match report.is_complete {
            true => written.map(|_| report),
            // The damage is where writing ended, and says less.
            false => written.and(Ok(report)),
        }
    })
}
