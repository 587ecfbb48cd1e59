//! Extracts a layer as plain files.
//!
//! ```text
//! LayerReader ─ hub::copy ─ ExtractWriter ─┬─ directories, one after the other
//!                                          ├─ batches of small files ─→ threads ─→ files
//!                                          ├─ pieces of a large file ─→ one thread
//!                                          └─ at the end: hard links, symbolic links, times
//! ```
//!
//! The behaviour is that of `tar -x`: existing directories are used; files and links in the way are
//! replaced by new ones, never written to; a directory in the way of a file is an error, and so is
//! a file of the layer in the way of a directory. The read-only attribute removes the write
//! permission of a file (on Unix; such files can still be deleted). The times of last write and
//! access are set if the layer has them.
//!
//! **Nothing outside the folder is touched**, whatever is in the layer, and whatever is in the
//! folder or appears there: each call uses a single name in an open directory that was not reached
//! through a link (`place`, `walk`). Links are created last (`links`).
//!
//! **Nothing is lost silently**: [`Extracted`] counts and names everything that the host does not
//! keep. With [`ExtractOptions::xattrs`], metadata is kept in extended attributes (`keep`).
//!
//! After an error, or if it is dropped early, the writer leaves the complete files and deletes the
//! incomplete one. Links and the times of directories are missing then.
//!
//! Memory: a few MiB for content, a record for each directory, hard link and symbolic link, and 8
//! to 16 bytes for each file. Open directories: up to a few hundred, however deep the layer is.
//!
//! A source must give each path once, as [`View::reader`](crate::view::View::reader) does. If the
//! host does not distinguish two names of the layer, the second gets another name.

mod file;
mod first;
mod keep;
mod links;
mod made;
mod names;
mod place;
mod report;
mod stream;
mod symlink;
mod tally;
mod walk;
mod workers;

use std::path::Path;
use std::sync::Arc;

use ntmeta::FileAttributes;

use self::file::FileJob;
use self::keep::Keeper;
use self::links::{Links, PendingDirectory};
use self::place::Ground;
use self::report::Why;
use self::stream::{NoContent, Taker, Value};
use self::symlink::PendingSymlink;
use self::tally::Tally;
use self::walk::Places;
use self::workers::Workers;
use crate::error::{Error, Result};
use crate::hub::{FileEntry, LayerWriter, LinkEntry};
use crate::layer::LostEntry;
use crate::path::LayerPath;
use crate::rules::Breach;

pub use self::first::First;
pub use self::names::{NameRules, host_name, real_name};
pub use self::report::{Extracted, Listed, Loss, Lost, NotMade, Reason, Renamed};
pub use self::tally::SoFar;

/// The limit on reparse data of directories that is held in memory until it can be set, in bytes.
const MAX_WAITING: usize = 16 << 20;

/// How to extract a layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtractOptions {
    /// Whether to keep metadata in extended attributes.
    pub xattrs: bool,
}

setters!(ExtractOptions { xattrs: bool });

/// Writes a layer as plain files.
///
/// ```
/// use wclayer::source::{self, OpenOptions};
/// use wclayer::extract::{ExtractOptions, ExtractWriter};
///
/// let layer = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample/base.tar.gz");
/// let view = source::open(layer, &OpenOptions::default(), &())?;
/// let out = tempfile::tempdir()?;
/// let writer = ExtractWriter::new(out.path(), ExtractOptions::default())?;
/// let extracted = wclayer::hub::copy(&mut view.reader(&[]), writer, &())?;
/// assert!(extracted.files > 0 && out.path().join("Files").is_dir());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ExtractWriter {
    ground: Arc<Ground>,
    places: Places,
    keeper: Keeper,
    workers: Workers,
    /// The directory whose backup stream is being written.
    directory: Option<(FileEntry, Taker)>,
    links: Vec<LinkEntry>,
    symlinks: Vec<PendingSymlink>,
    directories: Vec<PendingDirectory>,
    /// Bytes of reparse data in `directories`.
    waiting: usize,
    report: Tally,
}

impl ExtractWriter {
    /// Starts to extract into `folder`, which is created if necessary.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be created or written to.
    pub fn new(folder: impl AsRef<Path>, options: ExtractOptions) -> Result<Self> {
        let (ground, root) = Ground::open(folder.as_ref())?;
        let keeper = Keeper::new(&root.dir, options.xattrs);
        Ok(Self {
            workers: Workers::start(&ground, keeper)?,
            places: Places::new(Arc::clone(&ground), root),
            report: Tally::new(&ground),
            ground,
            keeper,
            directory: None,
            links: Vec::new(),
            symlinks: Vec::new(),
            directories: Vec::new(),
            waiting: 0,
        })
    }

