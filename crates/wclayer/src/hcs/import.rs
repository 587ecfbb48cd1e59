//! [`import`]: entries from any source become a layer of Windows, whole or not at all.
//!
//! ```text
//! source ─► count ─► keep boot files ─► writer ─► layer folder ─► layerchain.json ─► mark removed
//! ```
//!
//! The folder is marked before anything is written to it and unmarked when the layer is complete
//! ([`super::check_complete`]). An import that fails destroys what it made and looks that it is
//! gone; one that is killed leaves the mark, and the next import to the place destroys what is
//! there first. A lock tells these from an import that is under way.
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

/// How to import a layer of the Host Compute Service. The DiffID is checked by the source, such
/// as a `tar::BlobReader`.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// All layers below; none for a base layer.
    pub parents: ParentChain,
    /// What the source can hold.
    pub contents: Contents,
}

setters!(ImportOptions {
    parents: ParentChain,
    contents: Contents
});

/// What an import made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportSummary {
    /// The number of entries of each kind.
    pub entries: EntryCounts,
    /// The length of all data and alternate streams, in bytes.
    pub content_size: u64,
    /// What was odd about the layer and how it was mended, a sentence each.
    pub warnings: Vec<String>,
}

/// Imports a layer to a folder that does not exist, or is empty. Needs the backup and restore
/// privileges.
///
/// When it fails, nothing is left of the layer; a folder that was there before is empty again.
///
/// # Errors
///
/// [`Error::Layer`](crate::Error::Layer) around the reason: a privilege that is not held, a folder that is not empty, a
/// parent that is incomplete, a source that cannot be read or breaks a rule of layers, what the
/// service says; [`HcsError::LeftBehind`] around it when the clean-up fails. [`Error::Cancelled`](crate::Error::Cancelled).
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

/// Makes a layer of a transport folder, as `ImportLayer` itself does it: the folder of the layer is
/// the service's affair, and hard links, removals and the utility VM are not looked at.
///
/// # Errors
///
/// [`Error::Layer`](crate::Error::Layer) around the reason: a privilege that is not held, what the service says.
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

/// An import under way.
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

    /// Makes the place this process's own.
    fn lock(&self) -> Result<Box<dyn Send>> {
        let volume = &self.host.volume;
        if let Some(above) = self.layer.parent() {
            let made = volume.create_folder(above);
            made.map_err(io_error("create", above))?;
        }
        marker::lock(volume, &self.layer)
    }

    /// Checks and marks the place; returns whether an empty folder is there.
    fn prepare(&self) -> Result<bool> {
        let volume = &self.host.volume;
        if marker::is_set(volume, &self.layer)? {
            destroy(self.host, &self.layer, &self.privileges)?;
        }
        let existed = self.is_empty_folder()?;
        marker::set(volume, &self.layer)?;
        Ok(existed)
    }

    /// Returns whether there is an empty folder; refuses everything else but nothing.
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

    /// Makes the layer. All that it opens is closed when it returns.
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

    /// Deletes a `layerchain.json` that the layer itself brought: whatever it is, a further name of
    /// a file among it, nothing is to be written through it.
    fn delete_foreign_chain(&self) -> Result<()> {
        let path = layout::path(layout::LAYER_CHAIN);
        match delete_tree(&self.open()?, &path) {
            Err(error) if !is_absent(&error) => {
                Err(entry_error("delete", &self.layer, &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Deletes what a failed import made; the mark stays until that is done.
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
        emptied.map_err(io_error("delete what is in", &self.layer))
    }
}
