//! Reads a layer with parents from a transport folder that `ExportLayer` writes.
//!
//! The folder is created among the temporary files of the host and always deleted: if the service
//! fails, if reading ends early, and if it ends normally.
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
    /// Declared before the folder, so that its files are closed before the folder is deleted.
    reader: TransportReader<V::Root>,
    folder: TemporaryFolder<'a, V>,
}

impl<'a, V: Volume> LegacyReader<'a, V> {
    /// Exports the layer with the service and opens the result.
    ///
    /// # Errors
    ///
    /// Returns the error of the service, or an error if the folder cannot be created or read.
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
    /// Returns an error if the folder cannot be deleted.
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
