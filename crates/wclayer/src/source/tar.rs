//! A layer tar as a layer of a chain: indexed in a temporary folder, read in place.
//!
//! A tar is indexed when it is opened, since any question about a path takes all of its headers. That
//! is also when it can be cancelled and shows its progress. Of an uncompressed tar, only the headers
//! are read. A compressed one has to be decompressed completely, and what passes is either kept in a
//! temporary file or lost.
//!
//! Whether to keep it must be known before that pass, so [`Access`] has to stay: keeping everything
//! would let `ls` write gigabytes, and keeping nothing would decompress a tar twice to extract it.
//! It is only a hint about costs. Whatever it says, every question has the same answer; and the
//! content of a tar that was not kept is read in a few passes at most, because it is spooled as soon
//! as much of it is decompressed again (see `CompressedTar`).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Access;
use super::tar_blob::TarBlob;
use crate::blob::Blob;
use crate::compression::Compression;
use crate::error::{Result, io_error};
use crate::hub::Progress;
use crate::index::{
    CompressedTar, Index, IndexBuilder, IndexedLayer, TarContent, scan, scan_headers,
};
use crate::pipeline::TarSink;
use crate::place;
use crate::place::leftovers;
use crate::place::scratch::Scratch;

/// Indexes a tar in a temporary folder: an uncompressed one by its headers alone, a compressed one
/// while it passes. The digests of a layer in an image are verified if all of it passes.
pub(super) fn open_tar(
    tar: &TarBlob,
    access: Access,
    progress: &dyn Progress,
) -> Result<IndexedLayer> {
    let place = tar.place.as_path();
    let is_compressed = tar.compression()? != Compression::None;
    let spooled = is_compressed && access == Access::Content;
    let mut scratch = Scratch::new(leftovers::VIEW)?;
    let index = IndexBuilder::create(&scratch.path().join(place::INDEX_FILE))?;
    let spool = match spooled {
        true => Some(Spool::create(&scratch.path().join(place::TAR_FILE))?),
        false => None,
    };
    // All files are open, so their names are no longer needed.
    scratch.hide();
    let read = match (&spool, is_compressed) {
        (None, false) => scan_headers(&tar.blob, index, progress),
        (None, true) => index_tar(tar, index, None, progress),
        (Some(spool), _) => spool.fill(tar, index, progress),
    };
    let index = read.map_err(|error| error.of_layer("read", place))?;
    let content = match (spool, is_compressed) {
        (Some(spool), _) => TarContent::Plain(spool.into_blob()?),
        (None, false) => TarContent::Plain(tar.blob.clone()),
        (None, true) => TarContent::Compressed(Arc::new(CompressedTar::new(tar.blob.clone()))),
    };
    IndexedLayer::new(place, index, content, Some(scratch), true)
}

/// A temporary file for a decompressed tar, read through the handle that it was written with.
struct Spool {
    path: PathBuf,
    file: File,
}

impl Spool {
    fn create(path: &Path) -> Result<Self> {
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).open(path);
        Ok(Self {
            path: path.to_owned(),
            file: file.map_err(io_error("create", path))?,
        })
    }

    fn fill(&self, tar: &TarBlob, index: IndexBuilder, progress: &dyn Progress) -> Result<Index> {
        let file = self.file.try_clone();
        let sink = TarSink::to_temporary(file.map_err(io_error("open", &self.path))?)?;
        let read = index_tar(tar, index, Some(&sink), progress);
        let written = sink.finish()?.map_err(io_error("write", &self.path));
        // A full disk shows on the reading side as well, but the writing side knows the reason.
        written.and(read)
    }

    fn into_blob(self) -> Result<Blob> {
        Blob::of_file(self.file).map_err(io_error("open", &self.path))
    }
}

fn index_tar(
    tar: &TarBlob,
    index: IndexBuilder,
    spool: Option<&TarSink>,
    progress: &dyn Progress,
) -> Result<Index> {
    let mut input = tar.read_ahead(spool, progress)?;
    match scan(&mut input, index, progress) {
        Ok((_, index)) => tar.finish(input).map(|()| index),
        Err(error) => {
            input.abandon();
            Err(error)
        }
    }
}
