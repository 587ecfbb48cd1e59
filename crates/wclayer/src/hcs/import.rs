//! [`import`]: turns entries from any source into a Windows layer, completely or not at all.
//!
//! ```text
//! source ─► count ─► keep boot files ─► writer ─► layer folder ─► layerchain.json ─► mark removed
//! ```
//!
//! The folder is marked before anything is written to it and unmarked when the layer is complete
//! ([`super::check_complete`]). A failed import destroys the layer and checks that it is gone. A
//! killed import leaves the mark, and the next import to the same path destroys the leftovers
//! first. A lock distinguishes them from an import in progress.
//!
//! Source: hcsshim `pkg/ociwclayer/import.go`.

use std::path::{Path, PathBuf};

use ntmeta::FileAttributes;

use super::boot_files::KeepBootFiles;
use super::counting::Counting;
use super::destroy::destroy;
use super::diagnose::explain;
use super::full_path::{full_chain, full_path};
use super::marker;
use super::parents::store_parents;
use super::summary::WriterSummary;
use super::writer::{Contents, new_layer_writer};
use super::{HcsError, HostCompute, is_absent, parent_layers};
use crate::error::{Result, entry_error, io_error};
use crate::hub::EntryCounts;
use crate::hub::{LayerReader, Progress, copy};
use crate::layout;
use crate::parent_chain::ParentChain;
use crate::volume::{Privileges, Root, Volume, delete_contents, delete_tree, enable_to_write};

/// Options for importing a Windows layer. The source, such as a `tar::BlobReader`, checks the
/// DiffID.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// All layers below, nearest first; empty for a base layer.
    pub parents: ParentChain,
    /// The kinds of entries that the source may contain.
    pub contents: Contents,
}

setters!(ImportOptions {
    parents: ParentChain,
    contents: Contents
});

/// The result of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportSummary {
    /// The number of entries of each kind.
    pub entries: EntryCounts,
    /// The total length of all data streams and alternate data streams, in bytes.
    pub content_size: u64,
    /// The irregularities of the layer and how they were corrected, one sentence each.
    pub warnings: Vec<String>,
}

/// Imports a layer to a folder that does not exist or is empty. Requires the backup and restore
/// privileges.
///
/// A failed import leaves nothing of the layer; a folder that existed before is empty again.
///
/// # Errors
///
/// Returns [`Error::Layer`](crate::Error::Layer) with the reason as its source: a privilege that is
/// not held, a folder that is not empty, an incomplete parent, a source that cannot be read or
/// breaks a rule, or an error of the service; [`HcsError::LeftBehind`] contains the reason if the
/// unfinished layer cannot be deleted. Returns [`Error::Cancelled`](crate::Error::Cancelled) if the
/// import is cancelled.
pub fn import<V: Volume, R: LayerReader + ?Sized>(
    host: &HostCompute<V>,
    source: &mut R,
    layer: &Path,
    options: &ImportOptions,
    progress: &dyn Progress,
) -> Result<ImportSummary> {
    let mut import = || {
        let import = Import {
            host,
            layer: full_path(layer)?,
            parents: full_chain(&options.parents)?,
            contents: options.contents,
            privileges: enable_to_write(&host.volume)?,
        };
        import.run(source, progress)
    };
    import().map_err(|error| error.of_layer("import", layer))
}

/// Turns a transport folder into a layer with a plain call of `ImportLayer`: the service manages
/// the layer's folder, and hard links, removals and the utility VM are not processed.
///
/// # Errors
///
/// Returns [`Error::Layer`](crate::Error::Layer) with the reason as its source: a privilege that is
/// not held, or an error of the service.
pub fn import_layer<V: Volume>(
    host: &HostCompute<V>,
    layer: &Path,
    transport: &Path,
    parents: &ParentChain,
) -> Result<()> {
    let import = || -> Result<()> {
        let (path, folder) = (full_path(layer)?, full_path(transport)?);
        let parents = full_chain(parents)?;
        let _privileges = enable_to_write(&host.volume)?;
        let descriptors = parent_layers(&*host.service, &parents)?;
        let imported = host.service.import_layer(&path, &folder, &descriptors);
        imported.map_err(|error| explain(host, &path, &parents, Some(&folder), error.into()))
    };
    import().map_err(|error| error.of_layer("import", layer))
}

