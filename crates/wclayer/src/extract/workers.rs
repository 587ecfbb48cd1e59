//! Threads that write files while the caller reads the layer.
//!
//! Small files travel in batches, each batch one buffer of backup streams; a large file goes to one
//! thread piece by piece. All queues are bounded, so the memory depends neither on the layer nor on
//! the size of its files. Files appear in no particular order, because the source gives each path
//! once.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::file::{FileJob, Maker, NewFile};
use super::keep::Keeper;
use super::place::Ground;
use super::symlink::PendingSymlink;
use super::tally::Tally;
use crate::error::{Error, Result};
use crate::resources;

/// The largest small backup stream, in bytes; a batch has up to twice this size.
const SMALL: usize = 512 * 1024;
/// The most files in a batch.
const BATCH: usize = 64;
/// The most directories of these files: each stays open.
const BATCH_DIRECTORIES: usize = 8;
/// The most waiting pieces of a large file.
const PIECES: usize = 4;
/// The most threads.
const MAX_THREADS: usize = 8;

/// The threads, and the batch that is being filled.
pub(super) struct Workers {
    jobs: Option<SyncSender<Job>>,
    threads: Vec<JoinHandle<Maker>>,
    shared: Arc<Shared>,
    batch: Batch,
    current: Current,
}

/// The file whose backup stream is being written.
enum Current {
    None,
    /// Its stream starts at this offset of the batch.
    Small(FileJob, usize),
    Large(SyncSender<Piece>),
}

#[derive(Default)]
struct Batch {
    streams: Vec<u8>,
    files: Vec<(FileJob, Range<usize>)>,
    directories: usize,
}

enum Job {
    Batch(Batch),
    Large(FileJob, Receiver<Piece>),
}

/// A part of a large file. A file without an end was abandoned.
enum Piece {
    Bytes(Vec<u8>),
    End,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    error: Mutex<Option<Error>>,
}

impl Workers {
    pub(super) fn start(ground: &Arc<Ground>, keeper: Keeper) -> Result<Self> {
        let count = thread::available_parallelism().map_or(1, |count| count.get().min(MAX_THREADS));
        let (jobs, queue) = sync_channel(count);
        let queue = Arc::new(Mutex::new(queue));
        let shared = Arc::new(Shared::default());
        let start_one = |_| {
            let (queue, shared) = (Arc::clone(&queue), Arc::clone(&shared));
            let maker = Maker {
                ground: Arc::clone(ground),
                keeper,
                report: Tally::new(ground),
                symlinks: Vec::new(),
            };
            resources::spawn(move || work(maker, &queue, &shared))
        };
        let threads = resources::spawn_some(count, start_one).map_err(Error::Resources)?;
        Ok(Self {
            threads,
            jobs: Some(jobs),
            shared,
            batch: Batch::default(),
            current: Current::None,
        })
    }

    /// Starts a file.
    pub(super) fn add(&mut self, job: FileJob) -> Result<()> {
        self.end_file()?;
        self.current = Current::Small(job, self.batch.streams.len());
        Ok(())
    }

    /// Takes the next bytes of its backup stream; returns `false` if there is no file.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<bool> {
        match std::mem::replace(&mut self.current, Current::None) {
            Current::None => return Ok(false),
            Current::Small(job, start)
                if self.batch.streams.len() - start + bytes.len() <= SMALL =>
            {
                self.batch.streams.extend_from_slice(bytes);
                self.current = Current::Small(job, start);
            }
            Current::Small(job, start) => {
                let begun = self.batch.streams.split_off(start);
                self.send_batch()?;
                let (pieces, receiver) = sync_channel(PIECES);
                self.send(Job::Large(job, receiver))?;
                for bytes in [begun, bytes.to_vec()] {
                    self.send_piece(&pieces, Piece::Bytes(bytes))?;
                }
                self.current = Current::Large(pieces);
            }
            Current::Large(pieces) => {
                self.send_piece(&pieces, Piece::Bytes(bytes.to_vec()))?;
                self.current = Current::Large(pieces);
            }
        }
        Ok(true)
    }

    /// Ends the current file, if there is one.
    pub(super) fn end_file(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.current, Current::None) {
            Current::None => Ok(()),
            Current::Small(job, start) => {
                let batch = &mut self.batch;
                let last = batch.files.last().map(|(last, _)| &last.parent);
                let is_same = last.is_some_and(|last| Arc::ptr_eq(last, &job.parent));
                batch.directories += usize::from(!is_same);
                let end = batch.streams.len();
                batch.files.push((job, start..end));
                let is_full = end >= SMALL
                    || batch.files.len() >= BATCH
                    || batch.directories >= BATCH_DIRECTORIES;
                match is_full {
                    true => self.send_batch(),
                    false => Ok(()),
                }
            }
            Current::Large(pieces) => self.send_piece(&pieces, Piece::End),
        }
    }

    /// Waits until all files are written, and returns the links that are left.
    pub(super) fn finish(mut self) -> Result<Vec<PendingSymlink>> {
        self.end_file()?;
        self.send_batch()?;
        self.jobs = None;
        let mut links = Vec::new();
        for thread in std::mem::take(&mut self.threads) {
            let maker = thread.join().map_err(|_| Error::WorkerLost)?;
            links.extend(maker.symlinks);
        }
        match self.shared.take_error() {
            Some(error) => Err(error),
            None => Ok(links),
        }
    }

    fn send_batch(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        match batch.files.is_empty() {
            true => Ok(()),
            false => {
                self.batch.streams.reserve(batch.streams.len().min(SMALL));
                self.send(Job::Batch(batch))
            }
        }
    }

    fn send(&self, job: Job) -> Result<()> {
        let jobs = self.jobs.as_ref().ok_or(Error::AfterError)?;
        let sent = jobs.send(job);
        self.shared.check()?;
        sent.map_err(|_| Error::WorkerLost)
    }

    fn send_piece(&self, pieces: &SyncSender<Piece>, piece: Piece) -> Result<()> {
        let sent = pieces.send(piece);
        self.shared.check()?;
        sent.map_err(|_| Error::WorkerLost)
    }
}

/// Stops the threads where they are, if dropped early.
impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.jobs = None;
        self.current = Current::None;
        for thread in std::mem::take(&mut self.threads) {
            // Its files are abandoned in any case.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn check(&self) -> Result<()> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(self.take_error().unwrap_or(Error::AfterError)),
            false => Ok(()),
        }
    }

    fn take_error(&self) -> Option<Error> {
        self.error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn fail(&self, error: Error) {
        let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(error);
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Writes files until there are no more or one fails; then drops the rest.
fn work(mut maker: Maker, queue: &Mutex<Receiver<Job>>, shared: &Shared) -> Maker {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return maker };
        if shared.stop.load(Ordering::Relaxed) {
            continue;
        }
        if let Err(error) = carry_out(&mut maker, job, shared) {
            shared.fail(error);
        }
    }
}

fn carry_out(maker: &mut Maker, job: Job, shared: &Shared) -> Result<()> {
    match job {
        Job::Batch(batch) => {
            for (job, range) in &batch.files {
                if shared.stop.load(Ordering::Relaxed) {
                    break;
                }
                maker.make(job, &batch.streams[range.clone()])?;
            }
            Ok(())
        }
        Job::Large(job, pieces) => {
            let ground = Arc::clone(&maker.ground);
            let mut file = NewFile::new(&job, &ground);
            for piece in pieces {
                match piece {
                    Piece::Bytes(bytes) => file.take(&bytes)?,
                    Piece::End => return maker.finish(file),
                }
            }
            Ok(())
        }
    }
}
