//! What can be wrong with a binary security descriptor, or with a value that should become one.

use super::AceType;

/// An error in the binary form of a security descriptor or of one of its parts.
///
/// `offset` is in bytes from the start of the buffer that was given to the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityError {
    /// A structure reaches past the end of the buffer or of the structure that holds it.
    #[error("{structure} at byte {offset} needs {needed} bytes, {available} are left")]
    Truncated {
        /// The structure being read.
        structure: &'static str,
        /// Where it starts.
        offset: usize,
        /// How many bytes it needs.
        needed: usize,
        /// How many bytes there are.
        available: usize,
    },
    /// A structure has a revision that Windows does not know.
    #[error("{structure} at byte {offset} has the unknown revision {actual}")]
    Revision {
        /// The structure being read.
        structure: &'static str,
        /// Where its revision stands.
        offset: usize,
        /// The revision found.
        actual: u8,
    },
    /// A SID has more than 15 sub-authorities.
    #[error("SID at byte {offset} has {actual} sub-authorities, at most 15 are allowed")]
    SubAuthorityCount {
        /// Where the SID starts; 0 for a value that was not read from bytes.
        offset: usize,
        /// The count found.
        actual: usize,
    },
    /// An identifier authority does not fit into its 48 bits.
    #[error("identifier authority {actual:#x} does not fit into 48 bits")]
    Authority {
        /// The value given.
        actual: u64,
    },
    /// The descriptor is in absolute form (it holds pointers), not in self-relative form.
    #[error("descriptor is not self-relative (control {control:#06x} lacks bit 0x8000)")]
    NotSelfRelative {
        /// The control word found.
        control: u16,
    },
    /// An offset of the descriptor points into the descriptor's own header.
    #[error("offset {actual} of the {structure} points into the 20-byte header")]
    OffsetInHeader {
        /// The part the offset belongs to.
        structure: &'static str,
        /// The offset found.
        actual: usize,
    },
    /// A size field is too small for the structure's own header.
    #[error("{structure} at byte {offset} claims {actual} bytes, its header has {minimum}")]
    SizeTooSmall {
        /// The structure being read.
        structure: &'static str,
        /// Where it starts.
        offset: usize,
        /// The size found.
        actual: usize,
        /// The size of the header.
        minimum: usize,
    },
    /// A value is too large for the 16-bit size field of its binary form.
    #[error("{structure} would take {actual} bytes, at most 65535 are allowed")]
    TooLarge {
        /// The structure being written.
        structure: &'static str,
        /// The size it would have.
        actual: usize,
    },
    /// An ACL has more entries than its 16-bit count can tell.
    #[error("ACL would have {actual} entries, at most 65535 are allowed")]
    TooManyAces {
        /// The number of entries.
        actual: usize,
    },
    /// An ACE's body has another layout than its type demands.
    #[error("ACE type {:#04x} has a body of another layout", ace_type.0)]
    BodyMismatch {
        /// The ACE's type.
        ace_type: AceType,
    },
    /// A callback ACE's data does not start with `artx`, so it is no conditional expression.
    #[error("no conditional expression: the data does not start with `artx`")]
    ConditionMagic,
    /// A byte of a conditional expression is no known token, or not one allowed there.
    #[error("conditional expression has the unexpected token {token:#04x} at byte {offset}")]
    ConditionToken {
        /// Where the token stands.
        offset: usize,
        /// The token found.
        token: u8,
    },
    /// An operator of a conditional expression lacks an operand, or an operand its operator.
    #[error("conditional expression has {actual} operands at byte {offset}, expected {expected}")]
    ConditionOperands {
        /// Where the operator stands, or where the expression ends.
        offset: usize,
        /// The number of operands expected.
        expected: usize,
        /// The number of operands there are.
        actual: usize,
    },
    /// An expression is nested more deeply than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("conditional expression is nested more than {limit} levels deep at byte {offset}")]
    TooDeep {
        /// Where the limit is passed; 0 for a value that was not read from bytes.
        offset: usize,
        /// The limit.
        limit: usize,
    },
    /// A field has a value outside its range.
    #[error("{structure} at byte {offset} has the invalid value {actual:#x}")]
    InvalidValue {
        /// The field.
        structure: &'static str,
        /// Where it stands.
        offset: usize,
        /// The value found.
        actual: u64,
    },
    /// A string is not well-formed UTF-16, or has a NUL where none may be.
    #[error("{structure} at byte {offset} is not valid UTF-16")]
    InvalidString {
        /// The string's role.
        structure: &'static str,
        /// Where it starts.
        offset: usize,
    },
    /// The values of a claim share bytes, so they would decode to more data than there is.
    #[error("value {index} of the claim overlaps other values")]
    ClaimOverlap {
        /// The 0-based index of the value.
        index: usize,
    },
}
