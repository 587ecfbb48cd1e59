//! Reading ahead: a thread reads (and decompresses, and hashes) while others work.
//!
//! [`ReadAhead`] recycles a fixed set of buffers: the thread fills one, the consumer reads it as a
//! [`BufRead`], and once its last user drops it, it is filled again. Memory does not depend on the
//! size of the input. [`TarSink`] passes the same buffers, without copying them, to a second thread
//! that hashes them and writes them to a file.

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
/// The number of buffers: 4 MiB in total.
const BUFFERS: usize = 8;
/// How often a waiting consumer checks whether to stop.
const CANCEL_POLL: Duration = Duration::from_millis(100);
/// How many bytes are written between flushes in the background, so that little is left for the
/// last flush, which the caller waits for.
const FLUSH_EVERY: u64 = 32 << 20;

/// A filled buffer. Once its last user drops it, it is filled again.
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    home: Sender<Vec<u8>>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // If the reading thread has ended, nobody needs the buffer.
        let _ = self.home.send(std::mem::take(&mut self.bytes));
    }
}

/// Reads from `R` in a thread of its own.
pub(crate) struct ReadAhead<'a, R> {
    filled: Receiver<io::Result<Arc<Buffer>>>,
    current: Option<Arc<Buffer>>,
    position: usize,
    thread: Option<JoinHandle<Option<R>>>,
    /// Also receives every buffer.
    tee: Option<&'a TarSink>,
    progress: &'a dyn Progress,
    /// The bytes of the source that have been read, and those that have been reported.
    counter: Arc<AtomicU64>,
    reported: u64,
}

impl<'a, R: Read + Send + 'static> ReadAhead<'a, R> {
    /// Starts a thread that calls `open` for a reader and reads it to its end. `counter` holds the
    /// bytes read from the source, for the progress.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Resources`] if the system refuses a thread or memory.
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

    /// Waits until the thread has closed its reader, even before the end of the input. Do not call
    /// this for a reader that may block forever, such as a pipe.
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

/// The body of the reading thread. Returns the reader at the end of its input; the consumer learns
/// of every other end.
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

/// Reads until the buffer is full or the input ends; returns the number of bytes read, even if an
/// error follows.
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

/// Implements [`Read::read`] for a reader that lends its bytes.
pub(crate) fn read_buffered(input: &mut impl BufRead, buffer: &mut [u8]) -> io::Result<usize> {
    let available = input.fill_buf()?;
    let count = available.len().min(buffer.len());
    buffer[..count].copy_from_slice(&available[..count]);
    input.consume(count);
    Ok(count)
}

impl<R: Read + Send + 'static> Read for ReadAhead<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, buffer)
    }
}

/// A written file, its digest, its size in bytes, and the sums of its blocks.
type Written = (File, DiffId, u64, Vec<u64>);

/// Hashes buffers and writes them to a file, in a thread of its own.
pub(crate) struct TarSink {
    buffers: SyncSender<Arc<Buffer>>,
    thread: JoinHandle<io::Result<Written>>,
}

impl TarSink {
    /// Starts the thread, which owns `file`, and another one that flushes it in the background.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Resources`] if the system refuses a thread.
    pub(crate) fn to_disk(file: File) -> Result<Self> {
        let same = file.try_clone().map_err(Error::Resources)?;
        let flusher = Flusher::start(move || same.sync_data()).map_err(Error::Resources)?;
        Self::start(file, Some(flusher))
    }

    /// Starts the thread without flushing: a temporary file need not survive a crash.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Resources`] if the system refuses a thread.
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

    /// Waits until everything is written.
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

/// Flushes a file in the background while it is written.
///
/// The system reports an error once: if the thread gets it, the last flush would succeed, so it
/// counts as an error of that flush. Dropping this waits for the last request, because Windows
/// cannot rename the folder of an open file.
struct Flusher {
    requests: Option<SyncSender<()>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Flusher {
    fn start(flush: impl Fn() -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (requests, received) = sync_channel(1);
        // The thread ends when the sender is dropped, or at the first error.
        let thread = resources::spawn(move || received.into_iter().try_for_each(|()| flush()))?;
        Ok(Self {
            requests: Some(requests),
            thread: Some(thread),
        })
    }

    /// Does nothing if the last request is still waiting. Returns an error if a flush has failed.
    fn flush(&mut self) -> io::Result<()> {
        let requests = self.requests.as_ref();
        match requests.map(|requests| requests.try_send(())) {
            Some(Err(TrySendError::Disconnected(()))) => self.end(),
            _ => Ok(()),
        }
    }

    /// Waits for the last request. Returns an error if any flush has failed.
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
        // Only after a write error, which is the one to report; otherwise the thread has already
        // ended.
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

    /// Returns the input.
    pub(crate) fn into_inner(self) -> R {
        self.inner
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
        // The last flush, with nothing after it, and one in the middle, which Linux reports once:
        // later flushes succeed.
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
