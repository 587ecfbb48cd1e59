//! Errors of binary security descriptors and of values that cannot be encoded as one.

use super::AceType;

/// An error in the binary form of a security descriptor or of one of its parts.
///
/// `offset` is in bytes from the start of the buffer given to the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityError {
    /// A structure extends past the end of the buffer or of the structure that contains it.
    #[error("{structure} at byte {offset} needs {needed} bytes, but only {available} are left")]
    Truncated {
        /// The structure being read.
        structure: &'static str,
        /// Offset of the structure.
        offset: usize,
        /// Number of bytes that it needs.
        needed: usize,
        /// Number of bytes available.
        available: usize,
    },
    /// A structure has a revision that Windows does not know.
    #[error("{structure} at byte {offset} has the unknown revision {actual}")]
    Revision {
        /// The structure being read.
        structure: &'static str,
        /// Offset of the revision.
        offset: usize,
        /// The revision found.
        actual: u8,
    },
    /// A SID has more than 15 sub-authorities.
    #[error("SID at byte {offset} has {actual} sub-authorities; at most 15 are allowed")]
    SubAuthorityCount {
        /// Offset of the SID; 0 for a value that was not parsed from bytes.
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
    /// The descriptor is in absolute form, which contains pointers, rather than self-relative form.
    #[error("descriptor is not self-relative (control {control:#06x} lacks bit 0x8000)")]
    NotSelfRelative {
        /// The control word found.
        control: u16,
    },
    /// An offset of the descriptor points into the descriptor's own header.
    #[error("offset {actual} of the {structure} points into the 20-byte header")]
    OffsetInHeader {
        /// The part that the offset belongs to.
        structure: &'static str,
        /// The offset found.
        actual: usize,
    },
    /// A size field is smaller than the structure's own header.
    #[error(
        "{structure} at byte {offset} declares {actual} bytes, but its header alone has {minimum}"
    )]
    SizeTooSmall {
        /// The structure being read.
        structure: &'static str,
        /// Offset of the structure.
        offset: usize,
        /// The size found.
        actual: usize,
        /// The size of the header.
        minimum: usize,
    },
    /// A value is too large for the 16-bit size field of its binary form.
    #[error("{structure} would take {actual} bytes; at most 65535 are allowed")]
    TooLarge {
        /// The structure being written.
        structure: &'static str,
        /// The size it would have.
        actual: usize,
    },
    /// An ACL has more entries than its 16-bit count can express.
    #[error("ACL would have {actual} entries; at most 65535 are allowed")]
    TooManyAces {
        /// The number of entries.
        actual: usize,
    },
    /// The body of an ACE does not match its type.
    #[error("the body of an ACE does not match its type {:#04x}", ace_type.0)]
    BodyMismatch {
        /// The ACE's type.
        ace_type: AceType,
    },
    /// The data of a callback ACE does not start with `artx`, so it is not a conditional
    /// expression.
    #[error("not a conditional expression: the data does not start with `artx`")]
    ConditionMagic,
    /// A byte of a conditional expression is not a known token, or not allowed at its position.
    #[error("conditional expression has the unexpected token {token:#04x} at byte {offset}")]
    ConditionToken {
        /// Offset of the token.
        offset: usize,
        /// The token found.
        token: u8,
    },
    /// An operator of a conditional expression lacks an operand, or an operand lacks an operator.
    #[error("conditional expression has {actual} operands at byte {offset}, expected {expected}")]
    ConditionOperands {
        /// Offset of the operator, or of the end of the expression.
        offset: usize,
        /// The number of operands expected.
        expected: usize,
        /// The actual number of operands.
        actual: usize,
    },
    /// An expression is nested more deeply than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[error("conditional expression is nested more than {limit} levels deep at byte {offset}")]
    TooDeep {
        /// Offset at which the limit is exceeded; 0 for a value that was not parsed from bytes.
        offset: usize,
        /// The limit.
        limit: usize,
    },
    /// A field has a value outside its range.
    #[error("{structure} at byte {offset} has the invalid value {actual:#x}")]
    InvalidValue {
        /// The field.
        structure: &'static str,
        /// Offset of the field.
        offset: usize,
        /// The value found.
        actual: u64,
    },
    /// A string is not well-formed UTF-16, or contains a NUL that is not allowed.
    #[error("{structure} at byte {offset} is not valid UTF-16")]
    InvalidString {
        /// The role of the string.
        structure: &'static str,
        /// Offset of the string.
        offset: usize,
    },
    /// The values of a claim share bytes, so they would decode to more data than the claim
    /// contains.
    #[error("value {index} of the claim overlaps other values")]
    ClaimOverlap {
        /// The 0-based index of the value.
        index: usize,
    },
}
