//! Maps the errors of the tar reader to rules.

use std::error::Error as _;
use std::io;

use crate::compression::DecodeProblem;
use crate::error::TarProblem;
use crate::error::{ErrorKind, io_kind};
use crate::path::PathError;
use crate::rules::Rule;

/// Returns the rule that a problem breaks; `None` if the layer is not at fault.
pub(super) fn rule_of(problem: &TarProblem) -> Option<Rule> {
    Some(match problem {
        TarProblem::Io(error) if is_trailing(error) => Rule::BlobTrailingData,
        TarProblem::Io(error) if io_kind(error) == ErrorKind::InvalidLayer => Rule::TarDamaged,
        TarProblem::Io(_) => return None,
        TarProblem::Empty => Rule::TarEmpty,
        TarProblem::NotATar(_) | TarProblem::ImageArchive(_) => Rule::NotALayer,
        TarProblem::TruncatedHeader | TarProblem::TruncatedContent { .. } => Rule::TarTruncated,
        TarProblem::LoneZeroBlock
        | TarProblem::Checksum { .. }
        | TarProblem::Number { .. }
        | TarProblem::PaxRecord { .. }
        | TarProblem::ExtendedHeaderTooLarge { .. }
        | TarProblem::UnexpectedContent { .. }
        | TarProblem::DanglingExtendedHeader => Rule::TarDamaged,
        TarProblem::Path(error) => rule_of_path(error),
        TarProblem::LinkTarget { .. } => Rule::LinkTargetInvalid,
        TarProblem::Whiteout | TarProblem::ReservedName => Rule::WhiteoutName,
        TarProblem::Type { .. } => Rule::TarEntryType,
        TarProblem::StrayStream { .. } => Rule::StreamWithoutFile,
        TarProblem::Sddl(_) => Rule::SecurityMalformed,
        TarProblem::Ea(_) => Rule::EaMalformed,
        TarProblem::Reparse(_) => Rule::ReparseMalformed,
        TarProblem::SparseMap
        | TarProblem::SparseTooLarge { .. }
        | TarProblem::Time { .. }
        | TarProblem::Attributes(_)
        | TarProblem::Base64 { .. }
        | TarProblem::BackupStream(_)
        | TarProblem::Streams { .. }
        | TarProblem::SizeMismatch { .. } => Rule::TarRecord,
    })
}

/// Returns whether compressed data is followed by something other than more of it or zeros.
pub(super) fn is_trailing(error: &io::Error) -> bool {
    matches!(DecodeProblem::of(error), Some(DecodeProblem::BytesBehind))
}

/// Returns whether only the metadata of an entry is wrong: its path and kind are known.
pub(super) fn is_of_metadata(problem: &TarProblem) -> bool {
    use Rule::{EaMalformed, LinkTargetInvalid, ReparseMalformed, SecurityMalformed, TarRecord};
    matches!(
        rule_of(problem),
        Some(SecurityMalformed | EaMalformed | ReparseMalformed | TarRecord | LinkTargetInvalid)
    )
}

/// Returns the rule that a name breaks.
pub(super) fn rule_of_path(error: &PathError) -> Rule {
    match error {
        PathError::Empty => Rule::PathEmpty,
        PathError::Nul => Rule::PathCharacter,
        PathError::Absolute | PathError::Drive => Rule::PathAbsolute,
        PathError::ParentComponent => Rule::PathParent,
        PathError::Colon { .. } | PathError::StreamName { .. } => Rule::PathColon,
        PathError::ComponentTooLong { .. }
        | PathError::PathTooLong { .. }
        | PathError::TooDeep { .. } => Rule::PathTooLong,
    }
}

/// Formats a problem and its causes on one line.
pub(super) fn text_of(problem: &TarProblem) -> String {
    let mut text = problem.to_string();
    let mut cause = problem.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
