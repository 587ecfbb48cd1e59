//! Security descriptors: who owns a file and who may do what with it.
//!
//! A layer carries descriptors as self-relative bytes (the `SECURITY_DATA` backup stream, the tar
//! record `MSWINDOWS.rawsd`) or as SDDL text (`MSWINDOWS.sd`). Bytes become values with
//! [`SecurityDescriptor::parse`] and values bytes with [`SecurityDescriptor::to_bytes`]; text is
//! the business of [`sddl`]. From the outside in: a [`SecurityDescriptor`] names an owner and a
//! group by [`Sid`] and holds up to two [`Acl`]s, each a list of [`Ace`]s. The bytes that some
//! ACEs carry behind their SID are a [`Condition`] or a [`Claim`].
//!
//! All integers are little-endian except the authority of a SID. Parsers read hostile data: every
//! length and offset is checked against the buffer, and nesting is bounded by [`MAX_DEPTH`].
//!
//! Source: \[MS-DTYP\] 2.4 (SID, ACCESS_MASK, ACE, ACL, SECURITY_DESCRIPTOR) and `winnt.h` of the
//! Windows SDK.

mod ace;
mod acl;
mod bytes;
mod claim;
mod condition;
mod descriptor;
mod error;
pub mod explain;
mod guid;
pub mod sddl;
mod sid;
mod well_known;

pub use ace::{Ace, AceBody, AceFlags, AceType, ObjectTypes};
pub use acl::Acl;
pub use claim::{Claim, ClaimValues};
pub use condition::{
    AttributeScope, BinaryOperator, Condition, IntegerBase, IntegerSign, IntegerWidth, Literal,
    UnaryOperator,
};
pub use descriptor::{AclSlot, ControlFlags, SecurityDescriptor};
pub use error::SecurityError;
pub use guid::Guid;
pub use sddl::{SddlError, SddlOptions};
pub use sid::Sid;

/// The deepest nesting of a conditional expression that is read or written, in levels.
///
/// Neither \[MS-DTYP\] nor Windows names a limit; ours keeps recursion within any stack.
pub const MAX_DEPTH: usize = 128;
