//! Access control entries: each is a permission, an audit rule, a label or an attribute.
//!
//! Layout: type byte, flags byte, `u16` size of the whole entry, then a body that depends on the
//! type: mask and SID; mask, object flags, up to two GUIDs and SID; or something else, which is
//! kept as raw bytes. Bytes between the SID and the end of the entry are application data: a
//! conditional expression in callback entries, a claim in resource attributes.
//!
//! Source: \[MS-DTYP\] 2.4.4 and `winnt.h` (types 0x14 and 0x15).

use super::bytes::{array, len_u16, size_u16, take, u32_at};
use super::{Guid, SecurityError, Sid};

/// The size of an entry's header, in bytes.
const HEADER_SIZE: usize = 4;

/// The object flag for an object type.
const OBJECT_TYPE_PRESENT: u32 = 1;

/// The object flag for an inherited object type.
const INHERITED_OBJECT_TYPE_PRESENT: u32 = 2;

/// The type of an access control entry; any value can occur, and the known ones have a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AceType(
    /// The type byte.
    pub u8,
);

impl AceType {
    /// `ACCESS_ALLOWED_ACE_TYPE`.
    pub const ACCESS_ALLOWED: Self = Self(0x00);
    /// `ACCESS_DENIED_ACE_TYPE`.
    pub const ACCESS_DENIED: Self = Self(0x01);
    /// `SYSTEM_AUDIT_ACE_TYPE`.
    pub const SYSTEM_AUDIT: Self = Self(0x02);
    /// `SYSTEM_ALARM_ACE_TYPE`, reserved.
    pub const SYSTEM_ALARM: Self = Self(0x03);
    /// `ACCESS_ALLOWED_COMPOUND_ACE_TYPE`, reserved; its body is kept raw.
    pub const ACCESS_ALLOWED_COMPOUND: Self = Self(0x04);
    /// `ACCESS_ALLOWED_OBJECT_ACE_TYPE`.
    pub const ACCESS_ALLOWED_OBJECT: Self = Self(0x05);
    /// `ACCESS_DENIED_OBJECT_ACE_TYPE`.
    pub const ACCESS_DENIED_OBJECT: Self = Self(0x06);
    /// `SYSTEM_AUDIT_OBJECT_ACE_TYPE`.
    pub const SYSTEM_AUDIT_OBJECT: Self = Self(0x07);
    /// `SYSTEM_ALARM_OBJECT_ACE_TYPE`, reserved.
    pub const SYSTEM_ALARM_OBJECT: Self = Self(0x08);
    /// `ACCESS_ALLOWED_CALLBACK_ACE_TYPE`.
    pub const ACCESS_ALLOWED_CALLBACK: Self = Self(0x09);
    /// `ACCESS_DENIED_CALLBACK_ACE_TYPE`.
    pub const ACCESS_DENIED_CALLBACK: Self = Self(0x0A);
    /// `ACCESS_ALLOWED_CALLBACK_OBJECT_ACE_TYPE`.
    pub const ACCESS_ALLOWED_CALLBACK_OBJECT: Self = Self(0x0B);
    /// `ACCESS_DENIED_CALLBACK_OBJECT_ACE_TYPE`.
    pub const ACCESS_DENIED_CALLBACK_OBJECT: Self = Self(0x0C);
    /// `SYSTEM_AUDIT_CALLBACK_ACE_TYPE`.
    pub const SYSTEM_AUDIT_CALLBACK: Self = Self(0x0D);
    /// `SYSTEM_ALARM_CALLBACK_ACE_TYPE`, reserved.
    pub const SYSTEM_ALARM_CALLBACK: Self = Self(0x0E);
    /// `SYSTEM_AUDIT_CALLBACK_OBJECT_ACE_TYPE`.
    pub const SYSTEM_AUDIT_CALLBACK_OBJECT: Self = Self(0x0F);
    /// `SYSTEM_ALARM_CALLBACK_OBJECT_ACE_TYPE`, reserved.
    pub const SYSTEM_ALARM_CALLBACK_OBJECT: Self = Self(0x10);
    /// `SYSTEM_MANDATORY_LABEL_ACE_TYPE`.
    pub const SYSTEM_MANDATORY_LABEL: Self = Self(0x11);
    /// `SYSTEM_RESOURCE_ATTRIBUTE_ACE_TYPE`; the application data is a [`Claim`](super::Claim).
    pub const SYSTEM_RESOURCE_ATTRIBUTE: Self = Self(0x12);
    /// `SYSTEM_SCOPED_POLICY_ID_ACE_TYPE`.
    pub const SYSTEM_SCOPED_POLICY_ID: Self = Self(0x13);
    /// `SYSTEM_PROCESS_TRUST_LABEL_ACE_TYPE`.
    pub const SYSTEM_PROCESS_TRUST_LABEL: Self = Self(0x14);
    /// `SYSTEM_ACCESS_FILTER_ACE_TYPE`; the application data is a conditional expression.
    pub const SYSTEM_ACCESS_FILTER: Self = Self(0x15);

