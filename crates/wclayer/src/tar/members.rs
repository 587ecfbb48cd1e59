//! [`MemberReader`]: the members of a tar, one by one: headers, extended headers and content, without any
//! knowledge of layers.
//!
//! It reads forward only, from any [`BufRead`], and returns the content as slices of the buffer of that
//! reader. It applies PAX and GNU long names and expands sparse members. Positions are byte offsets in
//! the tar, for messages and indexes.
//!
//! Sources: POSIX.1-2017 `pax`; GNU tar manual; Go `archive/tar/reader.go` for tolerated deviations.

use std::io::{self, BufRead};

use super::doubt::{self, Doubt};
use super::header::{self, BLOCK, Header, type_flag};
use super::pax::{MAX_EXTENDED_HEADER, MAX_GLOBAL_HEADERS, PaxRecords, key};
use super::sparse::{self, GnuSparse, OldGnu, SparseMap};
use crate::error::{TarError, TarProblem};
use crate::foreign::Foreign;

/// The headers of one member. Its content is read from the [`MemberReader`].
#[derive(Debug, Clone)]
pub struct Member {
    /// The offset of its first header block (of its extended header, if it has one).
    pub offset: u64,
    /// The offset of its content.
    pub content_offset: u64,
    /// Its name.
    pub name: Vec<u8>,
    /// Its link target; empty without one.
    pub link_name: Vec<u8>,
    /// The type byte of the header; `0` or `5` for a v7 header without a type.
    pub type_flag: u8,
    /// The length of the content in bytes, including holes.
    pub size: u64,
    /// Last modification in seconds since 1970, from the header.
    pub modified: i64,
    /// Last access in seconds since 1970, from a GNU or star header.
    pub accessed: Option<i64>,
    /// Last change in seconds since 1970, from a GNU or star header.
    pub changed: Option<i64>,
    /// The records of the global headers, then those of its extended header.
    pub pax: PaxRecords,
    /// The stored parts, if GNU tar omitted the holes.
    pub sparse: Option<SparseMap>,
    /// Headers that other readers reject, or interpret differently.
    pub doubts: Vec<Doubt>,
}

/// How a tar ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveEnd {
    /// With two blocks of zeros, as it should.
    Complete,
    /// With one block of zeros, or none, or inside the padding of the last member.
    MissingEndBlocks,
}

/// Skips bytes of an input; returns their number, which is smaller than requested only at its end.
pub type Skip<R> = fn(&mut R, u64) -> io::Result<u64>;

/// Reads the members of a tar.
pub struct MemberReader<R> {
    input: R,
    /// Skips bytes of the input without returning them.
    skip: Skip<R>,
    /// Bytes read so far.
    offset: u64,
    /// Bytes of padding after the current content.
    padding: u64,
    content: Content,
    /// The current member, for messages.
    current: (u64, Vec<u8>),
    global: PaxRecords,
    /// The holes of all sparse members so far, in bytes.
    holes: u64,
    /// The last member, if its type has no content but its header announces some.
    claim: Option<Claim>,
    end: Option<ArchiveEnd>,
}

/// A member whose header announces content although its type has none.
struct Claim {
    offset: u64,
    name: Vec<u8>,
    problem: TarProblem,
}

/// The rest of the content of the current member.
enum Content {
    Stored(u64),
    Sparse {
        map: SparseMap,
        next: usize,
        position: u64,
    },
}

/// The extended headers of the next member.
#[derive(Default)]
struct Extended {
    pax: PaxRecords,
    name: Option<Vec<u8>>,
    link_name: Option<Vec<u8>>,
    any: bool,
    has_pax: bool,
    doubts: Vec<Doubt>,
}

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

impl<R: BufRead> MemberReader<R> {
    /// Starts at the first block of a tar.
    pub fn new(input: R) -> Self {
        Self::skipping_by(input, skip_by_reading)
    }

    /// Same as [`new`](Self::new), for an input that can skip unread content.
    pub fn skipping_by(input: R, skip: Skip<R>) -> Self {
        Self {
            input,
            skip,
            offset: 0,
            padding: 0,
            content: Content::Stored(0),
            current: (0, Vec::new()),
            global: PaxRecords::default(),
            holes: 0,
            claim: None,
            end: None,
        }
    }

    /// Returns the number of bytes read from the tar.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns how the tar ended, after its end was read.
    pub fn end(&self) -> Option<ArchiveEnd> {
        self.end
    }

