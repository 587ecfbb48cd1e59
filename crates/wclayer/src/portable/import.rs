//! [`import`]: a layer tar into a portable layer, in one pass.
//!
//! ```text
//! source → digest → decompress ─┬→ DiffID → layer.tar      (a thread each for the two ends)
//!                               └→ entries → content hashes → index
//! ```

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::check::check;
use super::descriptor::{FORMAT, FORMAT_VERSION, LayerDescriptor, SourceBlob};
use super::error::PortableError;
use super::layer::{PortableLayer, canonical, list};
use super::staging::{Staging, Written};
use super::{DESCRIPTOR_FILE, INDEX_FILE, TAR_FILE};
use crate::chain::{ParentChain, View, open_portable};
use crate::compression::{Compression, Decoder};
use crate::digest::{DiffId, Hashing};
use crate::error::{Error, Result, io_error};
use crate::hub::Progress;
use crate::index::{Index, IndexBuilder, Scanned, scan};
use crate::layout;
use crate::pipeline::{Counting, ReadAhead, TarSink};
use crate::tar::check_diff_id;

/// How a layer is to be imported.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The parent layers; none for a base layer. When only the nearest is given, its own parents
    /// complete the chain.
    pub parents: ParentChain,
    /// What the uncompressed tar must hash to.
    pub expected_diff_id: Option<DiffId>,
    /// Whether an existing layer at the destination is replaced.
    pub replace: bool,
}

/// Imports a layer tar (plain, gzip or zstd) to a folder that does not exist yet.
///
/// The folder appears whole, with everything on disk, or not at all. Bytes behind the end of the
/// tar are kept: they are part of its DiffID.
///
/// # Errors
///
/// [`Error::Layer`] around the reason: an input that cannot be read or is no layer tar, a rule
/// that the layer breaks, another DiffID than expected, parents that are no layers, a destination
/// that exists or is being imported to, a full disk, or [`Error::Cancelled`].
pub fn import<R: Read + Send + 'static>(
    source: R,
    destination: impl AsRef<Path>,
    options: &ImportOptions,
    progress: &dyn Progress,
) -> Result<PortableLayer> {
    let destination = destination.as_ref();
    let counter = Arc::new(AtomicU64::new(0));
    let source = Counting::new(source, Arc::clone(&counter));
    Staging::create(destination, options.replace)
        .and_then(|staging| {
            let parents = Parents::open(&options.parents, staging.destination())?;
            Import {
                staging,
                parents,
                options,
                progress,
            }
            .run(source, counter)
        })
        .map_err(|error| match error {
            Error::Cancelled => error,
            error => error.of_layer("import", destination),
        })
}

/// The parents of the layer that is being made.
pub(super) struct Parents {
    chain: Vec<PathBuf>,
    /// What they have together; `None` without any.
    view: Option<View>,
}

impl Parents {
    /// Opens every parent of the layer at `destination`, and checks that they are a chain.
    pub(super) fn open(given: &ParentChain, destination: &Path) -> Result<Self> {
        let Some(nearest) = given.nearest() else {
            return Ok(Self {
                chain: Vec::new(),
                view: None,
            });
        };
        let layer = PortableLayer::open(nearest)?;
        let mut chain = vec![dunce::canonicalize(nearest).map_err(io_error("resolve", nearest))?];
        let own = canonical(layer.parents());
        if given.len() > 1 && canonical(given)[1..] != own[..] {
            let rest = ParentChain::from_nearest_first(given.iter_nearest_first().skip(1));
            return Err(PortableError::ParentMismatch {
                layer: nearest.to_owned(),
                expected: list(layer.parents()),
                given: list(&rest),
            }
            .into());
        }
        chain.extend(own);
        check_chain(&chain, nearest, destination)?;
        let layers = chain.iter().map(|path| open_portable(path));
        Ok(Self {
            view: Some(View::new(layers.collect::<Result<_>>()?)),
            chain,
        })
    }
}

/// Refuses chains that are none: with a relative path, with a layer twice, with the layer that is
/// being made.
fn check_chain(chain: &[PathBuf], nearest: &Path, destination: &Path) -> Result<()> {
    let mut known: HashSet<_> = dunce::canonicalize(destination).into_iter().collect();
    let is_legal = |path: &PathBuf| path.is_absolute() && known.insert(path.clone());
    if chain.iter().all(is_legal) {
        return Ok(());
    }
    Err(PortableError::Chain {
        layer: nearest.to_owned(),
    }
    .into())
}

/// A tar that has been read into the index.
struct Indexed {
    found: Scanned,
    index: Index,
    /// The database, by the handle that is to be flushed.
    file: (PathBuf, File),
}

