//! The file of an index, read once before SQLite opens it: computes its hash, and checks that no
//! page is used twice.
//!
//! SQLite follows whatever the pages say. Pages that many others lead to turn a small file into
//! endless rows, and a page that leads to itself is an endless value. Here every page except the
//! roots is led to exactly once, and no two cells share bytes: rows and values together are never
//! larger than the file.
//!
//! Source: SQLite, "Database File Format", sections 1.3, 1.6 and 1.7.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use twox_hash::xxhash3_128;

use super::seal::IndexSeal;
use crate::error::IndexError;
use crate::error::{Result, io_error};

/// The size of a page in bytes, with nothing reserved.
const PAGE: usize = 8192;
/// How much is read at once, in bytes.
const CHUNK: usize = 128 * PAGE;
/// The largest number of pages: the first byte of a page number is then 0, which is not the type of
/// a tree page.
const MAX_PAGES: u64 = 1 << 24;
/// The page that SQLite does not use because of its locks, at 1 GiB.
const LOCK_PAGE: u32 = (1 << 30) / PAGE as u32 + 1;
/// More roots than any index has.
const MAX_ROOTS: usize = 16;
/// The largest payload of a table's cell and of an index's cell that is stored whole in its page,
/// and the smallest part of a larger payload that stays there.
const MAX_TABLE_PAYLOAD: u64 = PAGE as u64 - 35;
const MAX_INDEX_PAYLOAD: u64 = (PAGE as u64 - 12) * 64 / 255 - 23;
const MIN_PAYLOAD: u64 = (PAGE as u64 - 12) * 32 / 255 - 23;

/// The types of tree pages.
const INTERIOR_INDEX: u8 = 2;
const INTERIOR_TABLE: u8 = 5;
const LEAF_INDEX: u8 = 10;
const LEAF_TABLE: u8 = 13;

/// What was found out about a file.
pub(super) struct FoundFile {
    /// Its size and hash.
    pub(super) seal: IndexSeal,
    /// The pages that no other page leads to, ascending: the roots of the tables and indexes.
    pub(super) roots: Vec<u32>,
}

/// Reads the whole file.
pub(super) fn read(path: &Path) -> Result<FoundFile> {
    let mut file = File::open(path).map_err(io_error("open", path))?;
    let size = file.metadata().map_err(io_error("read", path))?.len();
    let damaged = |what| IndexError::Content {
        path: path.to_owned(),
        what,
    };
    let pages = size / PAGE as u64;
    if size == 0 || size % PAGE as u64 != 0 || pages >= MAX_PAGES {
        return Err(damaged("its size is not that of a whole index").into());
    }
    let mut tree = Tree::new(pages as u32);
    let mut hasher = xxhash3_128::Hasher::new();
    let mut chunk = vec![0; CHUNK.min(size as usize)];
    let mut number = 0;
    loop {
        let read = fill(&mut file, &mut chunk).map_err(io_error("read", path))?;
        if read == 0 {
            break;
        }
        hasher.write(&chunk[..read]);
        for page in chunk[..read].chunks(PAGE) {
            number += 1;
            tree.take(number, page).map_err(damaged)?;
        }
    }
    if u64::from(number) != pages {
        return Err(damaged("it changed while it was being read").into());
    }
    Ok(FoundFile {
        seal: IndexSeal {
            size,
            xxh3: hasher.finish_128(),
        },
        roots: tree.roots().map_err(damaged)?,
    })
}

fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The pages that others lead to, in the order of the file.
struct Tree {
    pages: u32,
    /// A bit for each page.
    led_to: Vec<u64>,
}

type Found<T> = std::result::Result<T, &'static str>;
const DAMAGED: &str = "one of its pages is not valid";

impl Tree {
    fn new(pages: u32) -> Self {
        Self {
            pages,
            led_to: vec![0; pages as usize / 64 + 1],
        }
    }

    fn take(&mut self, number: u32, page: &[u8]) -> Found<()> {
        let start = match number {
            _ if page.len() != PAGE => return Err(DAMAGED),
            1 => check_header(page, self.pages)?,
            _ => 0,
        };
        match page[start] {
            // The first four bytes of an overflow page are the number of the next one.
            0 if number != 1 => self.lead_to_next(number_at(page, 0)?),
            INTERIOR_INDEX | INTERIOR_TABLE | LEAF_INDEX | LEAF_TABLE => {
                self.take_tree_page(page, start)
            }
            _ => Err(DAMAGED),
        }
    }

