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
use crate::place;
use crate::portable::PortableLayer;
use crate::source::{self, Disks};
use crate::transport;
use crate::view::View;

pub(super) fn validate(
    layer: &Path,
    options: &ValidateOptions,
    progress: &dyn Progress,
) -> Result<Report> {
    let parents = match options.has_unknown_parents {
        // A chain that contains nothing.
        true => Some(View::new(Vec::new())),
        false => open_parents(layer, &options.parents, progress)?,
    };
    let parents = parents.as_ref();
    let report = Report::new(options.limit);
    if place::is_portable_layer(layer) {
        // A damaged tar or index is an error and not a finding.
        let (_, tar) = PortableLayer::open(layer)?.open_checked()?;
        return pass::run(tar.reader(), parents, report, progress);
    }
    if place::is_transport_folder(layer) {
        return validate_transport(layer, parents, report, progress);
    }
    match std::fs::metadata(layer) {
        Ok(found) if found.is_dir() => Err(Error::NoLayer {
            place: layer.to_owned(),
        }),
        Ok(_) => {
            let tar = File::open(layer).map_err(io_error("open", layer))?;
            pass::run(tar, parents, report, progress)
        }
        Err(error) => Err(io_error("open", layer)(error)),
    }
}

/// Opens the given parents or, if there are none, those that the layer names; `None` for a base
/// layer.
pub(super) fn open_parents(
    layer: &Path,
    given: &ParentChain,
    progress: &dyn Progress,
) -> Result<Option<View>> {
    let stored;
    let chain = match given.is_empty() {
        true => {
            stored = source::stored_parents(layer)?;
            &stored
        }
        false => given,
    };
    source::open_parents(chain, progress)
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
