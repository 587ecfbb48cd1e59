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

use super::chain_layer::chain_layer;
use super::descriptor::{BoundFiles, FORMAT_VERSION, LayerDescriptor, ParentRecord, SourceBlob};
use super::layer::{PortableLayer, canonical};
use super::{DESCRIPTOR_FILE, INDEX_FILE, TAR_FILE, parents};
use crate::check::check;
use crate::compression::{Compression, Decoder};
use crate::digest::{DiffId, Digest, Hashing};
use crate::error::PortableError;
use crate::error::{Error, Result, io_error};
use crate::hub::{Progress, poll};
use crate::index::{Index, IndexBuilder, Scanned, scan, store_block_sums};
use crate::layout;
use crate::parent_chain::ParentChain;
use crate::pipeline::Summing;
use crate::pipeline::{Counting, ReadAhead, TarSink};
use crate::place::{FORMAT, Staging, Written};
use crate::tar::check_diff_id;
use crate::view::View;

/// How to import a portable layer. The other imports have options of the same shape:
/// `transport::ImportOptions` and `hcs::ImportOptions`.
///
/// ```
/// use wclayer::ParentChain;
/// use wclayer::portable::ImportOptions;
///
/// let options = ImportOptions::default()
///     .parents(ParentChain::from_nearest_first(["layers/base"]))
///     .replace(true);
/// assert_eq!(options.expected_diff_id, None);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The parent layers; none for a base layer. When only the nearest is given, its own parents
    /// complete the chain.
    pub parents: ParentChain,
    /// What the uncompressed tar must hash to.
    pub expected_diff_id: Option<DiffId>,
    /// Whether an existing layer at the destination is replaced.
    pub replace: bool,
}

setters!(ImportOptions { parents: ParentChain, replace: bool } into { expected_diff_id: Option<DiffId> });

/// Imports a layer tar (plain, gzip or zstd) to a folder that does not exist yet.
///
/// The folder appears whole, with everything on disk, or not at all. Bytes after the end of the
/// tar are kept: they are part of its DiffID.
///
/// ```
/// use std::fs::File;
/// use wclayer::ParentChain;
/// use wclayer::portable::{self, ImportOptions};
///
/// let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample");
/// let layers = tempfile::tempdir()?;
/// let [base, app] = ["base", "app"].map(|name| layers.path().join(name));
/// let tar = File::open(format!("{sample}/base.tar.gz"))?;
/// portable::import(tar, &base, &ImportOptions::default(), &())?;
///
/// let options = ImportOptions::default().parents(ParentChain::from_nearest_first([base]));
/// let tar = File::open(format!("{sample}/app.tar.gz"))?;
/// let layer = portable::import(tar, app, &options, &())?;
/// assert_eq!(layer.parents().len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
        .map_err(|error| error.of_layer("import", destination))
}

/// The parents of the layer that is being made.
pub(super) struct Parents {
    pub(super) chain: Vec<PathBuf>,
    pub(super) records: Vec<ParentRecord>,
    /// What they have together; `None` without any.
    pub(super) view: Option<View>,
}

impl Parents {
    /// Opens every parent of the layer at `destination`, and checks that they are a chain.
    pub(super) fn open(given: &ParentChain, destination: &Path) -> Result<Self> {
        let mut parents = Self {
            chain: Vec::new(),
            records: Vec::new(),
            view: None,
        };
        let Some(nearest) = given.nearest() else {
            return Ok(parents);
        };
        let layer = PortableLayer::open(nearest)?;
        let rest = ParentChain::from_nearest_first(given.iter_nearest_first().skip(1));
        let rest = match rest.is_empty() {
            true => {
                // Before any of them is opened: there may be very many.
                check_chain(&canonical(layer.parents()), nearest, destination)?;
                layer.checked_parents()?
            }
            false => layer.parents_given(&rest)?,
        };
        let all = [nearest].into_iter().chain(rest.iter_nearest_first());
        parents.chain = canonical(&ParentChain::from_nearest_first(all));
        check_chain(&parents.chain, nearest, destination)?;
        let destination = without_links(destination);
        for path in &parents.chain {
            let layer = PortableLayer::open(path)?;
            let diff_id = layer.descriptor().diff_id;
            parents
                .records
                .push(parents::record(&destination, path, diff_id));
        }
        let layers = parents.chain.iter().map(|path| chain_layer(path));
        parents.view = Some(View::new(layers.collect::<Result<_>>()?));
        Ok(parents)
    }
}

/// Resolves the links on the way to a place where nothing may be yet.
fn without_links(place: &Path) -> PathBuf {
    let folder = place
        .parent()
        .and_then(|folder| dunce::canonicalize(folder).ok());
    match (folder, place.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => place.to_owned(),
    }
}

