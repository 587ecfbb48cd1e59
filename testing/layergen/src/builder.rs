//! The tar writer: USTAR headers, preceded by PAX extended headers where needed.
//!
//! Each entry is written immediately: extended header and its records (`x`), header, content,
//! padding to 512 bytes. Nothing is kept, so a tar may be of any size.
//!
//! Sources: POSIX.1-2001 "ustar Interchange Format"; Go `archive/tar` `writer.go`
//! (`templateV7Plus`, `writePAXHeader`) for the names and numbers in the fields; hcsshim
//! `pkg/ociwclayer/export.go` for whiteouts and hard links.

use std::io::{self, Read, Write};

use crate::meta::{Meta, pax_record};

const BLOCK: usize = 512;
/// The longest name that fits the name and link fields, in bytes.
const NAME_FIELD: usize = 100;
/// One more than the largest number of 11 octal digits.
const OCTAL_LIMIT: u64 = 1 << 33;

const MODE_DIRECTORY: u32 = 0o040_000;
const MODE_REGULAR: u32 = 0o100_000;
const MODE_SYMLINK: u32 = 0o120_000;
const ATTRIBUTE_DIRECTORY: u32 = 0x10;

/// The fields of one 512-byte header, written as they are even if they are wrong.
#[derive(Clone, Debug, Default)]
pub struct Header<'a> {
    /// Name, truncated to 100 bytes.
    pub name: &'a [u8],
    /// Mode bits, including type bits.
    pub mode: u32,
    /// Declared size of the content that follows, in bytes.
    pub size: u64,
    /// Seconds since the Unix epoch.
    pub mtime: u64,
    /// Type of the entry, such as `b'0'`.
    pub typeflag: u8,
    /// Target of a link, truncated to 100 bytes.
    pub link_name: &'a [u8],
}

impl Header<'_> {
    /// Returns the USTAR block with its checksum; numbers too large for a field become 0.
    pub fn to_block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        put(&mut block, 0, &self.name[..self.name.len().min(NAME_FIELD)]);
        put_octal(&mut block, 100, 7, u64::from(self.mode));
        put_octal(&mut block, 108, 7, 0);
        put_octal(&mut block, 116, 7, 0);
        put_octal(&mut block, 124, 11, self.size);
        put_octal(&mut block, 136, 11, self.mtime);
        put(&mut block, 156, &[self.typeflag]);
        put(
            &mut block,
            157,
            &self.link_name[..self.link_name.len().min(NAME_FIELD)],
        );
        put(&mut block, 257, b"ustar\x0000");
        if self.typeflag != b'x' {
            put_octal(&mut block, 329, 7, 0);
            put_octal(&mut block, 337, 7, 0);
        }
        put(&mut block, 148, b"        ");
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

/// Writes a layer tar entry by entry; paths use `/` and start at the layer's root.
#[derive(Debug)]
pub struct TarBuilder<W: Write> {
    out: W,
    position: u64,
    buffer: Vec<u8>,
}

impl<W: Write> TarBuilder<W> {
    /// Starts a tar on `out`, which should be buffered.
    pub fn new(out: W) -> Self {
        Self {
            out,
            position: 0,
            buffer: Vec::new(),
        }
    }

    /// Returns the number of bytes written so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Adds a directory.
    ///
    /// Returns the errors of the writer, like every method here.
    pub fn directory(&mut self, path: &str, meta: &Meta) -> io::Result<()> {
        self.headers(path, "", b'5', MODE_DIRECTORY, 0, meta)
    }

    /// Adds a regular file.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer.
    pub fn file(&mut self, path: &str, meta: &Meta, content: &[u8]) -> io::Result<()> {
        self.headers(path, "", b'0', MODE_REGULAR, content.len() as u64, meta)?;
        self.content(content)
    }

    /// Adds a regular file of `size` bytes, read from `content` piece by piece.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer and of the reader, and `UnexpectedEof` if `content` is too
    /// short. Bytes of `content` beyond `size` are not read.
    pub fn file_from(
        &mut self,
        path: &str,
        meta: &Meta,
        size: u64,
        content: impl Read,
    ) -> io::Result<()> {
        self.headers(path, "", b'0', MODE_REGULAR, size, meta)?;
        self.content_from(size, content)
    }

    /// Adds the alternate data stream `name` of the entry just added. Only the access, write and
    /// change times of `meta` are used, as in the reference.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer.
    pub fn stream(
        &mut self,
        path: &str,
        name: &str,
        meta: &Meta,
        content: &[u8],
    ) -> io::Result<()> {
        self.file(&format!("{path}:{name}"), &meta.of_stream(), content)
    }

    /// Adds a symbolic link; a target with a drive or a leading `\` is absolute.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer.
    pub fn symlink(&mut self, path: &str, target: &str, meta: &Meta) -> io::Result<()> {
        let directory = meta.attributes.unwrap_or(0) & ATTRIBUTE_DIRECTORY != 0;
        let mode = MODE_SYMLINK | if directory { MODE_DIRECTORY } else { 0 };
        self.headers(path, target, b'2', mode, 0, meta)
    }

    /// Adds a junction: a directory symbolic link with the `MSWINDOWS.mountpoint` record.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer.
    pub fn junction(&mut self, path: &str, target: &str, meta: &Meta) -> io::Result<()> {
        let mut meta = meta.clone();
        meta.records
            .push(("MSWINDOWS.mountpoint".to_owned(), b"1".to_vec()));
        let mode = MODE_SYMLINK | MODE_DIRECTORY;
        self.headers(path, target, b'2', mode, 0, &meta)
    }

