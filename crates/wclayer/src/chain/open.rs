//! [`open`]: finds out what kind of thing each layer of a chain is, and makes a view of them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::layer::ChainLayer;
use super::parent_chain::ParentChain;
use super::view::View;
use crate::compression::{Compression, Decoder};
use crate::error::{Error, Result, io_error};
use crate::hub::Progress;
use crate::index::{Index, IndexBuilder, IndexedLayer, TarContent, scan, scan_headers};
use crate::leftovers;
use crate::pipeline::{Counting, ReadAhead, TarSink};
use crate::portable::{self, PortableLayer};
use crate::scratch::Scratch;
use crate::transport;

/// How a chain is to be opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// The layer's parents. When there are none, those that the layer itself names; when only the
    /// nearest is given, those that it names complete the chain.
    pub parents: ParentChain,
    /// Whether only the layer itself is to be seen, with what it removes of others. Its parents
    /// are opened only when they are given, for the hard links that lead there.
    pub this_layer: bool,
    /// What is to be done with the view.
    pub access: Access,
}

/// What a view is for: it decides how compressed tars are opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Access {
    /// Names and metadata, and the content of a few files. A compressed tar is read through once;
    /// for the content of a file it is decompressed again, up to the end of that.
    #[default]
    Listing,
    /// The content of most files. A compressed tar is decompressed into a temporary file, once.
    Content,
    /// The same, but for the lowest layer.
    UpperContent,
}

/// Opens a layer with its parents: a portable layer, a transport folder, or a layer tar (plain,
/// gzip or zstd) that is read in place.
///
/// `progress` is told of the bytes of tars that are read or skipped, and can cancel that.
///
/// # Errors
///
/// [`Error::NoLayer`] for what is none of these; what reading a layer says; [`Error::Cancelled`].
pub fn open(
    layer: impl AsRef<Path>,
    options: &OpenOptions,
    progress: &dyn Progress,
) -> Result<View> {
    let chain = whole_chain(layer.as_ref(), options)?;
    let view = open_chain(&chain, options.access, progress)?;
    Ok(match options.this_layer {
        true => view.only_nearest(1),
        false => view,
    })
}

/// Opens just these layers, nearest first, whatever parents they name.
///
/// # Errors
///
/// As for [`open`].
pub fn open_chain(chain: &[PathBuf], access: Access, progress: &dyn Progress) -> Result<View> {
    let access_to = |number| match access {
        Access::UpperContent if number + 1 == chain.len() => Access::Listing,
        Access::UpperContent => Access::Content,
        access => access,
    };
    let layers = chain.iter().enumerate();
    let layers = layers.map(|(number, place)| open_layer(place, access_to(number), progress));
    Ok(View::new(layers.collect::<Result<_>>()?))
}

/// Returns where all layers of a chain are, nearest first: the layer, the parents that are given,
/// and those that these name themselves, as [`OpenOptions`] says.
///
/// # Errors
///
/// When a layer cannot be read that names its parents, or they are not those that are given.
pub fn whole_chain(layer: &Path, options: &OpenOptions) -> Result<Vec<PathBuf>> {
    let mut chain = vec![layer.to_owned()];
    if portable::is_layer(layer) {
        if !options.this_layer || !options.parents.is_empty() {
            let parents = PortableLayer::open(layer)?.parents_given(&options.parents)?;
            chain.extend(parents.iter_nearest_first().map(Path::to_owned));
        }
        return Ok(chain);
    }
    chain.extend(options.parents.iter_nearest_first().map(Path::to_owned));
    if let ([_] | [_, _], false) = (&chain[..], options.this_layer)
        && let Some(last) = chain.last()
    {
        let stored = stored_parents(last)?;
        chain.extend(stored.iter_nearest_first().map(Path::to_owned));
    }
    Ok(chain)
}

/// Returns the parents that a layer names itself.
pub(crate) fn stored_parents(layer: &Path) -> Result<ParentChain> {
    if portable::is_layer(layer) {
        return PortableLayer::open(layer)?.checked_parents();
    }
    match layer.is_dir() {
        true => transport::stored_parents(layer),
        false => Ok(ParentChain::none()),
    }
}

