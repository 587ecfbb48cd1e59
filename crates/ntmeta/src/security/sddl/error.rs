//! Errors of SDDL text and of descriptors that SDDL cannot express.

use super::super::{AceType, MAX_DEPTH, SecurityError};

/// An error in SDDL text, or a descriptor that SDDL cannot express.
///
/// `offset` is in bytes from the start of the text; `acl` is `D` or `S`, and `ace` is the 0-based
/// index of an entry in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SddlError {
    /// The text or the descriptor has none of the four components.
    #[error("security descriptor has no owner, group, DACL or SACL")]
    Empty,
    /// The text is not as expected at this position.
    #[error("expected {expected} at byte {offset}, found {}", Found(*found))]
    Unexpected {
        /// The position.
        offset: usize,
        /// The expected text.
        expected: &'static str,
        /// The actual character; `None` at the end of the text.
        found: Option<char>,
    },
    /// A component occurs twice.
    #[error("component `{component}:` occurs a second time at byte {offset}")]
    DuplicateComponent {
        /// The position of the second occurrence.
        offset: usize,
        /// The component's letter.
        component: char,
    },
    /// A SID is neither `S-1-...` nor a known alias.
    #[error("`{text}` at byte {offset} is not a SID")]
    InvalidSid {
        /// The position.
        offset: usize,
        /// The text in question.
        text: String,
    },
    /// An alias stands for a domain account, but no domain was given.
    #[error("alias `{alias}` at byte {offset} needs a domain, but none is known")]
    DomainRequired {
        /// The position.
        offset: usize,
        /// The alias.
        alias: &'static str,
    },
    /// An entry has an unknown type.
    #[error("`{text}` at byte {offset} is not an ACE type")]
    InvalidAceType {
        /// The position.
        offset: usize,
        /// The text in question.
        text: String,
    },
    /// An entry has an unknown flag.
    #[error("`{text}` at byte {offset} is not a set of ACE flags")]
    InvalidAceFlags {
        /// The position.
        offset: usize,
        /// The text of the whole field.
        text: String,
    },
    /// The rights of an entry are neither names nor a 32-bit number.
    #[error("`{text}` at byte {offset} is not a set of access rights")]
    InvalidRights {
        /// The position.
        offset: usize,
        /// The text of the whole field.
        text: String,
    },
    /// A GUID is malformed, or belongs to an entry whose type does not have one.
    #[error("`{text}` at byte {offset} is not a GUID, or its ACE cannot have one")]
    InvalidGuid {
        /// The position.
        offset: usize,
        /// The text in question.
        text: String,
    },
    /// A number in a condition or claim is malformed or does not fit into 64 bits.
    #[error("`{text}` at byte {offset} is not a number that fits into 64 bits")]
    InvalidNumber {
        /// The position.
        offset: usize,
        /// The text in question.
        text: String,
    },
    /// An attribute name is empty, or contains an escape other than `%` and four digits of UTF-16.
    #[error("`{text}` at byte {offset} is not an attribute name")]
    InvalidName {
        /// The position.
        offset: usize,
        /// The text in question.
        text: String,
    },
    /// A condition is nested too deeply.
    #[error("condition is nested more than {MAX_DEPTH} levels deep at byte {offset}")]
    TooDeep {
        /// The position.
        offset: usize,
    },
    /// SDDL has no name for an entry's type.
    #[error("ACE {ace} of the {acl}ACL has the type {:#04x}, which SDDL cannot express", ace_type.0)]
    UnprintableType {
        /// The list.
        acl: char,
        /// The entry.
        ace: usize,
        /// The entry's type.
        ace_type: AceType,
    },
    /// The application data of a callback or resource attribute entry is not a condition or claim.
    #[error("ACE {ace} of the {acl}ACL has data that SDDL cannot express")]
    InvalidData {
        /// The list.
        acl: char,
        /// The entry.
        ace: usize,
        /// The reason.
        source: SecurityError,
    },
    /// An entry has a value that SDDL would change, or data that SDDL cannot hold.
    #[error("ACE {ace} of the {acl}ACL cannot be written as SDDL without loss")]
    Lossy {
        /// The list.
        acl: char,
        /// The entry.
        ace: usize,
    },
    /// The text describes a descriptor that has no binary form.
    #[error("SDDL describes a descriptor that has no binary form")]
    Security(#[from] SecurityError),
}

/// Shows a character, or the end of the text.
struct Found(Option<char>);

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(c) => write!(f, "`{}`", c.escape_debug()),
            None => f.write_str("the end"),
        }
    }
}
