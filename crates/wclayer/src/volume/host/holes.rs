//! Finds the holes of a file on the disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// Holes are ignored if their total is smaller than this, as in a layer tar.
const MIN_HOLES: u64 = 64 << 10;
/// The maximum number of ranges of a file, as in a layer tar.
const MAX_RANGES: usize = 1 << 16;

/// Returns the offset and length of every allocated range in a file of `size` bytes. Returns `None`
/// if nearly everything is allocated or if the holes cannot be determined.
pub(super) fn ranges(file: &File, size: u64) -> io::Result<Option<Vec<(u64, u64)>>> {
    let on_disk = file.metadata()?.blocks().saturating_mul(512);
    if on_disk.saturating_add(MIN_HOLES) > size {
        return Ok(None);
    }
    let mut ranges = Vec::new();
    let (mut position, mut allocated) = (0, 0);
    while position < size {
        let start = match seek(file, SeekFrom::Data(position)) {
            Ok(start) => start,
            // There is no more data.
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::NOTSUP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let end = seek(file, SeekFrom::Hole(start))?.min(size);
        if end <= start || ranges.len() == MAX_RANGES {
            return Ok(None);
        }
        ranges.push((start, end - start));
        allocated += end - start;
        position = end;
    }
    Ok((size - allocated >= MIN_HOLES).then_some(ranges))
}