    /// Returns whether the body has object flags and GUIDs before the SID.
    #[must_use]
    pub fn is_object(self) -> bool {
        matches!(self.0, 0x05..=0x08 | 0x0B | 0x0C | 0x0F | 0x10)
    }

    /// Returns whether the application data is a [`Condition`](super::Condition).
    #[must_use]
    pub fn is_conditional(self) -> bool {
        matches!(self.0, 0x09..=0x10) || self == Self::SYSTEM_ACCESS_FILTER
    }

    /// Returns whether the body identifies a trustee by SID; other bodies are kept raw.
    fn has_trustee(self) -> bool {
        self.0 <= Self::SYSTEM_ACCESS_FILTER.0 && self != Self::ACCESS_ALLOWED_COMPOUND
    }
}

bitflags::bitflags! {
    /// The flags byte of an access control entry: inheritance and auditing.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct AceFlags: u8 {
        /// `OBJECT_INHERIT_ACE`: files below inherit the entry.
        const OBJECT_INHERIT = 0x01;
        /// `OBJECT_INHERIT_ACE`: files in the directory inherit the entry.
        const CONTAINER_INHERIT = 0x02;
        /// `CONTAINER_INHERIT_ACE`: subdirectories inherit the entry.
        const NO_PROPAGATE_INHERIT = 0x04;
        /// `NO_PROPAGATE_INHERIT_ACE`: only direct children inherit the entry.
        const INHERIT_ONLY = 0x08;
        /// `INHERIT_ONLY_ACE`: the entry does not apply to the object itself.
        const INHERITED = 0x10;
        /// `CRITICAL_ACE_FLAG`.
        const CRITICAL = 0x20;
        /// `SUCCESSFUL_ACCESS_ACE_FLAG`; `TRUST_PROTECTED_FILTER_ACE_FLAG` in an access filter.
        const SUCCESSFUL_ACCESS = 0x40;
        /// `FAILED_ACCESS_ACE_FLAG`.
        const FAILED_ACCESS = 0x80;
    }
}

/// The object part of an object ACE: the kind of directory object or property that it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectTypes {
    /// The kind of child object, property, property set or extended right.
    pub object_type: Option<Guid>,
    /// The kind of object that inherits the entry.
    pub inherited_object_type: Option<Guid>,
    /// Bits of the object flags without a known meaning; bits 0 and 1 are ignored when encoding.
    pub other_flags: u32,
}

/// The body of an access control entry. The entry's type determines the variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AceBody {
    /// A body that identifies a trustee: every Windows type except compound entries.
    Trustee {
        /// The access mask; the label's policy in a mandatory label.
        mask: u32,
        /// The object part of object types; `None` for all others.
        object: Option<ObjectTypes>,
        /// The account that the entry applies to; the level in a mandatory label.
        sid: Sid,
        /// The bytes after the SID: a condition, a claim, or unused.
        data: Vec<u8>,
    },
    /// The body of any other type, verbatim.
    Raw(Vec<u8>),
}

/// An access control entry.
///
/// ```
/// use ntmeta::security::{Ace, AceFlags, AceType, Sid};
///
/// let users: Sid = "S-1-5-32-545".parse()?;
/// let ace = Ace::new(AceType::ACCESS_ALLOWED, AceFlags::INHERITED, 0x0012_00a9, users);
/// assert_eq!(
///     ace.explain(false).to_string(),
///     r"allow BUILTIN\Users: read and execute (inherited)"
/// );
/// # Ok::<(), ntmeta::SddlError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ace {
    /// The type of the entry.
    pub ace_type: AceType,
    /// Flags for inheritance and auditing.
    pub flags: AceFlags,
    /// Everything else.
    pub body: AceBody,
}

