//! Intentional differences from the reference: a single table of rules and reasons.
//!
//! A rule depends on the content of a case, never on its name, so that it covers future cases too.
//! The predicates that recognise such content are here. Our behaviour is asserted where the case
//! runs, by comparison with the result that the rule requires.

use std::collections::BTreeSet;

use ntmeta::{FileAttributes, FileBasicInfo, ReparsePoint};
use vectors::streams::{self, Piece, id};
use vectors::time;
use wclayer::tar::TarProblem;

/// An intentional difference from the reference.
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
    /// The table: content of a case, our behaviour, and the reason.
    const fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::MissingTime => (
                "no atime or ctime in the tar → mtime",
                "the reference takes Go's zero time, which wraps around to the year 1754",
            ),
            Self::TimeRange => (
                "a time outside 64 bits of nanoseconds → the exact time, or the nearest FILETIME",
                "the reference silently wraps around; 1601 becomes 2185",
            ),
            Self::HeaderNumber => (
                "a mode, owner or device number that is not a number → ignored",
                "layers do not use it; the reference rejects the whole tar",
            ),
            Self::OpaqueWhiteout => (
                "`.wh..wh..opq` → the directory is opaque",
                "legal OCI; the reference removes a file `.wh..opq`",
            ),
            Self::InvalidWhiteout => (
                "`.wh.` alone, before `.` or `..`, or in a directory name of the path → rejected",
                "it does not name anything; the reference removes the parent directory or worse",
            ),
            Self::BadPath => (
                "an empty, absolute, drive, `..`, NUL or too long path → rejected",
                "the reference leaves this to the writer that creates the file",
            ),
            Self::JoinedStream => (
                "`file:stream` right after its file, spelled slightly differently → joined",
                "it is the same file on NTFS; the reference creates an entry that no writer accepts",
            ),
            Self::StrayStream => (
                "`file:stream` that is not a regular entry right after its file → rejected",
                "the reference creates an entry that no writer accepts",
            ),
            Self::StreamSuffix => (
                "`file:stream:$DATA` → the stream `stream`",
                "other writers spell the type; the reference appends it a second time",
            ),
            Self::StreamName => (
                "a stream whose name is invalid on NTFS, or would be read back as another → \
                 rejected",
                "no file has such a stream; the reference writes a name with another meaning",
            ),
            Self::Surrogate => (
                "an unpaired surrogate in the name of a stream → kept",
                "NTFS allows it; the reference writes three replacement characters",
            ),
            Self::GlobalHeader => (
                "a PAX global header → applied, no entry",
                "POSIX; the reference adds a file `pax_global_header`",
            ),
            Self::LayerRule => (
                "a layer that cannot exist on Windows → rejected by the portable layer",
                "the reference lets Windows fail, or writes through a link",
            ),
            Self::KeptTombstone => (
                "a tombstone whose directory is missing or spelled in another case → kept",
                "it removes a file of the parent; the reference drops it",
            ),
            Self::NoByteOrderMark => (
                "`tombstones.txt` without a byte-order mark → read",
                "the version line identifies the file; the reference fails",
            ),
            Self::NoSystemHive => (
                "a transport folder without `Hives\\System_Delta` → read, with its own times",
                "`ImportLayer` does not require hives; the reference fails",
            ),
            Self::UndescribedDirectory => (
                "a directory without `.$wcidirs$` → read, with its own times",
                "the directory exists; the reference fails",
            ),
            Self::FileWithDirectoryBit => (
                "a file whose attributes include DIRECTORY → rejected",
                "one of the two is wrong; the reference loses the data or fails",
            ),
            Self::TransportName => (
                "an entry with a name that is reserved in transport folders → rejected",
                "the reference writes and then deletes it, or takes it for a description",
            ),
            Self::MissingDirectory => (
                "an entry without its directory → directory created, or as in the parent",
                "real layers have such entries; the reference fails or may lack the directory",
            ),
            Self::EarlyLink => (
                "a hard link before its target → linked at the end",
                "the order has no meaning; the reference fails",
            ),
            Self::UtilityVmStream => (
                "`UtilityVM` with a descriptor or attributes → accepted",
                "any directory may have them; the reference fails",
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
                "two entries of the same name and kind → the last one wins",
                "this is the rule for tars; the reference fails",
            ),
            Self::SpecialType => (
                "a device, FIFO or unknown type → rejected",
                "Windows has none of them; the reference adds a file without data",
            ),
            Self::DataOfOtherTypes => (
                "a contiguous or GNU sparse entry → a file with its data",
                "the reference drops the data",
            ),
            Self::EmptyInput => (
                "empty input → rejected",
                "more likely a failed download than a layer; the reference succeeds",
            ),
            Self::EaRecord => (
                "extended attributes with flags, `=` or NUL in the name → also in `WCLAYER.ea`",
                "the reference loses the flags and fails for these names",
            ),
            Self::OtherStreams => (
                "streams with other IDs → kept in `WCLAYER.streams`",
                "the reference drops the known ones and fails for the others",
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
                "a reparse point that is not a link → kept (in a tar: `WCLAYER.reparse`)",
                "the reference fails",
            ),
            Self::ReparseNames => (
                "a link whose print name is incomplete → the substitute name decides, \
                 and the buffer is kept in `WCLAYER.reparse`",
                "Windows follows the substitute name; the reference only uses the print name",
            ),
            Self::ReparseTooLong => (
                "a target too long for 16-bit lengths → rejected",
                "the reference writes an invalid buffer",
            ),
            Self::LinkWithData => (
                "a link with data → a regular entry with `WCLAYER.reparse`",
                "the reference fails: a symlink entry has no content",
            ),
            Self::ReservedName => (
                "a file called `.wh.…` → rejected",
                "it would be read back as a whiteout; the reference writes it",
            ),
            Self::UncleanName => (
                "a name with a redundant separator or `.` → written without it",
                "it is the same file; the reference fails for a trailing separator",
            ),
            Self::DirectorySize => (
                "a directory with a size → written without it",
                "Windows reports one for large directories; the reference compares it with data",
            ),
            Self::CutStream => (
                "a truncated backup stream → rejected",
                "the reference does not detect it in a stream that it skips",
            ),
            Self::LinkNames => (
                "a link whose substitute name is malformed → rejected",
                "Windows follows that name; the reference only uses the print name",
            ),
            Self::LinkedDirectory => (
                "directories with equal file IDs → directories",
                "NTFS has no hard links of directories; the reference writes links",
            ),
            Self::EaOverlap => (
                "an extended attribute whose successor starts inside it → rejected",
                "such a list expands to many times its size",
            ),
            Self::SddlSpelling => (
                "SDDL spelled otherwise by Wine → same descriptor",
                "Windows has several spellings; only the descriptor matters",
            ),
            Self::SddlSaclFlags => (
                "SDDL with `P`, `AI` or `AR` after `S:` → in the control flags",
                "Windows sets them; Wine loses them",
            ),
            Self::SddlHeader => (
                "a descriptor of 20 to 39 bytes → read",
                "the reference requires the size of the absolute form, which does not apply",
            ),
            Self::OddName => (
                "a stream name with an odd number of bytes → rejected",
                "it is not UTF-16, and the reference loses its last byte",
            ),
            Self::CutSparseOffset => (
                "input that ends right before a sparse block's offset → rejected",
                "the block is truncated; the reference takes it for the end",
            ),
        }
    }

    /// The content of a case, and our behaviour.
    pub(crate) fn rule(self) -> &'static str {
        self.row().0
    }

    /// The reason for not following the reference.
    pub(crate) fn reason(self) -> &'static str {
        self.row().1
    }

    /// Returns whether an error for this reason reports this problem.
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

/// Finds the parts of a file that the reference loses in a tar.
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

/// Returns whether the reference can represent a time.
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
    // A tar may use `/` as separator, so that this is lost.
    let target: Vec<u8> = target
        .iter()
        .map(|byte| if *byte == b'/' { b'\\' } else { *byte })
        .collect();
    let is_mount_point = matches!(point, ReparsePoint::MountPoint(_));
    let again = ReparsePoint::from_target(&target, is_mount_point).and_then(|point| point.encode());
    (again.as_deref() != Ok(buffer)).then_some(Difference::ReparseNames)
}
