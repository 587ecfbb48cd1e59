//! Checking a portable layer by its index: the rules that an import does not check, but for those
//! on what only the tar shows, such as the spelling of names.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use ntmeta::{FileBasicInfo, FileTime, ea};

use super::entry::{self, HIVE_START, Place};
use super::{Report, pass, source, whole};
use crate::error::{Result, io_error};
use crate::hub::LinkEntry;
use crate::hub::Progress;
use crate::hub::poll;
use crate::index::{Index, IndexedEntry, IndexedKind};
use crate::parent_chain::ParentChain;
use crate::portable::PortableLayer;
use crate::tar::{FileMember, Member, TarEntry, TarEntryKind};
use crate::view::View;

/// Checks a portable layer, with its parents, by what its index says. That takes a small part of
/// the time of [`validate`](super::validate), which reads the tar; what only the tar shows is left
/// out, and so are the rules that were checked when the layer was imported.
///
/// # Errors
///
/// When the layer or a parent cannot be read; [`Error::Cancelled`](crate::Error::Cancelled).
pub fn validate_stored(
    layer: &PortableLayer,
    limit: usize,
    progress: &dyn Progress,
) -> Result<Report> {
    let parents = source::open_parents(&layer.path().into(), &ParentChain::none(), progress)?;
    let parents = parents.as_ref();
    let index = layer.index()?;
    let mut report = Report::new(limit);
    report.parents = parents.map_or(0, View::depth);
    let mut entries = Entries {
        layer,
        index: &index,
        tar: layer.open_tar()?,
        security: None,
    };
    index.for_each(|indexed| {
        poll(progress)?;
        report.entries += 1;
        let (found, member) = entries.restore(&indexed)?;
        entry::check_member(&member, &mut report);
        let place = Place {
            entry: &found,
            is_base: parents.is_none(),
        };
        entry::check(&place, &member, &mut report);
        match &found.kind {
            TarEntryKind::File(file) if file.has_data && entry::is_hive(&file.path) => {
                let start = entries.start_of(&found)?;
                entry::check_hive(&place, file, &start, &mut report);
                Ok(())
            }
            _ => Ok(()),
        }
    })?;
    whole::check_beyond_import(&index, parents, &mut report, progress)?;
    report.is_complete = true;
    Ok(report)
}

/// Finds a time that was moved to the nearest that Windows stores, or that Windows cannot store.
fn unstorable_time(info: &FileBasicInfo) -> Option<&'static str> {
    let times = [
        ("mtime", info.last_write_time),
        ("LIBARCHIVE.creationtime", info.creation_time),
        ("atime", info.last_access_time),
        ("ctime", info.change_time),
    ];
    let is_end =
        |time: FileTime| time == FileTime::EARLIEST_STORED || time >= FileTime::LATEST_STORED;
    times
        .into_iter()
        .find(|(_, time)| is_end(*time))
        .map(|(key, _)| key)
}

/// Makes entries of what the index has of them.
struct Entries<'a> {
    layer: &'a PortableLayer,
    index: &'a Index,
    tar: File,
    /// The security descriptor that was read last: neighbours often share it.
    security: Option<(u64, Vec<u8>)>,
}

impl Entries<'_> {
    fn restore(&mut self, indexed: &IndexedEntry) -> Result<(TarEntry, Member)> {
        let path = indexed.path.clone();
        let mut entry = TarEntry {
            offset: indexed.offset,
            content_offset: 0,
            size: 0,
            stored: None,
            unstorable_time: indexed.basic_info.as_ref().and_then(unstorable_time),
            kind: match indexed.kind {
                IndexedKind::Removal => TarEntryKind::Whiteout(path),
                IndexedKind::Opaque => TarEntryKind::Opaque(path),
                IndexedKind::Link => TarEntryKind::Link(LinkEntry {
                    target: indexed.target.clone().unwrap_or_else(|| path.clone()),
                    path,
                    basic_info: indexed.basic_info,
                }),
                _ => TarEntryKind::File(Box::new(self.file(indexed)?)),
            },
        };
        if indexed.kind == IndexedKind::File && entry::is_hive(&indexed.path) {
            let streams = self.index.streams(indexed)?;
            if let Some(data) = streams.into_iter().find(|stream| stream.name.is_none()) {
                (entry.content_offset, entry.size, entry.stored) =
                    (data.offset, data.size, data.stored);
            }
        }
        let member = Member {
            offset: indexed.offset,
            content_offset: entry.content_offset,
            name: indexed.path.as_bytes().to_vec(),
            link_name: Vec::new(),
            type_flag: match indexed.kind {
                IndexedKind::Directory => b'5',
                _ => b'0',
            },
            size: entry.size,
            modified: 0,
            accessed: None,
            changed: None,
            pax: crate::tar::PaxRecords::default(),
            sparse: None,
            doubts: Vec::new(),
        };
        Ok((entry, member))
    }

    fn file(&mut self, indexed: &IndexedEntry) -> Result<FileMember> {
        Ok(FileMember {
            path: indexed.path.clone(),
            basic_info: indexed.basic_info.unwrap_or_else(pass::no_basic_info),
            has_data: indexed.kind == IndexedKind::File && indexed.reparse.is_none(),
            security: self.security(indexed.security)?,
            ea: match &indexed.ea {
                Some(list) => ea::decode_list(list).unwrap_or_default(),
                None => Vec::new(),
            },
            reparse: indexed.reparse.clone(),
            other_streams: Vec::new(),
            sparse: None,
        })
    }

    fn security(&mut self, id: Option<u64>) -> Result<Option<Vec<u8>>> {
        let Some(id) = id else {
            return Ok(None);
        };
        if self.security.as_ref().is_none_or(|(last, _)| *last != id) {
            self.security = Some((id, self.index.security(id)?));
        }
        Ok(self.security.as_ref().map(|(_, bytes)| bytes.clone()))
    }

    /// Reads as much of a content as the check of a hive looks at.
    fn start_of(&mut self, entry: &TarEntry) -> Result<Vec<u8>> {
        let mut start = Vec::new();
        let size = entry.size.min(HIVE_START as u64);
        let from = SeekFrom::Start(entry.content_offset);
        let read = self.tar.seek(from);
        read.and_then(|_| (&mut self.tar).take(size).read_to_end(&mut start))
            .map_err(io_error("read", self.layer.path()))?;
        Ok(start)
    }
}
