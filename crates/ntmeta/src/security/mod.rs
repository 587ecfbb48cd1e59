//! Security descriptors: the owner of a file and the access to it.
//!
//! A layer stores descriptors as self-relative bytes (the `SECURITY_DATA` backup stream, the tar
//! record `MSWINDOWS.rawsd`) or as SDDL text (`MSWINDOWS.sd`). [`SecurityDescriptor::parse`] and
//! [`SecurityDescriptor::to_bytes`] convert the bytes; [`sddl`] converts the text. From the outside
//! in: a [`SecurityDescriptor`] identifies an owner and a group by [`Sid`] and has up to two
//! [`Acl`]s, each a list of [`Ace`]s. Some ACEs carry a [`Condition`] or a [`Claim`] after their
//! SID.
//!
//! All integers are little-endian except the authority of a SID. The parsers accept hostile input:
//! they check every length and offset against the buffer, and [`MAX_DEPTH`] limits nesting.
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

/// The maximum nesting of a conditional expression that is parsed or encoded, in levels.
///
/// Neither \[MS-DTYP\] nor Windows names a limit; this one keeps recursion within any stack.
pub const MAX_DEPTH: usize = 128;