    /// Returns the input; bytes after the end of the archive are still unread.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// Advances to the next member, and skips the rest of the current one; `None` at the end.
    ///
    /// # Errors
    ///
    /// Returns a [`TarError`] for anything except a well-formed member or end.
    pub fn next_member(&mut self) -> Result<Option<Member>, TarError> {
        if self.end.is_some() {
            return Ok(None);
        }
        self.skip_content()?;
        let start = self.offset;
        self.current = (start, Vec::new());
        let claim = self.claim.take();
        match (self.read_member(start), claim) {
            (Ok(member), _) => Ok(member),
            // Bytes that do not look like a header are the content.
            (Err(TarProblem::Checksum { .. } | TarProblem::LoneZeroBlock), Some(claim)) => {
                Err(TarError::new(&claim.name, claim.offset, claim.problem))
            }
            (Err(problem), _) => Err(TarError::new(&self.current.1, start, problem)),
        }
    }

    /// Returns the next bytes of the content of the current member; an empty slice at its end.
    ///
    /// # Errors
    ///
    /// Returns an error if the input fails or ends too early.
    pub fn fill_content(&mut self) -> Result<&[u8], TarError> {
        let (stored, hole) = self.available();
        if hole > 0 {
            return Ok(&ZEROS[..hole.min(ZEROS.len() as u64) as usize]);
        }
        if stored == 0 {
            return Ok(&[]);
        }
        match self.input.fill_buf() {
            Ok([]) => Err(self
                .current
                .error(TarProblem::TruncatedContent { missing: stored })),
            Ok(bytes) => Ok(&bytes[..bytes
                .len()
                .min(usize::try_from(stored).unwrap_or(usize::MAX))]),
            Err(error) => Err(self.current.error(TarProblem::Io(error))),
        }
    }

    /// Marks `count` bytes from [`fill_content`](Self::fill_content) as read.
    pub fn consume_content(&mut self, count: usize) {
        let from_input = match &mut self.content {
            Content::Stored(left) => {
                *left -= (count as u64).min(*left);
                true
            }
            Content::Sparse {
                map,
                next,
                position,
            } => {
                let stored = map
                    .ranges
                    .get(*next)
                    .is_some_and(|range| *position >= range.offset);
                *position += count as u64;
                while map
                    .ranges
                    .get(*next)
                    .is_some_and(|range| *position >= range.offset + range.len)
                {
                    *next += 1;
                }
                stored
            }
        };
        if from_input {
            self.input.consume(count);
            self.offset += count as u64;
        }
    }

    /// Skips the hole at the current position of the content, and returns its length; 0 if there is
    /// none.
    pub fn skip_hole(&mut self) -> u64 {
        let (_, hole) = self.available();
        if let Content::Sparse { position, .. } = &mut self.content {
            *position += hole;
        }
        hole
    }

    /// Returns how many bytes come next from the input, and how many from a hole.
    fn available(&self) -> (u64, u64) {
        match &self.content {
            Content::Stored(left) => (*left, 0),
            Content::Sparse {
                map,
                next,
                position,
            } => match map.ranges.get(*next) {
                Some(range) if range.offset > *position => (0, range.offset - position),
                Some(range) => (range.offset + range.len - position, 0),
                None => (0, map.size - position),
            },
        }
    }

    fn skip_content(&mut self) -> Result<(), TarError> {
        let stored_left = match &self.content {
            Content::Stored(left) => *left,
            Content::Sparse {
                map,
                next,
                position,
            } => map.ranges[(*next).min(map.ranges.len())..]
                .iter()
                .map(|range| range.offset + range.len - range.offset.max(*position))
                .sum(),
        };
        let current = std::mem::take(&mut self.current);
        let skipped = self
            .skip(stored_left)
            .map_err(|error| current.error(TarProblem::Io(error)))?;
        if skipped < stored_left {
            let missing = stored_left - skipped;
            return Err(current.error(TarProblem::TruncatedContent { missing }));
        }
        self.content = Content::Stored(0);
        // An end inside the padding loses no data; it is reported as a missing end block.
        let padding = std::mem::take(&mut self.padding);
        self.skip(padding)
            .map_err(|error| current.error(TarProblem::Io(error)))?;
        Ok(())
    }

    /// Skips up to `count` bytes; fewer only at the end of the input.
    fn skip(&mut self, count: u64) -> io::Result<u64> {
        if count == 0 {
            return Ok(0);
        }
        let skipped = (self.skip)(&mut self.input, count)?;
        self.offset += skipped;
        Ok(skipped)
    }