impl Ace {
    /// Creates an entry without an object part and without application data.
    #[must_use]
    pub fn new(ace_type: AceType, flags: AceFlags, mask: u32, sid: Sid) -> Self {
        let body = AceBody::Trustee {
            mask,
            object: None,
            sid,
            data: Vec::new(),
        };
        Self {
            ace_type,
            flags,
            body,
        }
    }

    /// Parses the entry at byte `offset` of `data` and returns it with its size in bytes.
    pub(super) fn parse_at(data: &[u8], offset: usize) -> Result<(Self, usize), SecurityError> {
        let [ace_type, flags, ..] = array::<HEADER_SIZE>(data, offset, "ACE")?;
        let size = size_u16(data, offset + 2, "ACE")?;
        if size < HEADER_SIZE {
            let (actual, minimum) = (size, HEADER_SIZE);
            return Err(SecurityError::SizeTooSmall {
                structure: "ACE",
                offset,
                actual,
                minimum,
            });
        }
        take(data, offset, size, "ACE")?;
        let (data, offset) = (&data[..offset + size], offset + HEADER_SIZE);
        let ace_type = AceType(ace_type);
        let body = if ace_type.has_trustee() {
            parse_trustee(ace_type, data, offset)?
        } else {
            AceBody::Raw(data[offset..].to_vec())
        };
        Ok((
            Self {
                ace_type,
                flags: AceFlags::from_bits_retain(flags),
                body,
            },
            size,
        ))
    }

    /// Appends the binary form to `out`.
    ///
    /// # Errors
    ///
    /// Returns [`SecurityError::BodyMismatch`] if the body does not match the entry's type, and
    /// [`SecurityError::TooLarge`] if the entry exceeds 65,535 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), SecurityError> {
        let mut body = Vec::new();
        match &self.body {
            AceBody::Trustee {
                mask,
                object,
                sid,
                data,
            } if self.ace_type.has_trustee() && object.is_some() == self.ace_type.is_object() => {
                body.extend_from_slice(&mask.to_le_bytes());
                if let Some(object) = object {
                    encode_object(object, &mut body);
                }
                body.extend(sid.to_bytes());
                body.extend_from_slice(data);
            }
            AceBody::Raw(bytes) if !self.ace_type.has_trustee() => body.extend_from_slice(bytes),
            _ => {
                return Err(SecurityError::BodyMismatch {
                    ace_type: self.ace_type,
                });
            }
        }
        let size = len_u16(HEADER_SIZE + body.len(), "ACE")?;
        out.extend_from_slice(&[self.ace_type.0, self.flags.bits()]);
        out.extend_from_slice(&size.to_le_bytes());
        out.extend(body);
        Ok(())
    }
}

/// Parses a body that identifies a trustee; `data` ends where the entry ends.
fn parse_trustee(ace_type: AceType, data: &[u8], offset: usize) -> Result<AceBody, SecurityError> {
    let mask = u32_at(data, offset, "access mask")?;
    let mut next = offset + 4;
    let object = if ace_type.is_object() {
        let flags = u32_at(data, next, "object flags")?;
        next += 4;
        let mut guid = |present: u32| -> Result<Option<Guid>, SecurityError> {
            if flags & present == 0 {
                return Ok(None);
            }
            let guid = Guid(array(data, next, "object type")?);
            next += 16;
            Ok(Some(guid))
        };
        Some(ObjectTypes {
            object_type: guid(OBJECT_TYPE_PRESENT)?,
            inherited_object_type: guid(INHERITED_OBJECT_TYPE_PRESENT)?,
            other_flags: flags & !(OBJECT_TYPE_PRESENT | INHERITED_OBJECT_TYPE_PRESENT),
        })
    } else {
        None
    };
    let sid = Sid::parse_at(data, next)?;
    let data = data[next + sid.encoded_len()..].to_vec();
    Ok(AceBody::Trustee {
        mask,
        object,
        sid,
        data,
    })
}

