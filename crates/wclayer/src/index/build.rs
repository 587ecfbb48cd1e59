//! Writing an index while a layer tar passes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ntmeta::{FileAttributes, FileBasicInfo, ea};
use rusqlite::{Connection, params};

use super::entry::IndexedKind;
use super::read::Index;
use super::schema::{self, Keys, VERSION, index_error};
use crate::digest::Digest;
use crate::error::Result;
use crate::path::LayerPath;
use crate::steps;
use crate::tar::{FileMember, SparseMap, StreamMember, TarEntry, TarEntryKind};

/// How many descriptors are remembered for sharing. Real layers have a few dozen; a layer with a
/// different one for each file must not make memory grow.
const MAX_SHARED_DESCRIPTORS: usize = 4096;

/// Writes an index, entry by entry in the order of the tar.
pub(crate) struct IndexBuilder {
    connection: Connection,
    path: PathBuf,
    keys: Keys,
    /// Ids of descriptors by their digest.
    descriptors: HashMap<Digest, i64>,
    next_descriptor: i64,
    next_entry: i64,
    next_stream: i64,
}

impl IndexBuilder {
    /// Creates the database; an existing file must be empty. Nothing in it survives a crash: SQLite
    /// flushes nothing, and the folder is thrown away in that case. An index that is kept is
    /// flushed through a handle that was opened before.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let error = index_error(path);
        let connection = Connection::open(schema::of_any_length(path)).map_err(&error)?;
        connection
            .execute_batch(&format!(
                "PRAGMA page_size = 8192;
                 {}
                 PRAGMA cache_size = -8192;
                 PRAGMA application_id = {};
                 PRAGMA user_version = {VERSION};
                 {}
                 {}
                 BEGIN;",
                schema::WRITING,
                schema::APPLICATION_ID,
                schema::TABLES,
                schema::BLOCK_TABLE,
            ))
            .map_err(&error)?;
        steps::watch(&connection);
        Ok(Self {
            connection,
            path: path.to_owned(),
            keys: Keys::default(),
            descriptors: HashMap::new(),
            next_descriptor: 0,
            next_entry: 0,
            next_stream: 0,
        })
    }

    /// Adds an entry of a tar. A stream belongs to the entry before it and is added by
    /// [`add_content`](Self::add_content).
    pub(crate) fn add_entry(&mut self, entry: &TarEntry) -> Result<()> {
        let offset = entry.offset;
        match &entry.kind {
            TarEntryKind::File(file) => self.add_file(offset, file),
            TarEntryKind::Stream(_) => Ok(()),
            TarEntryKind::Link(link) => self.add(&NewEntry {
                basic_info: link.basic_info,
                target: Some(&link.target),
                ..NewEntry::new(IndexedKind::Link, &link.path, offset)
            }),
            TarEntryKind::Whiteout(path) => {
                self.add(&NewEntry::new(IndexedKind::Removal, path, offset))
            }
            TarEntryKind::Opaque(path) => {
                self.add(&NewEntry::new(IndexedKind::Opaque, path, offset))
            }
        }
    }

    /// Adds an entry of any source.
    pub(crate) fn add(&mut self, entry: &NewEntry<'_>) -> Result<()> {
        self.insert(entry).map_err(index_error(&self.path))
    }

    /// Adds the content of the file that was added last, or of one of its streams; with its hash if
    /// the content was read.
    pub(crate) fn add_content(&mut self, entry: &TarEntry, sha256: Option<&Digest>) -> Result<()> {
        let (name, sparse) = match &entry.kind {
            TarEntryKind::File(file) => (None, &file.sparse),
            TarEntryKind::Stream(StreamMember { name, sparse }) => (Some(name.as_bytes()), sparse),
            _ => return Ok(()),
        };
        let added = self
            .connection
            .prepare_cached("INSERT INTO stream VALUES (?,?,?,?,?,?,?,?)");
        let added = added.and_then(|mut insert| {
            insert.execute(params![
                self.next_entry - 1,
                self.next_stream,
                name,
                entry.content_offset as i64,
                entry.size as i64,
                entry.stored.as_ref().map(SparseMap::to_record),
                sparse.as_ref().map(SparseMap::to_record),
                sha256.map_or(&[][..], |sha256| sha256.as_bytes()),
            ])
        });
        added.map_err(index_error(&self.path))?;
        self.next_stream += 1;
        Ok(())
    }

    /// Completes the database, which is only read from then on.
    pub(crate) fn finish(self) -> Result<Index> {
        let error = index_error(&self.path);
        self.connection.execute_batch("COMMIT;").map_err(&error)?;
        self.connection
            .execute_batch(schema::INDEXES)
            .map_err(&error)?;
        Index::built(self.connection, &self.path).map_err(&error)
    }

    fn add_file(&mut self, offset: u64, file: &FileMember) -> Result<()> {
        // The reader made this list of valid parts, so it can be encoded.
        let ea = (!file.ea.is_empty()).then(|| ea::encode_list(&file.ea).unwrap_or_default());
        self.add(&NewEntry {
            security: file.security.as_deref(),
            reparse: file.reparse.as_deref(),
            ea: ea.as_deref(),
            other_streams: Some(&file.other_streams[..]).filter(|bytes| !bytes.is_empty()),
            ..NewEntry::file(&file.path, file.basic_info, offset)
        })
    }

    /// Returns the id of a descriptor, which is stored once, however many files have it.
    fn share_descriptor(&mut self, bytes: &[u8]) -> rusqlite::Result<i64> {
        let digest = Digest::of(bytes);
        if let Some(id) = self.descriptors.get(&digest) {
            return Ok(*id);
        }
        let id = self.next_descriptor;
        self.connection
            .prepare_cached("INSERT INTO security VALUES (?,?)")?
            .execute(params![id, bytes])?;
        self.next_descriptor += 1;
        if self.descriptors.len() == MAX_SHARED_DESCRIPTORS {
            self.descriptors.clear();
        }
        self.descriptors.insert(digest, id);
        Ok(id)
    }

    fn insert(&mut self, row: &NewEntry<'_>) -> rusqlite::Result<()> {
        let security = row.security.map(|bytes| self.share_descriptor(bytes));
        let security = security.transpose()?;
        let info = row.basic_info;
        let (parent_key, path_key) = self.keys.parent_and_own(row.path);
        let time = |time: fn(&FileBasicInfo) -> ntmeta::FileTime| {
            info.as_ref().map(|info| time(info).ticks() as i64)
        };
        self.connection
            .prepare_cached("INSERT INTO entry VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")?
            .execute(params![
                self.next_entry,
                row.kind as i64,
                row.path.as_bytes(),
                path_key,
                parent_key,
                row.offset as i64,
                time(|info| info.creation_time),
                time(|info| info.last_access_time),
                time(|info| info.last_write_time),
                time(|info| info.change_time),
                info.map(|info| info.attributes.bits()),
                security,
                row.reparse,
                row.ea,
                row.other_streams,
                row.target.map(LayerPath::as_bytes),
            ])?;
        self.next_entry += 1;
        self.next_stream = 0;
        Ok(())
    }
}