    /// Adds `path` as an additional name of `target`, a path relative to the layer's root. The
    /// descriptor and the extended attributes in `meta` are ignored, as in the reference.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer.
    pub fn hard_link(&mut self, path: &str, target: &str, meta: &Meta) -> io::Result<()> {
        self.headers(path, target, b'1', 0o644, 0, &meta.of_hard_link())
    }

    /// Adds the whiteout that deletes `path` of a parent layer.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer.
    pub fn whiteout(&mut self, path: &str) -> io::Result<()> {
        let (directory, name) = split(path);
        self.headers(
            &format!("{directory}.wh.{name}"),
            "",
            b'0',
            0,
            0,
            &Meta::default(),
        )
    }

    /// Adds the marker that hides the parent layers' content of `directory`.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer.
    pub fn opaque(&mut self, directory: &str) -> io::Result<()> {
        self.whiteout(&format!("{directory}/.wh..opq"))
    }

    /// Adds an entry of any type: the records in the given order, a header with mode 0 and a
    /// truncated name, the content. No record is added, so a long name needs a `path` record.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer.
    pub fn raw_entry(
        &mut self,
        name: impl AsRef<[u8]>,
        typeflag: u8,
        records: &[(&str, &[u8])],
        content: &[u8],
    ) -> io::Result<()> {
        if !records.is_empty() {
            let body: Vec<u8> = records
                .iter()
                .flat_map(|(key, value)| pax_record(key, value))
                .collect();
            self.extended_header(name.as_ref(), &body)?;
        }
        let size = content.len() as u64;
        self.raw_header(&Header {
            name: name.as_ref(),
            typeflag,
            size,
            ..Header::default()
        })?;
        self.content(content)
    }

    /// Adds an `x` header for `name` with `body` as its records, well-formed or not.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer.
    pub fn extended_header(&mut self, name: &[u8], body: &[u8]) -> io::Result<()> {
        let name = extended_header_name(name);
        let size = body.len() as u64;
        self.raw_header(&Header {
            name: &name,
            typeflag: b'x',
            size,
            ..Header::default()
        })?;
        self.content(body)
    }

    /// Adds one header block and nothing else.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer.
    pub fn raw_header(&mut self, header: &Header<'_>) -> io::Result<()> {
        self.raw_bytes(&header.to_block())
    }

    /// Adds bytes as they are, without padding.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer.
    pub fn raw_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Ends the tar with two zero blocks and returns the flushed writer.
    ///
    /// # Errors
    ///
    /// Returns the errors of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.raw_bytes(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn headers(
        &mut self,
        path: &str,
        link: &str,
        typeflag: u8,
        mode: u32,
        size: u64,
        meta: &Meta,
    ) -> io::Result<()> {
        let mut records = meta.to_records();
        for (key, text) in [("path", path), ("linkpath", link)] {
            let fits = text.len() <= NAME_FIELD && text.is_ascii();
            if !fits && !records.iter().any(|(other, _)| other == key) {
                records.push((key.to_owned(), text.as_bytes().to_vec()));
            }
        }
        if size >= OCTAL_LIMIT {
            records.push(("size".to_owned(), size.to_string().into_bytes()));
        }
        if !records.is_empty() {
            records.sort();
            let body: Vec<u8> = records
                .iter()
                .flat_map(|(key, value)| pax_record(key, value))
                .collect();
            self.extended_header(path.as_bytes(), &body)?;
        }
        self.raw_header(&Header {
            name: &ascii_only(path.as_bytes()),
            mode,
            size,
            mtime: meta.mtime_field(),
            typeflag,
            link_name: &ascii_only(link.as_bytes()),
        })
    }

    fn content(&mut self, content: &[u8]) -> io::Result<()> {
        self.raw_bytes(content)?;
        self.pad(content.len() as u64)
    }

    fn content_from(&mut self, size: u64, mut content: impl Read) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(64 * 1024, 0);
        let mut left = size;
        while left > 0 {
            let piece = left.min(buffer.len() as u64) as usize;
            content.read_exact(&mut buffer[..piece])?;
            self.raw_bytes(&buffer[..piece])?;
            left -= piece as u64;
        }
        self.buffer = buffer;
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let rest = (size % BLOCK as u64) as usize;
        self.raw_bytes(&[0; BLOCK][..(BLOCK - rest) % BLOCK])
    }
}

/// Splits a path after its last `/`.
fn split(path: &str) -> (&str, &str) {
    path.split_at(path.rfind('/').map_or(0, |at| at + 1))
}

/// Returns `DIRECTORY/PaxHeaders.0/NAME`, truncated and without trailing slashes, the name that Go
/// gives the extended header of an entry.
fn extended_header_name(name: &[u8]) -> Vec<u8> {
    let at = name
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |at| at + 1);
    let joined = [&name[..at], b"PaxHeaders.0/", &name[at..]].concat();
    let mut short = ascii_only(&joined);
    short.truncate(NAME_FIELD);
    while short.last() == Some(&b'/') {
        short.pop();
    }
    short
}

/// Removes non-ASCII characters; the `path` record holds the full name.
fn ascii_only(name: &[u8]) -> Vec<u8> {
    name.iter()
        .copied()
        .filter(|byte| byte.is_ascii() && *byte != 0)
        .collect()
}

fn put(block: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Writes `digits` octal digits and keeps the NUL after them.
fn put_octal(block: &mut [u8; BLOCK], at: usize, digits: usize, number: u64) {
    let number = if number >> (3 * digits) == 0 {
        number
    } else {
        0
    };
    put(block, at, format!("{number:0digits$o}").as_bytes());
}

#[cfg(test)]
mod tests;
