//! Reading ahead: a thread that reads (and decompresses, and hashes) while others work.
//!
//! [`ReadAhead`] owns a fixed set of buffers that go round: the thread fills one, the consumer
//! reads it as a [`BufRead`], and when its last user lets it go it is filled again. Memory does not
//! depend on the size of the input. [`TarSink`] takes the same buffers, unchanged and uncopied, to
//! a second thread that hashes them and writes them to a file.

mod block_sums;

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel,
};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::digest::{DiffId, Hasher};
use crate::error::{Error, Result};
use crate::hub::{Progress, poll};
use crate::resources;

pub(crate) use block_sums::{BLOCK, BlockSums, Summing};

/// The size of a buffer in bytes.
const BUFFER: usize = 512 * 1024;
/// How many buffers go round: 4 MiB in all.
const BUFFERS: usize = 8;
/// How often a waiting consumer looks whether it is to stop.
const CANCEL_POLL: Duration = Duration::from_millis(100);
/// How many bytes are written before the disk is asked to store them: the last flush, which the
/// caller waits for, then finds little left.
const FLUSH_EVERY: u64 = 32 << 20;

/// A filled buffer. Dropped by its last user, it goes back to be filled again.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    home: Sender<Vec<u8>>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // The reading thread may have ended; then nobody needs the buffer.
        let _ = self.home.send(std::mem::take(&mut self.bytes));
    }
}

/// Reads from `R` in a thread of its own.
pub(crate) struct ReadAhead<'a, R> {
    filled: Receiver<io::Result<Arc<Buffer>>>,
    current: Option<Arc<Buffer>>,
    position: usize,
    thread: Option<JoinHandle<Option<R>>>,
    /// Where every buffer goes as well, unchanged.
    tee: Option<&'a TarSink>,
    progress: &'a dyn Progress,
    /// Bytes of the source that have been read, and those that progress knows of.
    counter: Arc<AtomicU64>,
    reported: u64,
}

impl<'a, R: Read + Send + 'static> ReadAhead<'a, R> {
    /// Starts a thread that makes a reader by `open` and reads it to its end. `counter` is what
    /// the progress shows: the bytes read from the source.
    ///
    /// # Errors
    ///
    /// [`Error::Resources`] without a thread or memory.
    pub(crate) fn start(
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
        counter: Arc<AtomicU64>,
        tee: Option<&'a TarSink>,
        progress: &'a dyn Progress,
    ) -> Result<Self> {
        let (full_sender, filled) = sync_channel(BUFFERS);
        let (home, empty) = channel();
        for _ in 0..BUFFERS {
            let buffer = resources::buffer(BUFFER).map_err(Error::Resources)?;
            // The receiver lives in this function.
            let _ = home.send(buffer);
        }
        let thread = resources::spawn(move || read_all(open, &empty, &home, &full_sender));
        let thread = thread.map_err(Error::Resources)?;
        Ok(Self {
            filled,
            current: None,
            position: 0,
            thread: thread.into(),
            tee,
            progress,
            counter,
            reported: 0,
        })
    }

    /// Waits for the thread, which has reached the end of its input, and returns its reader.
    pub(crate) fn finish(mut self) -> Result<R> {
        let thread = self.thread.take().ok_or(Error::WorkerLost)?;
        thread.join().ok().flatten().ok_or(Error::WorkerLost)
    }

    /// Waits until the thread, whatever it is at, has closed its reader. Not for a reader that may
    /// never come to an end, such as a pipe.
    pub(crate) fn abandon(self) {
        let Self {
            filled,
            current,
            thread,
            ..
        } = self;
        drop((filled, current));
        drop(thread.map(JoinHandle::join));
    }

    fn next_buffer(&mut self) -> io::Result<()> {
        self.current = None;
        self.position = 0;
        let next = loop {
            poll(self.progress).map_err(io::Error::other)?;
            match self.filled.recv_timeout(CANCEL_POLL) {
                Ok(next) => break next?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        };
        let read = self.counter.load(Ordering::Relaxed);
        self.progress.advance(read - self.reported);
        self.reported = read;
        if let Some(tee) = self.tee {
            tee.take(Arc::clone(&next))?;
        }
        self.current = Some(next);
        Ok(())
    }
}

