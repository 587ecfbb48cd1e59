//! Hints about inputs that are not layers, or are damaged.

use std::io;

use wclayer::compression::DecodeProblem;
use wclayer::error::{TarError, TarProblem};
use wclayer::foreign::Foreign;
use wclayer::source::{Kind, Needed};

/// Returns the hint for a problem of a tar, if there is one.
pub(super) fn of_tar(error: &TarError) -> Option<&'static str> {
    Some(match &error.problem {
        TarProblem::NotATar(foreign) => of_foreign(*foreign),
        TarProblem::ImageArchive(_) => {
            "`ls`, `cat` and the other commands that read layers take an uncompressed image archive, and \
             `--only N` one layer of it. To import, unpack it with `tar -xf FILE` and import its \
             layers one by one, starting with the base layer."
        }
        TarProblem::Io(error) => return of_read(error),
        TarProblem::TruncatedHeader | TarProblem::TruncatedContent { .. } => {
            "The file is truncated: download it again."
        }
        TarProblem::Empty => "Nothing was read: check that the input is the right file.",
        TarProblem::Checksum { .. } | TarProblem::Number { .. } if error.offset == 0 => {
            "Check the input: it is not a layer tar (plain, gzip or zstd), or its start is damaged."
        }
        TarProblem::Path(_) | TarProblem::LinkTarget { .. } => {
            "Rebuild the layer with relative names below `Files`, `Hives` or `UtilityVM`."
        }
        TarProblem::Type { .. } => "Check that the layer was built for Windows, not for Linux.",
        _ => return None,
    })
}

/// Returns the hint for a failure to read or decompress a tar, if there is one.
fn of_read(error: &io::Error) -> Option<&'static str> {
    if let Some(hint) = of_decoder(error).or_else(|| super::of_lack(error)) {
        return Some(hint);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Some("The compressed data is truncated: download the file again.")
        }
        io::ErrorKind::InvalidData => {
            Some("The compressed data is damaged: download the file again.")
        }
        _ => None,
    }
}

/// Returns the hint for compressed data that is intact but cannot be read, if this is the problem.
pub(super) fn of_decoder(error: &io::Error) -> Option<&'static str> {
    match DecodeProblem::of(error)? {
        DecodeProblem::BytesBehind => {
            Some("Cut off the bytes after the compressed data, or compress the tar again.")
        }
        DecodeProblem::Window { .. } => {
            Some("Compress it again without `--long`: `zstd -d --long=31 -c FILE | zstd -o NEW`.")
        }
        DecodeProblem::Dictionary { .. } => Some(
            "Compress it again without a dictionary: programs that read layers do not have it.",
        ),
        _ => None,
    }
}

fn of_foreign(foreign: Foreign) -> &'static str {
    match foreign {
        Foreign::Compressed(_) => {
            "wclayer reads plain, gzip and zstd tars: decompress the file first."
        }
        Foreign::CompressedAgain(_) => {
            "Decompress the file once, for example with `gzip -d` or `zstd -d`, and use the result."
        }
        Foreign::Archive(_) => {
            "A layer is a tar (plain, gzip or zstd): look for it inside this archive."
        }
        Foreign::Manifest => {
            "The manifest lists the layers: download the blobs under `layers` by their digests."
        }
        Foreign::ManifestIndex => {
            "Download the manifest for your platform, which lists the layers."
        }
        Foreign::ImageConfig => {
            "The manifest of the image lists the layers: download the blobs under `layers`."
        }
        Foreign::SavedManifest => {
            "Use the layers that it lists, in the archive that it comes from."
        }
        Foreign::RegistryError => {
            "The registry returned an error: read the file for the reason, then log in or check \
             the name."
        }
        Foreign::Json => {
            "Name the blob of the layer: a tar, plain or compressed with gzip or zstd."
        }
        Foreign::Utf16 | Foreign::Utf8Mark => {
            "PowerShell's `>` corrupts binary output: write the file again with an option of the \
             program, such as `-o FILE`, or from cmd.exe."
        }
        Foreign::WebPage | Foreign::Xml | Foreign::Text => {
            "It may be an error message from a server: read it, then download the layer again."
        }
        Foreign::LfsPointer => "Fetch the file itself with `git lfs pull`.",
        Foreign::Disk(_) => {
            "Make a tar of the layer with `wclayer export`: wclayer reads layer tars, not disks."
        }
        Foreign::Hive => {
            "Name a whole layer: a hive is a single file in a layer, in `Hives` or `Files`."
        }
        Foreign::Database => "Name the folder of the portable layer, which contains `layer.json`.",
        _ => {
            "A layer is a tar, plain or compressed with gzip or zstd: check that this is the right file."
        }
    }
}

/// Returns the hint for something that is not a layer: a folder may hold layers in other forms.
pub(super) fn not_a_layer(kind: Kind) -> Option<&'static str> {
    match kind {
        kind if kind.is_image() => Some(
            "This command takes one layer. `ls`, `tree`, `stat`, `cat`, `find`, `du`, `diff`, \
             `extract`, `squash` and `info` take images; `wclayer squash -o FILE IMAGE` writes a layer \
             tar.",
        ),
        Kind::ImageArchive => Some(
            "Name a layer in this unpacked image archive: a file that `manifest.json` lists under \
             `Layers`.",
        ),
        Kind::BrokenLink => None,
        _ => Some(
            "Name a folder made by `wclayer import`, a transport folder, a Windows layer, or a layer \
             tar (plain, gzip or zstd).",
        ),
    }
}

/// Returns the hint for a layer of a kind that a command does not take.
pub(super) fn wrong_kind(kind: Kind, needed: Needed) -> Option<&'static str> {
    Some(match (needed, kind) {
        (Needed::View, Kind::Windows(_)) => {
            "Run `wclayer export` on Windows to write it to a layer tar, which every command reads; use \
             `wclayer info` to describe it."
        }
        (Needed::View, _) => "Layers are read more than once: save the tar to a file first.",
        (Needed::Portable | Needed::Windows, Kind::Tar(_) | Kind::Special) => {
            "Import it first: `wclayer import -i FILE FOLDER`."
        }
        (Needed::Portable, _) => {
            "Make a portable layer of it: `wclayer export LAYER | wclayer import --format portable \
             FOLDER`."
        }
        (Needed::Windows, _) => {
            "Make a Windows layer of it: `wclayer export LAYER | wclayer import --format windows \
             FOLDER`."
        }
        (Needed::Tar, _) => "Use `wclayer export LAYER` to write it to a layer tar.",
        (Needed::Folder, _) => "Delete the file with a command of the system.",
        _ => return None,
    })
}
