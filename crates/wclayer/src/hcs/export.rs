//! Giving out a layer: its entries into any writer.
//!
//! The layer is activated, prepared and unprepared first, which completes what Windows left undone
//! when it was imported; after reading it is deactivated whatever happened. The boot files that
//! Windows changed come out as they were imported.
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

/// What reading a layer needs. Nothing of it is written, so the right to restore is not asked for.
const NEEDED: [Privilege; 1] = [Privilege::Backup];
/// What attaching the disk of a scratch layer needs; a read-only layer has none.
const HELPFUL: [Privilege; 1] = [Privilege::ManageVolume];

/// Copies a layer into `writer` and completes that. Without parents given, the layer's own
/// `layerchain.json` decides, and without that it is a base layer. Needs the backup privilege.
///
/// # Errors
///
/// [`Error::Layer`](crate::Error::Layer) around the reason: a privilege that is not held, a layer whose import was
/// interrupted, what the service or the writer says; [`Error::Cancelled`](crate::Error::Cancelled).
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

/// A layer that is active; dropped, it is deactivated.
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

    /// Lets Windows complete the layer.
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
        // As in the reference, the results do not count: what has been read is whole all the same.
        if self.is_prepared {
            let _ = service.unprepare_layer(self.layer);
        }
        let _ = service.deactivate_layer(self.layer);
    }
}
