//! Reading a layer with parents through a transport folder that `ExportLayer` writes.
//!
//! The folder lies where the system puts temporary files, and is deleted whatever happens: when the
//! service fails, when reading ends early, when it ends well.
//!
//! Source: hcsshim `internal/wclayer/exportlayer.go`.

use std::path::Path;

use super::HostCompute;
use super::service::parent_layers;
use super::temporary::TemporaryFolder;
use crate::error::Result;
use crate::hub::{Entry, LayerReader};
use crate::parent_chain::ParentChain;
use crate::transport::TransportReader;
use crate::volume::{Privileges, Volume};

/// Reads the entries of a layer with parents.
pub struct LegacyReader<'a, V: Volume> {
    /// Before the folder: its files are closed when that is deleted.
    reader: TransportReader<V::Root>,
    folder: TemporaryFolder<'a, V>,
}

impl<'a, V: Volume> LegacyReader<'a, V> {
    /// Lets the service export the layer, and starts to read what it wrote.
    ///
    /// # Errors
    ///
    /// As the service says; when the folder cannot be made or read.
    pub fn open(
        host: &'a HostCompute<V>,
        layer: &Path,
        parents: &ParentChain,
        privileges: &'a Privileges,
    ) -> Result<Self> {
        let parents = parent_layers(&*host.service, parents)?;
        let folder = TemporaryFolder::new(&host.volume, privileges)?;
        host.service.export_layer(layer, folder.path(), &parents)?;
        Ok(Self {
            reader: TransportReader::new(folder.open()?)?,
            folder,
        })
    }

    /// Deletes the transport folder.
    ///
    /// # Errors
    ///
    /// When that fails.
    pub fn close(self) -> Result<()> {
        drop(self.reader);
        self.folder.delete()
    }
}

impl<V: Volume> LayerReader for LegacyReader<'_, V> {
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        self.reader.next_entry()
    }

    fn read_stream(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.reader.read_stream(buffer)
    }
}
