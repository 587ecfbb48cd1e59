//! Writes one file of the layer on the host.
//!
//! A file is created at its first byte, or at its end, when it is clear that it is not a link. A
//! file that fails halfway is deleted. Closing a file is checked, but files are not flushed: as
//! with `cp` and `tar`, an extraction can be repeated after a crash.

use std::io::{self, Seek, SeekFrom, Write};
use std::sync::Arc;

use ntmeta::FileAttributes;

use super::keep::{Keeper, make_read_only, set_file_times};
use super::place::{Folder, Ground};
use super::report::{Extracted, Loss};
use super::stream::{Content, Metadata, Taker};
use super::symlink::PendingSymlink;
use super::tally::Tally;
use crate::error::Result;
use crate::hub::FileEntry;
use crate::place::disk;

/// A file to write.
pub(super) struct FileJob {
    pub(super) entry: FileEntry,
    /// The directory of the file.
    pub(super) parent: Arc<Folder>,
}

/// The state of one thread, and its report.
pub(super) struct Maker {
    pub(super) ground: Arc<Ground>,
    pub(super) keeper: Keeper,
    pub(super) report: Tally,
    pub(super) symlinks: Vec<PendingSymlink>,
}

/// A file that is being written.
pub(super) struct NewFile<'a> {
    job: &'a FileJob,
    taker: Taker,
    target: Target<'a>,
}

/// The file on the host, once it exists.
struct Target<'a> {
    job: &'a FileJob,
    ground: &'a Ground,
    made: Option<Made>,
    /// Bytes of content written.
    bytes: u64,
}

struct Made {
    file: std::fs::File,
    name: String,
    /// Where the next byte goes without a seek.
    position: u64,
    /// The end of the content so far.
    end: u64,
}

impl<'a> NewFile<'a> {
    pub(super) fn new(job: &'a FileJob, ground: &'a Ground) -> Self {
        Self {
            job,
            taker: Taker::default(),
            target: Target {
                job,
                ground,
                made: None,
                bytes: 0,
            },
        }
    }

    /// Takes the next bytes of the backup stream.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<()> {
        let taken = self.taker.take(bytes, &mut self.target);
        taken.map_err(self.target.ground.error("extract", &self.job.entry.path))
    }

    /// Completes the file.
    pub(super) fn finish(
        mut self,
        keeper: Keeper,
        report: &mut Extracted,
    ) -> Result<Option<PendingSymlink>> {
        let (job, ground) = (self.job, self.target.ground);
        let failed = || ground.error("extract", &job.entry.path);
        let metadata = std::mem::take(&mut self.taker).finish().map_err(failed())?;
        if self.target.made.is_none()
            && let Some(link) = PendingSymlink::of(&job.entry, &metadata)
        {
            keeper.keep(None, &link.path, &link.basic_info, &metadata, report);
            return Ok(Some(link));
        }
        self.target
            .complete(keeper, &metadata, report)
            .map_err(failed())?;
        Ok(None)
    }
}

impl Target<'_> {
    fn made(&mut self) -> io::Result<&mut Made> {
        if self.made.is_none() {
            let (file, name) = self.ground.create(&self.job.parent, &self.job.entry.path)?;
            self.made = Some(Made {
                file: file.into_std(),
                name,
                position: 0,
                end: 0,
            });
        }
        self.made
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Sets everything that comes after the content.
    fn complete(
        &mut self,
        keeper: Keeper,
        metadata: &Metadata,
        report: &mut Extracted,
    ) -> io::Result<()> {
        let entry = &self.job.entry;
        let made = self.made()?;
        if entry.size > made.end {
            made.file.set_len(entry.size)?;
        }
        let (path, info) = (&entry.path, &entry.basic_info);
        let has_times = keeper.keep(Some(&made.file), path, info, metadata, report);
        if !set_file_times(&made.file, info) && !has_times {
            report.lost(Loss::LastTimes, 16, || path.to_string());
        }
        if info.attributes.contains(FileAttributes::READONLY)
            && make_read_only(&made.file).is_err()
            && !keeper.wants_xattrs()
        {
            report.lost(Loss::Attributes, 4, || path.to_string());
        }
        keeper.keep_reparse(Some(&made.file), path, &metadata.reparse, report);
        if made.name.as_bytes() != entry.path.file_name() {
            report.renamed(&entry.path, &made.name);
        }
        if let Some(made) = self.made.take() {
            let closed = disk::close(made.file);
            // The file may be incomplete: network file systems and quotas report errors here.
            closed.inspect_err(|_| delete(self.job, &made.name))?;
        }
        report.files += 1;
        report.bytes += self.bytes;
        Ok(())
    }
}

impl Content for Target<'_> {
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let attributes = self.job.entry.basic_info.attributes;
        let made = self.made()?;
        // Readers may return holes as zeros.
        if attributes.contains(FileAttributes::SPARSE_FILE) && bytes.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        if made.position != offset {
            made.file.seek(SeekFrom::Start(offset))?;
        }
        made.file.write_all(bytes)?;
        made.position = offset + bytes.len() as u64;
        made.end = made.end.max(made.position);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Deletes a file that was not completed.
impl Drop for Target<'_> {
    fn drop(&mut self) {
        if let Some(made) = self.made.take() {
            drop(made.file);
            delete(self.job, &made.name);
        }
    }
}

/// Deletes a file after an error or a cancellation, which is what gets reported.
fn delete(job: &FileJob, name: &str) {
    let _ = job.parent.dir.remove_file(name);
}

impl Maker {
    /// Writes a file from its whole backup stream.
    pub(super) fn make(&mut self, job: &FileJob, stream: &[u8]) -> Result<()> {
        let ground = Arc::clone(&self.ground);
        let mut file = NewFile::new(job, &ground);
        file.take(stream)?;
        self.finish(file)
    }

    /// Completes a file.
    pub(super) fn finish(&mut self, file: NewFile<'_>) -> Result<()> {
        let link = file.finish(self.keeper, &mut self.report.own)?;
        self.symlinks.extend(link);
        Ok(())
    }
}
