//! Where we differ from the reference on purpose: the one table of rules and reasons.
//!
//! A rule speaks of what a case holds, never of its name, so that it covers cases yet to come. The
//! predicates that recognise such content are here; what we do instead is asserted where the case
//! runs, by comparing with what the rule says the result has to be.

use std::collections::BTreeSet;

use ntmeta::{FileAttributes, FileBasicInfo, ReparsePoint};
use vectors::streams::{self, Piece, id};
use vectors::time;
use wclayer::tar::TarProblem;

/// A way in which we differ from the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Difference {
    MissingTime,
    TimeRange,
    HeaderNumber,
    OpaqueWhiteout,
    InvalidWhiteout,
    BadPath,
    JoinedStream,
    StrayStream,
    StreamSuffix,
    StreamName,
    Surrogate,
    GlobalHeader,
    SpecialType,
    DataOfOtherTypes,
    EmptyInput,
    EaRecord,
    OtherStreams,
    SparseStream,
    EarlyAlternate,
    LateMetadata,
    ReparseTag,
    ReparseNames,
    ReparseTooLong,
    LinkWithData,
    ReservedName,
    UncleanName,
    DirectorySize,
    CutStream,
    LinkNames,
    LinkedDirectory,
    EaOverlap,
    SddlSpelling,
    SddlSaclFlags,
    SddlHeader,
    OddName,
    CutSparseOffset,
    LayerRule,
    KeptTombstone,
    NoByteOrderMark,
    NoSystemHive,
    UndescribedDirectory,
    FileWithDirectoryBit,
    TransportName,
    MissingDirectory,
    EarlyLink,
    UtilityVmStream,
    UtilityVmSlash,
    BootFileCase,
    Duplicate,
}

