//! The table of rules: the id of each, its severity, what happens if it is broken, and the fix.
//! [`Breach`] is how an entry breaks one.
//!
//! Ids are for scripts and never change. Sources: NTFS and Win32 naming rules; hcsshim
//! `internal/wclayer/{legacy,baselayerwriter}.go` for what an import needs; imgutil and hcsshim#853
//! for hives; image-spec `layer.md` for whiteouts. Codes are Win32 errors (`0x3`) or NTSTATUS
//! values (`0xc0000033`).

mod breach;
mod document;

use Severity::{Error, Note, Warning};

pub(crate) use breach::place;
pub use breach::{Breach, RuleError};
pub use document::rules_document;

/// How bad it is to break a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The import fails, on Windows or here, or no container can start.
    Error,
    /// The layer is imported, but something is not as intended.
    Warning,
    /// Unusual but legal.
    Note,
}

impl Severity {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its name, which never changes.
    pub id: &'static str,
    /// How bad it is to break it.
    pub severity: Severity,
    /// What is wrong with a layer that breaks it.
    pub title: &'static str,
    /// What happens then.
    pub effect: &'static str,
    /// How to fix the layer.
    pub fix: &'static str,
}

macro_rules! rules {
    ($($name:ident $id:literal $severity:ident $title:literal $effect:literal $fix:literal)*) => {
        /// A rule of layers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $title] $name,)*
        }

        impl Rule {
            /// Every rule, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns what the rule says.
            pub fn info(self) -> &'static RuleInfo {
                match self {
                    $(Self::$name => &RuleInfo {
                        id: $id,
                        severity: $severity,
                        title: $title,
                        effect: $effect,
                        fix: $fix,
                    },)*
                }
            }
        }
    };
}

impl Rule {
    /// Finds a rule by its id.
    pub fn by_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.info().id == id)
    }
}

