//! Which rule is broken by what the readers of tars refuse.

use std::error::Error as _;
use std::io;

use crate::compression::DecodeProblem;
use crate::error::TarProblem;
use crate::error::{ErrorKind, io_kind};
use crate::path::PathError;
use crate::rules::{Breach, Rule};

/// Returns the rule; `None` for what is no fault of the layer.
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

/// Whether something follows compressed data that is neither more of it nor zeros.
pub(super) fn is_trailing(error: &io::Error) -> bool {
    matches!(DecodeProblem::of(error), Some(DecodeProblem::BytesBehind))
}

/// Whether what is wrong is in the metadata, so that it is clear what kind of entry is meant, and
/// where.
pub(super) fn is_of_metadata(problem: &TarProblem) -> bool {
    use Rule::{EaMalformed, LinkTargetInvalid, ReparseMalformed, SecurityMalformed, TarRecord};
    matches!(
        rule_of(problem),
        Some(SecurityMalformed | EaMalformed | ReparseMalformed | TarRecord | LinkTargetInvalid)
    )
}

fn rule_of_path(error: &PathError) -> Rule {
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

/// Returns the rule that an import checks on a whole layer.
pub(super) fn rule_of_import(rule: &Breach) -> Rule {
    match rule {
        Breach::LinkTargetMissing { .. } => Rule::LinkTargetMissing,
        Breach::LinkToDirectory { .. } => Rule::LinkToDirectory,
        Breach::LinkLoop { .. } => Rule::LinkLoop,
        Breach::LinkChainTooLong { .. } => Rule::LinkTooMany,
        Breach::RemovalInBaseLayer => Rule::WhiteoutInBase,
        Breach::BelowFile { .. } => Rule::BelowFile,
        Breach::BelowReparsePoint { .. } => Rule::BelowReparsePoint,
        Breach::DuplicateOfOtherKind { .. } => Rule::DuplicateKind,
    }
}

/// Writes a problem with its causes on one line.
pub(super) fn text_of(problem: &TarProblem) -> String {
    let mut text = problem.to_string();
    let mut cause = problem.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