    fn read_member(&mut self, start: u64) -> Result<Option<Member>, TarProblem> {
        let mut extended = Extended::default();
        loop {
            let Some(block) = self.read_header_block(extended.any)? else {
                return Ok(None);
            };
            let header = match header::parse(&block) {
                Err(_) if start == 0 && !extended.any && !header::has_magic(&block) => {
                    return Err(TarProblem::NotATar(Foreign::of(&block)));
                }
                parsed => parsed?,
            };
            self.current.1.clone_from(&header.name);
            let numbers = header::malformed_numbers(&block);
            extended
                .doubts
                .extend(numbers.map(|field| Doubt::Number { field }));
            match header.type_flag {
                type_flag::PAX_LOCAL => {
                    if std::mem::replace(&mut extended.has_pax, true) {
                        let text = "it has two PAX headers, of which the last counts";
                        extended.doubts.push(Doubt::TwoReadings(text.to_owned()));
                    }
                    extended.pax = PaxRecords::parse(self.read_extended(header.size)?)?;
                    extended.any = true;
                }
                type_flag::PAX_GLOBAL => {
                    let records = PaxRecords::parse(self.read_extended(header.size)?)?;
                    self.add_global(records)?;
                }
                type_flag::GNU_LONG_NAME => {
                    extended.name = Some(until_nul(self.read_extended(header.size)?));
                    extended.any = true;
                }
                type_flag::GNU_LONG_LINK => {
                    extended.link_name = Some(until_nul(self.read_extended(header.size)?));
                    extended.any = true;
                }
                _ => return self.member(start, &block, header, extended).map(Some),
            }
        }
    }

    /// Adds a global header. Global headers accumulate, up to a limit.
    fn add_global(&mut self, records: PaxRecords) -> Result<(), TarProblem> {
        self.global = self.global.followed_by(records);
        match self.global.len_bytes() {
            size if size > MAX_GLOBAL_HEADERS => Err(TarProblem::ExtendedHeaderTooLarge {
                size,
                limit: MAX_GLOBAL_HEADERS,
            }),
            _ => Ok(()),
        }
    }

    /// Combines a header and the extended headers before it into a member.
    fn member(
        &mut self,
        start: u64,
        block: &[u8; BLOCK],
        header: Header,
        extended: Extended,
    ) -> Result<Member, TarProblem> {
        let mut doubts = extended.doubts;
        doubt::of_records(&extended.pax, &mut doubts);
        doubt::of_global_records(&self.global, &mut doubts);
        let pax = self.global.followed_by(extended.pax);
        let pax_text = |key| pax.get_filled(key).map(<[u8]>::to_vec);
        for (what, gnu, key) in [
            ("name", &extended.name, key::PATH),
            ("target", &extended.link_name, key::LINK_PATH),
        ] {
            doubt::of_names(what, gnu.as_deref(), pax.get_filled(key), &mut doubts);
        }
        let name = extended
            .name
            .or_else(|| pax_text(key::PATH))
            .unwrap_or(header.name);
        self.current.1.clone_from(&name);
        let stored = match pax.get_filled(key::SIZE) {
            Some(text) => pax_size(text)?,
            None => header.size,
        };
        let mut member = Member {
            offset: start,
            content_offset: self.offset,
            link_name: extended
                .link_name
                .or_else(|| pax_text(key::LINK_PATH))
                .unwrap_or(header.link_name),
            type_flag: match header.type_flag {
                type_flag::REGULAR_V7 if name.ends_with(b"/") => type_flag::DIRECTORY,
                type_flag::REGULAR_V7 => type_flag::REGULAR,
                other => other,
            },
            name,
            size: stored,
            modified: header.modified,
            accessed: header.accessed,
            changed: header.changed,
            pax,
            sparse: None,
            doubts,
        };
        self.start_content(&mut member, block)?;
        if member.sparse.is_none() {
            doubt::of_sparse_records(&member.pax, &mut member.doubts);
        }
        Ok(member)
    }

    /// Moves to the start of the content of the member, and determines its length.
    fn start_content(
        &mut self,
        member: &mut Member,
        block: &[u8; BLOCK],
    ) -> Result<(), TarProblem> {
        let has_no_content = matches!(
            member.type_flag,
            type_flag::LINK
                | type_flag::SYMLINK
                | type_flag::CHARACTER_DEVICE
                | type_flag::BLOCK_DEVICE
                | type_flag::DIRECTORY
                | type_flag::FIFO
        );
        if has_no_content {
            doubt::of_content(member.type_flag, member.size, &mut member.doubts);
            self.claim = (member.size > 0).then(|| Claim {
                offset: member.offset,
                name: member.name.clone(),
                problem: TarProblem::UnexpectedContent {
                    kind: doubt::kind_of(member.type_flag),
                    size: member.size,
                },
            });
            member.size = 0;
        }
        let stored = member.size;
        self.padding = stored.wrapping_neg() % BLOCK as u64;
        self.content = Content::Stored(stored);
        if has_no_content {
            return Ok(());
        }
        let map = if member.type_flag == type_flag::GNU_SPARSE {
            let (mut map, mut more) = OldGnu::from_header(block)?;
            while more {
                more = map.extend(&self.read_block()?.ok_or(TarProblem::TruncatedHeader)?)?;
            }
            member.content_offset = self.offset;
            member.type_flag = type_flag::REGULAR;
            Some(map.finish(stored)?)
        } else {
            self.pax_sparse_map(member, stored)?
        };
        if let Some(map) = map {
            self.holes += map.size - map.allocated();
            sparse::check_expanded(self.holes)?;
            member.size = map.size;
            self.content = Content::Sparse {
                map: map.clone(),
                next: 0,
                position: 0,
            };
            // Empty ranges have no effect on the content.
            self.consume_content(0);
            member.sparse = Some(map);
        }
        Ok(())
    }

