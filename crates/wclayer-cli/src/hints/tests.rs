//! Every kind of error, with words that its hint must contain.

use std::io;
use std::path::PathBuf;

use wclayer::compression::{Compression, DecodeProblem};
use wclayer::error::{
    EntryProblem, FailureCause, HResult, HcsError, ImageError, OtherDiffIds, Privilege,
    PrivilegeError, ServiceError, TarError, TarProblem, TombstoneProblem, WindowsError,
};
use wclayer::foreign::{Foreign, ImageArchive};
use wclayer::rules::RuleError;
use wclayer::source::{Kind, Needed, WindowsLayerKind};
use wclayer::{DiffId, Digest, LayerPath, PathError};

use super::*;
use crate::cli;
use crate::errors::{CliError, Contentless, Mistake};

/// Errors, each with words of its hint; an empty text stands for no hint.
type Cases = Vec<(Error, &'static str)>;

fn place() -> PathBuf {
    "layers/app".into()
}

fn text() -> String {
    "Files/a".to_owned()
}

fn path() -> LayerPath {
    text().parse().expect("a path")
}

fn digest(digit: char) -> Digest {
    let text = format!("sha256:{}", digit.to_string().repeat(64));
    text.parse().expect("a digest")
}

fn diff_id(digit: char) -> DiffId {
    digest(digit).to_string().parse().expect("a DiffID")
}

fn io(kind: io::ErrorKind) -> io::Error {
    kind.into()
}

fn not_a_layer(kind: Kind) -> Error {
    Error::NotALayer { name: text(), kind }
}

fn wrong_kind(kind: Kind, needed: Needed) -> Error {
    Error::WrongKind {
        layer: text(),
        kind,
        needed,
    }
}

fn general() -> Cases {
    let (digest, diff_id) = (digest('1'), digest('2'));
    let exists = |is_layer| Error::Exists {
        path: place(),
        is_layer,
    };
    vec![
        (exists(true), "Use --force"),
        (exists(false), "`layers/app` is not a layer"),
        (Error::Cancelled, ""),
        (Error::OnlyBase, ""),
        (not_a_layer(Kind::Folder), "`wclayer import`"),
        (
            not_a_layer(Kind::ImageLayout),
            "This command takes one layer",
        ),
        (not_a_layer(Kind::DockerArchive), "`wclayer squash"),
        (not_a_layer(Kind::ImageArchive), "`manifest.json`"),
        (not_a_layer(Kind::BrokenLink), ""),
        (Error::NotFound { name: text() }, ""),
        (
            wrong_kind(Kind::Special, Needed::View),
            "save the tar to a file",
        ),
        (
            wrong_kind(Kind::Windows(WindowsLayerKind::Base), Needed::View),
            "`wclayer export`",
        ),
        (
            wrong_kind(Kind::Tar(Compression::Gzip), Needed::Portable),
            "`wclayer import -i",
        ),
        (
            wrong_kind(Kind::Transport, Needed::Windows),
            "--format windows",
        ),
        (wrong_kind(Kind::Portable, Needed::Tar), "`wclayer export"),
        (
            wrong_kind(Kind::Tar(Compression::None), Needed::Folder),
            "Delete the file",
        ),
        (Error::Busy { path: place() }, "Wait"),
        (Error::Destination { path: place() }, "`layers/base`"),
        (
            Error::NotInLayer {
                path: text(),
                layer: text(),
            },
            "`wclayer ls`",
        ),
        (
            Error::SeveralHives {
                hive: text(),
                layers: text(),
            },
            "--keep-base",
        ),
        (
            Error::DigestMismatch {
                what: "DiffID",
                expected: digest,
                actual: diff_id,
            },
            "download it again",
        ),
        (
            Error::DigestForDiffId {
                digest,
                diff_id: self::diff_id('2'),
            },
            "--diff-id sha256:2222",
        ),
        (
            Error::Output(io(io::ErrorKind::StorageFull)),
            "free some space",
        ),
        (
            Error::Input(io(io::ErrorKind::PermissionDenied)),
            "permission",
        ),
        (
            Error::Resources(io(io::ErrorKind::OutOfMemory)),
            "ulimit -v",
        ),
        (Error::Input(io(io::ErrorKind::TimedOut)), ""),
        (
            Error::Io {
                action: "create",
                path: place(),
                source: io(io::ErrorKind::IsADirectory),
            },
            "A directory is in the way",
        ),
        (
            Error::Input(DecodeProblem::BytesBehind.into()),
            "Cut off the bytes",
        ),
    ]
}

fn rules() -> Cases {
    let target = path;
    let rules = [
        (Breach::LinkTargetMissing { target: target() }, "with -l"),
        (Breach::LinkToDirectory { target: target() }, "the tool"),
        (Breach::LinkLoop { target: target() }, "the tool"),
        (Breach::LinkChainTooLong { target: target() }, "the tool"),
        (Breach::RemovalInBaseLayer, "with -l"),
        (Breach::BelowFile { file: path() }, "cannot be written"),
        (
            Breach::BelowReparsePoint {
                reparse_point: path(),
            },
            "through a link",
        ),
        (
            Breach::DuplicateOfOtherKind {
                first: "a file",
                first_offset: Some(0),
                second: "a directory",
            },
            "Remove one",
        ),
        (Breach::LinkWithFilter, "writer"),
        (Breach::OpaqueWithFilter, "writer"),
        (Breach::RemovalOutside, "Remove the whiteout"),
        (Breach::RemovalOutsideFiles, "malformed"),
    ];
    let broken = |(breach, words)| {
        let (entry, offset) = (text(), Some(0));
        let error = RuleError {
            entry,
            offset,
            breach,
        };
        (error.into(), words)
    };
    rules.into_iter().map(broken).collect()
}

fn indexes() -> Cases {
    let path = place();
    let errors = [
        (
            IndexError::Content {
                path: place(),
                what: "a page",
            },
            "`wclayer repair`",
        ),
        (
            IndexError::Tar {
                path: place(),
                offset: 0,
            },
            "import the layer again",
        ),
        (
            IndexError::ImpliedDirectories { path: place() },
            "each directory",
        ),
        (IndexError::Version { path, version: 9 }, "`wclayer repair`"),
    ];
    let errors = errors.into_iter();
    errors.map(|(error, words)| (error.into(), words)).collect()
}

fn portable() -> Cases {
    let path = place;
    let malformed = serde_json::from_str::<u8>("").expect_err("nothing");
    let diff_ids = OtherDiffIds {
        expected: diff_id('1'),
        found: diff_id('2'),
    };
    let errors = [
        (
            PortableError::NotALayer {
                path: path(),
                missing: "layer.json",
            },
            "`wclayer info`",
        ),
        (
            PortableError::Stranger { path: path() },
            "delete it yourself",
        ),
        (PortableError::Link { path: path() }, "points to"),
        (
            PortableError::Json {
                path: path(),
                source: malformed.into(),
            },
            "`wclayer repair`",
        ),
        (
            PortableError::Version {
                path: path(),
                format: text(),
                version: text(),
            },
            "import the layer again",
        ),
        (
            PortableError::ParentMismatch {
                layer: path(),
                expected: text(),
                given: text(),
            },
            "nearest first",
        ),
        (
            PortableError::ParentWithoutDiffId {
                layer: path(),
                parent: path(),
            },
            "Omit -l",
        ),
        (PortableError::Damaged { path: path() }, "`wclayer repair`"),
        (PortableError::TooLarge { path: path() }, "`wclayer repair`"),
        (
            PortableError::TarSize {
                path: path(),
                expected: 1,
                found: 2,
            },
            "import the layer again",
        ),
        (
            PortableError::Parent {
                layer: path(),
                parent: path(),
                source: Box::new(Error::Cancelled),
            },
            "with -l",
        ),
        (
            PortableError::OtherParent {
                layer: path(),
                parent: path(),
                diff_ids: Box::new(diff_ids),
            },
            "with -l",
        ),
        (PortableError::ForeignFile { path: path() }, "elsewhere"),
        (PortableError::Chain { layer: path() }, "255"),
    ];
    let errors = errors.into_iter();
    errors.map(|(error, words)| (error.into(), words)).collect()
}

fn transport() -> Cases {
    let errors = [
        (
            TransportError::NotATransportFolder {
                path: place(),
                missing: "Files",
            },
            "--format transport",
        ),
        (
            TransportError::Tombstones {
                line: 1,
                problem: TombstoneProblem::Version,
            },
            "damaged",
        ),
        (
            TransportError::Entry {
                entry: path(),
                problem: EntryProblem::Short,
            },
            "damaged",
        ),
    ];
    let errors = errors.into_iter();
    errors.map(|(error, words)| (error.into(), words)).collect()
}

fn tars() -> Cases {
    let not_a_tar = |foreign, words| (0, TarProblem::NotATar(foreign), words);
    let failed = |kind, words| (0, TarProblem::Io(io(kind)), words);
    let decoder = |problem: DecodeProblem, words| (0, TarProblem::Io(problem.into()), words);
    let checksum = || TarProblem::Checksum {
        stored: 0,
        computed: 1,
    };
    let archive = ImageArchive {
        layers: Vec::new(),
        count: 0,
    };
    let problems = vec![
        not_a_tar(Foreign::Compressed("an xz file"), "decompress"),
        not_a_tar(Foreign::CompressedAgain(Compression::Gzip), "once"),
        not_a_tar(Foreign::Archive("a zip file"), "inside this archive"),
        not_a_tar(Foreign::Manifest, "under `layers`"),
        not_a_tar(Foreign::ManifestIndex, "for your platform"),
        not_a_tar(Foreign::ImageConfig, "under `layers`"),
        not_a_tar(Foreign::SavedManifest, "archive"),
        not_a_tar(Foreign::RegistryError, "log in"),
        not_a_tar(Foreign::Json, "blob"),
        not_a_tar(Foreign::Utf16, "PowerShell"),
        not_a_tar(Foreign::Utf8Mark, "PowerShell"),
        not_a_tar(Foreign::WebPage, "from a server"),
        not_a_tar(Foreign::Xml, "from a server"),
        not_a_tar(Foreign::Text, "from a server"),
        not_a_tar(Foreign::LfsPointer, "git lfs pull"),
        not_a_tar(Foreign::Disk("a disk"), "`wclayer export`"),
        not_a_tar(Foreign::Hive, "`Hives`"),
        not_a_tar(Foreign::Database, "`layer.json`"),
        (0, TarProblem::ImageArchive(archive), "tar -xf"),
        failed(io::ErrorKind::UnexpectedEof, "truncated"),
        failed(io::ErrorKind::InvalidData, "damaged"),
        failed(io::ErrorKind::OutOfMemory, "ulimit -v"),
        failed(io::ErrorKind::TimedOut, ""),
        decoder(DecodeProblem::BytesBehind, "Cut off"),
        decoder(
            DecodeProblem::Window {
                window: 2,
                limit: 1,
            },
            "--long",
        ),
        decoder(DecodeProblem::Dictionary { id: 1 }, "dictionary"),
        (9, TarProblem::TruncatedHeader, "truncated"),
        (9, TarProblem::TruncatedContent { missing: 1 }, "truncated"),
        (0, TarProblem::Empty, "Nothing was read"),
        (0, checksum(), "not a layer tar"),
        (512, checksum(), ""),
        (0, TarProblem::Number { field: "size" }, "not a layer tar"),
        (9, TarProblem::Path(PathError::Absolute), "relative"),
        (
            9,
            TarProblem::LinkTarget {
                target: text(),
                source: PathError::Absolute,
            },
            "relative",
        ),
        (9, TarProblem::Type { type_flag: b'3' }, "Linux"),
        (9, TarProblem::SparseMap, ""),
    ];
    let of_entry = |(offset, problem, words)| {
        let entry = text();
        let error = TarError {
            entry,
            offset,
            problem,
        };
        (error.into(), words)
    };
    problems.into_iter().map(of_entry).collect()
}

fn host_compute() -> Cases {
    let path = place;
    let boxed = || Box::new(Error::Cancelled);
    let errors = vec![
        (
            PrivilegeError::NotHeld(Privilege::Restore).into(),
            "Restore files and directories",
        ),
        (
            HcsError::NoService {
                dll: "vmcompute.dll",
            },
            "--format portable",
        ),
        (HcsError::NoParents, "with -l"),
        (
            HcsError::LeftBehind {
                path: path(),
                deletion: boxed(),
                source: boxed(),
            },
            "--force",
        ),
        (HcsError::StillThere { layer: path() }, "--force"),
        (HcsError::NotEmpty { path: path() }, "`wclayer remove`"),
        (HcsError::Incomplete { path: path() }, "`wclayer remove`"),
        (HcsError::LayerName { path: path() }, ""),
    ];
    let errors = errors.into_iter();
    errors.map(|(error, words)| (error.into(), words)).collect()
}

fn causes() -> Cases {
    let (parent, folder, layer) = (place, place, place);
    let causes = [
        (
            FailureCause::ParentMissing { parent: parent() },
            "The parent layer `layers/app` does not exist: import it first, or",
        ),
        (FailureCause::ParentIsFile { parent: parent() }, "with -l"),
        (
            FailureCause::ParentIncomplete { parent: parent() },
            "interrupted: import it again.",
        ),
        (
            FailureCause::ParentWithoutFiles { parent: parent() },
            "import it again",
        ),
        (
            FailureCause::TransportFolderMissing { folder: folder() },
            "name the right",
        ),
        (
            FailureCause::NotATransportFolder { folder: folder() },
            "--format transport",
        ),
        (
            FailureCause::HiveMissing {
                folder: folder(),
                hive: "Sam_Delta",
            },
            "--hives",
        ),
        (
            FailureCause::FolderMissing { folder: folder() },
            "create it first",
        ),
        (
            FailureCause::LayerMissing { layer: layer() },
            "name the right",
        ),
        (FailureCause::NotALayer { layer: layer() }, "name the right"),
        (
            FailureCause::PathTooLong { path: place() },
            "closer to the root",
        ),
        (
            FailureCause::LittleSpace {
                free_mib: 1,
                folder: folder(),
            },
            "Only 1 MiB are free on the disk of `layers/app`: free",
        ),
        (FailureCause::DiskFull, "Free some space"),
        (
            FailureCause::Privilege(Privilege::Backup),
            "Back up files and directories",
        ),
        (FailureCause::SomePrivilege, "elevated prompt"),
        (FailureCause::Nul, "NUL"),
    ];
    let failed = |(cause, words)| {
        let error = ServiceError::Failed {
            function: "ImportLayer",
            dll: "vmcompute.dll",
            on: text(),
            cause: Some(Box::new(cause)),
            source: WindowsError::new(HResult::from_win32(3)),
        };
        (error.into(), words)
    };
    causes.into_iter().map(failed).collect()
}

fn library() -> Cases {
    let areas = [
        general,
        rules,
        indexes,
        portable,
        transport,
        tars,
        host_compute,
        causes,
    ];
    areas.into_iter().flat_map(|area| area()).collect()
}

fn own() -> Vec<(CliError, &'static str)> {
    let no_content = |what| CliError::NoContent { path: text(), what };
    let mistaken = |mistake| CliError::Mistaken(Box::new(CliError::CannotReplace), mistake);
    vec![
        #[cfg(not(windows))]
        (CliError::NeedsHostCompute { command: "mount" }, "`import`"),
        (CliError::CannotReplace, "`wclayer remove`"),
        (CliError::HivesElsewhere, "Omit --hives"),
        (
            CliError::NoEntry {
                path: text(),
                layer: place(),
                why: "Because.".to_owned(),
            },
            "Because.",
        ),
        (no_content(Contentless::Directory), "`wclayer ls`"),
        (no_content(Contentless::Link(text())), "--follow"),
        (no_content(Contentless::HardLink(text())), "with -l"),
        (CliError::NoLayerNumber { number: 2, last: 1 }, "--verbose"),
        (CliError::NotInChain { place: place() }, "--verbose"),
        (
            CliError::LinkOutside {
                link: text(),
                target: text(),
            },
            "",
        ),
        (CliError::LinkLoop { path: text() }, ""),
        (CliError::OutputIsTerminal, "-o FILE"),
        (CliError::OutputExists { output: place() }, "--no-clobber"),
        (
            CliError::OutputIsLayer {
                output: place(),
                layer: place(),
            },
            "-o FILE",
        ),
        (CliError::InputIsDash, "`./-`"),
        (CliError::InputIsTerminal, "-i FILE"),
        (mistaken(Mistake::LongListing), "--long"),
        (mistaken(Mistake::ParentsOfOneSide), "--left-layer"),
        (mistaken(Mistake::NotATime), "yesterday"),
        (
            CliError::InJson(Box::new(CliError::CannotReplace)),
            "`wclayer remove`",
        ),
        (CliError::NotMade { count: 1 }, "--json"),
        (CliError::Stdout(io(io::ErrorKind::StorageFull)), ""),
    ]
}

fn all() -> Vec<(CliError, &'static str)> {
    let library = library().into_iter().chain(images());
    let library = library.map(|(error, words)| (CliError::Layer(error), words));
    library.chain(own()).collect()
}

fn images() -> Cases {
    let (label, names) = (text, || vec!["one".to_owned()]);
    let (digest, diff_id) = (digest('1'), diff_id('2'));
    let errors = [
        (
            ImageError::SeveralImages {
                label: label(),
                names: names(),
            },
            "after a colon: `one`",
        ),
        (
            ImageError::NoSuchImage {
                label: label(),
                name: text(),
                names: names(),
            },
            "It has `one`",
        ),
        (
            ImageError::NoSuchPlatform {
                label: label(),
                platform: text(),
                platforms: names(),
            },
            "--platform: `one`",
        ),
        (
            ImageError::SeveralLayers {
                label: label(),
                layers: names(),
            },
            "--only",
        ),
        (
            ImageError::NoSuchLayer {
                label: label(),
                layer: text(),
                layers: names(),
            },
            "`one`",
        ),
        (ImageError::WithParents { label: label() }, "Omit -l"),
        (
            ImageError::NothingToChoose { label: label() },
            "Omit --only",
        ),
        (ImageError::NoRegistry { label: label() }, "skopeo"),
        (ImageError::NoImages { label: label() }, "OCI image layout"),
        (
            ImageError::CompressedArchive { label: label() },
            "Decompress",
        ),
        (
            ImageError::Foreign {
                label: label(),
                digest,
                urls: names(),
            },
            "from `one`",
        ),
        (
            ImageError::DiffId {
                label: label(),
                diff_id,
                found: diff_id,
            },
            "damaged",
        ),
        (
            ImageError::LayerCount {
                label: label(),
                layers: 1,
                diff_ids: 2,
            },
            "",
        ),
    ];
    errors.map(|(error, words)| (error.into(), words)).into()
}

#[test]
fn every_error_has_its_hint() {
    for (error, words) in all() {
        let shown = error.to_string();
        let hint = hint(&error);
        match words {
            "" => assert_eq!(hint, None, "{shown}"),
            words => {
                let hint = hint.unwrap_or_else(|| panic!("no hint: {shown}"));
                assert!(hint.contains(words), "{shown}: {hint}");
            }
        }
    }
}

#[test]
fn an_error_of_a_layer_has_the_hint_of_its_cause() {
    let error = Error::Layer {
        operation: "import",
        layer: text(),
        source: Box::new(HcsError::NoParents.into()),
    };
    let hint = hint(&CliError::Layer(error));
    assert_eq!(hint.as_deref(), Some(NAME_PARENTS));
}

/// A hint that names a missing command or option would be worse than none. The commands of other
/// programs are quoted as a whole.
#[test]
fn hints_name_commands_and_options_that_exist() {
    let command = cli::command();
    let commands: Vec<_> = command.get_subcommands().map(|it| it.get_name()).collect();
    let subcommands = command.get_subcommands();
    let options: Vec<String> = subcommands
        .flat_map(|it| it.get_arguments())
        .flat_map(|it| {
            let short = it.get_short().map(|short| format!("-{short}"));
            let long = it.get_long().map(|long| format!("--{long}"));
            short.into_iter().chain(long)
        })
        .collect();
    let mut seen = 0;
    for (error, _) in all() {
        let Some(hint) = hint(&error) else {
            continue;
        };
        // Every other part is quoted: a command of this program or of another.
        for (number, part) in hint.split('`').enumerate() {
            let own = part.strip_prefix("wclayer ");
            if number % 2 == 1 && own.is_none() && !part.starts_with("--diff-id") {
                continue;
            }
            if let Some(own) = own.filter(|_| number % 2 == 1) {
                let name = own.split(' ').next().unwrap_or_default();
                assert!(commands.contains(&name), "{hint}");
                seen += 1;
            }
            let words = part.split(|at: char| at.is_whitespace() || "(),.:;".contains(at));
            for option in words.filter(|word| word.starts_with('-')) {
                assert!(options.iter().any(|known| known == option), "{hint}");
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen}");
}