rules! {
    TarEmpty "tar-empty" Error
        "The input is empty."
        "There is nothing to import."
        "Check that this is the right file, and fetch it again."
    NotALayer "not-a-layer" Error
        "The input is not a layer tar: it is compressed twice or with another method, or is a disk image, JSON, text or an image archive."
        "The import fails, or creates an image without files."
        "Pass the layer tar itself (plain, gzip or zstd). An image archive contains several."
    TarTruncated "tar-truncated" Error
        "The tar ends inside a header or inside the content of an entry."
        "The import fails. The rest of the tar and the rules on whole layers are not checked."
        "Fetch the file again, or run the tool that wrote it again."
    TarDamaged "tar-damaged" Error
        "The tar, or the compressed data that contains it, is damaged."
        "The import fails. The rest of the tar and the rules on whole layers are not checked."
        "Fetch the file again. If the damage is at byte 0, the file may not be a layer tar."
    TarNoEnd "tar-no-end" Warning
        "The tar does not end with two blocks of zeros."
        "The layer is imported, but it may have been cut off between two entries."
        "Compare the digest with that in the image's manifest."
    TarTrailingData "tar-trailing-data" Warning
        "Bytes other than zeros follow the end of the tar."
        "They are part of the DiffID, but nothing reads them."
        "Write the tar again. Two tars may have been concatenated."
    BlobTrailingData "blob-trailing-data" Error
        "The compressed data is followed by bytes that are neither gzip data nor zeros."
        "wclayer refuses the layer, and so does any tool that reads the blob to its end, for example to compute its DiffID; hcsshim stops at the end of the tar."
        "Cut off the trailing bytes, or compress the tar again."
    TarEntryType "tar-entry-type" Error
        "An entry is a device, a FIFO or of an unknown type."
        "Windows file systems have no such files: hcsshim creates an empty file, wclayer refuses the layer."
        "Remove the entry. The layer may have been built for Linux."
    TarSparse "tar-sparse" Warning
        "The holes of a file are left out in a GNU tar format."
        "Tools that do not know the format write a file with different content. hcsshim, docker, containerd and wclayer know its PAX versions; for the old version, hcsshim creates an empty file."
        "Write the layer without `--sparse` if other tools have to read it."
    TarNumber "tar-number" Error
        "A header field that a layer does not need is not a number: `mode`, `uid`, `gid`, `devmajor` or `devminor`."
        "hcsshim fails: archive/tar: invalid tar header. wclayer does not read these fields."
        "Write the layer again with another tool."
    TarTwoReadings "tar-two-readings" Warning
        "The headers of an entry can be read in two ways, for example because a GNU long name and the PAX `path` differ."
        "Other tools, including scanners, may see a different name, target or content than Windows."
        "Write the layer again with a tool that writes each value once."
    TarRecord "tar-record" Error
        "A record of an extended header cannot be decoded."
        "The import fails (hcsshim and wclayer)."
        "Write the layer again with another tool."

    PathEmpty "path-empty" Error
        "A name is empty once `.` and slashes are removed, like `./`."
        "The import fails: 0xc0000033, or 0xb7 because the root of the layer is created twice."
        "Add the directories by name instead of `.`."
    PathAbsolute "path-absolute" Error
        "A name is absolute or starts with a drive."
        "The import fails: 0xc0000033 or 0x7b."
        "Make the name relative to the layer: `Files/…`, not `C:\\…`."
    PathParent "path-parent" Error
        "A name contains `..`."
        "The import fails, because the name could lead out of the layer."
        "Write the name without `..`."
    PathCharacter "path-character" Error
        "A name contains a character that NTFS does not allow: `\"*<>?|` or a control character."
        "The import to Windows fails: 0x7b (0xc0000033)."
        "Rename the file."
    PathColon "path-colon" Error
        "A name contains `:` where no alternate data stream is possible, or the name of a stream is malformed."
        "The import fails: 0x7b (0xc0000033)."
        "Rename the file. Name a stream `FILE:STREAM` and write it after its file."
    PathTooLong "path-too-long" Error
        "A component is longer than 255 UTF-16 units, or a path is longer than 32,767 units or 1,024 components."
        "The import fails: 0x7b or 0xce."
        "Shorten the name."
    PathTransportName "path-transport-name" Error
        "A name ends in `.$wcidirs$`, or is `tombstones.txt` at the top of the layer."
        "In the folder that Windows imports from, files with these names describe a directory or list the removals: hcsshim interprets or deletes the file."
        "Rename the file."
    PathReservedName "path-reserved-name" Warning
        "A name is that of a device: `NUL`, `CON`, `COM1`, …, with or without an extension."
        "The file is imported, but most programs in the container open the device instead."
        "Rename the file."
    PathTrailingDot "path-trailing-dot" Warning
        "A component ends in a dot or a space."
        "The file is imported, but programs in the container cannot open it: Win32 strips these characters."
        "Rename the file."
    PathNotText "path-not-text" Warning
        "A name is not valid UTF-8."
        "Each invalid byte becomes U+FFFD."
        "Write names in UTF-8, with PAX headers."
    PathSpelling "path-spelling" Warning
        "A name is spelled with `\\`, `./` or empty components."
        "Tools that compare names as text take it for a different path, also in whiteouts."
        "Write names like `Files/Windows`."

    TopLevelName "top-level-name" Warning
        "An entry is outside `Files`, `Hives` and `UtilityVM`."
        "It is placed beside the volume, where no container sees it."
        "Put the files of drive C: below `Files`. The layer may have been built for Linux."
    TopLevelKind "top-level-kind" Error
        "`Files` or `Hives` is not a plain directory."
        "The import fails: 0x3 or 0x10b."
        "Make it a directory."
    TopLevelCase "top-level-case" Error
        "`Files`, `Hives`, `UtilityVM` or `UtilityVM/Files` is spelled with different upper and lower case."
        "hcsshim compares these names exactly: whiteouts and hard links fail, hives are damaged, and the utility VM is not set up."
        "Spell these names exactly as above."
    FilesMissing "files-missing" Error
        "The layer has no entry for the directory `Files`."
        "The import fails: 0x3."
        "Add a directory entry `Files` before all others."
    ParentMissing "parent-missing" Error
        "The directory of an entry has no entry itself."
        "hcsshim fails (0x3), even if a parent has the directory; wclayer creates it."
        "Add an entry for each directory, before the entries in it."
    ChildBeforeParent "child-before-parent" Error
        "An entry comes before the entry of its directory."
        "hcsshim fails: 0x3."
        "Write each directory before the entries in it."
    BelowFile "below-file" Error
        "An entry is below something that is not a directory."
        "The import fails: 0x3 or 0xc0000103."
        "Remove the file, or the entries below it."
    BelowReparsePoint "below-reparse-point" Error
        "An entry is below a reparse point, such as a symbolic link."
        "The import fails, because the entry would be written through the link."
        "Move the entry to the path that the link leads to."
    DuplicateKind "duplicate-kind" Error
        "Two entries of different kinds have the same path."
        "The import fails: 0x50 (0xc0000035)."
        "Remove one of the two entries."
    Duplicate "duplicate" Error
        "Two entries have the same path."
        "hcsshim fails: 0x50 (0xc0000035). wclayer uses the last one."
        "Remove one of the two entries."
    CaseTwin "case-twin" Error
        "Two paths differ only in upper and lower case."
        "To Windows they are one file: hcsshim fails (0x50), wclayer uses the last one."
        "Rename or remove one of the two entries."

    AttributesKind "attributes-kind" Error
        "The attributes and the type of an entry disagree on whether it is a directory."
        "Windows uses the attributes: data cannot be written to a directory (0x5), and a file has nothing below it (0x3)."
        "Write `MSWINDOWS.fileattr` with 16 (directory) for directories, and only for them."
    ReparseAttributeMissing "reparse-attribute-missing" Warning
        "A symbolic link or other reparse point lacks the attribute 0x400."
        "The link is created, but tools that read the attributes take it for a plain file or directory."
        "Add 1024 to `MSWINDOWS.fileattr`."
    ReparseDataMissing "reparse-data-missing" Warning
        "An entry has the attribute 0x400 but is not a reparse point."
        "It becomes a plain file or directory, and wclayer refuses entries below such a directory."
        "Write a link entry, or subtract 1024 from `MSWINDOWS.fileattr`."
    ReparseMalformed "reparse-malformed" Error
        "The reparse point is malformed, or its target is too long."
        "The import fails: 0x1128."
        "Shorten the link's target, or write the layer again."
    ReparseTag "reparse-tag" Note
        "A reparse point is neither a symbolic link nor a junction."
        "wclayer stores it in a record of its own; hcsshim creates a plain file."
        "Do nothing if the file is not needed."
    ReparseNoTarget "reparse-no-target" Warning
        "A junction or symbolic link has no target."
        "It leads nowhere. hcsshim writes such entries for junctions whose target is only in the substitute name, as PowerShell creates them."
        "Export the layer again with a tool that keeps the substitute name, such as wclayer."
    SymlinkKind "symlink-kind" Warning
        "A symbolic link to a directory is marked as a link to a file, or the reverse, or a junction leads to a file."
        "Windows can open it neither as a file nor as a directory: programs in the container fail."
        "Write the link with the directory attribute (0x10) if its target is a directory, and only then."
    SymlinkFilesPrefix "symlink-files-prefix" Warning
        "The target of a symbolic link starts with `Files/`, as BuildKit writes it."
        "The link leads to a directory `Files` beside it, which does not exist."
        "Write the target as a path inside the container."
    SecurityMissing "security-missing" Warning
        "A file or directory has no security descriptor."
        "It inherits one from the layer's folder, which containers cannot read: programs do not start (0x5)."
        "Write `MSWINDOWS.rawsd`, which layers built on Linux often lack."
    SecurityMalformed "security-malformed" Error
        "The security descriptor is malformed."
        "The import fails: 0x53a."
        "Write the layer again with valid `MSWINDOWS.rawsd` records."
    SecurityNoOwner "security-no-owner" Warning
        "The security descriptor has no owner."
        "The user who imports the layer becomes the owner; programs may not start from the file (0x5)."
        "Set an owner in the descriptor, such as S-1-5-32-544."
    SecurityNoDacl "security-no-dacl" Note
        "The security descriptor has no discretionary access control list (DACL)."
        "Everyone has full access to the file."
        "Do nothing if this is intended."
    EaMalformed "ea-malformed" Error
        "The extended attributes are malformed or too large."
        "The import fails: 0xfe or 0xff."
        "Remove them."
    TimeRange "time-range" Warning
        "A time is outside the range that Windows can store, the years 1601 to 30828."
        "The file gets the nearest time in that range; hcsshim gives it an arbitrary one."
        "Correct the clock or the file's time."
    LargeFile "large-file" Note
        "A file has 8 GiB or more."
        "Its size does not fit a plain tar header: old tools cannot read it."
        "Do nothing if every tool that reads the layer supports PAX."

    LinkTargetInvalid "link-target-invalid" Error
        "The target of a hard link is not a valid path of a layer."
        "The import fails: 0xc0000033."
        "Write the target relative to the layer: `Files/…`."
    LinkTargetMissing "link-target-missing" Error
        "The target of a hard link is neither in the layer nor in its parents."
        "The import fails: 0x2 (0xc0000034)."
        "Name every parent, nearest first. If none is missing, add the target to the layer."
    LinkToDirectory "link-to-directory" Error
        "The target of a hard link is a directory."
        "The import fails: 0x5 (0xc00000ba)."
        "Make the link a symbolic link or a junction."
    LinkLoop "link-loop" Error
        "Hard links lead to one another and never to a file."
        "The import fails: 0x2."
        "Store the file under one of these names."
    LinkOutside "link-outside" Error
        "A hard link or its target is neither below `Files` nor below `UtilityVM/Files`."
        "The import fails: invalid hard link in layer. Links between the two directories are allowed."
        "Store the file twice."
    LinkBeforeTarget "link-before-target" Error
        "A hard link comes before its target."
        "hcsshim fails (0x2), or links to a parent's file at the same path; wclayer creates links last."
        "Write each file before the hard links to it."
    LinkTargetCase "link-target-case" Error
        "The target of a hard link is spelled with different upper and lower case than its entry."
        "hcsshim compares names exactly: it fails (0x2), or links to a parent's file at the same path."
        "Spell the target as in its own entry."
    LinkToParent "link-to-parent" Note
        "The target of a hard link is only in a parent."
        "The import works, except with the filter driver (ImportLayerNext)."
        "Do nothing, or store the file in this layer as well."
    LinkTooMany "link-too-many" Error
        "A file has more than 1,023 hard links in addition to its first name."
        "The import fails: 0x476."
        "Store the file more than once."
    StreamWithoutFile "stream-without-file" Error
        "An alternate data stream does not follow its file."
        "The import fails, or the stream becomes a file of its own."
        "Write the streams of a file directly after it."
    StreamSpelling "stream-spelling" Error
        "An alternate data stream spells the name of its file differently than the file's own entry."
        "hcsshim takes it for another file and fails: 0x7b. wclayer adds the stream to the file."
        "Name the stream exactly as the file, followed by `:` and the name of the stream."
    StreamTwice "stream-twice" Warning
        "A data stream of a file comes twice."
        "Windows writes both to the same stream, one after the other; other tools may show either."
        "Remove one of the two."

    WhiteoutName "whiteout-name" Error
        "A whiteout does not name a path to remove, or a directory is named `.wh.…`."
        "hcsshim removes the directory above; wclayer refuses the layer."
        "Write whiteouts as empty files named `.wh.NAME`."
    WhiteoutInBase "whiteout-in-base" Error
        "A layer without parents removes a path."
        "The import fails (hcsshim and wclayer): there is nothing to remove."
        "Name the parents, nearest first. If there are none, leave out the removal."
    WhiteoutPlace "whiteout-place" Error
        "A whiteout is neither below `Files` nor below `UtilityVM/Files`."
        "The import fails: invalid tombstone."
        "Remove the whiteout: hives and top-level directories cannot be removed."
    WhiteoutOfNothing "whiteout-of-nothing" Warning
        "A whiteout removes a path that no parent has."
        "Nothing is removed. A parent may be missing, or the tool that wrote the layer confused upper and lower case."
        "Check the parents. If they are complete, remove the whiteout."
    WhiteoutUtilityVm "whiteout-utility-vm" Error
        "A whiteout below `UtilityVM/Files` removes a path that the parents' utility VM does not have, or makes a directory opaque."
        "The import fails: 0x2. hcsshim takes an opaque whiteout for the removal of a file `.wh..opq`."
        "Check the parents. If they are complete, remove the whiteout."
    WhiteoutAndDirectory "whiteout-and-directory" Error
        "A layer both removes and adds a directory, and has entries in it."
        "hcsshim removes paths after adding all entries, and only removes empty directories: it fails (0x91)."
        "Write a whiteout for each name to remove instead of one for the directory."
    WhiteoutAndEntry "whiteout-and-entry" Warning
        "A layer both removes and adds a path."
        "hcsshim removes paths after adding all entries, and in the utility VM immediately: the new file is lost."
        "Remove the whiteout: the new file replaces that of the parents anyway."
    WhiteoutOpaque "whiteout-opaque" Warning
        "A directory is opaque (`.wh..wh..opq`)."
        "hcsshim takes the whiteout for the removal of a file `.wh..opq`: the parents' files stay visible."
        "Write one whiteout for each name, or import the layer with `wclayer`, which does so."

    HivesMissing "hives-missing" Error
        "A layer with parents has no entry for the directory `Hives`."
        "The import fails: 0x3."
        "Add a directory entry `Hives`, which may be empty."
    HiveKind "hive-kind" Error
        "A registry hive is a directory or a reparse point."
        "The import fails: 0x2, 0x3 or 0x5."
        "Replace it with the hive itself."
    HiveName "hive-name" Warning
        "An entry in `Hives` is not one of the five hives."
        "Windows ignores it."
        "Use one of the names DefaultUser_Delta, Sam_Delta, Security_Delta, Software_Delta and System_Delta."
    HiveEmpty "hive-empty" Warning
        "A registry hive has no content."
        "Windows Server 2025 fails: 0x3f1. Versions up to 2022 accept it."
        "Replace it with a valid empty hive; `wclayer import --format transport --hives` writes empty delta hives."
    HiveMalformed "hive-malformed" Error
        "A registry hive is malformed."
        "The import or the start of the container fails: 0x3f1."
        "Copy the hive from its source again."
    HiveWithoutDelta "hive-without-delta" Warning
        "A layer with parents replaces a registry hive of the base layer without a delta hive for it."
        "The change is not visible: the container's registry consists of the hive of the base layer and the deltas in `Hives`."
        "Export the layer from Windows, or put the changes into the delta hive."
    HiveUnfinished "hive-unfinished" Warning
        "A registry hive was copied in the middle of a write."
        "Changes in its transaction log are lost, unless the log is beside the hive."
        "Export the hive while no program writes to it."
    BaseHiveMissing "base-hive-missing" Error
        "A base layer lacks one of the hives DEFAULT, SAM, SECURITY, SOFTWARE and SYSTEM in `Files/Windows/System32/config`."
        "ProcessBaseImage fails: 0x2 or 0x3."
        "Add the hive, or run `wclayer makebaselayer`, which adds it."
    BcdMissing "bcd-missing" Error
        "A base layer has a utility VM without `UtilityVM/Files/EFI/Microsoft/Boot/BCD`."
        "ProcessUtilityImage fails: 0x2 or 0x3."
        "Add the BCD, or remove `UtilityVM`."
    UtilityVmName "utility-vm-name" Error
        "A layer with parents has an entry in `UtilityVM` that is not in `UtilityVM/Files`."
        "The import fails: invalid UtilityVM layer."
        "Remove the entry."
    UtilityVmKind "utility-vm-kind" Error
        "`UtilityVM` or `UtilityVM/Files` is not a plain directory."
        "The import fails."
        "Make it a directory."
    UtilityVmMetadata "utility-vm-metadata" Error
        "In a layer with parents, `UtilityVM` has a security descriptor or extended attributes."
        "hcsshim creates the directory itself, accepts no data for it and fails: `closed`. wclayer ignores the metadata."
        "Write the entry without them."
    UtilityVmSlash "utility-vm-slash" Error
        "In a layer with parents, the entry `UtilityVM` has more than the name, such as `UtilityVM/`."
        "hcsshim compares the exact name and fails at the first entry below it: missing UtilityVM directory."
        "Write the name without a trailing `/`, as hcsshim does; most tar programs add one."
    UtilityVmFilesSlash "utility-vm-files-slash" Warning
        "In a base layer, the entry `UtilityVM/Files` has more than the name, such as `UtilityVM/Files/`."
        "hcsshim compares the exact name and does not set up the utility VM: the layer only supports process isolation."
        "Write the name without a trailing `/`, as hcsshim does; most tar programs add one."
    UtilityVmFilesMissing "utility-vm-files-missing" Warning
        "A base layer has `UtilityVM` but not `UtilityVM/Files`."
        "The layer has no utility VM: it only supports process isolation."
        "Remove `UtilityVM`, or add its files."
    UtilityVmParent "utility-vm-parent" Error
        "The layer changes the utility VM, but its nearest parent has none."
        "The import fails: 0x3. It starts from the nearest parent's utility VM, whatever the other parents have."
        "Remove `UtilityVM`, or use a base layer that has one."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_kebab_case() {
        for (at, rule) in Rule::ALL.iter().enumerate() {
            let id = rule.info().id;
            assert!(
                id.bytes()
                    .all(|byte| byte == b'-' || byte.is_ascii_lowercase()),
                "{id}"
            );
            assert_eq!(Rule::by_id(id), Some(*rule), "{id} at {at}");
        }
    }

    #[test]
    fn texts_are_sentences() {
        for rule in Rule::ALL {
            let info = rule.info();
            for text in [info.title, info.effect, info.fix] {
                assert!(text.ends_with('.'), "{}: {text}", info.id);
            }
        }
    }
}
