//! [`new_layer_writer`]: the writer that suits a layer, its parents and the machine.
//!
//! ```text
//! no parents ─────────────────────────────► base writer
//! ImportLayerBegin is there, nothing that
//! the filter cannot take is to be expected ► filter writer
//! else ───────────────────────────────────► legacy writer
//! ```
//!
//! Source: hcsshim `internal/wclayer/importlayer.go`, `NewLayerWriter`.

use std::path::Path;

use super::base_writer::BaseWriter;
use super::filter_writer::FilterWriter;
use super::full_path::full_path;
use super::legacy_writer::LegacyWriter;
use super::summary::WriterSummary;
use super::{Function, HostCompute};
use crate::error::{Error, Result};
use crate::hub::{Entry, FileEntry, LayerReader, LayerWriter, LinkEntry};
use crate::parent_chain::ParentChain;
use crate::path::LayerPath;
use crate::volume::{Privileges, Volume};

/// What a source can hold, as far as that decides which writer can take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Contents {
    /// Neither hard links nor opaque whiteouts.
    FilesAndRemovals,
    /// These as well, or nobody has looked.
    #[default]
    Anything,
}

impl Contents {
    /// Reads a source to its end to find out.
    ///
    /// # Errors
    ///
    /// Those of the source.
    pub fn of(source: &mut (impl LayerReader + ?Sized)) -> Result<Self> {
        while let Some(entry) = source.next_entry()? {
            if matches!(entry, Entry::Link(_) | Entry::Opaque(_)) {
                return Ok(Self::Anything);
            }
        }
        Ok(Self::FilesAndRemovals)
    }
}

/// Writes a layer of the Host Compute Service.
///
/// Dropped without [`finish`](LayerWriter::finish), it closes everything and deletes its temporary
/// folder; what it wrote to the layer's folder is the caller's to destroy.
pub struct HcsLayerWriter<'a, V: Volume> {
    kind: WriterKind<'a, V>,
    has_failed: bool,
}

/// The three writers.
enum WriterKind<'a, V: Volume> {
    Base(Box<BaseWriter<'a, V>>),
    Filter(FilterWriter<'a>),
    Legacy(Box<LegacyWriter<'a, V>>),
}

/// Starts to write a layer to an empty folder.
///
/// # Errors
///
/// When the folder or a parent cannot be opened, a privilege is not held, or the service refuses.
pub fn new_layer_writer<'a, V: Volume>(
    host: &'a HostCompute<V>,
    layer: &Path,
    parents: &ParentChain,
    contents: Contents,
    privileges: &'a Privileges,
) -> Result<HcsLayerWriter<'a, V>> {
    let layer = &*full_path(layer)?;
    let filter_can = contents == Contents::FilesAndRemovals;
    let kind = if parents.is_empty() {
        WriterKind::Base(Box::new(BaseWriter::new(host, layer, privileges)?))
    } else if filter_can && host.service.has(Function::ImportLayerBegin) {
        WriterKind::Filter(FilterWriter::new(host, layer, parents)?)
    } else {
        let writer = LegacyWriter::new(host, layer, parents, privileges)?;
        WriterKind::Legacy(Box::new(writer))
    };
    Ok(HcsLayerWriter {
        kind,
        has_failed: false,
    })
}

impl<V: Volume> HcsLayerWriter<'_, V> {
    /// Passes a call on, unless one has failed before: such a layer is never completed.
    fn call(&mut self, call: impl FnOnce(&mut Sink<'_>) -> Result<()>) -> Result<()> {
        if self.has_failed {
            return Err(Error::AfterError);
        }
        let result = match &mut self.kind {
            WriterKind::Base(writer) => call(&mut **writer),
            WriterKind::Filter(writer) => call(writer),
            WriterKind::Legacy(writer) => call(&mut **writer),
        };
        self.has_failed = result.is_err();
        result
    }
}

impl<V: Volume> LayerWriter for HcsLayerWriter<'_, V> {
    type Output = WriterSummary;

    fn add(&mut self, file: &FileEntry) -> Result<()> {
        self.call(|writer| writer.add(file))
    }

    fn write(&mut self, backup_stream: &[u8]) -> Result<()> {
        self.call(|writer| writer.write(backup_stream))
    }

    fn add_link(&mut self, link: &LinkEntry) -> Result<()> {
        self.call(|writer| writer.add_link(link))
    }

    fn remove(&mut self, path: &LayerPath) -> Result<()> {
        self.call(|writer| writer.remove(path))
    }

    fn remove_contents(&mut self, directory: &LayerPath) -> Result<()> {
        self.call(|writer| writer.remove_contents(directory))
    }

    fn finish(self) -> Result<WriterSummary> {
        if self.has_failed {
            return Err(Error::AfterError);
        }
        match self.kind {
            WriterKind::Base(writer) => writer.finish(),
            WriterKind::Filter(writer) => writer.finish(),
            WriterKind::Legacy(writer) => writer.finish(),
        }
    }
}

type Sink<'s> = dyn LayerWriter<Output = WriterSummary> + 's;
