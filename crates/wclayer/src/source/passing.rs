//! [`content_in_passing`]: one file out of the compressed tars on top of a chain.
//!
//! A view indexes every layer before it can answer, including those below the layer that has the
//! file. For the content of a single file there is a shorter way: the nearest layer with an entry
//! of its path decides, and one pass over each compressed tar down to that layer finds it. As
//! everywhere, the last entry of a path counts, so each tar is read to its end, and the content
//! found so far is kept in a temporary file meanwhile. Cases that take more than the entries of
//! that path (hard links, removals, something in the way) are left to a view.

use std::io::{self, BufRead, Seek, Write};

use ntmeta::FileAttributes;

use super::recognise::Layer;
use super::tar_blob::TarBlob;
use crate::compression::Compression;
use crate::error::{Error, Result, io_error};
use crate::hub::Progress;
use crate::index::kept_content;
use crate::kind::Kind;
use crate::layer::Content;
use crate::path::{LayerPath, StreamName};
use crate::pipeline::skip_to_end;
use crate::place;
use crate::place::leftovers;
use crate::place::scratch::ScratchFile;
use crate::tar::{FileMember, SparseMap, TarEntries, TarEntry, TarEntryKind};

/// The answer of the compressed tars on top of a chain.
pub enum Passed {
    /// They have the file.
    Content {
        /// Its content.
        content: Box<dyn Content>,
        /// The number of the layer that has it, 0 for the nearest.
        layer: usize,
    },
    /// They do not mention it: the chain without that many layers on top decides.
    Below(usize),
    /// Only a view can answer.
    Unclear,
}

/// Looks for a file (its unnamed data, or an alternate stream) in a chain, nearest layer first. Each
/// compressed tar on top is read once, and none below the layer that has the file.
///
/// `progress` counts compressed bytes, and can cancel.
///
/// # Errors
///
/// Returns an error if a layer does not exist, cannot be read or is malformed, and
/// [`Error::Cancelled`].
pub fn content_in_passing(
    chain: &[Layer],
    path: &LayerPath,
    stream: Option<&StreamName>,
    progress: &dyn Progress,
) -> Result<Passed> {
    chain.iter().try_for_each(Layer::check)?;
    for (layer, named) in chain.iter().enumerate() {
        let tar = match named.kind() {
            Kind::Tar(_) => named.tar()?,
            _ => return Ok(Passed::Below(layer)),
        };
        if tar.compression()? == Compression::None {
            return Ok(Passed::Below(layer));
        }
        match pass(&tar, path, stream, progress)? {
            Found::Nothing => {}
            Found::Content(content) => return Ok(Passed::Content { content, layer }),
            Found::Unclear => return Ok(Passed::Unclear),
        }
    }
    Ok(Passed::Unclear)
}

/// The answer of one tar.
enum Found {
    Content(Box<dyn Content>),
    Nothing,
    Unclear,
}

/// Reads a compressed tar, to its end unless only a view can answer.
fn pass(
    tar: &TarBlob,
    path: &LayerPath,
    stream: Option<&StreamName>,
    progress: &dyn Progress,
) -> Result<Found> {
    let mut input = tar.read_ahead(None, progress)?;
    let found = find(TarEntries::new(&mut input), path, stream);
    let found = match found {
        Ok(Found::Content(_) | Found::Nothing) => tar.finish(input).and(found),
        // The tar was not read to its end.
        Ok(Found::Unclear) | Err(_) => {
            input.abandon();
            found
        }
    };
    found.map_err(|error| error.of_layer("read", &tar.place))
}

fn find<R: BufRead>(
    mut entries: TarEntries<R>,
    path: &LayerPath,
    stream: Option<&StreamName>,
) -> Result<Found> {
    let mut kept = Kept::default();
    let (mut has_file, mut is_after_file) = (false, false);
    while let Some(entry) = entries.next_entry()? {
        match (&entry.kind, stream) {
            (TarEntryKind::File(file), None) if file.path == *path && has_content(file) => {
                kept.keep(&entry, &mut entries)?;
            }
            (TarEntryKind::File(file), Some(_)) if file.path == *path => {
                // The streams of an earlier entry go with it.
                (has_file, is_after_file, kept.content) = (true, true, None);
            }
            // Of several streams with one name, the first counts.
            (TarEntryKind::Stream(member), Some(stream))
                if is_after_file && kept.content.is_none() && member.name.is_same(stream) =>
            {
                kept.keep(&entry, &mut entries)?;
            }
            (TarEntryKind::Stream(_), _) => {}
            _ if is_about(&entry, path) => return Ok(Found::Unclear),
            _ => is_after_file = false,
        }
    }
    skip_to_end(&mut entries.into_inner())?;
    Ok(match kept.into_content() {
        Some(content) => Found::Content(content),
        // Only a view words the error for a missing stream.
        None if has_file => Found::Unclear,
        None => Found::Nothing,
    })
}

/// The content that counts if nothing else follows.
#[derive(Default)]
struct Kept {
    file: Option<ScratchFile>,
    content: Option<(u64, Option<SparseMap>)>,
}

impl Kept {
    /// Keeps the content of an entry, in place of what was kept before.
    fn keep<R: BufRead>(&mut self, entry: &TarEntry, entries: &mut TarEntries<R>) -> Result<()> {
        let kept = match &self.file {
            Some(kept) => kept,
            None => {
                let kept = ScratchFile::create(leftovers::VIEW, place::TAR_FILE)?;
                self.file.insert(kept)
            }
        };
        let mut file = kept.file();
        file.set_len(0).and_then(|()| file.rewind()).map_err(full)?;
        loop {
            entries.skip_hole();
            let bytes = entries.fill_content()?;
            if bytes.is_empty() {
                break;
            }
            file.write_all(bytes).map_err(full)?;
            let count = bytes.len();
            entries.consume_content(count);
        }
        self.content = Some((entry.size, entry.stored.clone()));
        Ok(())
    }

    fn into_content(self) -> Option<Box<dyn Content>> {
        let ((size, stored), file) = self.content.zip(self.file)?;
        Some(kept_content(file, size, stored.as_ref()))
    }
}

/// Names the temporary folder: the file in it has no name.
fn full(error: io::Error) -> Error {
    io_error("write a file in", &std::env::temp_dir())(error)
}

fn has_content(file: &FileMember) -> bool {
    file.has_data && !file.is_directory()
}

/// Returns whether an entry matters to a path in any other way than as a directory above it.
fn is_about(entry: &TarEntry, path: &LayerPath) -> bool {
    let place = match &entry.kind {
        TarEntryKind::File(file) => {
            let is_link = file.reparse.is_some()
                || (file.basic_info.attributes).contains(FileAttributes::REPARSE_POINT);
            if file.is_directory() && !is_link && file.path != *path {
                return false;
            }
            &file.path
        }
        TarEntryKind::Link(link) => &link.path,
        TarEntryKind::Whiteout(place) | TarEntryKind::Opaque(place) => place,
        TarEntryKind::Stream(_) => return false,
    };
    place == path || path.is_below(place)
}
