//! The table of rules: for each its id, how bad it is to break it, what happens then, and the fix.
//!
//! Ids are for scripts and never change. Sources: NTFS and Win32 naming rules; hcsshim
//! `internal/wclayer/{legacy,baselayerwriter}.go` for what an import needs; imgutil and hcsshim#853
//! for hives; image-spec `layer.md` for whiteouts. Codes are Win32 errors (`0x3`) or NTSTATUS
//! values (`0xc0000033`).

mod breach;
mod document;
mod hcs_rule;

use Severity::{Error, Note, Warning};

pub(crate) use breach::place;
pub use breach::{Breach, RuleError};
pub use document::rules_document;
pub use hcs_rule::HcsRule;

/// How bad it is to break a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The import fails, on Windows or here, or no container can run.
    Error,
    /// It is imported, and something is not as it was meant.
    Warning,
    /// Odd but legal.
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

/// What there is to know of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its name, which never changes.
    pub id: &'static str,
    /// How bad it is to break it.
    pub severity: Severity,
    /// What is wrong with a layer that breaks it.
    pub title: &'static str,
    /// What will happen.
    pub effect: &'static str,
    /// What to do about it.
    pub fix: &'static str,
}

macro_rules! rules {
    ($($name:ident $id:literal $severity:ident $title:literal $effect:literal $fix:literal)*) => {
        /// A rule that layers keep.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $title] $name,)*
        }

        impl Rule {
            /// Every rule, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns what there is to know of the rule.
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
        "The input has no bytes at all."
        "There is nothing to import."
        "Is it the file you mean? Fetch it again."
    NotALayer "not-a-layer" Error
        "The input is not a layer tar: it is compressed in another way or twice, or a disk, JSON, text, an image archive."
        "The import fails, or gives an image without files."
        "Name the layer tar itself (plain, gzip or zstd); an image archive holds several."
    TarTruncated "tar-truncated" Error
        "The tar ends inside a header or inside the content of an entry."
        "The import fails. What follows is not checked, and neither are the rules on whole layers."
        "Fetch the file again, or run the tool that wrote it again."
    TarDamaged "tar-damaged" Error
        "The tar, or the compressed data around it, is damaged."
        "The import fails. What follows is not checked, and neither are the rules on whole layers."
        "Fetch the file again. At byte 0: it may not be a layer tar."
    TarNoEnd "tar-no-end" Warning
        "The two blocks of zeros are missing that end a tar."
        "It is imported, but it may have been cut off between two entries."
        "Compare the digest with that of the image's manifest."
    TarTrailingData "tar-trailing-data" Warning
        "Bytes that are not zero follow the end of the tar."
        "They are part of the DiffID and nothing reads them."
        "Write the tar again; were two of them joined?"
    BlobTrailingData "blob-trailing-data" Error
        "Bytes follow the compressed data that are neither gzip nor zeros."
        "wclayer refuses the layer, and so does what reads it to its end, such as to find its DiffID; hcsshim stops at the end of the tar."
        "Cut them off, or compress the tar again."
    TarEntryType "tar-entry-type" Error
        "An entry is a device, a FIFO or of an unknown type."
        "No Windows file system has such a thing; hcsshim makes an empty file of it, wclayer refuses."
        "Leave it out. Was the layer made for Linux?"
    TarSparse "tar-sparse" Warning
        "The holes of a file are left out, as GNU tar does it."
        "Tools that do not know this form write a file with other content. The PAX forms are known to hcsshim, docker, containerd and wclayer; of the old form hcsshim makes an empty file."
        "For other tools, write the layer without `--sparse`."
    TarNumber "tar-number" Error
        "A number that a layer does not need cannot be read: `mode`, `uid`, `gid`, `devmajor`, `devminor`."
        "hcsshim fails: archive/tar: invalid tar header. wclayer does not read these fields."
        "Write the layer again: the tool that wrote the number is at fault."
    TarTwoReadings "tar-two-readings" Warning
        "The headers of an entry can be read in two ways, such as a GNU long name and another PAX `path`."
        "Other tools, scanners among them, see another name, target or content than Windows gets."
        "Write the layer again with a tool that says each thing once."
    TarRecord "tar-record" Error
        "A record of an extended header cannot be decoded."
        "The import fails (hcsshim and wclayer)."
        "The tool that wrote the record is at fault; write the layer again."

    PathEmpty "path-empty" Error
        "Nothing is left of a name, such as of `./`."
        "The import fails: 0xc0000033, or the root of the layer is made twice (0xb7)."
        "Pack the directories by name, not `.`."
    PathAbsolute "path-absolute" Error
        "A name is absolute or starts with a drive."
        "The import fails: 0xc0000033 or 0x7b."
        "Make it relative to the layer: `Files/…`, not `C:\\…`."
    PathParent "path-parent" Error
        "A name holds `..`."
        "The import fails: it would lead out of the layer."
        "Write the name without `..`."
    PathCharacter "path-character" Error
        "A name holds a character that NTFS does not take: `\"*<>?|`, or a control character."
        "The import to Windows fails: 0x7b (0xc0000033)."
        "Rename the file."
    PathColon "path-colon" Error
        "`:` where no alternate stream can be meant, or a malformed name of a stream."
        "The import fails: 0x7b (0xc0000033)."
        "Rename the file; streams are named `FILE:STREAM`, behind the file."
    PathTooLong "path-too-long" Error
        "A component has more than 255 UTF-16 units, or a path more than 32,767 or more than 1,024 components."
        "The import fails: 0x7b or 0xce."
        "Shorten the name."
    PathTransportName "path-transport-name" Error
        "A name ends in `.$wcidirs$`, or is `tombstones.txt` at the top."
        "In the folder that Windows imports from, such files describe a directory and list what is removed: hcsshim takes it for that or deletes it."
        "Rename the file."
    PathReservedName "path-reserved-name" Warning
        "A name is that of a device: `NUL`, `CON`, `COM1`, …, with or without an extension."
        "It is imported, but most programs in the container open the device in its place."
        "Rename the file."
    PathTrailingDot "path-trailing-dot" Warning
        "A component ends in a dot or a space."
        "It is imported, but Win32 cuts these: programs in the container cannot open the file."
        "Rename the file."
    PathNotText "path-not-text" Warning
        "A name is not UTF-8."
        "Each byte that is no text becomes U+FFFD."
        "Write names in UTF-8, with PAX headers."
    PathSpelling "path-spelling" Warning
        "A name is spelled with `\\`, `./` or empty components."
        "Tools that compare names as text take it for another file, also in whiteouts."
        "Write names such as `Files/Windows`."

    TopLevelName "top-level-name" Warning
        "An entry is not in `Files`, `Hives` or `UtilityVM`."
        "It is put beside the volume, and no container sees it."
        "Put files of the volume C: below `Files`. Was the layer made for Linux?"
    TopLevelKind "top-level-kind" Error
        "`Files` or `Hives` is no plain directory."
        "The import fails: 0x3 or 0x10b."
        "Make it a directory."
    TopLevelCase "top-level-case" Error
        "`Files`, `Hives`, `UtilityVM` or `UtilityVM/Files` is spelled in another case."
        "hcsshim compares letter by letter: whiteouts and hard links fail, hives are damaged, the utility VM is not set up."
        "Write these names exactly so."
    FilesMissing "files-missing" Error
        "There is no entry for the directory `Files`."
        "The import fails: 0x3."
        "Add a directory entry `Files`, before all others."
    ParentMissing "parent-missing" Error
        "The directory of an entry has no entry itself."
        "hcsshim fails (0x3), whether or not a parent layer has it; wclayer makes the directory."
        "Add an entry for each directory, before what is in it."
    ChildBeforeParent "child-before-parent" Error
        "An entry comes before that of its directory."
        "hcsshim fails: 0x3."
        "Write directories before what is in them."
    BelowFile "below-file" Error
        "An entry lies below something that is no directory."
        "The import fails: 0x3 or 0xc0000103."
        "Remove the file, or what is below it."
    BelowReparsePoint "below-reparse-point" Error
        "An entry lies below a reparse point, such as a symbolic link."
        "The import fails: it would be written through the link."
        "Put the entry where the link leads."
    DuplicateKind "duplicate-kind" Error
        "A path comes twice, as different kinds of things."
        "The import fails: 0x50 (0xc0000035)."
        "Remove one of the two."
    Duplicate "duplicate" Error
        "A path comes twice."
        "hcsshim fails: 0x50 (0xc0000035). wclayer takes the last one."
        "Remove one of the two."
    CaseTwin "case-twin" Error
        "Two paths differ in case only."
        "They are one file on Windows: hcsshim fails (0x50), wclayer takes the last one."
        "Rename or remove one of the two."

    AttributesKind "attributes-kind" Error
        "The attributes say directory and the type of the entry says file, or the reverse."
        "The attributes decide: data cannot be written to a directory (0x5), nothing can lie in a file (0x3)."
        "Write `MSWINDOWS.fileattr` with 16 (directory) for directories only."
    ReparseAttributeMissing "reparse-attribute-missing" Warning
        "A symbolic link or other reparse point has attributes without 0x400."
        "The link is made, but tools that go by attributes take it for a plain file or directory."
        "Add 1024 to `MSWINDOWS.fileattr`."
    ReparseDataMissing "reparse-data-missing" Warning
        "The attributes have 0x400, but the entry is no reparse point."
        "A plain file is made, and nothing can be put below such a directory."
        "Write a link entry, or take 1024 off `MSWINDOWS.fileattr`."
    ReparseMalformed "reparse-malformed" Error
        "The reparse point is malformed, or its target too long."
        "The import fails: 0x1128."
        "Shorten the link's target; write the layer again."
    ReparseTag "reparse-tag" Note
        "A reparse point is neither a symbolic link nor a junction."
        "wclayer carries it in a record of its own; hcsshim makes a file without it."
        "Nothing, if the file is not needed."
    ReparseNoTarget "reparse-no-target" Warning
        "A junction or symbolic link has no target."
        "It leads nowhere. hcsshim writes such entries for junctions that keep their target in the substitute name only, as PowerShell makes them."
        "Export the layer again with a tool that keeps the substitute name, such as wclayer."
    SymlinkKind "symlink-kind" Warning
        "A symbolic link to a directory is marked as one to a file, or the reverse, or a junction leads to a file."
        "Windows opens it as neither: programs in the container fail."
        "Write the link with the directory attribute (0x10) when its target is a directory, and only then."
    SymlinkFilesPrefix "symlink-files-prefix" Warning
        "The target of a symbolic link starts with `Files/`, as BuildKit writes it."
        "The link leads to a directory `Files` beside it, which is not there."
        "Write the target as it is in the container."
    SecurityMissing "security-missing" Warning
        "A file or directory has no security descriptor."
        "It inherits from the layer's folder, which containers may not read: programs do not start (0x5)."
        "Write `MSWINDOWS.rawsd`; layers made on Linux often lack it."
    SecurityMalformed "security-malformed" Error
        "The security descriptor is malformed."
        "The import fails: 0x53a."
        "Write the layer again with sound `MSWINDOWS.rawsd` records."
    SecurityNoOwner "security-no-owner" Warning
        "The security descriptor names no owner."
        "Windows gives the file to whoever imports; programs may not start from it (0x5)."
        "Put an owner, such as S-1-5-32-544, into the descriptor."
    SecurityNoDacl "security-no-dacl" Note
        "The security descriptor has no list of who may do what."
        "Everybody may do everything with the file."
        "Nothing, if that is meant."
    EaMalformed "ea-malformed" Error
        "The extended attributes are malformed or too large."
        "The import fails: 0xfe or 0xff."
        "Leave them out."
    TimeRange "time-range" Warning
        "A time is outside the years 1601 to 30828, which is what Windows stores."
        "The file gets the nearest time that Windows stores; from hcsshim, an arbitrary one."
        "Correct the clock or the file's time."
    LargeFile "large-file" Note
        "A file has 8 GiB or more."
        "Its size does not fit a plain tar header: old tools cannot read it."
        "Nothing, if all tools that read the layer know PAX."

    LinkTargetInvalid "link-target-invalid" Error
        "The target of a hard link is no path of a layer."
        "The import fails: 0xc0000033."
        "Name the target from the layer's root: `Files/…`."
    LinkTargetMissing "link-target-missing" Error
        "The target of a hard link is neither in the layer nor in its parents."
        "The import fails: 0x2 (0xc0000034)."
        "Name every parent with -l. Else: add the target."
    LinkToDirectory "link-to-directory" Error
        "The target of a hard link is a directory."
        "The import fails: 0x5 (0xc00000ba)."
        "Make it a symbolic link or a junction."
    LinkLoop "link-loop" Error
        "Hard links lead to one another, and to no file."
        "The import fails: 0x2."
        "Add the file as the first of its names."
    LinkOutside "link-outside" Error
        "A hard link, or its target, is neither below `Files` nor below `UtilityVM/Files`."
        "The import fails: invalid hard link in layer. From one of the two trees to the other it may lead."
        "Store the file twice."
    LinkBeforeTarget "link-before-target" Error
        "A hard link comes before its target."
        "hcsshim fails (0x2), or links to what a parent has there; wclayer makes links at the end."
        "Write the file before its further names."
    LinkTargetCase "link-target-case" Error
        "The target of a hard link is spelled in another case than its entry."
        "hcsshim compares letter by letter: it fails (0x2), or links to what a parent has there."
        "Spell the target as its entry."
    LinkToParent "link-to-parent" Note
        "The target of a hard link is in a parent layer only."
        "It works, but not with the filter driver's import (ImportLayerNext)."
        "Nothing; or store the file in this layer too."
    LinkTooMany "link-too-many" Error
        "A file has more than 1,023 further names."
        "The import fails: 0x476."
        "Store the file more than once."
    StreamWithoutFile "stream-without-file" Error
        "An alternate stream does not follow its file."
        "The import fails, or the stream becomes a file of its own."
        "Write streams directly behind their file."
    StreamSpelling "stream-spelling" Error
        "An alternate stream spells its file in another way than the file's own entry."
        "hcsshim takes it for a file of its own and fails: 0x7b. wclayer joins the two."
        "Write the name of the stream as that of the file, then `:` and its own."
    StreamTwice "stream-twice" Warning
        "An alternate stream comes twice."
        "Windows gets both, one after the other, into one stream; tools may show either."
        "Remove one of the two."

    WhiteoutName "whiteout-name" Error
        "A whiteout names nothing that could be removed, or a directory is called `.wh.…`."
        "hcsshim would remove the directory above; wclayer refuses."
        "Write whiteouts as empty files `.wh.NAME`."
    WhiteoutInBase "whiteout-in-base" Error
        "A layer without parents removes something."
        "The import fails (hcsshim and wclayer): there is nothing below to remove."
        "Name the parents with -l; if there are none, leave the whiteout out."
    WhiteoutPlace "whiteout-place" Error
        "A whiteout is neither below `Files` nor below `UtilityVM/Files`."
        "The import fails: invalid tombstone."
        "Leave it out: hives and top directories cannot be removed."
    WhiteoutOfNothing "whiteout-of-nothing" Warning
        "A whiteout removes what no parent has."
        "Nothing is removed. Is a parent missing, or the case of a tool's names confused?"
        "Check the parents; else leave it out."
    WhiteoutUtilityVm "whiteout-utility-vm" Error
        "A whiteout below `UtilityVM/Files` removes what the parents' utility VM does not have, or makes a directory opaque."
        "The import fails: 0x2. hcsshim takes an opaque whiteout for the removal of `.wh..opq`."
        "Check the parents; else leave it out."
    WhiteoutAndDirectory "whiteout-and-directory" Error
        "A directory is removed and added in one layer, with something in it."
        "hcsshim removes after everything is added, and only what is empty: it fails (0x91)."
        "Write a whiteout for each name that is to go, not for the directory."
    WhiteoutAndEntry "whiteout-and-entry" Warning
        "A path is added and removed in one layer."
        "hcsshim removes after everything is added, in the utility VM at once: the new file is gone."
        "Leave the whiteout out: a file replaces that of the parents anyway."
    WhiteoutOpaque "whiteout-opaque" Warning
        "A directory is made opaque (`.wh..wh..opq`)."
        "hcsshim takes it for the removal of `.wh..opq`: what the parents have stays visible."
        "Write one whiteout for each name; `wclayer` does when it imports to Windows."

    HivesMissing "hives-missing" Error
        "A layer with parents has no entry for the directory `Hives`."
        "The import fails: 0x3."
        "Add a directory entry `Hives`; it may be empty."
    HiveKind "hive-kind" Error
        "A registry hive is a directory or a reparse point."
        "The import fails: 0x2, 0x3 or 0x5."
        "Put the hive itself there."
    HiveName "hive-name" Warning
        "An entry in `Hives` is none of the five hives."
        "Windows does not look at it."
        "The names are DefaultUser_Delta, Sam_Delta, Security_Delta, Software_Delta, System_Delta."
    HiveEmpty "hive-empty" Warning
        "A registry hive has no bytes."
        "Windows Server 2025 fails: 0x3f1. Versions up to 2022 accept it."
        "Put an empty hive there; `wclayer import --format transport --hives` makes delta hives."
    HiveMalformed "hive-malformed" Error
        "A registry hive is malformed."
        "The import or the container's start fails: 0x3f1."
        "Take the hive from its source again."
    HiveWithoutDelta "hive-without-delta" Warning
        "A layer with parents replaces a registry hive of the base layer and brings no delta for it."
        "The container's registry is made of the hive of the base layer and the deltas in `Hives`: the change is not seen."
        "Export the layer from Windows, or put the changes into the delta hive."
    HiveUnfinished "hive-unfinished" Warning
        "A registry hive was copied in the middle of a write."
        "What its transaction log has is missing unless the log lies beside it."
        "Export the hive while nothing writes to it."
    BaseHiveMissing "base-hive-missing" Error
        "A base layer lacks one of DEFAULT, SAM, SECURITY, SOFTWARE, SYSTEM in `Files/Windows/System32/config`."
        "ProcessBaseImage fails: 0x2 or 0x3."
        "Add the hive; `wclayer makebaselayer` does."
    BcdMissing "bcd-missing" Error
        "A base layer has a utility VM without `UtilityVM/Files/EFI/Microsoft/Boot/BCD`."
        "ProcessUtilityImage fails: 0x2 or 0x3."
        "Add the BCD, or leave `UtilityVM` out."
    UtilityVmName "utility-vm-name" Error
        "In a layer with parents an entry is in `UtilityVM`, but not in `UtilityVM/Files`."
        "The import fails: invalid UtilityVM layer."
        "Leave it out."
    UtilityVmKind "utility-vm-kind" Error
        "`UtilityVM` or `UtilityVM/Files` is no plain directory."
        "The import fails."
        "Make it a directory."
    UtilityVmMetadata "utility-vm-metadata" Error
        "In a layer with parents `UtilityVM` has a security descriptor or extended attributes."
        "hcsshim fails (`closed`): it makes the directory itself and takes nothing for it. wclayer leaves them out."
        "Write the entry without them."
    UtilityVmSlash "utility-vm-slash" Error
        "In a layer with parents `UtilityVM` is written with more than the name, such as `UtilityVM/`."
        "hcsshim looks for the very name, and fails at what is below: missing UtilityVM directory."
        "Write the name without `/` behind it, as hcsshim does; most tar programs add it."
    UtilityVmFilesSlash "utility-vm-files-slash" Warning
        "In a base layer `UtilityVM/Files` is written with more than the name, such as `UtilityVM/Files/`."
        "hcsshim looks for the very name and does not set up the utility VM: the layer serves process isolation only."
        "Write the name without `/` behind it, as hcsshim does; most tar programs add it."
    UtilityVmFilesMissing "utility-vm-files-missing" Warning
        "A base layer has a `UtilityVM`, but no `UtilityVM/Files`."
        "The layer has no utility VM of its own: it serves process isolation only."
        "Leave `UtilityVM` out, or add its files."
    UtilityVmParent "utility-vm-parent" Error
        "The layer changes the utility VM, and its nearest parent has none."
        "The import fails: 0x3. It starts from the nearest parent's, whatever those below have."
        "Leave `UtilityVM` out, or use a base layer that has one."
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
                assert!(
                    text.ends_with('.') || text.ends_with('?'),
                    "{}: {text}",
                    info.id
                );
            }
        }
    }
}
