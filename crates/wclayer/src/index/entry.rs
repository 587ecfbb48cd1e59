//! [`IndexedEntry`] and [`IndexedStream`]: rows of an index as values.

use ntmeta::{FileAttributes, FileBasicInfo, FileTime};
use rusqlite::Row;

use crate::digest::Digest;
use crate::path::{LayerPath, StreamName};
use crate::tar::{SparseMap, ranges_on_windows};

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexedKind {
    /// A file, which may be a reparse point.
    File = 0,
    /// A directory, which may be a reparse point.
    Directory = 1,
    /// Another name for a file.
    Link = 2,
    /// A path that is removed from the parents.
    Removal = 3,
    /// A directory whose contents in the parents are removed.
    Opaque = 4,
}

/// An entry of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedEntry {
    /// Its number in the order of the tar, from 0.
    pub id: u64,
    /// What it is.
    pub kind: IndexedKind,
    /// Its path, as the tar spells it.
    pub path: LayerPath,
    /// The offset of its first header block in `layer.tar`, in bytes.
    pub offset: u64,
    /// Times and attributes; removals have none.
    pub basic_info: Option<FileBasicInfo>,
    /// The id of its security descriptor, for [`Index::security`](super::Index::security).
    pub security: Option<u64>,
    /// The buffer of its reparse point.
    pub reparse: Option<Vec<u8>>,
    /// Its extended attributes, as a `FILE_FULL_EA_INFORMATION` list.
    pub ea: Option<Vec<u8>>,
    /// Records of a backup stream that a tar has no other field for.
    pub other_streams: Option<Vec<u8>>,
    /// The target of a link.
    pub target: Option<LayerPath>,
}

/// A data stream of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedStream {
    /// Its name; `None` for the unnamed data.
    pub name: Option<StreamName>,
    /// The offset of its content in `layer.tar`, in bytes.
    pub offset: u64,
    /// Its size in bytes, holes included.
    pub size: u64,
    /// The parts of it that `layer.tar` has, if GNU tar left holes out.
    pub stored: Option<SparseMap>,
    /// The parts of it that are allocated on Windows, if it is sparse.
    pub sparse: Option<SparseMap>,
    /// SHA-256 of the content, holes as zeros. A portable layer's index has it, unless most of the
    /// content is holes in the tar; the index that a view makes of an uncompressed tar does not.
    pub sha256: Option<Digest>,
}

pub(super) const ENTRY_COLUMNS: &str = "id, kind, path, offset, creation_time, last_access_time, \
     last_write_time, change_time, attributes, security, reparse, ea, other_streams, target";

/// The same columns without values that may be long, for listings. The buffer of a reparse point is
/// empty there.
pub(super) const LISTED_COLUMNS: &str = "id, kind, path, offset, creation_time, last_access_time, \
     last_write_time, change_time, attributes, security, \
     CASE WHEN reparse IS NULL THEN NULL ELSE x'' END, NULL, NULL, target";

impl IndexedKind {
    fn from_number(number: i64) -> Option<Self> {
        [
            Self::File,
            Self::Directory,
            Self::Link,
            Self::Removal,
            Self::Opaque,
        ]
        .into_iter()
        .find(|kind| *kind as i64 == number)
    }

    /// Returns its name for messages, with an article.
    pub fn describe(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Link => "a hard link",
            Self::Removal => "a removal",
            Self::Opaque => "an opaque whiteout",
        }
    }
}

impl IndexedEntry {
    /// Returns whether the entry adds something at its path, rather than removing it.
    pub fn is_added(&self) -> bool {
        !matches!(self.kind, IndexedKind::Removal | IndexedKind::Opaque)
    }

    /// Returns whether it is a reparse point, by its data or by its attributes: nothing is reached
    /// through it.
    pub fn is_reparse_point(&self) -> bool {
        let marked = self
            .basic_info
            .as_ref()
            .is_some_and(|info| info.attributes.contains(FileAttributes::REPARSE_POINT));
        self.reparse.is_some() || (marked && self.kind != IndexedKind::Link)
    }
}

pub(super) fn read_entry(row: &Row<'_>) -> rusqlite::Result<Option<IndexedEntry>> {
    let time = |column| {
        row.get(column)
            .map(|ticks: i64| FileTime::from_ticks(ticks as u64))
    };
    let basic_info = match row.get::<_, Option<i64>>(8)? {
        None => None,
        Some(attributes) => Some(FileBasicInfo {
            creation_time: time(4)?,
            last_access_time: time(5)?,
            last_write_time: time(6)?,
            change_time: time(7)?,
            attributes: FileAttributes::from_bits_retain(attributes as u32),
        }),
    };
    let target = match row.get_ref(13)?.as_blob_or_null()? {
        None => None,
        Some(bytes) => match LayerPath::parse(bytes) {
            Ok(path) => Some(path),
            Err(_) => return Ok(None),
        },
    };
    let (Some(kind), Ok(path)) = (
        IndexedKind::from_number(row.get(1)?),
        LayerPath::parse(row.get_ref(2)?.as_blob()?),
    ) else {
        return Ok(None);
    };
    Ok(Some(IndexedEntry {
        id: row.get::<_, i64>(0)? as u64,
        kind,
        path,
        offset: row.get::<_, i64>(3)? as u64,
        basic_info,
        security: row.get::<_, Option<i64>>(9)?.map(|id| id as u64),
        reparse: row.get(10)?,
        ea: row.get(11)?,
        other_streams: row.get(12)?,
        target,
    }))
}

pub(super) fn stream_of(row: &Row<'_>) -> rusqlite::Result<Option<IndexedStream>> {
    // Sizes and offsets in a tar fit into 63 bits.
    let (Ok(offset), Ok(size)) = (
        u64::try_from(row.get::<_, i64>(1)?),
        u64::try_from(row.get::<_, i64>(2)?),
    ) else {
        return Ok(None);
    };
    let map = |column| -> rusqlite::Result<Option<Option<SparseMap>>> {
        Ok(match row.get::<_, Option<String>>(column)? {
            None => Some(None),
            Some(text) => SparseMap::from_record(text.as_bytes(), size).ok().map(Some),
        })
    };
    let name = match row.get_ref(0)?.as_blob_or_null()? {
        None => Some(None),
        Some(bytes) => StreamName::parse(bytes).ok().map(Some),
    };
    let sha256 = match row.get_ref(5)?.as_blob()? {
        [] => Some(None),
        bytes => bytes.try_into().ok().map(Digest::from_bytes).map(Some),
    };
    let (Some(name), Some(stored), Some(sparse), Some(sha256)) = (name, map(3)?, map(4)?, sha256)
    else {
        return Ok(None);
    };
    Ok(Some(IndexedStream {
        name,
        offset,
        size,
        sparse: ranges_on_windows(sparse, stored.as_ref()),
        stored,
        sha256,
    }))
}