/// Appends the object flags and GUIDs.
fn encode_object(object: &ObjectTypes, out: &mut Vec<u8>) {
    let mut flags = object.other_flags & !(OBJECT_TYPE_PRESENT | INHERITED_OBJECT_TYPE_PRESENT);
    if object.object_type.is_some() {
        flags |= OBJECT_TYPE_PRESENT;
    }
    if object.inherited_object_type.is_some() {
        flags |= INHERITED_OBJECT_TYPE_PRESENT;
    }
    out.extend_from_slice(&flags.to_le_bytes());
    for guid in [object.object_type, object.inherited_object_type]
        .into_iter()
        .flatten()
    {
        out.extend_from_slice(&guid.0);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::sid::tests::any_sid;
    use super::*;

    /// Any entry whose body matches its type.
    pub(crate) fn any_ace() -> impl Strategy<Value = Ace> {
        let guid = || proptest::option::of(any::<[u8; 16]>().prop_map(Guid));
        let data = proptest::collection::vec(any::<u8>(), 0..40);
        let object = (guid(), guid(), any::<u32>());
        (
            0u8..=0x20,
            any::<u8>(),
            any::<u32>(),
            any_sid(),
            data,
            object,
        )
            .prop_map(
                |(
                    ace_type,
                    flags,
                    mask,
                    sid,
                    data,
                    (object_type, inherited_object_type, other),
                )| {
                    let ace_type = AceType(ace_type);
                    let object = ace_type.is_object().then_some(ObjectTypes {
                        object_type,
                        inherited_object_type,
                        other_flags: other & !3,
                    });
                    let body = if ace_type.has_trustee() {
                        AceBody::Trustee {
                            mask,
                            object,
                            sid,
                            data,
                        }
                    } else {
                        AceBody::Raw(data)
                    };
                    Ace {
                        ace_type,
                        flags: AceFlags::from_bits_retain(flags),
                        body,
                    }
                },
            )
    }

    #[test]
    fn object_flags_determine_the_guids_of_an_entry() {
        let mut bytes = vec![5, 0x0a, 36, 0, 0x10, 0, 0, 0, 2, 0, 0, 0];
        bytes.extend([7; 16]);
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 1]);
        let (ace, size) = Ace::parse_at(&bytes, 0).unwrap();
        assert_eq!(size, 36);
        let AceBody::Trustee {
            object: Some(object),
            ..
        } = &ace.body
        else {
            panic!("{ace:?}")
        };
        assert_eq!(object.object_type, None);
        assert_eq!(object.inherited_object_type, Some(Guid([7; 16])));
        let mut again = Vec::new();
        ace.encode(&mut again).unwrap();
        assert_eq!(again, bytes);
    }

    #[test]
    fn unknown_and_compound_types_are_kept_raw() {
        for ace_type in [4, 0x16, 0xff] {
            let bytes = [ace_type, 0xff, 7, 0, 1, 2, 3];
            let (ace, _) = Ace::parse_at(&bytes, 0).unwrap();
            assert_eq!(ace.body, AceBody::Raw(vec![1, 2, 3]));
            let mut again = Vec::new();
            ace.encode(&mut again).unwrap();
            assert_eq!(again, bytes);
        }
    }

    #[test]
    fn malformed_entries_are_rejected() {
        let cases: [&[u8]; 5] = [
            &[0, 0, 3, 0],
            &[0, 0, 8, 0, 0, 0, 0],
            &[0, 0, 8, 0, 0, 0, 0, 0],
            // The SID fits the buffer but not the entry.
            &[0, 0, 16, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0],
            &[5, 0, 12, 0, 0, 0, 0, 0, 1, 0, 0, 0],
        ];
        for bytes in cases {
            assert!(Ace::parse_at(bytes, 0).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn body_of_another_type_is_rejected_on_encode() {
        let sid = Sid::new(1, &[0]).unwrap();
        let mut ace = Ace::new(AceType::ACCESS_ALLOWED_OBJECT, AceFlags::empty(), 0, sid);
        let mismatch = SecurityError::BodyMismatch {
            ace_type: ace.ace_type,
        };
        assert_eq!(ace.encode(&mut Vec::new()), Err(mismatch));
        ace.ace_type = AceType(0x77);
        assert!(ace.encode(&mut Vec::new()).is_err());
    }

    #[test]
    fn entry_above_64_kib_is_rejected_on_encode() {
        let body = AceBody::Raw(vec![0; 65_532]);
        let ace = Ace {
            ace_type: AceType(0x77),
            flags: AceFlags::empty(),
            body,
        };
        let expected = SecurityError::TooLarge {
            structure: "ACE",
            actual: 65_536,
        };
        assert_eq!(ace.encode(&mut Vec::new()), Err(expected));
    }

    proptest! {
        #[test]
        fn encode_then_parse_is_lossless(ace in any_ace()) {
            let mut bytes = Vec::new();
            ace.encode(&mut bytes).unwrap();
            prop_assert_eq!(Ace::parse_at(&bytes, 0).unwrap(), (ace, bytes.len()));
        }
    }
}
