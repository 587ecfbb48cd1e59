//! One error for the whole crate, for callers that need not tell its areas apart.

use crate::attributes::AttributesError;
use crate::backup_stream::BackupStreamError;
use crate::ea::EaError;
use crate::hive::HiveError;
use crate::reparse::ReparseError;
use crate::security::{SddlError, SecurityError};
use crate::time::TimeError;

/// Any error of this crate; each area has a closed type of its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A time is not a file time.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// File attributes are not a number.
    #[error(transparent)]
    Attributes(#[from] AttributesError),
    /// A backup stream cannot be read or written.
    #[error(transparent)]
    BackupStream(#[from] BackupStreamError),
    /// A reparse point cannot be read or written.
    #[error(transparent)]
    Reparse(#[from] ReparseError),
    /// A list of extended attributes cannot be read or written.
    #[error(transparent)]
    Ea(#[from] EaError),
    /// A file is no usable registry hive.
    #[error(transparent)]
    Hive(#[from] HiveError),
    /// A security descriptor cannot be read or written.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// A security descriptor has no reading or spelling in SDDL.
    #[error(transparent)]
    Sddl(#[from] SddlError),
}