/// The body of the reading thread. Returns the reader when it came to the end of its input; the
/// consumer knows of every other end.
fn read_all<R: Read>(
    open: impl FnOnce() -> io::Result<R>,
    empty: &Receiver<Vec<u8>>,
    home: &Sender<Vec<u8>>,
    full: &SyncSender<io::Result<Arc<Buffer>>>,
) -> Option<R> {
    let mut reader = match open() {
        Ok(reader) => reader,
        Err(error) => {
            let _ = full.send(Err(error));
            return None;
        }
    };
    loop {
        let mut bytes = empty.recv().ok()?;
        bytes.resize(BUFFER, 0);
        let (len, error) = fill(&mut reader, &mut bytes);
        if len > 0 {
            bytes.truncate(len);
            full.send(Ok(Arc::new(Buffer {
                bytes,
                home: home.clone(),
            })))
            .ok()?;
        }
        if let Some(error) = error {
            let _ = full.send(Err(error));
            return None;
        }
        if len == 0 {
            return Some(reader);
        }
    }
}

/// Reads until the buffer is full or the input ends; returns how much was read before it failed, if
/// it did.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Some(error)),
        }
    }
    (filled, None)
}

impl<R: Read + Send + 'static> BufRead for ReadAhead<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self
            .current
            .as_ref()
            .is_none_or(|buffer| self.position == buffer.bytes.len())
        {
            self.next_buffer()?;
        }
        Ok(self
            .current
            .as_ref()
            .map_or(&[], |buffer| &buffer.bytes[self.position..]))
    }

    fn consume(&mut self, count: usize) {
        self.position += count;
    }
}

impl<R: Read + Send + 'static> Read for ReadAhead<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

/// A file that was written, its digest, its size in bytes, and the sums of its blocks.
type Written = (File, DiffId, u64, Vec<u64>);

/// Hashes buffers and writes them to a file, in a thread of its own.
pub(crate) struct TarSink {
    buffers: SyncSender<Arc<Buffer>>,
    thread: JoinHandle<io::Result<Written>>,
}

impl TarSink {
    /// Starts the thread, which owns `file`, and another one that flushes it meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Resources`] without a thread.
    pub(crate) fn to_disk(file: File) -> Result<Self> {
        let same = file.try_clone().map_err(Error::Resources)?;
        let flusher = Flusher::start(move || same.sync_data()).map_err(Error::Resources)?;
        Self::start(file, Some(flusher))
    }

    /// Starts the thread; a temporary file need not be on the disk.
    ///
    /// # Errors
    ///
    /// [`Error::Resources`] without a thread.
    pub(crate) fn to_temporary(file: File) -> Result<Self> {
        Self::start(file, None)
    }

    fn start(mut file: File, flusher: Option<Flusher>) -> Result<Self> {
        let (buffers, received) = sync_channel(BUFFERS);
        let thread = resources::spawn(move || {
            let (diff_id, size, sums) = write_all(&mut file, flusher, &received)?;
            Ok((file, diff_id, size, sums))
        });
        let thread = thread.map_err(Error::Resources)?;
        Ok(Self { buffers, thread })
    }

    fn take(&self, buffer: Arc<Buffer>) -> io::Result<()> {
        self.buffers
            .send(buffer)
            .map_err(|_| io::Error::other("the layer tar cannot be written"))
    }

    /// Waits until all is written.
    pub(crate) fn finish(self) -> Result<io::Result<Written>> {
        drop(self.buffers);
        self.thread.join().map_err(|_| Error::WorkerLost)
    }
}

