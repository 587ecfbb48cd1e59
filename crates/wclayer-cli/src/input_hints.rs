//! What to do about an input that is not a layer tar.

use std::io;

use wclayer::compression::DecodeProblem;
use wclayer::source::{Kind, Needed};
use wclayer::tar::{Foreign, TarProblem};

/// Returns what to do, where an error is about such an input.
pub(crate) fn hint(error: &wclayer::Error) -> Option<&'static str> {
    match error {
        wclayer::Error::Layer { source, .. } => hint(source),
        wclayer::Error::NotALayer { kind, .. } => of_kind(*kind),
        wclayer::Error::WrongKind { kind, needed, .. } => of_wrong_kind(*kind, *needed),
        wclayer::Error::Tar(error) => of_problem(&error.problem),
        wclayer::Error::Input(error) => of_decoder(error),
        wclayer::Error::Io { source, .. } => of_decoder(source),
        _ => None,
    }
}

fn of_problem(problem: &TarProblem) -> Option<&'static str> {
    match problem {
        TarProblem::NotATar(foreign) => Some(of_foreign(*foreign)),
        TarProblem::ImageArchive(_) => Some(
            "Unpack it with `tar -xf FILE` and import its layers one by one, the lowest first.",
        ),
        TarProblem::Io(error) => of_decoder(error),
        _ => None,
    }
}

fn of_foreign(foreign: Foreign) -> &'static str {
    match foreign {
        Foreign::Compressed(_) => {
            "wclayer reads plain, gzip and zstd tars: decompress the file first."
        }
        Foreign::CompressedAgain(_) => {
            "Decompress the file once, such as with `gzip -d` or `zstd -d`, and use the result."
        }
        Foreign::Archive(_) => {
            "A layer is a tar (plain, gzip or zstd): is the layer inside this archive?"
        }
        Foreign::Manifest => {
            "The manifest lists the layers: fetch the blobs under `layers` by their digests."
        }
        Foreign::ManifestIndex => {
            "It lists a manifest for each platform; the layers are listed in these."
        }
        Foreign::ImageConfig => {
            "The image's manifest lists the layers: fetch the blobs under `layers`."
        }
        Foreign::SavedManifest => "It lists the layers of the archive that it comes from.",
        Foreign::RegistryError => {
            "The registry refused: the text of the file says why. Log in, or check the name."
        }
        Foreign::Json => "Name the layer's blob: a tar, plain or compressed with gzip or zstd.",
        Foreign::Utf16 | Foreign::Utf8Mark => {
            "PowerShell's `>` changes binary output: write the file again with an option of the \
             program, such as `-o FILE`, or from cmd.exe."
        }
        Foreign::WebPage | Foreign::Xml | Foreign::Text => {
            "It may be what a server said in place of the layer: read it, and fetch the layer again."
        }
        Foreign::LfsPointer => "Fetch the file itself with `git lfs pull`.",
        Foreign::Disk(_) => {
            "wclayer reads layer tars, not disks: `wclayer export` makes a tar of a layer."
        }
        Foreign::Hive => "A hive is one file of a layer, in `Hives` or `Files`.",
        Foreign::Database => {
            "A portable layer is read as a whole: name the folder that has `layer.json`."
        }
        _ => "A layer is a tar, plain or compressed with gzip or zstd: is it the file you mean?",
    }
}

fn of_decoder(error: &io::Error) -> Option<&'static str> {
    match DecodeProblem::of(error)? {
        DecodeProblem::BytesBehind => {
            Some("Cut off what follows the compressed data, or compress the tar again.")
        }
        DecodeProblem::Window { .. } => {
            Some("Compress it again without `--long`: `zstd -d --long=31 -c FILE | zstd -o NEW`.")
        }
        DecodeProblem::Dictionary { .. } => {
            Some("Compress it again without a dictionary, which readers of layers do not have.")
        }
        _ => None,
    }
}

/// Returns what to name instead of something that is not a layer.
fn of_kind(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::ImageLayout => Some(
            "Its layers are the files in `blobs/sha256` that the image's manifest lists under \
             `layers`.",
        ),
        Kind::ImageArchive => {
            Some("Its layers are the files that `manifest.json` lists under `Layers`.")
        }
        Kind::BrokenLink => None,
        _ => Some(
            "A layer is a folder made by `wclayer import`, a transport folder, a Windows layer, or \
             a layer tar (plain, gzip or zstd).",
        ),
    }
}

/// Returns what to do with a layer that a command cannot take.
fn of_wrong_kind(kind: Kind, needed: Needed) -> Option<&'static str> {
    Some(match (needed, kind) {
        (Needed::View, Kind::Windows(_)) => {
            "On Windows, `wclayer export` writes it as a layer tar, which every command reads; \
             `wclayer info` shows what it is."
        }
        (Needed::View, _) => "A layer is read more than once: write it to a file first.",
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
        (Needed::Tar, _) => "`wclayer export LAYER` writes it as a layer tar.",
        (Needed::Folder, _) => "Delete the file with the system's own command.",
        _ => return None,
    })
}
