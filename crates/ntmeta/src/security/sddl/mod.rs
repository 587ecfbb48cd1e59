//! SDDL: the text form of a security descriptor, `O:BAG:SYD:PAI(A;OICI;FA;;;SY)`.
//!
//! The text has up to four components, each a letter and a colon: owner `O:`, group `G:`, DACL
//! `D:`, SACL `S:`. A list consists of its flags and its entries in parentheses; an entry has six
//! fields, or seven if it has a condition or a claim. [`SecurityDescriptor::from_sddl`] parses
//! text; [`SecurityDescriptor::to_sddl`] writes it the way Windows spells it.
//!
//! Some parts of a descriptor are not represented in SDDL, and are neither compared nor invented:
//! the control flags other than `P`, `AR`, `AI` and presence, the resource manager byte, and a
//! list's revision, reserved fields and unused bytes. A value that belongs in the text but cannot
//! be spelled is an error, and never dropped: an unknown entry type, application data that is not a
//! condition, a string with a quotation mark.
//!
//! Parsing accepts everything that Windows accepts, including lower case (except for component
//! letters), but rejects the following: numbers that are negative or too large, which Windows
//! silently clamps; a SID revision other than `1`; spaces within a SID; a GUID in an entry without
//! an object part; a NUL, at which Windows stops reading; and an empty text.
//!
//! Source: \[MS-DTYP\] 2.5.1, and `sddl.h` of the Windows SDK for the strings. Where these leave
//! the spelling open, it follows Windows Server as recorded in the tests of other projects.

mod claim;
mod condition;
mod error;
mod names;
mod parse;
mod print;

pub use error::SddlError;

use super::{SecurityDescriptor, Sid};

/// Settings of the conversion from and to SDDL.
///
/// ```
/// use ntmeta::SecurityDescriptor;
/// use ntmeta::security::SddlOptions;
///
/// let mut options = SddlOptions::default();
/// options.domain = Some("S-1-5-21-1-2-3".parse()?);
/// let descriptor = SecurityDescriptor::from_sddl_with("O:LA", &options)?;
/// assert_eq!(descriptor.to_sddl()?, "O:S-1-5-21-1-2-3-500");
/// assert_eq!(descriptor.to_sddl_with(&options)?, "O:LA");
/// # Ok::<(), ntmeta::SddlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SddlOptions {
    /// The SID of the machine or domain for aliases such as `LA` and `DA`. Without it, such an
    /// alias is an error when parsing, and the output contains the SIDs instead.
    pub domain: Option<Sid>,
}

impl SecurityDescriptor {
    /// Parses SDDL text that does not depend on a domain.
    ///
    /// # Errors
    ///
    /// Returns [`SddlError`] with the byte offset in `text`; see [`sddl`](self) for rejected text.
    pub fn from_sddl(text: &str) -> Result<Self, SddlError> {
        Self::from_sddl_with(text, &SddlOptions::default())
    }

    /// Parses SDDL text.
    ///
    /// # Errors
    ///
    /// Same as [`from_sddl`](Self::from_sddl).
    pub fn from_sddl_with(text: &str, options: &SddlOptions) -> Result<Self, SddlError> {
        parse::descriptor(text, options)
    }

    /// Writes the descriptor as SDDL, with SIDs for domain accounts.
    ///
    /// # Errors
    ///
    /// Returns [`SddlError`] naming the list and entry that SDDL cannot express, or
    /// [`SddlError::Empty`] for a descriptor without any parts.
    pub fn to_sddl(&self) -> Result<String, SddlError> {
        self.to_sddl_with(&SddlOptions::default())
    }

    /// Writes the descriptor as SDDL.
    ///
    /// # Errors
    ///
    /// Same as [`to_sddl`](Self::to_sddl).
    pub fn to_sddl_with(&self, options: &SddlOptions) -> Result<String, SddlError> {
        print::descriptor(self, options)
    }
}

#[cfg(test)]
mod tests;
