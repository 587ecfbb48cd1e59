//! What can be wrong with SDDL text, or with a descriptor that should become one.

use super::super::{AceType, MAX_DEPTH, SecurityError};

/// An error in SDDL text, or a descriptor that has no SDDL text.
///
/// `offset` is in bytes from the start of the text; `acl` is `D` or `S`, and `ace` is the 0-based
/// index of an entry in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SddlError {
    /// The text or the descriptor has none of the four components.
    #[error("security descriptor has no owner, group, DACL or SACL")]
    Empty,
    /// Something else was expected at this place of the text.
    #[error("expected {expected} at byte {offset}, found {}", Found(*found))]
    Unexpected {
        /// The place.
        offset: usize,
        /// What was expected.
        expected: &'static str,
        /// The character found; `None` at the end of the text.
        found: Option<char>,
    },
    /// A component occurs twice.
    #[error("component `{component}:` occurs a second time at byte {offset}")]
    DuplicateComponent {
        /// The place of the second one.
        offset: usize,
        /// The component's letter.
        component: char,
    },
    /// A SID is neither `S-1-...` nor a known alias.
    #[error("`{text}` at byte {offset} is not a SID")]
    InvalidSid {
        /// The place.
        offset: usize,
        /// The text found.
        text: String,
    },
    /// An alias stands for an account of a domain, and no domain was given.
    #[error("alias `{alias}` at byte {offset} belongs to a domain, and none is known")]
    DomainRequired {
        /// The place.
        offset: usize,
        /// The alias.
        alias: &'static str,
    },
    /// An entry has an unknown type.
    #[error("`{text}` at byte {offset} is not an ACE type")]
    InvalidAceType {
        /// The place.
        offset: usize,
        /// The text found.
        text: String,
    },
    /// An entry has an unknown flag.
    #[error("`{text}` at byte {offset} are not ACE flags")]
    InvalidAceFlags {
        /// The place.
        offset: usize,
        /// The text of the whole field.
        text: String,
    },
    /// The rights of an entry are neither names nor a 32-bit number.
    #[error("`{text}` at byte {offset} are not access rights")]
    InvalidRights {
        /// The place.
        offset: usize,
        /// The text of the whole field.
        text: String,
    },
    /// A GUID is malformed, or stands in an entry whose type has none.
    #[error("`{text}` at byte {offset} is not a GUID, or its ACE has no place for one")]
    InvalidGuid {
        /// The place.
        offset: usize,
        /// The text found.
        text: String,
    },
    /// A number in a condition or claim is malformed or beyond 64 bits.
    #[error("`{text}` at byte {offset} is not a number of at most 64 bits")]
    InvalidNumber {
        /// The place.
        offset: usize,
        /// The text found.
        text: String,
    },
    /// An attribute name is empty, or has an escape that is not `%` and four digits of UTF-16.
    #[error("`{text}` at byte {offset} is not an attribute name")]
    InvalidName {
        /// The place.
        offset: usize,
        /// The text found.
        text: String,
    },
    /// A condition is nested too deeply.
    #[error("condition is nested more than {MAX_DEPTH} levels deep at byte {offset}")]
    TooDeep {
        /// The place.
        offset: usize,
    },
    /// SDDL has no name for an entry's type.
    #[error("ACE {ace} of the {acl}ACL has the type {:#04x}, for which there is no SDDL", ace_type.0)]
    UnprintableType {
        /// The list.
        acl: char,
        /// The entry.
        ace: usize,
        /// The entry's type.
        ace_type: AceType,
    },
    /// The application data of a callback or resource attribute entry is no condition or claim.
    #[error("ACE {ace} of the {acl}ACL has data that SDDL cannot express")]
    InvalidData {
        /// The list.
        acl: char,
        /// The entry.
        ace: usize,
        /// What is wrong with the data.
        source: SecurityError,
    },
    /// An entry has a value that reads back as another one, or data where SDDL has none.
    #[error("ACE {ace} of the {acl}ACL cannot be written as SDDL without loss")]
    Lossy {
        /// The list.
        acl: char,
        /// The entry.
        ace: usize,
    },
    /// The text describes something that has no binary form.
    #[error("SDDL describes a descriptor that has no binary form")]
    Security(#[from] SecurityError),
}

/// Shows a character or the end of the text.
struct Found(Option<char>);

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(c) => write!(f, "`{}`", c.escape_debug()),
            None => f.write_str("the end"),
        }
    }
}
