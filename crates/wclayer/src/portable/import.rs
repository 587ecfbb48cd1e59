//! [`import`]: a layer tar into a portable layer, in one pass.
//!
//! ```text
//! source → digest → decompress ─┬→ DiffID → layer.tar      (a thread each for the two ends)
//!                               └→ entries → content hashes → index
//! ```

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::check::check;
use super::descriptor::{
    BoundFiles, FORMAT, FORMAT_VERSION, LayerDescriptor, ParentRecord, SourceBlob,
};
use super::error::PortableError;
use super::layer::{PortableLayer, canonical, verify};
use super::staging::Staging;
use super::{DESCRIPTOR_FILE, FILES, INDEX_FILE, TAR_FILE, parents};
use crate::chain::ParentChain;
use crate::compression::{Compression, Decoder};
use crate::digest::{DiffId, Digest, Hashing};
use crate::error::{Error, Result, io_error};
use crate::hub::Progress;
use crate::index::{Index, Scanned, Summing, scan, store_block_sums};
use crate::layout;
use crate::pipeline::{Counting, ReadAhead, TarSink};

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
        .and_then(PortableLayer::open)
        .map_err(|error| match error {
            Error::Cancelled => error,
            error => error.of_layer("import", destination),
        })
}

/// The parents of the layer that is being made.
pub(super) struct Parents {
    pub(super) chain: Vec<PathBuf>,
    pub(super) records: Vec<ParentRecord>,
    pub(super) indexes: Vec<Index>,
}

impl Parents {
    /// Opens every parent of the layer at `destination`, and checks that they are a chain.
    pub(super) fn open(given: &ParentChain, destination: &Path) -> Result<Self> {
        let mut parents = Self {
            chain: Vec::new(),
            records: Vec::new(),
            indexes: Vec::new(),
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
            parents.indexes.push(layer.index()?);
            parents
                .records
                .push(parents::record(&destination, path, diff_id));
        }
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

/// An import under way.
pub(super) struct Import<'a> {
    pub(super) staging: Staging,
    pub(super) parents: Parents,
    pub(super) options: &'a ImportOptions,
    pub(super) progress: &'a dyn Progress,
}

impl Import<'_> {
    fn run<R: Read + Send + 'static>(self, source: R, counter: Arc<AtomicU64>) -> Result<PathBuf> {
        let tar_path = self.staging.path().join(TAR_FILE);
        let tar = File::create_new(&tar_path).map_err(io_error("create", &tar_path))?;
        let sink = TarSink::start(tar);
        let open = move || Decoder::new(Hashing::new(source));
        let mut input = ReadAhead::start(open, counter, Some(&sink), self.progress);
        let parsed = self.index(&mut input);
        let read = parsed.and_then(|found| Ok((found, input.finish()?)));
        // A full disk shows on the reading side as well; the writing side knows the reason.
        let written = sink.finish()?.map_err(io_error("write", &tar_path));
        if self.progress.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let (_, diff_id, tar_size, sums) = written?;
        let ((found, index), decoder) = read?;
        let compression = decoder.compression();
        let (_, digest, size) = decoder.into_inner().finish();
        let media_type = compression.media_type().to_owned();
        self.complete(
            found,
            index,
            StoredTar {
                diff_id,
                size: tar_size,
                sums,
            },
            SourceBlob {
                digest,
                size,
                media_type,
            },
        )
    }

    /// Completes a layer whose tar has been written to its place in the staging folder.
    pub(super) fn run_stored(self) -> Result<PathBuf> {
        let tar_path = self.staging.path().join(TAR_FILE);
        let tar = File::open(&tar_path).map_err(io_error("open", &tar_path))?;
        let counter = Arc::new(AtomicU64::new(0));
        let tar = Summing::new(Counting::new(tar, Arc::clone(&counter)));
        let tar = Hashing::new(tar);
        let mut input = ReadAhead::start(move || Ok(tar), counter, None, self.progress);
        let read = match self.index(&mut input) {
            Ok(found) => input.finish().map(|tar| (found, tar)),
            Err(error) => {
                // Windows does not remove a folder with an open file in it.
                input.abandon();
                Err(error)
            }
        };
        if self.progress.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let ((found, index), tar) = read?;
        let (tar, digest, size) = tar.finish();
        let media_type = Compression::None.media_type().to_owned();
        self.complete(
            found,
            index,
            StoredTar {
                diff_id: digest,
                size,
                sums: tar.finish(),
            },
            SourceBlob {
                digest,
                size,
                media_type,
            },
        )
    }

    /// Reads all entries into the index, and the input to its end.
    fn index<R: Read + Send + 'static>(
        &self,
        input: &mut ReadAhead<'_, R>,
    ) -> Result<(Scanned, Index)> {
        scan(input, &self.staging.path().join(INDEX_FILE), self.progress)
    }

    /// Checks the layer, writes its two small files and puts it in place.
    fn complete(
        self,
        found: Scanned,
        index: Index,
        tar: StoredTar,
        source: SourceBlob,
    ) -> Result<PathBuf> {
        if let Some(expected) = self.options.expected_diff_id {
            verify("DiffID", expected, tar.diff_id)?;
        }
        check(&index, &self.parents.indexes, self.progress)?;
        write_small_files(
            self.staging.path(),
            found,
            index,
            tar,
            source,
            &self.parents,
        )?;
        if self.progress.is_cancelled() {
            return Err(Error::Cancelled);
        }
        self.staging.commit(Some(&FILES))
    }
}

/// What was found out about a layer tar on its way to its place.
pub(super) struct StoredTar {
    pub(super) diff_id: DiffId,
    pub(super) size: u64,
    /// The sums of its blocks.
    pub(super) sums: Vec<u64>,
}

/// Completes the index in a folder under construction, and writes the two small files.
pub(super) fn write_small_files(
    folder: &Path,
    found: Scanned,
    index: Index,
    tar: StoredTar,
    source: SourceBlob,
    parents: &Parents,
) -> Result<()> {
    let implied_directories = index.has_orphans()?;
    // It is written once more. And Windows neither renames nor removes a folder with an open file
    // in it.
    drop(index);
    let index_path = folder.join(INDEX_FILE);
    store_block_sums(&index_path, &tar.sums)?;
    let write = |name: &str, text: serde_json::Result<Vec<u8>>| {
        let path = folder.join(name);
        let text = text.map_err(|source| PortableError::Json {
            path: path.clone(),
            source,
        })?;
        fs::write(&path, &text).map_err(io_error("write", &path))?;
        Ok::<_, Error>(Digest::of(&text))
    };
    let chain = Some(&parents.chain).filter(|chain| !chain.is_empty());
    let chain = serde_json::to_vec_pretty(&chain).map(|mut text| {
        text.push(b'\n');
        text
    });
    let layer_chain = write(layout::LAYER_CHAIN, chain)?;
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
            index: Index::seal(&index_path)?,
            implied_directories,
            layer_chain,
            parents: parents.records.clone(),
        }),
    };
    write(DESCRIPTOR_FILE, descriptor.to_file()).map(drop)
}
