//! [`content_in_passing`]: one file out of compressed tars, read no further than to its end.
//!
//! A view of a compressed tar has to read all of it before it can answer. For the content of one
//! file that is seldom needed: the first entry of its path decides, in the nearest layer that has
//! one. What cannot be told that way (hard links, removals, things in the way) is left to the view.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use ntmeta::FileAttributes;

use super::recognise::compression_of;
use crate::compression::{Compression, Decoder};
use crate::error::{Error, Result, io_error};
use crate::hub::Progress;
use crate::layer::Content;
use crate::path::{LayerPath, StreamName};
use crate::tar::{FileMember, TarEntries, TarEntry, TarEntryKind};

/// What the compressed tars on top of a chain say of a file.
pub enum Passed<'a> {
    /// Its content, as it comes out of the tar. Nothing behind it has been read: of a malformed tar
    /// that has the path twice, it is the first.
    Content {
        /// Gives the content.
        reader: Box<dyn Content + 'a>,
        /// The number of the layer that has it, 0 for the nearest.
        layer: usize,
    },
    /// Nothing: the file is what the rest of the chain has, without that many layers on top.
    Below(usize),
    /// Only a view can tell.
    Unclear,
}

/// Looks for a file (its unnamed data, or an alternate stream) in a chain, nearest layer first, and
/// passes through the compressed tars on top, each once and only up to the file.
///
/// `progress` is told of compressed bytes, and can cancel, also while the content is read.
///
/// # Errors
///
/// When a layer does not exist, cannot be read, or is malformed in front of the file;
/// [`Error::Cancelled`].
pub fn content_in_passing<'a>(
    chain: &[PathBuf],
    path: &LayerPath,
    stream: Option<&StreamName>,
    progress: &'a dyn Progress,
) -> Result<Passed<'a>> {
    for place in chain {
        std::fs::metadata(place).map_err(io_error("open", place))?;
    }
    for (number, place) in chain.iter().enumerate() {
        if !place.is_file() || compression_of(place)? == Compression::None {
            return Ok(Passed::Below(number));
        }
        let found = Passing::start(place, progress)
            .and_then(|passing| passing.find(path, stream))
            .map_err(|error| match error {
                _ if progress.is_cancelled() => Error::Cancelled,
                error => error.of_layer("read", place),
            })?;
        match found {
            Found::Nothing => {}
            Found::Content(reader) => {
                let layer = number;
                return Ok(Passed::Content { reader, layer });
            }
            Found::Unclear => return Ok(Passed::Unclear),
        }
    }
    Ok(Passed::Unclear)
}

/// A compressed tar that is passed through.
struct Passing<'a> {
    entries: TarEntries<BufReader<Decoder<Watched<'a>>>>,
}

enum Found<'a> {
    Content(Box<Passing<'a>>),
    Nothing,
    Unclear,
}

impl<'a> Passing<'a> {
    fn start(place: &Path, progress: &'a dyn Progress) -> Result<Self> {
        let file = File::open(place).map_err(io_error("open", place))?;
        let decoder = Decoder::new(Watched { file, progress }).map_err(Error::Input)?;
        Ok(Self {
            entries: TarEntries::new(BufReader::with_capacity(128 * 1024, decoder)),
        })
    }

    /// Goes forward to a stream of a file; it can be read then.
    fn find(mut self, path: &LayerPath, stream: Option<&StreamName>) -> Result<Found<'a>> {
        let mut is_behind_file = false;
        while let Some(entry) = self.entries.next_entry()? {
            match (&entry.kind, stream) {
                (TarEntryKind::File(file), None) if file.path == *path && has_content(file) => {
                    return Ok(Found::Content(Box::new(self)));
                }
                (TarEntryKind::File(file), Some(_)) if file.path == *path => is_behind_file = true,
                (TarEntryKind::Stream(member), Some(stream))
                    if is_behind_file && member.name.is_same(stream) =>
                {
                    return Ok(Found::Content(Box::new(self)));
                }
                (TarEntryKind::Stream(_), Some(_)) if is_behind_file => {}
                _ if is_behind_file || is_about(&entry, path) => return Ok(Found::Unclear),
                _ => {}
            }
        }
        Ok(match is_behind_file {
            true => Found::Unclear,
            false => Found::Nothing,
        })
    }
}

fn has_content(file: &FileMember) -> bool {
    file.has_data && !file.is_directory()
}

/// Returns whether an entry says something of a path, other than that a directory above it exists.
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

impl Content for Passing<'_> {
    fn skip_hole(&mut self) -> io::Result<u64> {
        Ok(self.entries.skip_hole())
    }
}

impl Read for Passing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let filled = self.entries.fill_content();
        let bytes = filled.map_err(|error| io::Error::other(Error::from(error)))?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.entries.consume_content(count);
        Ok(count)
    }
}

/// A file whose reading is told of, and can be cancelled.
struct Watched<'a> {
    file: File,
    progress: &'a dyn Progress,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.progress.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        let read = self.file.read(buffer)?;
        self.progress.advance(read as u64);
        Ok(read)
    }
}
