//! [`copy`]: every entry of a source into a sink.

use super::{Entry, LayerReader, LayerWriter};
use crate::error::{Error, Result};

/// Size of the pieces in which backup streams move, in bytes.
const PIECE: usize = 256 * 1024;

/// The listener of a long operation, which can also cancel it.
///
/// `()` ignores everything and never cancels.
pub trait Progress: Send + Sync {
    /// Reports that `bytes` more bytes of the source have been processed.
    fn advance(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Reports another entry.
    fn entry(&self) {}

    /// Returns whether the operation should stop as soon as it can, and discard its result.
    fn is_cancelled(&self) -> bool {
        false
    }
}

impl Progress for () {}

/// Returns [`Error::Cancelled`] if the caller has asked to stop.
pub(crate) fn poll(progress: &dyn Progress) -> Result<()> {
    match progress.is_cancelled() {
        true => Err(Error::Cancelled),
        false => Ok(()),
    }
}

/// Forwards entries and cancellation but not bytes, for a source that reports its own.
pub struct EntriesOnly<'a>(pub &'a dyn Progress);

impl Progress for EntriesOnly<'_> {
    fn entry(&self) {
        self.0.entry();
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// Copies every entry with its backup stream, then completes the sink.
///
/// # Errors
///
/// Returns the first error of either side, or [`Error::Cancelled`]. The sink has discarded the layer
/// then.
pub fn copy<R, W>(reader: &mut R, mut writer: W, progress: &dyn Progress) -> Result<W::Output>
where
    R: LayerReader + ?Sized,
    W: LayerWriter,
{
    let mut piece = vec![0; PIECE];
    while let Some(entry) = reader.next_entry()? {
        match &entry {
            Entry::File(file) => writer.add(file)?,
            Entry::Link(link) => writer.add_link(link)?,
            Entry::Removal(path) => writer.remove(path)?,
            Entry::Opaque(path) => writer.remove_contents(path)?,
        }
        progress.entry();
        loop {
            poll(progress)?;
            let read = reader.read_stream(&mut piece)?;
            if read == 0 {
                break;
            }
            writer.write(&piece[..read])?;
            progress.advance(read as u64);
        }
    }
    writer.finish()
}