impl Difference {
    /// The table: what a case holds, what we do then, and why.
    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::MissingTime => (
                "no atime or ctime in the tar → mtime",
                "the reference takes Go's zero time, which wraps round to the year 1754",
            ),
            Self::TimeRange => (
                "a time outside 64 bits of nanoseconds → the exact time, or the nearest FILETIME",
                "the reference wraps round silently, 1601 becomes 2185",
            ),
            Self::HeaderNumber => (
                "a mode, owner or device number that is not a number → not looked at",
                "a layer has no use for it; the reference refuses the whole tar",
            ),
            Self::OpaqueWhiteout => (
                "`.wh..wh..opq` → the directory is opaque",
                "legal OCI; the reference removes a file `.wh..opq`",
            ),
            Self::InvalidWhiteout => (
                "`.wh.` before nothing, `.` or `..`, or on a directory of the path → refused",
                "it names nothing; the reference removes the parent directory or worse",
            ),
            Self::BadPath => (
                "an empty, absolute, drive, `..`, NUL or too long path → refused",
                "the reference leaves this to the writer that creates the file",
            ),
            Self::JoinedStream => (
                "`file:stream` right behind its file, spelled a little differently → joined",
                "NTFS means the same file; the reference makes an entry that no writer takes",
            ),
            Self::StrayStream => (
                "`file:stream` that is no regular entry right behind its file → refused",
                "the reference makes an entry of it that no writer takes",
            ),
            Self::StreamSuffix => (
                "`file:stream:$DATA` → the stream `stream`",
                "other writers spell the type; the reference appends it a second time",
            ),
            Self::StreamName => (
                "a stream whose name NTFS cannot hold, or that would be read back as another → \
                 refused",
                "no file has one; the reference writes a name that means something else",
            ),
            Self::Surrogate => (
                "an unpaired surrogate in the name of a stream → kept",
                "NTFS allows it; the reference makes three replacement characters of it",
            ),
            Self::GlobalHeader => (
                "a PAX global header → applied, no entry",
                "POSIX; the reference adds a file `pax_global_header`",
            ),
            Self::LayerRule => (
                "a layer that cannot be on Windows → refused by the portable layer",
                "the reference lets Windows fail, or writes through a link",
            ),
            Self::KeptTombstone => (
                "a tombstone whose directory is missing or spelled in another case → kept",
                "it removes a file of the parent; the reference drops it",
            ),
            Self::NoByteOrderMark => (
                "`tombstones.txt` without a byte-order mark → read",
                "the version line says what it is; the reference fails",
            ),
            Self::NoSystemHive => (
                "a transport folder without `Hives\\System_Delta` → read, with its own times",
                "`ImportLayer` does not insist on hives; the reference fails",
            ),
            Self::UndescribedDirectory => (
                "a directory without `.$wcidirs$` → read, with its own times",
                "the directory is there; the reference fails",
            ),
            Self::FileWithDirectoryBit => (
                "a file whose attribute word says directory → refused",
                "one of the two is wrong; the reference loses the data or fails at it",
            ),
            Self::TransportName => (
                "an entry with a name that the transport folder needs itself → refused",
                "the reference writes it and deletes it, or confuses it with a description",
            ),
            Self::MissingDirectory => (
                "an entry whose directory the layer lacks → made, or as the parent has it",
                "real layers are so; the reference fails or leaves the directory to chance",
            ),
            Self::EarlyLink => (
                "a hard link before its target → linked in the end",
                "the order says nothing; the reference fails",
            ),
            Self::UtilityVmStream => (
                "`UtilityVM` with a descriptor or attributes → accepted",
                "every directory may have them; the reference fails",
            ),
            Self::UtilityVmSlash => (
                "`UtilityVM/` → `UtilityVM`",
                "it is the same directory; the reference does not start the utility VM",
            ),
            Self::BootFileCase => (
                "a boot file spelled in another case → kept as well (`bcd.bak`)",
                "Windows changes it like any other; the reference loses the original",
            ),
            Self::Duplicate => (
                "two entries of one name and kind → the last wins",
                "tar says so; the reference fails",
            ),
            Self::SpecialType => (
                "a device, FIFO or unknown type → refused",
                "nothing on Windows is one; the reference adds a file without data",
            ),
            Self::DataOfOtherTypes => (
                "a contiguous or GNU sparse entry → a file with its data",
                "the reference drops the data",
            ),
            Self::EmptyInput => (
                "no input at all → refused",
                "more likely a failed download than a layer; the reference succeeds",
            ),
            Self::EaRecord => (
                "extended attributes with flags, `=` or NUL in the name → also in `WCLAYER.ea`",
                "the reference loses the flags and fails at the names",
            ),
            Self::OtherStreams => (
                "streams of other ids → kept in `WCLAYER.streams`",
                "the reference drops those it knows and fails at others",
            ),
            Self::SparseStream => (
                "a sparse stream → written in full, its ranges in `WCLAYER.sparse`",
                "the reference loses the sparseness, or fails",
            ),
            Self::EarlyAlternate => (
                "alternate streams before the data or without data → kept",
                "the reference drops them",
            ),
            Self::LateMetadata => (
                "security, attributes or reparse data after the data → kept",
                "the reference fails, or loses the attributes",
            ),
            Self::ReparseTag => (
                "a reparse point that is no link → kept (in a tar: `WCLAYER.reparse`)",
                "the reference fails",
            ),
            Self::ReparseNames => (
                "a link that its print name does not say in full → the substitute name decides, \
                 and the buffer is kept in `WCLAYER.reparse`",
                "Windows follows the substitute name; the reference looks at the print name only",
            ),
            Self::ReparseTooLong => (
                "a target too long for 16-bit lengths → refused",
                "the reference writes a broken buffer",
            ),
            Self::LinkWithData => (
                "a link with data → a regular entry with `WCLAYER.reparse`",
                "the reference fails: a symlink entry has no content",
            ),
            Self::ReservedName => (
                "a file called `.wh.…` → refused",
                "read back it would be a whiteout; the reference writes it",
            ),
            Self::UncleanName => (
                "a name with a needless separator or `.` → written without it",
                "it is the same file; the reference fails at a separator at the end",
            ),
            Self::DirectorySize => (
                "a directory with a size → written without it",
                "Windows reports one for large directories; the reference compares it with data",
            ),
            Self::CutStream => (
                "a backup stream that is cut off → refused",
                "the reference does not notice it in a stream that it skips",
            ),
            Self::LinkNames => (
                "a link whose substitute name is malformed → refused",
                "Windows follows that name; the reference looks at the print name only",
            ),
            Self::LinkedDirectory => (
                "directories with equal file ids → directories",
                "NTFS has no hard links of directories; the reference writes links",
            ),
            Self::EaOverlap => (
                "an extended attribute whose successor starts inside it → refused",
                "such a list unfolds to many times its size",
            ),
            Self::SddlSpelling => (
                "SDDL spelled otherwise by Wine → same descriptor",
                "Windows has several spellings, and the descriptor is what counts",
            ),
            Self::SddlSaclFlags => (
                "SDDL with `P`, `AI` or `AR` behind `S:` → in the control flags",
                "Windows sets them; Wine loses them",
            ),
            Self::SddlHeader => (
                "a descriptor of 20 to 39 bytes → read",
                "the reference asks for the size of the absolute form, which this is not",
            ),
            Self::OddName => (
                "a stream's name of an odd number of bytes → refused",
                "it is no UTF-16, and the reference loses its last byte",
            ),
            Self::CutSparseOffset => (
                "an end of input right before a sparse block's offset → refused",
                "the block is cut off; the reference takes it for the end",
            ),
        }
    }

    /// What a case holds, and what we do then.
    pub(crate) fn rule(self) -> &'static str {
        self.row().0
    }

    /// Why we do not do as the reference does.
    pub(crate) fn reason(self) -> &'static str {
        self.row().1
    }

    /// Whether this is the problem that a refusal on these grounds reports.
    pub(crate) fn is_reported_as(self, problem: &TarProblem) -> bool {
        match self {
            Self::InvalidWhiteout => matches!(problem, TarProblem::Whiteout),
            Self::BadPath => {
                matches!(problem, TarProblem::Path(_) | TarProblem::LinkTarget { .. })
            }
            Self::StrayStream => {
                matches!(
                    problem,
                    TarProblem::StrayStream { .. } | TarProblem::Type { .. }
                )
            }
            Self::SpecialType => matches!(problem, TarProblem::Type { .. }),
            Self::EmptyInput => matches!(problem, TarProblem::Empty),
            Self::ReservedName => matches!(problem, TarProblem::ReservedName),
            Self::StreamName => {
                matches!(problem, TarProblem::Path(_) | TarProblem::Streams { .. })
            }
            Self::CutStream => matches!(problem, TarProblem::BackupStream(_)),
            Self::EaOverlap => matches!(problem, TarProblem::Ea(_)),
            Self::LinkNames => matches!(problem, TarProblem::Reparse(_)),
            _ => false,
        }
    }
}

