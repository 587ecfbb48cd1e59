//! [`Upper`]: what the layers in sight need to become a single layer on top of the others.
//!
//! Any program must be able to import that layer. hcsshim does not know opaque whiteouts, fails to
//! remove paths that do not exist, and wants an entry for each directory
//! (`internal/wclayer/legacy.go`). So names are removed one by one, and directories get entries.

use std::io::Cursor;

use ntmeta::{FileAttributes, FileBasicInfo, FileTime, StreamHeader, StreamId};

use super::chain::View;
use super::node::{Node, NodeKind};
use crate::error::Result;
use crate::hub::Entry;
use crate::layer::BackupStream;
use crate::layout;
use crate::path::LayerPath;

/// The layers in sight, on top of those out of sight.
#[derive(Clone, Copy)]
pub(super) struct Upper<'a>(&'a View);

/// The metadata of a directory that gets an entry.
pub(super) struct Directory {
    pub(super) basic_info: FileBasicInfo,
    pub(super) stream: BackupStream,
    /// The number of the layer that it comes from.
    pub(super) layer: usize,
}

impl<'a> Upper<'a> {
    pub(super) fn new(view: &'a View) -> Self {
        Self(view)
    }

    /// Returns whether there are layers out of sight; otherwise the layer's parents are not known.
    pub(super) fn is_on_top(self) -> bool {
        self.0.seen() < self.0.depth()
    }

    /// Returns whether the layers out of sight have something at a path.
    pub(super) fn has_below(self, path: &LayerPath) -> Result<bool> {
        let below = self.0.merged(path, self.0.seen()..self.0.depth())?;
        Ok(below.is_some_and(|below| below.exists))
    }

    /// Returns removals of the names that the layers out of sight have in a directory, except those
    /// that the layers in sight replace or remove themselves.
    pub(super) fn removals_in(self, directory: &LayerPath) -> Result<Vec<Entry>> {
        let mut removals = Vec::new();
        for path in self.0.names_below(directory)? {
            let is_replaced = |node: Node| node.exists || node.kind == NodeKind::Removal;
            if !self.0.find(&path)?.is_some_and(is_replaced) {
                removals.push(Entry::Removal(path));
            }
        }
        Ok(removals)
    }

    /// Returns the metadata for a directory that the layers in sight have no entry for: that of the
    /// whole chain, otherwise the times and the descriptor of the nearest directory above it.
    pub(super) fn implied(self, directory: &LayerPath) -> Result<Directory> {
        let mut place = Some(directory.clone());
        while let Some(path) = place {
            let merged = self.0.merged(&path, 0..self.0.depth())?;
            let Some((layer, item)) = merged.and_then(|merged| merged.item) else {
                place = path.parent();
                continue;
            };
            let files = self.0.layer(layer);
            if item.path == *directory {
                return Ok(Directory {
                    basic_info: item.basic_info,
                    stream: files.backup_stream(&item)?,
                    layer,
                });
            }
            return Ok(Directory {
                basic_info: FileBasicInfo {
                    attributes: FileAttributes::DIRECTORY,
                    ..item.basic_info
                },
                stream: only_security(files.details(&item)?.security),
                layer,
            });
        }
        Ok(Directory {
            basic_info: without_parent(),
            stream: BackupStream::empty(),
            layer: 0,
        })
    }

    /// Returns whether an entry may have only times and attributes: hcsshim cannot import a layer
    /// with parents whose `UtilityVM` has more.
    pub(super) fn is_bare(self, path: &LayerPath) -> bool {
        self.is_on_top() && layout::is(path, layout::UTILITY_VM)
    }
}

/// Returns the backup stream of a directory that has only a security descriptor.
fn only_security(security: Option<Vec<u8>>) -> BackupStream {
    let Some(security) = security else {
        return BackupStream::empty();
    };
    let header = StreamHeader::new(StreamId::SECURITY_DATA, security.len() as u64);
    let mut bytes = Vec::with_capacity(header.encoded_len() + security.len());
    header.encode(&mut bytes);
    bytes.extend(security);
    BackupStream {
        reader: Box::new(Cursor::new(bytes)),
        metadata_first: true,
    }
}

/// Returns the times and attributes of a directory if no directory above it has an entry.
fn without_parent() -> FileBasicInfo {
    let time = FileTime::UNIX_EPOCH;
    FileBasicInfo {
        creation_time: time,
        last_access_time: time,
        last_write_time: time,
        change_time: time,
        attributes: FileAttributes::DIRECTORY,
    }
}
