//! A file that is written to a tar: what it means, what the reference loses of it, whether it can
//! be written at all.

use std::collections::BTreeSet;

use ntmeta::{FileAttributes, FileBasicInfo, ReparsePoint};
use vectors::streams::{self, Canonical, id};
use vectors::{Check, same};
use wclayer::{Entry, FileEntry, LayerPath};

use crate::differences::{Difference, lost_in_a_tar};
use crate::spelling::spelled;

/// A file to be written.
pub(crate) struct Source {
    pub(crate) entry: FileEntry,
    pub(crate) stream: Vec<u8>,
    /// What it means, or what is wrong with it.
    pub(crate) meaning: Check<Canonical>,
    /// Where the result differs from the reference's.
    pub(crate) differences: BTreeSet<Difference>,
}

impl Source {
    /// Examines a file; an error where its name is none of a file in a layer.
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
        let data_at = pieces.iter().position(|piece| piece.id == id::DATA);
        let is_data = |id| matches!(id, id::DATA | id::ALTERNATE | id::SPARSE_BLOCK);
        let metadata_first =
            data_at.is_none_or(|at| pieces[at..].iter().all(|piece| is_data(piece.id)));
        let entry = FileEntry {
            path,
            basic_info,
            size,
            metadata_first,
        };
        let meaning = Canonical::of(&stream).and_then(|meaning| fits(&entry, meaning));
        Ok(Self {
            entry,
            stream,
            meaning,
            differences,
        })
    }

    /// Whether its name would be read back as a whiteout.
    pub(crate) fn is_reserved(&self) -> bool {
        self.entry
            .path
            .components()
            .any(|component| component.starts_with(b".wh."))
    }

    /// Checks that an entry that was read back is this file, with all it has.
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
        same("the size, read back", &self.entry.size, &file.size)?;
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

/// Checks what lies outside of the backup stream itself.
fn fits(entry: &FileEntry, meaning: Canonical) -> Check<Canonical> {
    let is_directory = entry
        .basic_info
        .attributes
        .contains(FileAttributes::DIRECTORY);
    if meaning.data.size != entry.size {
        return Err("the size is not that of the data".to_owned());
    }
    if is_directory && entry.size > 0 {
        return Err("a directory has data".to_owned());
    }
    match meaning.reparse.as_deref().map(ReparsePoint::decode) {
        Some(Err(error)) => Err(error.to_string()),
        _ => Ok(meaning),
    }
}
