//! Threads and memory that the system may refuse: an error, not the end of the program.

use std::cell::Cell;
use std::io;
use std::thread::{Builder, JoinHandle};

/// No thread can be started, because of a limit of processes or of memory for stacks.
#[derive(Debug, thiserror::Error)]
#[error("the system refuses another thread")]
pub(crate) struct NoThread(#[source] io::Error);

/// A buffer does not fit into memory.
#[derive(Debug, thiserror::Error)]
#[error("the system refuses {bytes} bytes of memory")]
pub(crate) struct NoMemory {
    bytes: usize,
}

/// Starts a thread.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    Builder::new()
        .spawn(work)
        .map_err(|error| io::Error::new(error.kind(), NoThread(error)))
}

/// Starts up to `count` threads, at least one, for work that any number of them can share.
pub(crate) fn spawn_some<T>(
    count: usize,
    start: impl FnMut(usize) -> io::Result<T>,
) -> io::Result<Vec<T>> {
    let mut started = Vec::new();
    for thread in (0..count.max(1)).map(start) {
        match thread {
            Err(error) if started.is_empty() => return Err(error),
            Err(_) => break,
            Ok(thread) => started.push(thread),
        }
    }
    Ok(started)
}

/// Returns how many threads to compress with; the result does not depend on it.
pub(crate) fn processors() -> usize {
    /// Each thread costs memory, whatever the machine has.
    const MOST: usize = 8;
    std::thread::available_parallelism().map_or(1, |count| count.get().min(MOST))
}

/// Allocates an empty buffer with room for `capacity` bytes.
pub(crate) fn buffer(capacity: usize) -> io::Result<Vec<u8>> {
    let mut buffer = Vec::new();
    reserve(&mut buffer, capacity)?;
    Ok(buffer)
}

/// Makes room for more bytes.
pub(crate) fn reserve(buffer: &mut Vec<u8>, bytes: usize) -> io::Result<()> {
    CAN_FAIL.set(true);
    let reserved = buffer.try_reserve_exact(bytes);
    CAN_FAIL.set(false);
    reserved.map_err(|_| no_memory(bytes))
}

thread_local! {
    static CAN_FAIL: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether this thread is asking for memory in a way that can fail. An allocator that ends the
/// program when memory runs out has to return null then.
pub fn can_fail() -> bool {
    CAN_FAIL.get()
}

fn no_memory(bytes: usize) -> io::Error {
    io::Error::new(io::ErrorKind::OutOfMemory, NoMemory { bytes })
}

/// Something that the system refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lack {
    /// Another thread.
    Threads,
    /// More memory.
    Memory,
}

impl Lack {
    /// Returns the resource whose lack caused `error`; `None` for any other error.
    pub fn of(error: &io::Error) -> Option<Self> {
        if error.get_ref().is_some_and(|inner| inner.is::<NoThread>()) {
            return Some(Self::Threads);
        }
        (error.kind() == io::ErrorKind::OutOfMemory).then_some(Self::Memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_memory_than_there_is_is_an_error_in_words() {
        let error = buffer(isize::MAX as usize).expect_err("no machine has that");
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        assert!(error.to_string().contains("bytes of memory"), "{error}");
        assert_eq!(Lack::of(&error), Some(Lack::Memory));
    }

    #[test]
    fn fewer_threads_than_wanted_are_enough_but_none_is_an_error() {
        let refused = || io::Error::from(io::ErrorKind::WouldBlock);
        for there in 1..4 {
            let start = |number| (number < there).then_some(number).ok_or_else(refused);
            let started = spawn_some(3, start).expect("some");
            assert_eq!(started.len(), there.min(3));
        }
        let error = spawn_some::<()>(3, |_| Err(refused())).expect_err("none");
        let error = io::Error::new(error.kind(), NoThread(error));
        assert_eq!(Lack::of(&error), Some(Lack::Threads));
    }
}
