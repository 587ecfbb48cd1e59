//! A file to write to a tar: its meaning, the parts that the reference loses, and whether it can be
//! written at all.

use std::collections::BTreeSet;

use ntmeta::{FileAttributes, FileBasicInfo, ReparsePoint};
use vectors::streams::{self, Canonical, Piece, id};
use vectors::{Check, same};
use wclayer::{Entry, FileEntry, LayerPath};

use crate::differences::{Difference, lost_in_a_tar};
use crate::spelling::spelled;

/// A file to write.
pub(crate) struct Source {
    pub(crate) entry: FileEntry,
    pub(crate) stream: Vec<u8>,
    /// Its meaning, or the reason why it is malformed.
    pub(crate) meaning: Check<Canonical>,
    /// Differences between the result and the reference's.
    pub(crate) differences: BTreeSet<Difference>,
    /// The reasons to reject it, although the reference may accept it.
    pub(crate) refused: Option<Difference>,
}

impl Source {
    /// Examines a file; fails if its name is not the name of a file in a layer.
    pub(crate) fn new(
        name: &str,
        size: u64,
        basic_info: FileBasicInfo,
        stream: Vec<u8>,
    ) -> Result<Self, Difference> {
        let wtf8 = spelled(name.as_bytes())?;
        let path = LayerPath::parse(&wtf8).map_err(|_| Difference::BadPath)?;
        let pieces = streams::split(&stream).unwrap_or_default();
        let mut differences = lost_in_a_tar(&pieces, &basic_info);
        if wtf8 != name.replace('\\', "/").as_bytes() {
            differences.insert(Difference::UncleanName);
        }
        let is_directory = basic_info.attributes.contains(FileAttributes::DIRECTORY);
        if is_directory && size > 0 {
            differences.insert(Difference::DirectorySize);
        }
        let data_at = pieces.iter().position(|piece| piece.id == id::DATA);
        let is_data = |id| matches!(id, id::DATA | id::ALTERNATE | id::SPARSE_BLOCK);
        let metadata_first =
            data_at.is_none_or(|at| pieces[at..].iter().all(|piece| is_data(piece.id)));
        let entry = FileEntry {
            path,
            basic_info,
            // The size of a directory is not the size of its data.
            size,
            metadata_first,
        };
        let refused = why_refused(&stream, &pieces);
        let meaning = Canonical::of(&stream).and_then(|meaning| fits(&entry, meaning));
        let meaning = match refused {
            Some(difference) => Err(difference.rule().to_owned()),
            None => meaning,
        };
        Ok(Self {
            entry,
            stream,
            meaning,
            differences,
            refused,
        })
    }

    /// The size of the data as read back; a directory has none.
    fn data_size(&self) -> u64 {
        match self.is_directory() {
            true => 0,
            false => self.entry.size,
        }
    }

    fn is_directory(&self) -> bool {
        is_directory(&self.entry)
    }

    /// Returns whether its name would be read back as a whiteout.
    pub(crate) fn is_reserved(&self) -> bool {
        self.entry
            .path
            .components()
            .any(|component| component.starts_with(b".wh."))
    }

    /// Checks that an entry that was read back is this file, complete with metadata.
    pub(crate) fn check_read_back(&self, entry: &Entry, stream: &[u8]) -> Check {
        let Entry::File(file) = entry else {
            return Err(format!("read back: expected a file, got {entry:?}"));
        };
        let path = |entry: &FileEntry| String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
        same("the path, read back", &path(&self.entry), &path(file))?;
        same(
            "the basic info, read back",
            &self.entry.basic_info,
            &file.basic_info,
        )?;
        same("the size, read back", &self.data_size(), &file.size)?;
        let meaning = self.meaning.clone()?;
        let again = Canonical::of(stream).map_err(|error| format!("read back: {error}"))?;
        same(
            "the security descriptor, read back",
            &meaning.security,
            &again.security,
        )?;
        same("the extended attributes, read back", &meaning.ea, &again.ea)?;
        same(
            "the reparse point, read back",
            &meaning.reparse,
            &again.reparse,
        )?;
        same(
            "the other streams, read back",
            &meaning.others,
            &again.others,
        )?;
        same("the data, read back", &meaning.data, &again.data)?;
        same(
            "the alternate streams, read back",
            &meaning.alternates,
            &again.alternates,
        )
    }
}

fn is_directory(entry: &FileEntry) -> bool {
    let attributes = entry.basic_info.attributes;
    attributes.contains(FileAttributes::DIRECTORY)
}

/// Finds the problems that only we reject.
fn why_refused(stream: &[u8], pieces: &[Piece]) -> Option<Difference> {
    if streams::split(stream).is_err() {
        return Some(Difference::CutStream);
    }
    pieces.iter().find_map(|piece| match piece.id {
        id::ALTERNATE if !is_ntfs_name(piece) => Some(Difference::StreamName),
        id::EA if streams::overlaps(&piece.body) => Some(Difference::EaOverlap),
        id::REPARSE if has_odd_substitute_name(&piece.body) => Some(Difference::LinkNames),
        _ => None,
    })
}

/// Returns whether the name of a stream, between `:` and `:$DATA`, is valid on NTFS.
fn is_ntfs_name(piece: &Piece) -> bool {
    let name = piece.name.split(|unit| *unit == 0).next();
    let Some((first, name)) = name.and_then(|name| name.split_first()) else {
        return false;
    };
    let suffix: Vec<u16> = ":$DATA".encode_utf16().collect();
    let name = name.strip_suffix(&suffix[..]).unwrap_or(name);
    let is_bad = |unit: &u16| {
        [':', '/', '\\']
            .iter()
            .any(|bad| u16::try_from(u32::from(*bad)) == Ok(*unit))
    };
    *first == u16::from(b':') && (1..=255).contains(&name.len()) && !name.iter().any(is_bad)
}

/// Returns whether a link's substitute name is not UTF-16 or outside the buffer.
pub(crate) fn has_odd_substitute_name(buffer: &[u8]) -> bool {
    let word = |at: usize| Some(u16::from_le_bytes([*buffer.get(at)?, *buffer.get(at + 1)?]));
    let names = match buffer.first_chunk().map(|tag| u32::from_le_bytes(*tag)) {
        Some(0xA000_000C) => 20,
        Some(0xA000_0003) => 16,
        _ => return false,
    };
    let (Some(start), Some(len)) = (word(8), word(10)) else {
        return false;
    };
    let end = names + usize::from(start) + usize::from(len);
    !len.is_multiple_of(2) || end > buffer.len()
}

/// Checks everything outside the backup stream itself.
fn fits(entry: &FileEntry, meaning: Canonical) -> Check<Canonical> {
    if is_directory(entry) && meaning.data.size > 0 {
        return Err("a directory has data".to_owned());
    }
    if !is_directory(entry) && meaning.data.size != entry.size {
        return Err("the size is not that of the data".to_owned());
    }
    match meaning.reparse.as_deref().map(ReparsePoint::decode) {
        Some(Err(error)) => Err(error.to_string()),
        _ => Ok(meaning),
    }
}