/// Opens one layer by itself, of whatever kind it is: to be put into a [`View`] together with others,
/// also of kinds that this crate does not know.
///
/// # Errors
///
/// As for [`open`].
pub fn open_layer(
    place: &Path,
    access: Access,
    progress: &dyn Progress,
) -> Result<Box<dyn ChainLayer>> {
    if portable::is_layer(place) {
        return open_portable(place);
    }
    if transport::is_layer(place) {
        return transport::chain_layer(place);
    }
    match std::fs::metadata(place) {
        Ok(found) if found.is_file() => Ok(Box::new(open_tar(place, access, progress)?)),
        Ok(found) if found.is_dir() => Err(Error::NoLayer {
            place: place.to_owned(),
        }),
        Ok(_) => Err(Error::NotKept {
            place: place.to_owned(),
        }),
        Err(error) => Err(io_error("open", place)(error)),
    }
}

/// Opens a portable layer; refuses anything else.
pub(crate) fn open_portable(place: &Path) -> Result<Box<dyn ChainLayer>> {
    let layer = PortableLayer::open(place)?;
    let (index, tar) = layer.open_checked()?;
    let content = TarContent::Checked(Arc::new(tar));
    let bound = layer.descriptor().bound.as_ref();
    let has_implied = bound.is_none_or(|bound| bound.implied_directories);
    let layer = IndexedLayer::new(place, index, content, None, has_implied)?;
    Ok(Box::new(layer))
}

/// Indexes a tar in a temporary folder: an uncompressed one by its headers alone, a compressed one
/// while all of it passes.
fn open_tar(place: &Path, access: Access, progress: &dyn Progress) -> Result<IndexedLayer> {
    let of_layer = |error: Error| match error {
        Error::Cancelled => error,
        error => error.of_layer("read", place),
    };
    let file = open_file(place)?;
    let is_compressed = compression_of(place)? != Compression::None;
    let spooled = is_compressed && access == Access::Content;
    let mut scratch = Scratch::new(leftovers::VIEW)?;
    let index = IndexBuilder::create(&scratch.path().join(portable::INDEX_FILE))?;
    let spool = match spooled {
        true => Some(Spool::create(&scratch.path().join(portable::TAR_FILE))?),
        false => None,
    };
    // All files are open: their names are needed no more.
    scratch.hide();
    let read = match (&spool, is_compressed) {
        (None, false) => scan_headers(file, index, progress),
        (None, true) => index_tar(file, index, None, progress),
        (Some(spool), _) => spool.fill(file, index, progress),
    };
    let index = match read {
        _ if progress.is_cancelled() => return Err(Error::Cancelled),
        read => read.map_err(of_layer)?,
    };
    let content = match (spool, is_compressed) {
        (Some(spool), _) => TarContent::Plain(Arc::new(spool.file)),
        (None, false) => TarContent::Plain(Arc::new(open_file(place)?)),
        (None, true) => TarContent::Compressed(place.to_owned()),
    };
    IndexedLayer::new(place, index, content, Some(scratch), true)
}

/// A temporary file for a decompressed tar, read by the handle that it was written with.
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

    fn fill(&self, tar: File, index: IndexBuilder, progress: &dyn Progress) -> Result<Index> {
        let file = self.file.try_clone();
        let sink = TarSink::to_temporary(file.map_err(io_error("open", &self.path))?)?;
        let read = index_tar(tar, index, Some(&sink), progress);
        let written = sink.finish()?.map_err(io_error("write", &self.path));
        // A full disk shows on the reading side as well; the writing side knows why.
        written.and(read)
    }
}

fn index_tar(
    file: File,
    index: IndexBuilder,
    spool: Option<&TarSink>,
    progress: &dyn Progress,
) -> Result<Index> {
    let counter = Arc::new(AtomicU64::new(0));
    let counting = Counting::new(file, Arc::clone(&counter));
    let open = move || Decoder::new(counting);
    let mut input = ReadAhead::start(open, counter, spool, progress)?;
    let scanned = scan(&mut input, index, progress);
    match scanned {
        Ok((_, index)) => input.finish().map(|_| index),
        Err(error) => {
            input.abandon();
            Err(error)
        }
    }
}

fn open_file(path: &Path) -> Result<File> {
    File::open(path).map_err(io_error("open", path))
}

pub(super) fn compression_of(place: &Path) -> Result<Compression> {
    let mut start = Vec::new();
    let file = File::open(place).map_err(io_error("open", place))?;
    let read = file.take(4).read_to_end(&mut start);
    read.map_err(io_error("read", place))?;
    Ok(Compression::sniff(&start))
}