/// An entry to be added: a row of the table `entry`.
pub(crate) struct NewEntry<'a> {
    pub(crate) kind: IndexedKind,
    pub(crate) path: &'a LayerPath,
    /// Where its first header block starts in the tar, in bytes; 0 without a tar.
    pub(crate) offset: u64,
    pub(crate) basic_info: Option<FileBasicInfo>,
    pub(crate) security: Option<&'a [u8]>,
    pub(crate) reparse: Option<&'a [u8]>,
    pub(crate) ea: Option<&'a [u8]>,
    pub(crate) other_streams: Option<&'a [u8]>,
    pub(crate) target: Option<&'a LayerPath>,
}

impl<'a> NewEntry<'a> {
    pub(crate) fn new(kind: IndexedKind, path: &'a LayerPath, offset: u64) -> Self {
        Self {
            kind,
            path,
            offset,
            basic_info: None,
            security: None,
            reparse: None,
            ea: None,
            other_streams: None,
            target: None,
        }
    }

    /// Starts a file or a directory, as its attributes say.
    pub(crate) fn file(path: &'a LayerPath, basic_info: FileBasicInfo, offset: u64) -> Self {
        let kind = match basic_info.attributes.contains(FileAttributes::DIRECTORY) {
            true => IndexedKind::Directory,
            false => IndexedKind::File,
        };
        Self {
            basic_info: Some(basic_info),
            ..Self::new(kind, path, offset)
        }
    }
}
