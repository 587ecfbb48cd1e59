//! A summary of a layer tar of which nothing is kept.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::scan::Scanned;
use crate::compression::Decoder;
use crate::digest::{DiffId, Hashing};
use crate::error::Result;
use crate::hub::{EntryCounts, Progress, poll};
use crate::pipeline::{Counting, ReadAhead};
use crate::tar::{LayerBlob, TarEntries};

/// A layer tar that was read to its end; made by [`summarise`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarSummary {
    /// Its digests and sizes.
    pub blob: LayerBlob,
    /// How many entries of each kind it has.
    pub entries: EntryCounts,
    /// Sum of the sizes of all data streams in bytes, holes included.
    pub content_size: u64,
}

/// Reads a layer tar (plain, gzip or zstd) to its end. `progress` counts bytes of the blob.
///
/// ```
/// use std::fs::File;
///
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample/base.tar.gz");
/// let summary = wclayer::index::summarise(File::open(path)?, &())?;
/// assert_eq!(summary.entries.links, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Returns an error if the tar cannot be read or an entry of it is malformed, and
/// [`Error::Cancelled`](crate::Error::Cancelled).
pub fn summarise<R: Read + Send + 'static>(
    source: R,
    progress: &dyn Progress,
) -> Result<TarSummary> {
    let counter = Arc::new(AtomicU64::new(0));
    let counting = Counting::new(source, Arc::clone(&counter));
    let open = move || Decoder::new(Hashing::new(counting)).map(Hashing::new);
    let mut input = ReadAhead::start(open, counter, None, progress)?;
    let found = count(&mut input, progress)?;
    let (decoder, tar_digest, tar_size) = input.finish()?.finish();
    let compression = decoder.compression();
    let (_, digest, size) = decoder.into_inner().finish();
    Ok(TarSummary {
        blob: LayerBlob {
            diff_id: DiffId::of_tar(tar_digest),
            tar_size,
            digest,
            size,
            compression,
            warnings: found.warnings,
        },
        entries: found.counts,
        content_size: found.content_size,
    })
}

fn count<R: Read + Send + 'static>(
    input: &mut ReadAhead<'_, R>,
    progress: &dyn Progress,
) -> Result<Scanned> {
    let mut entries = TarEntries::new(input);
    let mut found = Scanned::default();
    while let Some(entry) = entries.next_entry()? {
        poll(progress)?;
        progress.entry();
        found.count(&entry);
    }
    found.end(entries)?;
    Ok(found)
}