/// Finds what the reference does not carry from a file to a tar.
pub(crate) fn lost_in_a_tar(pieces: &[Piece], info: &FileBasicInfo) -> BTreeSet<Difference> {
    let data_at = pieces.iter().position(|piece| piece.id == id::DATA);
    let has_data = pieces
        .iter()
        .any(|piece| piece.id == id::DATA && !piece.body.is_empty())
        || pieces.iter().any(|piece| piece.id == id::SPARSE_BLOCK);
    let is_directory = info.attributes.contains(FileAttributes::DIRECTORY);
    let mut found = BTreeSet::new();
    if times(info).into_iter().any(|time| !is_counted(time)) {
        found.insert(Difference::TimeRange);
    }
    for (at, piece) in pieces.iter().enumerate() {
        let after_data = data_at.is_some_and(|data_at| at > data_at);
        if matches!(piece.id, id::SECURITY | id::EA | id::REPARSE) && after_data {
            found.insert(Difference::LateMetadata);
        }
        let difference = match piece.id {
            id::DATA | id::ALTERNATE if piece.attributes & streams::SPARSE != 0 => {
                Some(Difference::SparseStream)
            }
            id::ALTERNATE if is_directory || !after_data => Some(Difference::EarlyAlternate),
            id::EA if is_special(&piece.body) => Some(Difference::EaRecord),
            id::REPARSE => reparse_difference(&piece.body, has_data),
            id::DATA | id::ALTERNATE | id::SPARSE_BLOCK | id::EA | id::SECURITY => None,
            _ => Some(Difference::OtherStreams),
        };
        found.extend(difference);
    }
    found
}

/// Whether the reference can count to a time.
pub(crate) fn is_counted(filetime: u64) -> bool {
    time::reference_can_count(time::from_filetime(filetime))
}

/// The times of a file: creation, access, write, change.
pub(crate) fn times(info: &FileBasicInfo) -> [u64; 4] {
    [
        info.creation_time,
        info.last_access_time,
        info.last_write_time,
        info.change_time,
    ]
    .map(ntmeta::FileTime::ticks)
}

fn is_special(list: &[u8]) -> bool {
    streams::extended_attributes(list).is_ok_and(|list| {
        list.iter()
            .any(|(name, flags, _)| *flags != 0 || name.contains(&b'=') || name.contains(&0))
    })
}

fn reparse_difference(buffer: &[u8], has_data: bool) -> Option<Difference> {
    let point = ReparsePoint::decode(buffer).ok()?;
    let Some(target) = point.target() else {
        return Some(Difference::ReparseTag);
    };
    if has_data {
        return Some(Difference::LinkWithData);
    }
    // A tar may separate with `/`, so that this is lost.
    let target: Vec<u8> = target
        .iter()
        .map(|byte| if *byte == b'/' { b'\\' } else { *byte })
        .collect();
    let is_mount_point = matches!(point, ReparsePoint::MountPoint(_));
    let again = ReparsePoint::from_target(&target, is_mount_point).and_then(|point| point.encode());
    (again.as_deref() != Ok(buffer)).then_some(Difference::ReparseNames)
}
