//! [`CompressedTar`]: content out of a compressed tar that was indexed but not kept.
//!
//! Such a tar can only be decompressed from its start. Content is read forward by a decoder, which
//! the next content takes over if it is farther back in the tar; otherwise decompression starts
//! again. Bytes that are decompressed once more, only to be skipped, are counted for the whole tar:
//! when they are twice as many as the part of the tar that was ever needed, the tar is decompressed
//! into a temporary file, from which everything is read from then on. So however many files are
//! read, and in whatever order, they cost no more than a few passes over the tar. If there is no
//! room for such a file, decompression continues to start again.

use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::blocks::read_file_at;
use crate::compression::Decoder;
use crate::error::{Result, io_error};
use crate::place;
use crate::place::leftovers;
use crate::place::scratch::ScratchFile;

/// How much is read at once, in bytes.
const BUFFER: usize = 256 * 1024;
/// How many times the bytes up to the farthest content may be skipped again.
const MAX_PASSES: u64 = 2;
/// How many bytes may be skipped again in any case.
const MIN_SKIPPED: u64 = 64 << 20;

/// A compressed tar.
pub(crate) struct CompressedTar {
    path: PathBuf,
    /// The decompressed tar, once there is one.
    spooled: OnceLock<ScratchFile>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The decoder that was used last, when nobody is using it.
    parked: Option<Forward>,
    /// The start of the content that is farthest back, of all that were read.
    farthest: u64,
    /// How many bytes before that were skipped once more.
    skipped: u64,
    /// Whether a temporary file could not be written.
    has_no_room: bool,
}

/// A decoder, and how far it has come.
struct Forward {
    decoder: Box<Decoder<BufReader<File>>>,
    position: u64,
}

impl CompressedTar {
    /// Takes the tar at `path`.
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            spooled: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<Forward> {
        let file = File::open(&self.path).map_err(io_error("open", &self.path))?;
        let decoder = Decoder::new(BufReader::with_capacity(BUFFER, file));
        Ok(Forward {
            decoder: Box::new(decoder.map_err(io_error("read", &self.path))?),
            position: 0,
        })
    }

    /// Returns a decoder that has not passed `offset`: the parked one, or a new one.
    fn before(&self, offset: u64) -> io::Result<Forward> {
        let parked = {
            let is_before = |parked: &mut Forward| parked.position <= offset;
            self.lock().parked.take_if(is_before)
        };
        match parked {
            Some(parked) => Ok(parked),
            None => self.open().map_err(io::Error::other),
        }
    }

    /// Leaves a decoder for others.
    fn park(&self, decoder: Forward) {
        self.lock().parked = Some(decoder);
    }

    /// Takes note that the bytes from `position` to `offset` are about to be skipped. If too many
    /// were skipped before, decompresses the tar into a temporary file.
    fn skip(&self, position: u64, offset: u64) -> io::Result<()> {
        let mut state = self.lock();
        let again = offset.min(state.farthest).saturating_sub(position);
        state.skipped = state.skipped.saturating_add(again);
        state.farthest = state.farthest.max(offset);
        let max_skipped = state.farthest.saturating_mul(MAX_PASSES).max(MIN_SKIPPED);
        if state.skipped <= max_skipped || state.has_no_room || self.spooled.get().is_some() {
            return Ok(());
        }
        state.parked = None;
        match self.spool()? {
            Some(spooled) => {
                let _ = self.spooled.set(spooled);
            }
            None => state.has_no_room = true,
        }
        Ok(())
    }

    /// Decompresses the tar into a temporary file; `None` if that cannot be written.
    fn spool(&self) -> io::Result<Option<ScratchFile>> {
        let Ok(spooled) = ScratchFile::create(leftovers::VIEW, place::TAR_FILE) else {
            return Ok(None);
        };
        let mut decoder = self.open().map_err(io::Error::other)?.decoder;
        let mut piece = vec![0; BUFFER];
        loop {
            match decoder.read(&mut piece)? {
                0 => return Ok(Some(spooled)),
                read if spooled.file().write_all(&piece[..read]).is_err() => return Ok(None),
                _ => {}
            }
        }
    }
}

/// Reads one content of a compressed tar; dropped, it leaves its decoder to the next.
pub(super) struct CompressedReader {
    tar: Arc<CompressedTar>,
    decoder: Mutex<Option<Forward>>,
}

impl CompressedReader {
    pub(super) fn new(tar: &Arc<CompressedTar>) -> Self {
        Self {
            tar: Arc::clone(tar),
            decoder: Mutex::default(),
        }
    }

    /// Reads at an offset of the decompressed tar.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(spooled) = self.tar.spooled.get() {
            return read_file_at(spooled.file(), offset, buffer);
        }
        let mut own = self.decoder.lock().unwrap_or_else(PoisonError::into_inner);
        let is_before = |own: &mut Forward| own.position <= offset;
        let mut decoder = match own.take_if(is_before) {
            Some(decoder) => decoder,
            None => self.tar.before(offset)?,
        };
        self.tar.skip(decoder.position, offset)?;
        if let Some(spooled) = self.tar.spooled.get() {
            *own = None;
            return read_file_at(spooled.file(), offset, buffer);
        }
        let read = decoder.read_at(offset, buffer)?;
        *own = Some(decoder);
        Ok(read)
    }
}

impl Drop for CompressedReader {
    fn drop(&mut self) {
        let own = self
            .decoder
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(decoder) = own.take() {
            self.tar.park(decoder);
        }
    }
}

impl Forward {
    /// Reads at an offset that has not been passed.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let skipped = offset - self.position;
        let skipped = io::copy(&mut self.decoder.by_ref().take(skipped), &mut io::sink())?;
        self.position += skipped;
        if self.position < offset {
            return Ok(0);
        }
        let read = self.decoder.read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}