    /// Returns a handle that reports what was extracted, even after a failure.
    pub fn so_far(&self) -> SoFar {
        SoFar(Arc::clone(&self.ground))
    }

    /// Adds an entry that the reader of the layer leaves out to the report.
    /// [`View::for_each_lost`](crate::view::View::for_each_lost) finds such entries.
    pub fn leave_out(&mut self, lost: &LostEntry) {
        let (target, reason) = match &lost.rule {
            Breach::BelowFile { file: above }
            | Breach::BelowReparsePoint {
                reparse_point: above,
            } => (above.to_string(), Reason::NotInDirectory),
            _ => (String::new(), Reason::PlaceTaken),
        };
        let why = Why {
            reason,
            cause: Some(lost.rule.to_string()),
        };
        self.report.own.not_made(&lost.path, &target, why);
    }

    /// Creates the directory whose backup stream has ended, if there is one.
    fn end_directory(&mut self) -> Result<()> {
        let Some((entry, taker)) = self.directory.take() else {
            return Ok(());
        };
        let failed = || self.ground.error("extract", &entry.path);
        let metadata = taker.finish().map_err(failed())?;
        let (path, info) = (&entry.path, &entry.basic_info);
        if let Some(link) = PendingSymlink::of(&entry, &metadata) {
            self.keeper
                .keep(None, path, info, &metadata, &mut self.report.own);
            self.symlinks.push(link);
            return Ok(());
        }
        let folder = self.places.directory(path, &mut self.report.own)?;
        // Opened again for its attributes: the handle only allows lookups of names.
        let object = match self.keeper.wants_xattrs() {
            true => folder.dir.open(".").ok().map(cap_std::fs::File::into_std),
            false => None,
        };
        let report = &mut self.report.own;
        let has_times = self
            .keeper
            .keep(object.as_ref(), path, info, &metadata, report);
        // Set last, because nothing might be created in a reparse point.
        let size = |value: &Value| value.bytes.as_ref().map_or(0, Vec::len);
        let waiting = self.waiting + metadata.reparse.as_ref().map_or(0, size);
        let waits = object.is_some() && waiting <= MAX_WAITING;
        let reparse = metadata.reparse.filter(|reparse| {
            if !waits {
                report.lost(Loss::ReparseData, reparse.size, || path.to_string());
            }
            waits
        });
        if reparse.is_some() {
            self.waiting = waiting;
        }
        self.directories.push(PendingDirectory {
            path: entry.path,
            basic_info: entry.basic_info,
            has_times,
            reparse,
        });
        Ok(())
    }
}

impl LayerWriter for ExtractWriter {
    type Output = Extracted;

    fn add(&mut self, file: &FileEntry) -> Result<()> {
        self.end_directory()?;
        if file
            .basic_info
            .attributes
            .contains(FileAttributes::DIRECTORY)
        {
            self.workers.end_file()?;
            self.directory = Some((file.clone(), Taker::default()));
            return Ok(());
        }
        let parent = self.places.parent(&file.path, &mut self.report.own)?;
        self.workers.add(FileJob {
            entry: file.clone(),
            parent,
        })
    }

    fn write(&mut self, backup_stream: &[u8]) -> Result<()> {
        if let Some((entry, taker)) = &mut self.directory {
            let taken = taker.take(backup_stream, &mut NoContent);
            return taken.map_err(self.ground.error("extract", &entry.path));
        }
        match self.workers.write(backup_stream)? {
            true => Ok(()),
            false => Err(Error::NoCurrentFile),
        }
    }

    fn add_link(&mut self, link: &LinkEntry) -> Result<()> {
        self.end_directory()?;
        self.workers.end_file()?;
        self.links.push(link.clone());
        Ok(())
    }

    fn remove(&mut self, _: &LayerPath) -> Result<()> {
        self.end_directory()?;
        self.workers.end_file()?;
        self.report.own.removals += 1;
        Ok(())
    }

    fn remove_contents(&mut self, directory: &LayerPath) -> Result<()> {
        self.remove(directory)
    }

    fn finish(mut self) -> Result<Extracted> {
        self.end_directory()?;
        let Self {
            ground,
            mut places,
            workers,
            links,
            mut symlinks,
            directories,
            mut report,
            keeper,
            ..
        } = self;
        symlinks.extend(workers.finish()?);
        // Sorted, so that the order does not depend on the threads.
        symlinks.sort_by(|a, b| a.path.cmp(&b.path));
        let mut last = Links {
            ground: &ground,
            places: &mut places,
            report: &mut report.own,
        };
        last.hard_links(links, &mut symlinks)?;
        last.symlinks(&symlinks)?;
        last.directories(keeper, &directories)?;
        drop(report);
        Ok(SoFar(ground).extracted())
    }
}
