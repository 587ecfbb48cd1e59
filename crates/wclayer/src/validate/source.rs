//! Opens the layer to check, and its parents.
//!
//! A portable layer is checked by its tar, a transport folder by its entries, which have no offsets.

use std::fs::File;
use std::path::Path;

use super::checker::Checker;
use super::{Report, ValidateOptions, pass, whole};
use crate::error::{Error, Result, io_error};
use crate::hub::Progress;
use crate::parent_chain::ParentChain;
use crate::source::{self, Access, Chain, Disks, Kind, LayerRef, Needed};
use crate::transport;
use crate::view::View;

pub(super) fn validate(
    reference: &LayerRef,
    options: &ValidateOptions,
    progress: &dyn Progress,
) -> Result<Report> {
    let layer = source::recognise(reference)?;
    if let (LayerRef::Path(path), Kind::OciArchive | Kind::DockerArchive) =
        (reference, layer.kind())
    {
        // A tar that is not a layer, which is a finding.
        let tar = File::open(path).map_err(io_error("open", path))?;
        return pass::run(tar, None, Report::new(options.limit), progress);
    }
    layer.check()?;
    let parents = match options.has_unknown_parents {
        // A chain that contains nothing.
        true => Some(View::new(Vec::new())),
        false => open_parents(reference, &options.parents, progress)?,
    };
    let parents = parents.as_ref();
    let report = Report::new(options.limit);
    match layer.kind() {
        Kind::Portable | Kind::DamagedPortable => {
            // A damaged tar or index is an error and not a finding.
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

/// Opens the given parents or, if there are none, those that the layer names; `None` for a base
/// layer.
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
    let mut report = Report {
        has_offsets: false,
        parents: parents.map_or(0, View::depth),
        ..report
    };
    let (_scratch, index) = whole::new_index()?;
    let checker = Checker::new(&mut report, index, parents.is_none());
    let read = transport::copy(&Disks::new(), folder, checker, progress);
    let index = read.map_err(|error| match error {
        Error::Cancelled => error,
        error => error.of_layer("read", folder),
    })?;
    report.is_complete = true;
    whole::check(&index.finish()?, parents, &mut report, progress)?;
    Ok(report)
}