    fn take_tree_page(&mut self, page: &[u8], start: usize) -> Found<()> {
        let kind = page[start];
        let is_interior = kind == INTERIOR_INDEX || kind == INTERIOR_TABLE;
        let pointers = start + if is_interior { 12 } else { 8 };
        if is_interior {
            self.lead_to(number_at(page, start + 8)?)?;
        }
        let cells = usize::from(page[start + 3]) << 8 | usize::from(page[start + 4]);
        let list = page.get(pointers..pointers + 2 * cells).ok_or(DAMAGED)?;
        let mut used = pointers + 2 * cells;
        for pointer in list.chunks_exact(2) {
            let at = usize::from(pointer[0]) << 8 | usize::from(pointer[1]);
            used += self.take_cell(kind, page, at)?;
        }
        match used {
            0..=PAGE => Ok(()),
            _ => Err("rows share their bytes"),
        }
    }

    /// Returns how many bytes the cell takes.
    fn take_cell(&mut self, kind: u8, page: &[u8], start: usize) -> Found<usize> {
        let mut at = start;
        if kind == INTERIOR_INDEX || kind == INTERIOR_TABLE {
            self.lead_to(number_at(page, at)?)?;
            at += 4;
        }
        let number = varint(page, &mut at)?;
        if kind == INTERIOR_TABLE {
            return Ok(at - start);
        }
        let largest = match kind {
            LEAF_TABLE => {
                varint(page, &mut at)?;
                MAX_TABLE_PAYLOAD
            }
            _ => MAX_INDEX_PAYLOAD,
        };
        if number <= largest {
            at += number as usize;
        } else {
            let rest = (number - MIN_PAYLOAD) % (PAGE as u64 - 4) + MIN_PAYLOAD;
            at += if rest <= largest { rest } else { MIN_PAYLOAD } as usize;
            self.lead_to(number_at(page, at)?)?;
            at += 4;
        }
        match at {
            0..=PAGE => Ok(at - start),
            _ => Err(DAMAGED),
        }
    }

    fn lead_to_next(&mut self, number: u32) -> Found<()> {
        match number {
            0 => Ok(()),
            number => self.lead_to(number),
        }
    }

    fn lead_to(&mut self, number: u32) -> Found<()> {
        if number < 2 || number > self.pages || number == LOCK_PAGE {
            return Err("one of its pages leads nowhere");
        }
        let (word, bit) = (number as usize / 64, 1 << (number % 64));
        if self.led_to[word] & bit != 0 {
            return Err("two of its pages lead to the same one");
        }
        self.led_to[word] |= bit;
        Ok(())
    }

    fn roots(&self) -> Found<Vec<u32>> {
        let is_root = |number: &u32| {
            *number != LOCK_PAGE && self.led_to[*number as usize / 64] & (1 << (number % 64)) == 0
        };
        let roots: Vec<u32> = (2..=self.pages)
            .filter(is_root)
            .take(MAX_ROOTS + 1)
            .collect();
        match roots.len() {
            0..=MAX_ROOTS => Ok(roots),
            _ => Err("some of its pages cannot be reached"),
        }
    }
}

/// Checks the header of the file, and returns where the tree of the first page starts: a leaf,
/// since the schema is small.
fn check_header(page: &[u8], pages: u32) -> Found<usize> {
    let is_ours = page.starts_with(b"SQLite format 3\0")
        // The size of a page; no write-ahead log; nothing reserved in a page.
        && page[16..21] == [(PAGE >> 8) as u8, 0, 1, 1, 0];
    if !is_ours {
        return Err("it is not the kind of SQLite database that an index is");
    }
    if number_at(page, 28)? != pages {
        return Err("its length is not what its header gives");
    }
    // No free pages, no pages that point back, UTF-8.
    if number_at(page, 32)? != 0
        || number_at(page, 36)? != 0
        || number_at(page, 52)? != 0
        || number_at(page, 56)? != 1
        || page[100] != LEAF_TABLE
    {
        return Err("its header is not that of an index");
    }
    Ok(100)
}

fn number_at(page: &[u8], at: usize) -> Found<u32> {
    let bytes = page.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u32::from_be_bytes).ok_or(DAMAGED)
}

/// Reads a number of one to nine bytes, as SQLite encodes it.
fn varint(page: &[u8], at: &mut usize) -> Found<u64> {
    let mut number = 0;
    for place in 0..9 {
        let byte = *page.get(*at).ok_or(DAMAGED)?;
        *at += 1;
        if place == 8 {
            return Ok(number << 8 | u64::from(byte));
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            break;
        }
    }
    Ok(number)
}
