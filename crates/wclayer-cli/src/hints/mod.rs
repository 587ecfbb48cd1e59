//! Hints: a sentence below an error that tells the user what to do.
//!
//! All hints live here, since they name commands and options; the errors of the library state facts.
//! A hint is chosen by the variant of the error, never by its text. Only the fixes that `validate`
//! prints, in the library's table of rules, and the reasons why a path is missing, in
//! `commands/missing.rs`, are elsewhere. [`command`] covers the command's own
//! errors, [`image`] images, [`input`] inputs that are not layers, [`windows`] the Host Compute Service.

mod command;
mod image;
mod input;
mod windows;

use std::io;

use wclayer::Error;
use wclayer::error::{IndexError, PortableError, SystemFailure, TransportError};
use wclayer::resources::Lack;
use wclayer::rules::Breach;

pub(crate) use command::hint;

/// For users who expect `ls -l` to print a long listing.
pub(crate) const NOT_LONG: &str = "`-l` names a parent layer; for the long listing, use `--long`.";
const NAME_PARENTS: &str = "Name the parent layers with -l, nearest first.";
const NO_MEMORY: &str = "Close other programs, or raise the memory limit (`ulimit -v`).";
const NO_THREADS: &str =
    "Close other programs, or raise the limits on processes and memory (`ulimit -u`, `ulimit -v`).";
const IMPORT_AGAIN: &str = "The folder was changed or damaged: import the layer again.";

/// Returns the hint for an error of the library, if there is one.
fn of_library(error: &Error) -> Option<String> {
    let hint = match error {
        Error::Layer { source, .. } => return of_library(source),
        Error::Hcs(error) => return windows::hint(error),
        Error::Exists { is_layer: true, .. } => "Use --force to replace it.",
        Error::Exists { path, .. } => {
            return Some(format!(
                "`{}` is not a layer, so it is never replaced: choose another path.",
                path.display()
            ));
        }
        Error::DigestForDiffId { diff_id, .. } => {
            return Some(format!(
                "This is the right blob: pass its DiffID, `--diff-id {diff_id}`."
            ));
        }
        Error::DigestMismatch { .. } => {
            "The file is damaged or is another layer: download it again."
        }
        Error::NotInLayer { .. } => "Use `wclayer ls` to list the entries of the layer.",
        Error::NotALayer { kind, .. } => input::not_a_layer(*kind)?,
        Error::WrongKind { kind, needed, .. } => input::wrong_kind(*kind, *needed)?,
        Error::SeveralHives { .. } => {
            "Squash fewer layers, leave the base layer out (--keep-base), or drop these changes \
             (--lose-registry)."
        }
        Error::Busy { .. } => "Wait for it to finish, or choose another path.",
        Error::Destination { .. } => "Name a new folder, such as `layers/base`.",
        Error::Rule(error) => of_breach(&error.breach),
        Error::Index(error) => of_index(error),
        Error::Portable(error) => of_portable(error),
        Error::Transport(error) => of_transport(error)?,
        Error::Tar(error) => input::of_tar(error)?,
        Error::Image(error) => return image::hint(error),
        Error::Input(error) | Error::Io { source: error, .. } => {
            input::of_decoder(error).or_else(|| of_io(error))?
        }
        Error::Output(error) | Error::Resources(error) => of_io(error)?,
        _ => return None,
    };
    Some(hint.to_owned())
}

fn of_io(error: &io::Error) -> Option<&'static str> {
    if let Some(hint) = of_lack(error) {
        return Some(hint);
    }
    match error.kind() {
        io::ErrorKind::StorageFull => Some("The disk is full: free some space."),
        io::ErrorKind::PermissionDenied => {
            Some("The user running wclayer lacks permission: check the permissions of the path.")
        }
        io::ErrorKind::IsADirectory => Some(
            "A directory is in the way and is never replaced: move it, or choose another path.",
        ),
        _ => None,
    }
}

fn of_lack(error: &io::Error) -> Option<&'static str> {
    match Lack::of(error)? {
        Lack::Threads => Some(NO_THREADS),
        Lack::Memory => Some(NO_MEMORY),
        _ => None,
    }
}

