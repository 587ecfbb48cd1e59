//! [`PortableLayerWriter`]: a portable layer as a sink of the hub.
//!
//! Entries become a layer tar in the folder under construction; when it is complete, the same pass
//! as for an imported tar reads, checks and indexes it. There is one way for a layer to come about.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use super::TAR_FILE;
use super::import::{Import, ImportOptions, Parents};
use super::layer::PortableLayer;
use crate::error::{Error, Result};
use crate::hub::{FileEntry, LayerWriter, LinkEntry, Progress};
use crate::path::LayerPath;
use crate::place::Staging;
use crate::tar::TarLayerWriter;

/// Writes a portable layer entry by entry.
///
/// Dropped without [`finish`](LayerWriter::finish), it leaves nothing behind.
pub struct PortableLayerWriter<'a> {
    tar: TarLayerWriter<BufWriter<File>>,
    tar_path: PathBuf,
    import: Import<'a>,
    destination: PathBuf,
}

impl<'a> PortableLayerWriter<'a> {
    /// Prepares a layer at a folder that does not exist yet.
    ///
    /// # Errors
    ///
    /// [`Error::Layer`] around the reason: parents that are no layers, a destination that exists
    /// or is being imported to.
    pub fn create(
        destination: impl AsRef<Path>,
        options: &'a ImportOptions,
        progress: &'a dyn Progress,
    ) -> Result<Self> {
        let destination = destination.as_ref();
        let of_layer = |error: Error| error.of_layer("write", destination);
        let staging = Staging::create(destination, options.replace).map_err(of_layer)?;
        let parents = Parents::open(&options.parents, staging.destination()).map_err(of_layer)?;
        let (tar_path, tar) = staging.create_file(TAR_FILE)?;
        Ok(Self {
            tar: TarLayerWriter::new(BufWriter::with_capacity(256 * 1024, tar)),
            tar_path,
            import: Import {
                staging,
                parents,
                options,
                progress,
            },
            destination: destination.to_owned(),
        })
    }
}

impl LayerWriter for PortableLayerWriter<'_> {
    type Output = PortableLayer;

    fn add(&mut self, file: &FileEntry) -> Result<()> {
        self.tar.add(file)
    }

    fn write(&mut self, backup_stream: &[u8]) -> Result<()> {
        self.tar.write(backup_stream)
    }

    fn add_link(&mut self, link: &LinkEntry) -> Result<()> {
        self.tar.add_link(link)
    }

    fn remove(&mut self, path: &LayerPath) -> Result<()> {
        self.tar.remove(path)
    }

    fn remove_contents(&mut self, directory: &LayerPath) -> Result<()> {
        self.tar.remove_contents(directory)
    }

    fn finish(self) -> Result<PortableLayer> {
        let Self {
            tar,
            tar_path,
            import,
            destination,
        } = self;
        let stored = tar.finish().and_then(|tar| {
            tar.into_inner()
                .map_err(|error| Error::Output(error.into_error()))
        });
        stored
            .and_then(|tar| import.run_stored((tar_path, tar)))
            .map_err(|error| error.of_layer("write", &destination))
    }
}
