//! SDDL: the text form of a security descriptor, `O:BAG:SYD:PAI(A;OICI;FA;;;SY)`.
//!
//! Up to four components, each a letter and a colon: owner `O:`, group `G:`, DACL `D:`, SACL `S:`.
//! A list is its flags and its entries in parentheses; an entry is six fields or, with a
//! condition or a claim, seven. [`SecurityDescriptor::from_sddl`] reads a text,
//! [`SecurityDescriptor::to_sddl`] writes it the way Windows spells it.
//!
//! What the text does not hold is not compared and not invented: the control flags other than
//! `P`, `AR`, `AI` and presence, the resource manager byte, and a list's revision, reserved fields
//! and slack. What should be in the text but has no spelling is an error, never a lossy text: an
//! unknown entry type, application data that is no condition, a string with a quotation mark.
//!
//! We read what Windows reads, in lower case too (but for the component letters), except for
//! numbers that are negative or too large, which Windows quietly cuts off, a revision of a SID
//! other than `1`, spaces within a SID, a GUID in an entry without object part, a NUL (where a text
//! of Windows ends), and an empty text.
//!
//! Source: \[MS-DTYP\] 2.5.1, `sddl.h` of the Windows SDK for the strings, and the spelling of
//! Windows Server as recorded by other projects' tests for what these leave open.

mod claim;
mod condition;
mod error;
mod names;
mod parse;
mod print;

pub use error::SddlError;

use super::{SecurityDescriptor, Sid};

/// What the conversion from and to SDDL needs to know beside the text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SddlOptions {
    /// The SID of the machine or domain that aliases such as `LA` and `DA` belong to. Without it
    /// such an alias is an error in a text, and a written text shows the SIDs themselves.
    pub domain: Option<Sid>,
}

impl SecurityDescriptor {
    /// Reads SDDL text that needs no domain.
    ///
    /// # Errors
    ///
    /// [`SddlError`] with the byte offset in `text`; see [`sddl`](self) for what is not accepted.
    pub fn from_sddl(text: &str) -> Result<Self, SddlError> {
        Self::from_sddl_with(text, &SddlOptions::default())
    }

    /// Reads SDDL text.
    ///
    /// # Errors
    ///
    /// As [`from_sddl`](Self::from_sddl).
    pub fn from_sddl_with(text: &str, options: &SddlOptions) -> Result<Self, SddlError> {
        parse::descriptor(text, options)
    }

    /// Writes the descriptor as SDDL with SIDs for what belongs to a domain.
    ///
    /// # Errors
    ///
    /// [`SddlError`] naming the list and the entry that SDDL cannot express, or
    /// [`SddlError::Empty`] for a descriptor without any part.
    pub fn to_sddl(&self) -> Result<String, SddlError> {
        self.to_sddl_with(&SddlOptions::default())
    }

    /// Writes the descriptor as SDDL.
    ///
    /// # Errors
    ///
    /// As [`to_sddl`](Self::to_sddl).
    pub fn to_sddl_with(&self, options: &SddlOptions) -> Result<String, SddlError> {
        print::descriptor(self, options)
    }
}

#[cfg(test)]
mod tests;
