//! [`scan`]: a single pass over a layer tar that makes its index.

use std::io::BufRead;

use super::plain::PlainTar;
use super::{Index, IndexBuilder};
use crate::blob::Blob;
use crate::digest::{Digest, Hasher};
use crate::error::Result;
use crate::hub::{EntryCounts, Progress, poll};
use crate::pipeline::skip_to_end;
use crate::tar::{SparseMap, TarEntries, TarEntry, TarEntryKind};

/// The result of a pass over a tar, apart from its index.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    /// How many entries of each kind there are.
    pub(crate) counts: EntryCounts,
    /// Sum of the sizes of all data streams in bytes, holes included.
    pub(crate) content_size: u64,
    /// What is legal but unusual about the tar.
    pub(crate) warnings: Vec<String>,
}

/// Reads a whole tar, to the end of its input, into its index.
pub(crate) fn scan(
    input: &mut impl BufRead,
    index: IndexBuilder,
    progress: &dyn Progress,
) -> Result<(Scanned, Index)> {
    let entries = TarEntries::new(input);
    scan_entries(entries, index, progress, |entry, entries| {
        // Hashing a terabyte of zeros would take too long.
        let is_hashed = !(entry.stored.as_ref()).is_some_and(SparseMap::is_mostly_holes);
        is_hashed.then(|| hash_content(entries)).transpose()
    })
}

/// Makes the index of an uncompressed tar by reading only its headers: it has no hashes of content.
pub(crate) fn scan_headers(
    tar: &Blob,
    index: IndexBuilder,
    progress: &dyn Progress,
) -> Result<Index> {
    let tar = PlainTar::new(tar, progress);
    let entries = TarEntries::of(tar.members());
    let scanned = scan_entries(entries, index, progress, |_, _| Ok(None));
    scanned.map(|(_, index)| index)
}

fn scan_entries<R: BufRead>(
    mut entries: TarEntries<R>,
    mut builder: IndexBuilder,
    progress: &dyn Progress,
    content: impl Fn(&TarEntry, &mut TarEntries<R>) -> Result<Option<Digest>>,
) -> Result<(Scanned, Index)> {
    let mut found = Scanned::default();
    while let Some(entry) = entries.next_entry()? {
        poll(progress)?;
        found.count(&entry);
        progress.entry();
        builder.add_entry(&entry)?;
        if has_content(&entry) {
            let sha256 = content(&entry, &mut entries)?;
            builder.add_content(&entry, sha256.as_ref())?;
        }
    }
    found.end(entries)?;
    Ok((found, builder.finish()?))
}

impl Scanned {
    /// Reads what follows the last entry, to the end of the input.
    pub(super) fn end<R: BufRead>(&mut self, entries: TarEntries<R>) -> Result<()> {
        self.warnings = entries.warnings();
        let behind = skip_to_end(&mut entries.into_inner())?;
        if behind > 0 {
            self.warnings.push(format!(
                "{behind} bytes that are not zero follow the tar's end"
            ));
        }
        Ok(())
    }

    /// Counts an entry.
    pub(super) fn count(&mut self, entry: &TarEntry) {
        let counts = &mut self.counts;
        let counter = match &entry.kind {
            TarEntryKind::File(file) if file.reparse.is_some() => &mut counts.reparse_points,
            TarEntryKind::File(file) if file.is_directory() => &mut counts.directories,
            TarEntryKind::File(_) => &mut counts.files,
            TarEntryKind::Stream(_) => &mut counts.streams,
            TarEntryKind::Link(_) => &mut counts.links,
            TarEntryKind::Whiteout(_) => &mut counts.removals,
            TarEntryKind::Opaque(_) => &mut counts.opaque,
        };
        *counter += 1;
        if has_content(entry) {
            self.content_size = self.content_size.saturating_add(entry.size);
        }
    }
}

fn has_content(entry: &TarEntry) -> bool {
    match &entry.kind {
        TarEntryKind::File(file) => file.has_data,
        TarEntryKind::Stream(_) => true,
        _ => false,
    }
}

fn hash_content<R: BufRead>(entries: &mut TarEntries<R>) -> Result<Digest> {
    let mut hasher = Hasher::new();
    loop {
        let bytes = entries.fill_content()?;
        if bytes.is_empty() {
            return Ok(hasher.finish());
        }
        hasher.update(bytes);
        let len = bytes.len();
        entries.consume_content(len);
    }
}
