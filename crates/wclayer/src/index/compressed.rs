//! [`CompressedTar`]: content out of a compressed tar that was indexed but not kept.
//!
//! Such a tar can only be decompressed from its start. Content is read forward by a decoder, and
//! the next content continues with that decoder if it is further on in the tar; otherwise
//! decompression starts again. Bytes that are decompressed again, only to be skipped, are counted
//! for the whole tar: once they are twice the part of the tar that was ever needed, the tar is
//! decompressed into a temporary file, and everything is read from that. So however many files are
//! read, and in whatever order, they cost no more than a few passes over the tar. If there is no
//! room for the file, decompression keeps starting again.

use std::io::{self, BufReader, Read, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::blocks::read_file_at;
use crate::blob::{Blob, BlobBytes};
use crate::compression::Decoder;
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
    blob: Blob,
    /// The decompressed tar, once there is one.
    spooled: OnceLock<ScratchFile>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The decoder that was used last, while nobody uses it.
    parked: Option<Forward>,
    /// The largest offset that was read from.
    farthest: u64,
    /// How many bytes before that were decompressed again only to be skipped.
    skipped: u64,
    /// Whether a temporary file could not be written.
    has_no_room: bool,
}

/// A decoder, and how far it has come.
struct Forward {
    decoder: Box<Decoder<BufReader<BlobBytes>>>,
    position: u64,
}

impl CompressedTar {
    /// Takes the compressed tar in `blob`.
    pub(crate) fn new(blob: Blob) -> Self {
        Self {
            blob,
            spooled: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> io::Result<Forward> {
        let input = BufReader::with_capacity(BUFFER, self.blob.reader());
        Ok(Forward {
            decoder: Box::new(Decoder::new(input)?),
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
            None => self.open(),
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
        let mut decoder = self.open()?.decoder;
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

/// Reads one content of a compressed tar; when dropped, it leaves its decoder to the next. Threads
/// that share it wait for each other.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::Encoder;

    const SIZE: usize = 4 << 20;

    fn byte_at(at: usize) -> u8 {
        (at / 1000) as u8
    }

    fn compressed() -> (tempfile::TempDir, Arc<CompressedTar>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tar.gz");
        let file = std::fs::File::create_new(&path).expect("a file");
        let mut gzip = Encoder::new(file, "gzip:1".parse().expect("gzip")).expect("an encoder");
        let bytes: Vec<u8> = (0..SIZE).map(byte_at).collect();
        gzip.write_all(&bytes).expect("free");
        gzip.finish().expect("free");
        let file = std::fs::File::open(&path).expect("a file");
        let blob = Blob::of_file(file).expect("a file");
        (folder, Arc::new(CompressedTar::new(blob)))
    }

    fn check(tar: &Arc<CompressedTar>, offset: usize) {
        let mut piece = [0; 100];
        let reader = CompressedReader::new(tar);
        let read = reader.read_at(offset as u64, &mut piece).expect("readable");
        assert!(read > 0);
        assert!(
            (offset..)
                .zip(&piece[..read])
                .all(|(at, byte)| byte_at(at) == *byte)
        );
    }

    #[test]
    fn content_in_the_order_of_the_tar_takes_one_pass() {
        let (_folder, tar) = compressed();
        for offset in (0..SIZE).step_by(10_000) {
            check(&tar, offset);
        }
        assert_eq!(tar.lock().skipped, 0);
        assert!(tar.spooled.get().is_none());
    }

    #[test]
    fn content_in_any_order_takes_a_few_passes() {
        let (_folder, tar) = compressed();
        let last = SIZE - 100;
        check(&tar, last);
        let free = MIN_SKIPPED as usize / last;
        for _ in 0..free {
            check(&tar, 0);
            check(&tar, last);
        }
        assert!(tar.spooled.get().is_none());
        for _ in 0..100 {
            check(&tar, 0);
            check(&tar, last);
        }
        assert!(tar.spooled.get().is_some());
        assert!(tar.lock().skipped <= MIN_SKIPPED + 2 * SIZE as u64);
    }

    #[test]
    fn without_room_for_a_file_decompression_starts_again() {
        let (_folder, tar) = compressed();
        tar.lock().has_no_room = true;
        for _ in 0..20 {
            check(&tar, SIZE - 100);
            check(&tar, 0);
        }
        assert!(tar.spooled.get().is_none());
    }

    #[test]
    fn nothing_is_read_beyond_the_end() {
        let (_folder, tar) = compressed();
        let reader = CompressedReader::new(&tar);
        for offset in [SIZE as u64, u64::MAX] {
            assert_eq!(reader.read_at(offset, &mut [0; 9]).expect("readable"), 0);
        }
    }
}