/// An import in progress.
struct Import<'a, V: Volume> {
    host: &'a HostCompute<V>,
    layer: PathBuf,
    parents: ParentChain,
    contents: Contents,
    privileges: Privileges,
}

impl<V: Volume> Import<'_, V> {
    fn run<R: LayerReader + ?Sized>(
        &self,
        source: &mut R,
        progress: &dyn Progress,
    ) -> Result<ImportSummary> {
        marker::check_chain(self.host, &self.parents)?;
        let _lock = self.lock()?;
        let existed = self.prepare()?;
        let made = self.make(source, progress);
        made.map_err(|error| {
            let error = explain(self.host, &self.layer, &self.parents, None, error);
            match self.clean_up(existed) {
                Ok(()) => error,
                Err(deletion) => HcsError::left_behind(&self.layer, deletion, error),
            }
        })
    }

    /// Locks the layer's path.
    fn lock(&self) -> Result<Box<dyn Send>> {
        let volume = &self.host.volume;
        if let Some(above) = self.layer.parent() {
            let made = volume.create_folder(above);
            made.map_err(io_error("create", above))?;
        }
        marker::lock(volume, &self.layer)
    }

    /// Checks and marks the layer's path; returns whether it is an empty folder.
    fn prepare(&self) -> Result<bool> {
        let volume = &self.host.volume;
        if marker::is_set(volume, &self.layer)? {
            destroy(self.host, &self.layer, &self.privileges)?;
        }
        let existed = self.is_empty_folder()?;
        marker::set(volume, &self.layer)?;
        Ok(existed)
    }

    /// Returns whether the path is an empty folder; returns an error if anything else exists there.
    fn is_empty_folder(&self) -> Result<bool> {
        let volume = &self.host.volume;
        let found = volume.attributes(&self.layer);
        let Some(attributes) = found.map_err(io_error("open", &self.layer))? else {
            return Ok(false);
        };
        let is_plain_folder = attributes.contains(FileAttributes::DIRECTORY)
            && !attributes.contains(FileAttributes::REPARSE_POINT);
        if is_plain_folder && self.open()?.list(None).is_ok_and(|names| names.is_empty()) {
            return Ok(true);
        }
        Err(HcsError::NotEmpty {
            path: self.layer.clone(),
        }
        .into())
    }

    fn open(&self) -> Result<V::Root> {
        let root = self.host.volume.open_root(&self.layer, &self.privileges);
        root.map_err(io_error("open", &self.layer))
    }

    /// Creates the layer. Everything is closed when this returns.
    fn make<R: LayerReader + ?Sized>(
        &self,
        source: &mut R,
        progress: &dyn Progress,
    ) -> Result<ImportSummary> {
        let volume = &self.host.volume;
        let folder = volume.create_folder(&self.layer);
        folder.map_err(io_error("create", &self.layer))?;
        let writer = new_layer_writer(
            self.host,
            &self.layer,
            &self.parents,
            self.contents,
            &self.privileges,
        )?;
        let writer = Counting::new(KeepBootFiles::new(writer, self.open()?));
        let (WriterSummary { warnings }, counted) = copy(source, writer, progress)?;
        self.delete_foreign_chain()?;
        store_parents(volume, &self.layer, &self.parents)?;
        marker::clear(volume, &self.layer)?;
        Ok(ImportSummary {
            entries: counted.entries,
            content_size: counted.content_size,
            warnings,
        })
    }

    /// Deletes a `layerchain.json` from the layer itself: nothing must be written through it,
    /// because it may be a hard link to another file.
    fn delete_foreign_chain(&self) -> Result<()> {
        let path = layout::path(layout::LAYER_CHAIN);
        match delete_tree(&self.open()?, &path) {
            Err(error) if !is_absent(&error) => {
                Err(entry_error("delete", &self.layer, &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Deletes the leftovers of a failed import, then removes the mark.
    fn clean_up(&self, existed: bool) -> Result<()> {
        let volume = &self.host.volume;
        let kept = existed && self.empty().is_ok();
        if !kept {
            destroy(self.host, &self.layer, &self.privileges)?;
        }
        if existed && !kept {
            let folder = volume.create_folder(&self.layer);
            folder.map_err(io_error("create", &self.layer))?;
        }
        marker::clear(volume, &self.layer)
    }

    fn empty(&self) -> Result<()> {
        let root = self.open()?;
        let emptied = delete_contents(&root, None);
        emptied.map_err(io_error("delete the content of", &self.layer))
    }
}
