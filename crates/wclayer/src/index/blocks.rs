//! Checksums of a layer tar, block by block: damage is found before the bytes are used.
//!
//! [`BlockSums`](crate::pipeline::BlockSums) computes them while a tar passes, [`store`] puts them
//! into the index, and a [`CheckedTar`] compares them.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, params};
use twox_hash::xxhash3_64;

use super::schema::{self, index_error};
use crate::error::IndexError;
use crate::error::{Error, Result, io_error};
use crate::pipeline::BLOCK;

/// How many sums a row of the index has: several rows fit on a page.
const SUMS_IN_ROW: usize = 256;
/// How many blocks are kept: neighbouring files are in the same ones.
const KEPT: usize = 8;

/// Adds the sums to an index that nobody has open.
pub(crate) fn store(index: &Path, sums: &[u64]) -> Result<()> {
    let error = index_error(index);
    let store = |connection: &Connection| -> rusqlite::Result<()> {
        connection.execute_batch(schema::WRITING)?;
        connection.execute_batch("BEGIN")?;
        {
            let mut insert = connection.prepare("INSERT INTO block VALUES (?,?)")?;
            for (number, row) in sums.chunks(SUMS_IN_ROW).enumerate() {
                let bytes: Vec<u8> = row.iter().flat_map(|sum| sum.to_le_bytes()).collect();
                insert.execute(params![number as i64, bytes])?;
            }
        }
        connection.execute_batch("COMMIT")
    };
    let connection = Connection::open(schema::of_any_length(index)).map_err(&error)?;
    store(&connection).map_err(&error)?;
    connection.close().map_err(|(_, source)| error(source))
}

/// A layer tar whose blocks are compared with their sums before they are used.
#[derive(Debug)]
pub(crate) struct CheckedTar {
    file: File,
    path: PathBuf,
    size: u64,
    /// `None` for a layer of version 1.
    sums: Option<Mutex<StoredSums>>,
    /// The blocks that were read last, the newest at the end.
    kept: Mutex<Vec<(u64, Arc<Vec<u8>>)>>,
}

/// The sums in the index, read row by row.
#[derive(Debug)]
struct StoredSums {
    /// A connection of its own: content is read by other threads than the index.
    connection: Connection,
    index: PathBuf,
    /// The row that was read last.
    row: Option<(u64, Vec<u8>)>,
}

impl CheckedTar {
    /// Opens a tar of that size. `index` has its sums, unless the layer has none.
    pub(crate) fn open(path: &Path, size: u64, index: Option<&Path>) -> Result<Self> {
        let sums = index.map(|index| {
            let connection = schema::open_for_reading(index).map_err(index_error(index))?;
            Ok::<_, Error>(Mutex::new(StoredSums {
                connection,
                index: index.to_owned(),
                row: None,
            }))
        });
        Ok(Self {
            file: File::open(path).map_err(io_error("open", path))?,
            path: path.to_owned(),
            size,
            sums: sums.transpose()?,
            kept: Mutex::default(),
        })
    }

    /// Returns the size of the tar in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Reads from its start.
    pub(crate) fn reader(self) -> impl Read + Send + 'static {
        CheckedReader {
            tar: self,
            position: 0,
        }
    }

    /// Reads at an offset; 0 bytes only at the end.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let buffer = &mut buffer[..wanted];
        if wanted == 0 || self.sums.is_none() {
            return read_file_at(&self.file, offset, buffer);
        }
        let (number, start) = (offset / BLOCK as u64, (offset % BLOCK as u64) as usize);
        // Whole blocks are read straight into the buffer.
        if start == 0 && wanted >= self.len_of(number) {
            let buffer = &mut buffer[..self.len_of(number)];
            self.read_block(number, buffer)?;
            return Ok(buffer.len());
        }
        let block = self.block(number)?;
        let count = wanted.min(block.len() - start);
        buffer[..count].copy_from_slice(&block[start..start + count]);
        Ok(count)
    }

    fn len_of(&self, number: u64) -> usize {
        let left = self.size - number * BLOCK as u64;
        usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK)
    }

    fn block(&self, number: u64) -> io::Result<Arc<Vec<u8>>> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, block)) = kept().iter().find(|(kept, _)| *kept == number) {
            return Ok(Arc::clone(block));
        }
        let mut block = vec![0; self.len_of(number)];
        self.read_block(number, &mut block)?;
        let block = Arc::new(block);
        let mut kept = kept();
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push((number, Arc::clone(&block)));
        Ok(block)
    }

    fn read_block(&self, number: u64, buffer: &mut [u8]) -> io::Result<()> {
        let offset = number * BLOCK as u64;
        let mut filled = 0;
        while filled < buffer.len() {
            match read_file_at(&self.file, offset + filled as u64, &mut buffer[filled..]) {
                Ok(0) => return Err(self.damaged(offset)),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        match self.sum_of(number)? {
            Some(sum) if sum == xxhash3_64::Hasher::oneshot(buffer) => Ok(()),
            _ => Err(self.damaged(offset)),
        }
    }

    fn sum_of(&self, number: u64) -> io::Result<Option<u64>> {
        let Some(sums) = &self.sums else {
            return Ok(None);
        };
        let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
        let row = sums.row(number / SUMS_IN_ROW as u64)?;
        let at = (number % SUMS_IN_ROW as u64) as usize * 8;
        let sum = row.get(at..at + 8).and_then(|sum| sum.try_into().ok());
        Ok(sum.map(u64::from_le_bytes))
    }

    fn damaged(&self, offset: u64) -> io::Error {
        let error = IndexError::Tar {
            path: self.path.clone(),
            offset,
        };
        io::Error::new(io::ErrorKind::InvalidData, Error::from(error))
    }
}

impl StoredSums {
    fn row(&mut self, number: u64) -> io::Result<&[u8]> {
        if self.row.as_ref().is_none_or(|(known, _)| *known != number) {
            let query = "SELECT sums FROM block WHERE id = ?";
            let found = self.connection.prepare_cached(query).and_then(|mut query| {
                let row = query.query_row([number as i64], |row| row.get::<_, Vec<u8>>(0));
                row.optional()
            });
            let found = found.map_err(|error| io::Error::other(index_error(&self.index)(error)))?;
            self.row = Some((number, found.unwrap_or_default()));
        }
        Ok(self.row.as_ref().map_or(&[], |(_, row)| row))
    }
}

/// Reads a [`CheckedTar`] from its start.
struct CheckedReader {
    tar: CheckedTar,
    position: u64,
}

impl Read for CheckedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.tar.read_at(self.position, buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

#[cfg(unix)]
pub(super) fn read_file_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
pub(super) fn read_file_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::BlockSums;

    #[test]
    fn sums_do_not_depend_on_the_pieces() {
        let bytes: Vec<u8> = (0..3 * BLOCK + 777).map(|at| (at * at / 7) as u8).collect();
        let whole: Vec<u64> = bytes
            .chunks(BLOCK)
            .map(xxhash3_64::Hasher::oneshot)
            .collect();
        for piece in [1000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, bytes.len()] {
            let mut sums = BlockSums::default();
            bytes.chunks(piece).for_each(|piece| sums.update(piece));
            assert_eq!(sums.finish(), whole, "{piece}");
        }
        assert!(BlockSums::default().finish().is_empty());
    }
}