/// An import under way.
pub(super) struct Import<'a> {
    pub(super) staging: Staging,
    pub(super) parents: Parents,
    pub(super) options: &'a ImportOptions,
    pub(super) progress: &'a dyn Progress,
}

impl Import<'_> {
    fn run<R: Read + Send + 'static>(
        self,
        source: R,
        counter: Arc<AtomicU64>,
    ) -> Result<PortableLayer> {
        let (tar_path, tar) = self.staging.create_file(TAR_FILE)?;
        let sink = TarSink::to_disk(tar)?;
        let open = move || Decoder::new(Hashing::new(source));
        let mut input = ReadAhead::start(open, counter, Some(&sink), self.progress)?;
        let parsed = self.index(&mut input);
        let read = parsed.and_then(|found| Ok((found, input.finish()?)));
        // A full disk shows on the reading side as well; the writing side knows the reason.
        let written = sink.finish()?.map_err(io_error("write", &tar_path));
        if self.progress.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let (tar, diff_id, tar_size) = written?;
        let (indexed, decoder) = read?;
        let compression = decoder.compression();
        let (_, digest, size) = decoder.into_inner().finish();
        let media_type = compression.media_type().to_owned();
        self.complete(
            indexed,
            (tar_path, tar),
            diff_id,
            tar_size,
            SourceBlob {
                digest,
                size,
                media_type,
            },
        )
    }

    /// Completes a layer whose tar has been written to its place in the staging folder, by this
    /// handle.
    pub(super) fn run_stored(self, written: (PathBuf, File)) -> Result<PortableLayer> {
        let tar = File::open(&written.0).map_err(io_error("open", &written.0))?;
        let counter = Arc::new(AtomicU64::new(0));
        let tar = Hashing::new(Counting::new(tar, Arc::clone(&counter)));
        let mut input = ReadAhead::start(move || Ok(tar), counter, None, self.progress)?;
        let read = match self.index(&mut input) {
            Ok(indexed) => input.finish().map(|tar| (indexed, tar)),
            Err(error) => {
                // Windows does not remove a folder with an open file in it.
                input.abandon();
                Err(error)
            }
        };
        if self.progress.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let (indexed, tar) = read?;
        let (_, digest, size) = tar.finish();
        let media_type = Compression::None.media_type().to_owned();
        self.complete(
            indexed,
            written,
            digest,
            size,
            SourceBlob {
                digest,
                size,
                media_type,
            },
        )
    }

    /// Reads all entries into the index, and the input to its end.
    fn index<R: Read + Send + 'static>(&self, input: &mut ReadAhead<'_, R>) -> Result<Indexed> {
        // SQLite writes through a handle of its own and flushes nothing. This one is opened before
        // and flushed in the end, so that it is told of every page that could not be written.
        let (path, file) = self.staging.create_file(INDEX_FILE)?;
        let (found, index) = scan(input, IndexBuilder::create(&path)?, self.progress)?;
        Ok(Indexed {
            found,
            index,
            file: (path, file),
        })
    }

    /// Checks the layer, writes its two small files and puts it in place.
    fn complete(
        self,
        indexed: Indexed,
        tar: (PathBuf, File),
        diff_id: DiffId,
        tar_size: u64,
        source: SourceBlob,
    ) -> Result<PortableLayer> {
        let Indexed { found, index, file } = indexed;
        check_diff_id(self.options.expected_diff_id, diff_id, source.digest)?;
        check(&index, self.parents.view.as_ref(), self.progress)?;
        // Windows neither renames nor removes a folder with an open file in it.
        drop(index);
        let descriptor = LayerDescriptor {
            format: FORMAT.to_owned(),
            version: FORMAT_VERSION,
            diff_id,
            tar_size,
            source,
            entries: found.counts,
            content_size: found.content_size,
            warnings: found.warnings,
        };
        let chain = Some(&self.parents.chain).filter(|chain| !chain.is_empty());
        let written = vec![
            tar,
            file,
            self.write_json(DESCRIPTOR_FILE, &descriptor)?,
            self.write_json(layout::LAYER_CHAIN, &chain)?,
        ];
        if self.progress.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let path = self.staging.commit(Written::Files(written))?;
        // Not opened again: nothing may fail any more.
        let parents = ParentChain::from_nearest_first(self.parents.chain);
        Ok(PortableLayer::imported(path, descriptor, parents))
    }

    fn write_json(&self, name: &str, value: &impl serde::Serialize) -> Result<(PathBuf, File)> {
        let (path, mut file) = self.staging.create_file(name)?;
        let mut text = serde_json::to_vec_pretty(value).map_err(|source| PortableError::Json {
            path: path.clone(),
            source,
        })?;
        text.push(b'\n');
        file.write_all(&text).map_err(io_error("write", &path))?;
        Ok((path, file))
    }
}
