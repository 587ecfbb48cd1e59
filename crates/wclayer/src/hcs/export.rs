//! Exports a layer: copies its entries to any writer.
//!
//! The layer is activated, prepared and unprepared first, which completes the work that Windows
//! left undone at the import. After reading, it is always deactivated. The boot files that Windows
//! changed are exported as they were imported.
//!
//! Source: hcsshim `pkg/ociwclayer/export.go`.

use std::path::Path;

use super::HostCompute;
use super::boot_files::RestoreBootFiles;
use super::diagnose::explain;
use super::full_path::{full_chain, full_path};
use super::lifecycle::prepare;
use super::marker::check_complete;
use super::parents::stored_parents;
use super::reader::new_layer_reader;
use super::service::parent_layers;
use crate::error::Privilege;
use crate::error::{Result, io_error};
use crate::hub::{LayerWriter, Progress, copy};
use crate::parent_chain::ParentChain;
use crate::volume::Volume;

/// The privilege for reading a layer. Nothing is written to it, so the restore privilege is not
/// needed.
const NEEDED: [Privilege; 1] = [Privilege::Backup];
/// The privilege for attaching the disk of a scratch layer; a read-only layer has no disk.
const HELPFUL: [Privilege; 1] = [Privilege::ManageVolume];

/// Exports a layer to `writer` and finishes the writer. If `parents` is not given, they are read
/// from the layer's `layerchain.json`; a layer without that file is a base layer. Requires the
/// backup privilege.
///
/// # Errors
///
/// Returns [`Error::Layer`](crate::Error::Layer) with the reason as its source: a privilege that is
/// not held, an incomplete layer, or an error of the service or the writer. Returns
/// [`Error::Cancelled`](crate::Error::Cancelled) if the export is cancelled.
pub fn export<V: Volume, W: LayerWriter>(
    host: &HostCompute<V>,
    layer: &Path,
    parents: &ParentChain,
    writer: W,
    progress: &dyn Progress,
) -> Result<W::Output> {
    let export = || {
        let path = full_path(layer)?;
        let parents = match parents.is_empty() {
            true => stored_parents(&host.volume, &path)?.unwrap_or_default(),
            false => full_chain(parents)?,
        };
        let exported = export_layer(host, &path, &parents, writer, progress);
        exported.map_err(|error| explain(host, &path, &parents, None, error))
    };
    export().map_err(|error| error.of_layer("export", layer))
}

fn export_layer<V: Volume, W: LayerWriter>(
    host: &HostCompute<V>,
    layer: &Path,
    parents: &ParentChain,
    writer: W,
    progress: &dyn Progress,
) -> Result<W::Output> {
    check_complete(host, layer)?;
    let privileges = host.volume.enable_with(&NEEDED, &HELPFUL)?;
    let mut active = Active::new(host, layer)?;
    active.initialise(parents)?;
    let root = host
        .volume
        .open_root(layer, &privileges)
        .map_err(io_error("open", layer))?;
    let reader = new_layer_reader(host, layer, parents, &privileges)?;
    let mut reader = RestoreBootFiles::new(reader, root);
    let output = copy(&mut reader, writer, progress)?;
    reader.into_inner().close()?;
    Ok(output)
}

/// An active layer; it is deactivated on drop.
struct Active<'a, V: Volume> {
    host: &'a HostCompute<V>,
    layer: &'a Path,
    is_prepared: bool,
}

impl<'a, V: Volume> Active<'a, V> {
    fn new(host: &'a HostCompute<V>, layer: &'a Path) -> Result<Self> {
        host.service.activate_layer(layer)?;
        Ok(Self {
            host,
            layer,
            is_prepared: false,
        })
    }

    /// Makes Windows complete the layer.
    fn initialise(&mut self, parents: &ParentChain) -> Result<()> {
        let parents = parent_layers(&*self.host.service, parents)?;
        prepare(self.host, self.layer, &parents)?;
        self.is_prepared = true;
        self.host.service.unprepare_layer(self.layer)?;
        self.is_prepared = false;
        Ok(())
    }
}

impl<V: Volume> Drop for Active<'_, V> {
    fn drop(&mut self) {
        let service = &self.host.service;
        // As in the reference, the results are ignored: everything has been read.
        if self.is_prepared {
            let _ = service.unprepare_layer(self.layer);
        }
        let _ = service.deactivate_layer(self.layer);
    }
}