fn write_all(
    file: &mut impl Write,
    mut flusher: Option<Flusher>,
    received: &Receiver<Arc<Buffer>>,
) -> io::Result<(DiffId, u64, Vec<u64>)> {
    let (mut hasher, mut len, mut flushed) = (Hasher::new(), 0, 0);
    let mut sums = BlockSums::default();
    for buffer in received {
        hasher.update(&buffer.bytes);
        sums.update(&buffer.bytes);
        file.write_all(&buffer.bytes)?;
        len += buffer.bytes.len() as u64;
        if let Some(flusher) = &mut flusher
            && len - flushed >= FLUSH_EVERY
        {
            flusher.flush()?;
            flushed = len;
        }
    }
    flusher.map_or(Ok(()), Flusher::finish)?;
    let diff_id = DiffId::of_tar(hasher.finish());
    Ok((diff_id, len, sums.finish()))
}

/// Asks the disk, in the background, to store what has been written so far.
///
/// An error is told once: what the thread is told is as good as an error of the last flush. Dropped,
/// it waits for the last request: an open file would keep Windows from renaming its folder.
struct Flusher {
    requests: Option<SyncSender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Flusher {
    fn start(flush: impl Fn() -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (requests, received) = sync_channel(1);
        // The thread ends with the sender, or the first error.
        let thread = resources::spawn(move || received.into_iter().try_for_each(|()| flush()))?;
        Ok(Self {
            requests: Some(requests),
            thread: Some(thread),
        })
    }

    /// Does nothing when the last request is still waiting. Fails when a flush has failed.
    fn flush(&mut self) -> io::Result<()> {
        let requests = self.requests.as_ref();
        match requests.map(|requests| requests.try_send(())) {
            Some(Err(TrySendError::Disconnected(()))) => self.end(),
            _ => Ok(()),
        }
    }

    /// Waits for the last request. Fails when any has failed.
    fn finish(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        self.requests = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(flushed)) => flushed,
            Some(Err(_)) => Err(io::Error::other("the flushing thread stopped unexpectedly")),
            None => Ok(()),
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        // After an error of the writing, which is the one to report; else it has ended before.
        let _ = self.end();
    }
}

/// Counts the bytes that are read, for [`ReadAhead`]'s progress.
pub(crate) struct Counting<R> {
    inner: R,
    counter: Arc<AtomicU64>,
}

impl<R> Counting<R> {
    pub(crate) fn new(inner: R, counter: Arc<AtomicU64>) -> Self {
        Self { inner, counter }
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.counter.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Reads the rest of the input; returns how many of its bytes are not zero.
pub(crate) fn skip_to_end(input: &mut impl BufRead) -> Result<u64> {
    let mut not_zero = 0;
    loop {
        let bytes = input.fill_buf().map_err(Error::input)?;
        if bytes.is_empty() {
            return Ok(not_zero);
        }
        not_zero += bytes.iter().filter(|byte| **byte != 0).count() as u64;
        let len = bytes.len();
        input.consume(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `count` buffers through the writing thread's body.
    fn written(
        count: u64,
        flush: impl Fn(u64) -> io::Result<()> + Send + 'static,
    ) -> io::Result<u64> {
        let flushes = AtomicU64::new(0);
        let flusher = Flusher::start(move || flush(flushes.fetch_add(1, Ordering::Relaxed)));
        let (buffers, received) = channel();
        let (home, _empty) = channel();
        let bytes = vec![7; BUFFER];
        let buffer = Arc::new(Buffer { bytes, home });
        for _ in 0..count {
            buffers
                .send(Arc::clone(&buffer))
                .expect("the receiver is here");
        }
        drop(buffers);
        let flusher = flusher.expect("a thread");
        write_all(&mut io::sink(), Some(flusher), &received).map(|(_, len, _)| len)
    }

    #[test]
    fn no_failed_flush_is_lost() {
        let per_flush = FLUSH_EVERY / BUFFER as u64;
        assert_eq!(
            written(per_flush, |_| Ok(())).expect("flushed"),
            FLUSH_EVERY
        );
        // The last one of them, with nothing behind it, and one in the middle, which Linux tells
        // once: the flushes after it succeed.
        for (count, failing) in [(per_flush, 0), (4 * per_flush + 1, 0)] {
            let flush = move |number| match number == failing {
                true => Err(io::Error::other("a bad block")),
                false => Ok(()),
            };
            let error = written(count, flush).expect_err("a flush failed");
            assert_eq!(error.to_string(), "a bad block");
        }
    }
}
