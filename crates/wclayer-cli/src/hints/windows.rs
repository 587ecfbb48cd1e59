//! Hints about layers of the Host Compute Service.

use wclayer::error::{FailureCause, HcsError, Privilege, ServiceError};

pub(super) const MALFORMED: &str = "The layer is malformed: report it to whoever built the image.";
const ELEVATE: &str = "Run wclayer as an administrator from an elevated prompt.";

/// Returns the hint for an error, if there is one.
pub(super) fn hint(error: &HcsError) -> Option<String> {
    let hint = match error {
        HcsError::Service(ServiceError::Failed {
            cause: Some(cause), ..
        }) => return Some(of_cause(cause)),
        HcsError::Privilege(error) => return Some(elevate_for(error.privilege())),
        HcsError::NoService { .. } => {
            "Enable the Windows feature Containers, or use portable layers (--format portable), \
             which work without it."
        }
        HcsError::NoParents => super::NAME_PARENTS,
        HcsError::LeftBehind { .. } | HcsError::StillThere { .. } => {
            "Delete it with `wclayer remove --force`."
        }
        HcsError::NotEmpty { .. } => {
            "Delete it with `wclayer remove`, or choose another path: a failed import could not \
             restore the contents of the folder."
        }
        HcsError::Incomplete { .. } => "Import it again, or delete it with `wclayer remove`.",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn elevate_for(privilege: Privilege) -> String {
    format!(
        "Run wclayer as an administrator from an elevated prompt, or grant the account the right \
         \"{}\" (secpol.msc, Local Policies, User Rights Assignment).",
        privilege.title()
    )
}

/// Returns the cause and its remedy: the error itself only names the call.
fn of_cause(cause: &FailureCause) -> String {
    let remedy = match cause {
        FailureCause::Privilege(privilege) => return elevate_for(*privilege),
        FailureCause::SomePrivilege => return ELEVATE.to_owned(),
        FailureCause::DiskFull => {
            return "Free some space, including on the disk with the temporary folder.".to_owned();
        }
        FailureCause::ParentMissing { .. } => "import it first, or name the right folder with -l",
        FailureCause::ParentIsFile { .. } => "name the right folder with -l",
        FailureCause::ParentIncomplete { .. } | FailureCause::ParentWithoutFiles { .. } => {
            "import it again"
        }
        FailureCause::TransportFolderMissing { .. }
        | FailureCause::LayerMissing { .. }
        | FailureCause::NotALayer { .. } => "name the right folder",
        FailureCause::NotATransportFolder { .. } => {
            "make one with `wclayer import --format transport`"
        }
        FailureCause::HiveMissing { .. } => "make the folder with --hives, or use --api vmcompute",
        FailureCause::FolderMissing { .. } => "create it first",
        FailureCause::PathTooLong { .. } => "use a folder closer to the root of the drive",
        FailureCause::LittleSpace { .. } => "free some space",
        _ => return sentence(&cause.to_string()),
    };
    sentence(&format!("{cause}: {remedy}"))
}

/// Makes a sentence of a clause.
fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}
