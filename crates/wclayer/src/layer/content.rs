//! [`Content`]: the bytes of a data stream, read at any offset; [`ContentReader`]: the same bytes in
//! order.
//!
//! A layer answers [`Content::read_at`] in whatever way is cheapest for its kind. Everything that
//! depends on the order of reading is in the reader: its position, skipping holes, and comparing
//! the whole content with its hash.

use std::io::{self, Read};

use crate::digest::{Digest, Hasher};
use crate::error::Error;

/// The content of a data stream, holes included: random access that threads can share.
///
/// ```
/// use wclayer::ParentChain;
/// use wclayer::source::{self, OpenOptions};
///
/// let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/sample/base.tar.gz");
/// let view = source::open(sample, &OpenOptions::default(), &())?;
/// let file = view.find(&"Files/ProgramData/State/first.json".parse()?)?.expect("in the sample");
/// let content = view.content(&file, None)?;
/// let mut last = [0];
/// assert_eq!(content.read_at(content.len() - 1, &mut last)?, 1);
/// let mut all = Vec::new();
/// std::io::Read::read_to_end(&mut content.reader(), &mut all)?;
/// assert_eq!(all.last(), Some(&last[0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Content: Send + Sync {
    /// Returns the length in bytes, holes included.
    fn len(&self) -> u64;

    /// Returns whether the content has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads bytes from `offset` on into the start of `buffer`, holes as zeros, and returns how
    /// many. This may be fewer than the buffer has room for; it is 0 only at the end of the content
    /// and for an empty buffer.
    ///
    /// # Errors
    ///
    /// Returns an error if the layer cannot be read or is damaged.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Returns how many bytes from `offset` on are in a hole; 0 in data, at the end, and where the
    /// layer does not know.
    ///
    /// # Errors
    ///
    /// Returns an error if the layer cannot be read or is damaged.
    fn hole_at(&self, offset: u64) -> io::Result<u64> {
        let _ = offset;
        Ok(0)
    }

    /// Returns the SHA-256 that the content must have, holes as zeros, where the layer vouches for
    /// one. A [`ContentReader`] that reads everything compares it.
    fn sha256(&self) -> Option<Digest> {
        None
    }
}

impl dyn Content {
    /// Reads from the start to the end.
    pub fn reader(self: Box<Self>) -> ContentReader {
        ContentReader::new(self)
    }
}

/// Content without a byte.
pub(crate) struct Empty;

impl Content for Empty {
    fn len(&self) -> u64 {
        0
    }

    fn read_at(&self, _offset: u64, _buffer: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

/// Reads content in order, and compares it with its hash at the end.
pub struct ContentReader {
    content: Box<dyn Content>,
    position: u64,
    /// The hash of what has been read, and the expected one; `None` if there is none, or once
    /// something other than a hole was left out.
    check: Option<(Hasher, Digest)>,
}

impl ContentReader {
    /// Starts at the first byte.
    pub fn new(content: Box<dyn Content>) -> Self {
        Self {
            check: content.sha256().map(|sha256| (Hasher::new(), sha256)),
            content,
            position: 0,
        }
    }

    /// Skips the hole that begins here, and returns its length in bytes; 0 if there is none, or
    /// the layer does not know of it.
    ///
    /// # Errors
    ///
    /// Returns an error if the layer cannot be read or is damaged.
    pub fn skip_hole(&mut self) -> io::Result<u64> {
        let hole = self.content.hole_at(self.position)?;
        if hole > 0 {
            self.pass_hole(hole)?;
        }
        Ok(hole)
    }

    /// Advances to `position`, or to the end. The content is no longer compared with its hash
    /// if that leaves out anything but holes.
    pub(crate) fn skip_to(&mut self, position: u64) -> io::Result<()> {
        let position = position.min(self.content.len());
        let skipped = position.saturating_sub(self.position);
        if skipped == 0 {
            return Ok(());
        }
        if self.check.is_some() && self.content.hole_at(self.position)? < skipped {
            self.check = None;
        }
        self.pass_hole(skipped)
    }

    fn pass_hole(&mut self, length: u64) -> io::Result<()> {
        if let Some((hasher, _)) = &mut self.check {
            hasher.update_zeros(length);
        }
        self.position += length;
        self.check_at_end()
    }

    /// Compares the content with its hash once all of it has passed.
    fn check_at_end(&mut self) -> io::Result<()> {
        if self.position == self.content.len()
            && let Some((hasher, expected)) = self.check.take()
        {
            let actual = hasher.finish();
            if actual != expected {
                let mismatch = Error::DigestMismatch {
                    what: "content",
                    expected,
                    actual,
                };
                return Err(io::Error::new(io::ErrorKind::InvalidData, mismatch));
            }
        }
        Ok(())
    }
}

impl Read for ContentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read_at(self.position, buffer)?;
        if let Some((hasher, _)) = &mut self.check {
            hasher.update(&buffer[..read]);
        }
        self.position += read as u64;
        self.check_at_end()?;
        Ok(read)
    }
}