fn of_breach(breach: &Breach) -> &'static str {
    match breach {
        Breach::LinkTargetMissing { .. } => {
            "A parent may be missing: name every parent with -l, nearest first."
        }
        Breach::RemovalInBaseLayer => NAME_PARENTS,
        Breach::LinkToDirectory { .. }
        | Breach::LinkLoop { .. }
        | Breach::LinkChainTooLong { .. } => {
            "Report this to the author of the tool that wrote the layer: Windows does not support \
             such a link."
        }
        Breach::BelowFile { .. } | Breach::BelowReparsePoint { .. } => {
            "Rebuild the layer without it: it cannot be written, or would be written through a link."
        }
        Breach::DuplicateOfOtherKind { .. } => "Remove one of the two entries from the layer.",
        Breach::LinkWithFilter | Breach::OpaqueWithFilter => {
            "Let wclayer choose the writer: it picks one that supports the layer."
        }
        // The fix that `validate` prints.
        breach => breach
            .rule()
            .map_or(windows::MALFORMED, |rule| rule.info().fix),
    }
}

fn of_index(error: &IndexError) -> &'static str {
    match error.system_failure() {
        Some(SystemFailure::DiskFull) => return "The disk is full or failing: free some space.",
        Some(SystemFailure::Memory) => return NO_MEMORY,
        Some(SystemFailure::Disk) => {
            return "The disk or the file system failed: try again, and check the disk.";
        }
        Some(SystemFailure::Open) => {
            return "Check the permissions and the limit on open files (`ulimit -n`).";
        }
        _ => {}
    }
    match error {
        IndexError::Tar { .. } => IMPORT_AGAIN,
        IndexError::ImpliedDirectories { .. } => {
            "Rebuild the layer with an entry for each directory."
        }
        IndexError::Version { .. } => {
            "Use the version of wclayer that wrote it, or rebuild it with `wclayer repair`."
        }
        _ => "The folder was changed or damaged: `wclayer repair` rebuilds the index.",
    }
}

fn of_portable(error: &PortableError) -> &'static str {
    match error {
        PortableError::NotALayer { .. } => {
            "Name a folder made by `wclayer import`; `wclayer info` describes a layer."
        }
        PortableError::Stranger { .. } => {
            "If no other program needs the folder, delete it yourself."
        }
        PortableError::ParentMismatch { .. } => {
            "Name the parents nearest first, base layer last; or name only the nearest, and its \
             own parents are found automatically."
        }
        PortableError::ParentWithoutDiffId { .. } => {
            "Omit -l: the layer records its parents. If they have moved, name the portable layers at \
             their current paths."
        }
        PortableError::Version { .. } => {
            "Use the version of wclayer that wrote it, or import the layer again."
        }
        PortableError::Json { .. }
        | PortableError::Damaged { .. }
        | PortableError::TooLarge { .. } => {
            "The folder was changed or damaged: `wclayer repair` rebuilds this file."
        }
        PortableError::Parent { .. } => {
            "If it was moved, name every parent with -l at its current path, nearest first."
        }
        PortableError::OtherParent { .. } => {
            "Restore the right layer there, or name every parent with -l at its current path, \
             nearest first."
        }
        PortableError::ForeignFile { .. } => "Move it elsewhere first.",
        PortableError::Link { .. } => "Name the folder that the link points to.",
        PortableError::Chain { .. } => {
            "Use an absolute path for each of at most 255 parents, name none twice, and do not \
             name the layer itself."
        }
        _ => IMPORT_AGAIN,
    }
}

fn of_transport(error: &TransportError) -> Option<&'static str> {
    match error {
        TransportError::NotATransportFolder { .. } => Some(
            "Make one with `wclayer import --format transport`: a transport folder contains `Files` \
             and `tombstones.txt`.",
        ),
        TransportError::Tombstones { .. } | TransportError::Entry { .. } => {
            Some("Make the folder again: it is damaged, or was changed after it was made.")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
