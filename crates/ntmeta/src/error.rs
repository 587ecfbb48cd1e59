//! A single error type for callers that handle all modules alike.

use crate::attributes::AttributesError;
use crate::backup_stream::BackupStreamError;
use crate::ea::EaError;
use crate::hive::HiveError;
use crate::reparse::ReparseError;
use crate::security::{SddlError, SecurityError};
use crate::time::TimeError;

/// Any error of this crate; each module has an error type of its own.
///
/// ```
/// fn owner_and_time(sddl: &str, mtime: &str) -> Result<String, ntmeta::Error> {
///     let descriptor = ntmeta::SecurityDescriptor::from_sddl(sddl)?;
///     let time = ntmeta::FileTime::parse_pax(mtime)?;
///     let owner = descriptor.owner.map(|sid| sid.to_string());
///     Ok(format!("{} {time}", owner.unwrap_or_default()))
/// }
///
/// assert_eq!(owner_and_time("O:SY", "0").unwrap(), "S-1-5-18 1970-01-01T00:00:00.0000000Z");
/// assert!(matches!(owner_and_time("O:SY", "soon"), Err(ntmeta::Error::Time(_))));
/// assert!(matches!(owner_and_time("O:?", "0"), Err(ntmeta::Error::Sddl(_))));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Text or a number that is not a file time.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// Text that is not a number of file attributes.
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
    /// A file that is not a usable registry hive.
    #[error(transparent)]
    Hive(#[from] HiveError),
    /// A security descriptor cannot be read or written.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// SDDL that cannot be parsed, or a security descriptor that SDDL cannot express.
    #[error(transparent)]
    Sddl(#[from] SddlError),
}
