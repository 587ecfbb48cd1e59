//! Which reader reads a layer: the choice between [`BaseReader`], [`LegacyReader`] and
//! [`FilterReader`].
//!
//! Without parents the live files are read. With parents the service says what the layer changes:
//! through a transport folder (`ExportLayer`), which shows hard links, else entry by entry
//! (`ExportLayerBegin`), which shows them as files of their own.
//!
//! Source: hcsshim `internal/wclayer/exportlayer.go`.

use std::path::Path;

use super::full_path::full_path;
use super::service::{Function, parent_layers};
use super::{BaseReader, FilterReader, HostCompute, LegacyReader};
use crate::error::Result;
use crate::hub::{Entry, LayerReader};
use crate::parent_chain::ParentChain;
use crate::volume::{Privileges, Volume};

/// A way to read a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReaderKind {
    /// The live files of a layer without parents.
    Base,
    /// A transport folder that the service writes.
    Legacy,
    /// Entry by entry from the service.
    Filter,
}

impl ReaderKind {
    /// Returns the kind that a layer is read with.
    pub fn choose<V: Volume>(host: &HostCompute<V>, parents: &ParentChain) -> Self {
        let has = |function| host.service.has(function);
        if parents.is_empty() {
            Self::Base
        } else if has(Function::ExportLayer) || !has(Function::ExportLayerBegin) {
            Self::Legacy
        } else {
            Self::Filter
        }
    }
}

/// The reader of a layer; see [`ReaderKind`].
pub enum HcsLayerReader<'a, V: Volume> {
    /// [`ReaderKind::Base`].
    Base(Box<BaseReader<V::Root>>),
    /// [`ReaderKind::Legacy`].
    Legacy(Box<LegacyReader<'a, V>>),
    /// [`ReaderKind::Filter`].
    Filter(FilterReader<'a>),
}

/// Starts to read a layer in the way that suits it. Needs the backup privilege, and a
/// layer that has been initialised: [`export`](super::export) does that.
///
/// # Errors
///
/// As the service says; when the layer cannot be opened.
pub fn new_layer_reader<'a, V: Volume>(
    host: &'a HostCompute<V>,
    layer: &Path,
    parents: &ParentChain,
    privileges: &'a Privileges,
) -> Result<HcsLayerReader<'a, V>> {
    let kind = ReaderKind::choose(host, parents);
    HcsLayerReader::open(kind, host, layer, parents, privileges)
}

impl<'a, V: Volume> HcsLayerReader<'a, V> {
    /// Starts to read a layer in a given way.
    ///
    /// # Errors
    ///
    /// As for [`new_layer_reader`].
    pub fn open(
        kind: ReaderKind,
        host: &'a HostCompute<V>,
        layer: &Path,
        parents: &ParentChain,
        privileges: &'a Privileges,
    ) -> Result<Self> {
        let layer = &*full_path(layer)?;
        Ok(match kind {
            ReaderKind::Base => {
                Self::Base(Box::new(BaseReader::open(&host.volume, layer, privileges)?))
            }
            ReaderKind::Legacy => Self::Legacy(Box::new(LegacyReader::open(
                host, layer, parents, privileges,
            )?)),
            ReaderKind::Filter => {
                let parents = parent_layers(&*host.service, parents)?;
                Self::Filter(FilterReader::new(
                    host.service.begin_export(layer, &parents)?,
                ))
            }
        })
    }

    /// Ends reading: a temporary folder is deleted, the service's export ended. Dropping does the
    /// same without telling whether it worked.
    ///
    /// # Errors
    ///
    /// When that fails.
    pub fn close(self) -> Result<()> {
        match self {
            Self::Base(_) => Ok(()),
            Self::Legacy(reader) => reader.close(),
            Self::Filter(reader) => reader.close(),
        }
    }
}

impl<V: Volume> LayerReader for HcsLayerReader<'_, V> {
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        match self {
            Self::Base(reader) => reader.next_entry(),
            Self::Legacy(reader) => reader.next_entry(),
            Self::Filter(reader) => reader.next_entry(),
        }
    }

    fn read_stream(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::Base(reader) => reader.read_stream(buffer),
            Self::Legacy(reader) => reader.read_stream(buffer),
            Self::Filter(reader) => reader.read_stream(buffer),
        }
    }
}