/// Refuses what is not a chain: with a relative path, with a layer twice, with the layer that is
/// being made.
fn check_chain(chain: &[PathBuf], nearest: &Path, destination: &Path) -> Result<()> {
    let mut known: HashSet<_> = dunce::canonicalize(destination).into_iter().collect();
    let is_legal = |path: &PathBuf| path.is_absolute() && known.insert(path.clone());
    if chain.iter().all(is_legal) {
        return Ok(());
    }
    Err(parents::no_chain(nearest))
}

/// A tar that has been read into the index.
pub(super) struct Indexed {
    pub(super) found: Scanned,
    pub(super) index: Index,
    /// The database, by the handle that is to be flushed.
    pub(super) file: (PathBuf, File),
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
        let (tar, diff_id, tar_size, sums) = written?;
        let (indexed, decoder) = read?;
        let compression = decoder.compression();
        let (_, digest, size) = decoder.into_inner().finish();
        let media_type = compression.media_type().to_owned();
        self.complete(
            indexed,
            StoredTar {
                diff_id,
                size: tar_size,
                sums,
                file: (tar_path, tar),
            },
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
        let tar = Summing::new(Counting::new(tar, Arc::clone(&counter)));
        let tar = Hashing::new(tar);
        let mut input = ReadAhead::start(move || Ok(tar), counter, None, self.progress)?;
        let read = match self.index(&mut input) {
            Ok(indexed) => input.finish().map(|tar| (indexed, tar)),
            Err(error) => {
                // Windows does not remove a folder with an open file in it.
                input.abandon();
                Err(error)
            }
        };
        let (indexed, tar) = read?;
        let (tar, digest, size) = tar.finish();
        let media_type = Compression::None.media_type().to_owned();
        self.complete(
            indexed,
            StoredTar {
                diff_id: DiffId::of_tar(digest),
                size,
                sums: tar.finish(),
                file: written,
            },
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
        tar: StoredTar,
        source: SourceBlob,
    ) -> Result<PortableLayer> {
        check_diff_id(self.options.expected_diff_id, tar.diff_id, source.digest)?;
        check(&indexed.index, self.parents.view.as_ref(), self.progress)?;
        let (descriptor, written) =
            complete_files(&self.staging, indexed, tar, source, &self.parents)?;
        poll(self.progress)?;
        let path = self.staging.commit(Written::Files(written))?;
        // Not opened again: nothing may fail any more.
        let parents = ParentChain::from_nearest_first(self.parents.chain);
        Ok(PortableLayer::imported(path, descriptor, parents))
    }
}

/// A layer tar in a folder under construction.
pub(super) struct StoredTar {
    pub(super) diff_id: DiffId,
    pub(super) size: u64,
    /// The checksums of its blocks.
    pub(super) sums: Vec<u64>,
    /// The tar, by the handle that is to be flushed.
    pub(super) file: (PathBuf, File),
}

/// Completes the index in a folder under construction and writes the two small files; returns the
/// descriptor and all four files, by the handles that are to be flushed.
pub(super) fn complete_files(
    staging: &Staging,
    indexed: Indexed,
    tar: StoredTar,
    source: SourceBlob,
    parents: &Parents,
) -> Result<(LayerDescriptor, Vec<(PathBuf, File)>)> {
    let Indexed { found, index, file } = indexed;
    let implied_directories = index.has_orphans()?;
    // It is written once more. And Windows neither renames nor removes a folder with an open file
    // in it.
    drop(index);
    store_block_sums(&file.0, &tar.sums)?;
    let write = |name: &str, text: serde_json::Result<Vec<u8>>| {
        let (path, mut file) = staging.create_file(name)?;
        let text = text.map_err(|source| PortableError::Json {
            path: path.clone(),
            source: source.into(),
        })?;
        file.write_all(&text).map_err(io_error("write", &path))?;
        Ok::<_, Error>((Digest::of(&text), (path, file)))
    };
    let chain = Some(&parents.chain).filter(|chain| !chain.is_empty());
    let chain = serde_json::to_vec_pretty(&chain).map(|mut text| {
        text.push(b'\n');
        text
    });
    let (layer_chain, chain_file) = write(layout::LAYER_CHAIN, chain)?;
    let descriptor = LayerDescriptor {
        format: FORMAT.to_owned(),
        version: FORMAT_VERSION,
        diff_id: tar.diff_id,
        tar_size: tar.size,
        source,
        entries: found.counts,
        content_size: found.content_size,
        warnings: found.warnings,
        bound: Some(BoundFiles {
            index: Index::seal(&file.0)?,
            implied_directories,
            layer_chain,
            parents: parents.records.clone(),
        }),
    };
    let (_, descriptor_file) = write(DESCRIPTOR_FILE, descriptor.to_file())?;
    Ok((
        descriptor,
        vec![tar.file, file, descriptor_file, chain_file],
    ))
}