    fn pax_sparse_map(
        &mut self,
        member: &mut Member,
        stored: u64,
    ) -> Result<Option<SparseMap>, TarProblem> {
        let Some((map, name)) = sparse::from_pax(&member.pax, stored)? else {
            return Ok(None);
        };
        if let Some(name) = name {
            self.current.1.clone_from(&name);
            member.name = name;
        }
        match map {
            GnuSparse::Map(map) => Ok(Some(map)),
            GnuSparse::InContent(size) => {
                let (map, _) = sparse::from_content(size, stored, || {
                    self.read_block()?.ok_or(TarProblem::TruncatedHeader)
                })?;
                member.content_offset = self.offset;
                Ok(Some(map))
            }
        }
    }

    /// Reads the next header block; `None` at the end of the archive.
    fn read_header_block(
        &mut self,
        after_extended: bool,
    ) -> Result<Option<[u8; BLOCK]>, TarProblem> {
        let is_first = self.offset == 0;
        let end = match self.read_block()? {
            None if is_first => return Err(TarProblem::Empty),
            None => ArchiveEnd::MissingEndBlocks,
            Some(block) if block != [0; BLOCK] => return Ok(Some(block)),
            Some(_) => match self.read_block()? {
                None => ArchiveEnd::MissingEndBlocks,
                Some(block) if block == [0; BLOCK] => ArchiveEnd::Complete,
                Some(_) => return Err(TarProblem::LoneZeroBlock),
            },
        };
        if after_extended {
            return Err(TarProblem::DanglingExtendedHeader);
        }
        self.end = Some(end);
        Ok(None)
    }

    /// Reads one block; `None` at the end of the input.
    fn read_block(&mut self) -> Result<Option<[u8; BLOCK]>, TarProblem> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let bytes = self.input.fill_buf().map_err(TarProblem::Io)?;
            let count = bytes.len().min(BLOCK - filled);
            block[filled..filled + count].copy_from_slice(&bytes[..count]);
            self.input.consume(count);
            self.offset += count as u64;
            filled += count;
            match (count, filled) {
                (0, 0) => return Ok(None),
                (0, _) => return Err(self.cut_in_block(&block[..filled])),
                _ => {}
            }
        }
        Ok(Some(block))
    }

    /// Interprets an end of the input inside a block: input that is too short for a first header may not
    /// be a tar at all.
    fn cut_in_block(&self, start: &[u8]) -> TarProblem {
        let is_first = self.offset == start.len() as u64;
        if is_first && !header::has_magic(start) {
            TarProblem::NotATar(Foreign::of(start))
        } else {
            TarProblem::TruncatedHeader
        }
    }

    /// Reads the entire content of an extended header and its padding.
    fn read_extended(&mut self, size: u64) -> Result<Vec<u8>, TarProblem> {
        if size > MAX_EXTENDED_HEADER {
            let limit = MAX_EXTENDED_HEADER;
            return Err(TarProblem::ExtendedHeaderTooLarge { size, limit });
        }
        let mut content = Vec::with_capacity(size as usize + BLOCK);
        while (content.len() as u64) < size {
            let block = self.read_block()?.ok_or(TarProblem::TruncatedHeader)?;
            content.extend_from_slice(&block);
        }
        content.truncate(size as usize);
        Ok(content)
    }
}

fn skip_by_reading<R: BufRead>(input: &mut R, count: u64) -> io::Result<u64> {
    let mut left = count;
    while left > 0 {
        let len = input.fill_buf()?.len();
        if len == 0 {
            break;
        }
        let step = (len as u64).min(left);
        input.consume(step as usize);
        left -= step;
    }
    Ok(count - left)
}

/// Creates errors about the current member.
trait AtMember {
    fn error(&self, problem: TarProblem) -> TarError;
}

impl AtMember for (u64, Vec<u8>) {
    fn error(&self, problem: TarProblem) -> TarError {
        TarError::new(&self.1, self.0, problem)
    }
}

fn until_nul(mut text: Vec<u8>) -> Vec<u8> {
    let end = text
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(text.len());
    text.truncate(end);
    text
}

fn pax_size(text: &[u8]) -> Result<u64, TarProblem> {
    std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<i64>().ok())
        .and_then(|size| u64::try_from(size).ok())
        .ok_or(TarProblem::Number { field: "size" })
}
