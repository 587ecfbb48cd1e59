//! Stores the metadata of Windows files in extended attributes.

use std::io;
use std::os::fd::BorrowedFd;

use ntmeta::backup_stream::BackupStreamReader;
use ntmeta::{FileBasicInfo, ReparseTag, StreamHeader, StreamId};
use rustix::fs::XattrFlags;
use rustix::io::Errno;

const BASIC_INFO: &str = "user.wclayer.basic_info";
const METADATA: &str = "user.wclayer.metadata";
const REPARSE_TAG: &str = "user.wclayer.reparse_tag";
/// The largest value of an extended attribute on Linux, in bytes.
pub(super) const MAX_METADATA: usize = 64 * 1024;
/// The error code for a missing attribute.
#[cfg(target_vendor = "apple")]
const NO_ATTRIBUTE: Errno = Errno::NOATTR;
#[cfg(not(target_vendor = "apple"))]
const NO_ATTRIBUTE: Errno = Errno::NODATA;

/// A modification time: seconds and nanoseconds since 1970.
pub(super) type UnixTime = (i64, u32);

/// Returns the stored times and attributes, and the modification time that was stored with them.
pub(super) fn basic_info(file: BorrowedFd<'_>) -> io::Result<Option<(FileBasicInfo, UnixTime)>> {
    let Some(value) = get(file, BASIC_INFO)? else {
        return Ok(None);
    };
    let parts = value.split_first_chunk::<40>().and_then(|(info, rest)| {
        let (seconds, rest) = rest.split_first_chunk()?;
        let nanoseconds = <[u8; 4]>::try_from(rest).ok()?;
        let time = (
            i64::from_le_bytes(*seconds),
            u32::from_le_bytes(nanoseconds),
        );
        Some((FileBasicInfo::from_bytes(info), time))
    });
    match parts {
        Some(parts) => Ok(Some(parts)),
        None => Err(damaged(BASIC_INFO)),
    }
}

/// Stores times and attributes, if the file system can.
pub(super) fn store_basic_info(
    file: BorrowedFd<'_>,
    info: &FileBasicInfo,
    (seconds, nanoseconds): UnixTime,
) -> io::Result<()> {
    let value = [
        &info.to_bytes()[..],
        &seconds.to_le_bytes(),
        &nanoseconds.to_le_bytes(),
    ]
    .concat();
    match rustix::fs::fsetxattr(file, BASIC_INFO, &value, XattrFlags::empty()) {
        Err(Errno::NOTSUP | Errno::PERM) => Ok(()),
        kept => Ok(kept?),
    }
}

/// Returns the stored reparse tag, if the file is a reparse point.
pub(super) fn reparse_tag(file: BorrowedFd<'_>) -> io::Result<Option<ReparseTag>> {
    let Some(value) = get(file, REPARSE_TAG)? else {
        return Ok(None);
    };
    let tag = value.try_into().map_err(|_| damaged(REPARSE_TAG))?;
    Ok(Some(ReparseTag(u32::from_le_bytes(tag))))
}

/// Returns the stored streams.
pub(super) fn streams(file: BorrowedFd<'_>) -> io::Result<Vec<(StreamHeader, Vec<u8>)>> {
    let value = get(file, METADATA)?.unwrap_or_default();
    let mut reader = BackupStreamReader::new(&value[..]);
    let mut streams = Vec::new();
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    while let Some(header) = reader.next_header().map_err(invalid)? {
        if matches!(header.id, StreamId::DATA | StreamId::SPARSE_BLOCK) {
            return Err(damaged(METADATA));
        }
        let mut body = Vec::new();
        io::Read::read_to_end(&mut reader, &mut body)?;
        streams.push((header, body));
    }
    Ok(streams)
}

/// Stores the streams of a file; `reparse_tag` makes it a reparse point.
pub(super) fn store_streams(
    file: BorrowedFd<'_>,
    streams: &[u8],
    reparse_tag: Option<ReparseTag>,
) -> io::Result<()> {
    if !streams.is_empty() {
        rustix::fs::fsetxattr(file, METADATA, streams, XattrFlags::empty())
            .map_err(|error| store_error(error, streams.len()))?;
    }
    if let Some(tag) = reparse_tag {
        let value = tag.0.to_le_bytes();
        rustix::fs::fsetxattr(file, REPARSE_TAG, &value, XattrFlags::empty())
            .map_err(|error| store_error(error, value.len()))?;
    }
    Ok(())
}

/// Returns the error for metadata that the file system cannot store.
pub(super) fn too_large(size: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        format!(
            "{size} bytes of Windows metadata (security, attributes, alternate streams) do not \
             fit into the extended attributes that the file system has for a file"
        ),
    )
}

fn store_error(error: Errno, size: usize) -> io::Error {
    match error {
        Errno::NOTSUP | Errno::PERM => io::Error::new(
            io::ErrorKind::Unsupported,
            "the file system has no extended attributes, which would keep the Windows metadata \
             (security, attributes, alternate streams) of the file",
        ),
        // File systems also return this for a value that is too large, although the disk is not
        // full.
        Errno::TOOBIG | Errno::RANGE | Errno::NOSPC => too_large(size),
        error => error.into(),
    }
}

fn damaged(attribute: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the extended attribute `{attribute}` is damaged"),
    )
}

fn get(file: BorrowedFd<'_>, name: &str) -> io::Result<Option<Vec<u8>>> {
    // Enough for most values.
    let mut small = [0; 64];
    match rustix::fs::fgetxattr(file, name, &mut small[..]) {
        Ok(length) => return Ok(Some(small[..length].to_vec())),
        Err(Errno::RANGE) => {}
        Err(error) if error == NO_ATTRIBUTE => return Ok(None),
        Err(Errno::NOTSUP | Errno::PERM) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let mut value = vec![0; MAX_METADATA];
    let length = rustix::fs::fgetxattr(file, name, &mut value[..])?;
    value.truncate(length);
    Ok(Some(value))
}
