//! Transport folders on the disks of a machine: recognised, opened, counted.

use std::path::Path;

use ntmeta::FileAttributes;

use super::reader::TransportReader;
use super::sums::FolderSummary;
use super::writer::{ImportOptions, ImportSummary, TransportWriter};
use crate::error::Privilege;
use crate::error::{Error, Result, io_error};
use crate::hub::{self, Entry, LayerReader, LayerWriter, Progress, poll};
use crate::volume::{Privileges, Volume, enable_to_write};

/// Opens a transport folder as a source, with the security of its utility VM.
///
/// # Errors
///
/// [`TransportError`](super::TransportError) when it is none; [`Error::Io`].
pub fn open<V: Volume>(
    volume: &V,
    folder: &Path,
    privileges: &Privileges,
) -> Result<TransportReader<V::Root>> {
    let root = volume.open_root(folder, privileges);
    let root = root.map_err(io_error("open", folder))?;
    Ok(TransportReader::new(root)?.with_utility_vm_security())
}

/// Reads what a source holds, without its content.
///
/// # Errors
///
/// When the source cannot be read, or [`Error::Cancelled`].
pub fn count<R: LayerReader>(source: &mut R, progress: &dyn Progress) -> Result<FolderSummary> {
    let mut found = FolderSummary::default();
    let counts = &mut found.entries;
    while let Some(entry) = source.next_entry()? {
        poll(progress)?;
        progress.entry();
        let counter = match &entry {
            Entry::Link(_) => &mut counts.links,
            Entry::Removal(_) => &mut counts.removals,
            Entry::Opaque(_) => &mut counts.opaque,
            Entry::File(file) => {
                found.content_size = found.content_size.saturating_add(file.size);
                let attributes = file.basic_info.attributes;
                if attributes.contains(FileAttributes::REPARSE_POINT) {
                    &mut counts.reparse_points
                } else if attributes.contains(FileAttributes::DIRECTORY) {
                    &mut counts.directories
                } else {
                    &mut counts.files
                }
            }
        };
        *counter += 1;
    }
    Ok(found)
}

/// Makes a transport folder of a source.
///
/// # Errors
///
/// [`Error::Layer`] around the reason: what the source says, what
/// [`TransportWriter`](super::TransportWriter) refuses; [`Error::Cancelled`]. Nothing is left then.
pub fn import<V: Volume, R: LayerReader + ?Sized>(
    volume: &V,
    source: &mut R,
    destination: &Path,
    options: ImportOptions,
    progress: &dyn Progress,
) -> Result<ImportSummary>
where
    V::Root: 'static,
{
    let copied = enable_to_write(volume)
        .map_err(Error::from)
        .and_then(|privileges| {
            let writer = TransportWriter::create(volume, destination, options, &privileges)?;
            hub::copy(source, writer, progress)
        });
    copied.map_err(|error| error.of_layer("import", destination))
}

/// Copies a transport folder into a sink.
///
/// # Errors
///
/// [`Error::Layer`] around the reason; [`Error::Cancelled`].
pub fn export<V: Volume, W: LayerWriter>(
    volume: &V,
    folder: &Path,
    writer: W,
    progress: &dyn Progress,
) -> Result<W::Output> {
    copy(volume, folder, writer, progress).map_err(|error| error.of_layer("export", folder))
}

/// Copies a transport folder into a sink; errors do not name the folder.
pub(crate) fn copy<V: Volume, W: LayerWriter>(
    volume: &V,
    folder: &Path,
    writer: W,
    progress: &dyn Progress,
) -> Result<W::Output> {
    let privileges = volume.enable(&[Privilege::Backup])?;
    let mut reader = open(volume, folder, &privileges)?;
    hub::copy(&mut reader, writer, progress)
}
