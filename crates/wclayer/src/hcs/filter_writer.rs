//! [`FilterWriter`]: hands entries to Windows one by one (`ImportLayerBegin` and its kin).
//!
//! There is no call for hard links, nor for opaque whiteouts: `new_layer_writer` chooses this
//! writer only for sources that have none.
//!
//! Source: hcsshim `internal/wclayer/importlayer.go` up to version 0.8.

use std::path::Path;

use super::summary::WriterSummary;
use super::{FilterImport, HostCompute, parent_layers};
use crate::error::{Error, Result};
use crate::hub::{FileEntry, LayerWriter, LinkEntry};
use crate::parent_chain::ParentChain;
use crate::path::LayerPath;
use crate::rules::Breach;
use crate::volume::Volume;

/// Writes a layer through the import filter of Windows.
pub(super) struct FilterWriter<'a> {
    import: Box<dyn FilterImport + 'a>,
    has_current_file: bool,
}

impl<'a> FilterWriter<'a> {
    pub(super) fn new<V: Volume>(
        host: &'a HostCompute<V>,
        layer: &Path,
        parents: &ParentChain,
    ) -> Result<Self> {
        let parents = parent_layers(&*host.service, parents)?;
        Ok(Self {
            import: host.service.begin_import(layer, &parents)?,
            has_current_file: false,
        })
    }
}

impl LayerWriter for FilterWriter<'_> {
    type Output = WriterSummary;

    fn add(&mut self, file: &FileEntry) -> Result<()> {
        let name = rooted(&file.path);
        let info = file.basic_info.with_storable_times();
        self.import.next(&name, Some(&info))?;
        self.has_current_file = true;
        Ok(())
    }

    fn write(&mut self, backup_stream: &[u8]) -> Result<()> {
        if !self.has_current_file {
            return Err(Error::NoCurrentFile);
        }
        Ok(self.import.write(backup_stream)?)
    }

    fn add_link(&mut self, link: &LinkEntry) -> Result<()> {
        Err(Breach::LinkWithFilter.broken_by(&link.path))
    }

    fn remove(&mut self, path: &LayerPath) -> Result<()> {
        self.has_current_file = false;
        Ok(self.import.next(&rooted(path), None)?)
    }

    fn remove_contents(&mut self, directory: &LayerPath) -> Result<()> {
        Err(Breach::OpaqueWithFilter.broken_by(directory))
    }

    fn finish(self) -> Result<WriterSummary> {
        self.import.end()?;
        Ok(WriterSummary::default())
    }
}

/// Returns a path as these calls take it.
fn rooted(path: &LayerPath) -> Vec<u16> {
    let mut name = vec![u16::from(b'\\')];
    name.extend(path.to_utf16());
    name
}
