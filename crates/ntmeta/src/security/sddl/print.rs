//! The SDDL writer: components, lists and entries.
//!
//! A condition or claim is parsed again after it is written, which detects values without a
//! spelling of their own, such as a string with a quotation mark or an 8-bit integer.

use super::super::{
    Ace, AceBody, AceType, AclSlot, Claim, Condition, ControlFlags, SecurityDescriptor, Sid,
};
use super::claim::push_claim;
use super::condition::push_condition;
use super::parse::Parser;
use super::{SddlError, SddlOptions, names};

/// Writes a whole descriptor.
pub(super) fn descriptor(
    descriptor: &SecurityDescriptor,
    options: &SddlOptions,
) -> Result<String, SddlError> {
    let domain = options.domain.as_ref();
    let mut out = String::new();
    for (component, sid) in [("O:", &descriptor.owner), ("G:", &descriptor.group)] {
        if let Some(sid) = sid {
            out.push_str(component);
            push_sid(&mut out, sid, domain);
        }
    }
    let control = descriptor.control;
    let dacl = [
        control.contains(ControlFlags::DACL_PROTECTED),
        control.contains(ControlFlags::DACL_AUTO_INHERIT_REQ),
        control.contains(ControlFlags::DACL_AUTO_INHERITED),
    ];
    push_acl(&mut out, 'D', &descriptor.dacl, dacl, domain)?;
    let sacl = [
        control.contains(ControlFlags::SACL_PROTECTED),
        control.contains(ControlFlags::SACL_AUTO_INHERIT_REQ),
        control.contains(ControlFlags::SACL_AUTO_INHERITED),
    ];
    push_acl(&mut out, 'S', &descriptor.sacl, sacl, domain)?;
    if out.is_empty() {
        Err(SddlError::Empty)
    } else {
        Ok(out)
    }
}

fn push_sid(out: &mut String, sid: &Sid, domain: Option<&Sid>) {
    match names::account_alias(sid, domain) {
        Some(alias) => out.push_str(alias),
        None => out.push_str(&sid.to_string()),
    }
}

/// Appends a list; `flags` holds the list flags `P`, `AR` and `AI`.
fn push_acl(
    out: &mut String,
    component: char,
    slot: &AclSlot,
    flags: [bool; 3],
    domain: Option<&Sid>,
) -> Result<(), SddlError> {
    if *slot == AclSlot::Absent {
        return Ok(());
    }
    out.push(component);
    out.push(':');
    for (name, set) in ["P", "AR", "AI"].into_iter().zip(flags) {
        if set {
            out.push_str(name);
        }
    }
    match slot {
        AclSlot::Absent => {}
        AclSlot::Null => out.push_str("NO_ACCESS_CONTROL"),
        AclSlot::Present(acl) => {
            for (index, ace) in acl.aces.iter().enumerate() {
                push_ace(out, ace, domain).map_err(|problem| match problem {
                    Problem::Type => SddlError::UnprintableType {
                        acl: component,
                        ace: index,
                        ace_type: ace.ace_type,
                    },
                    Problem::Data(source) => SddlError::InvalidData {
                        acl: component,
                        ace: index,
                        source,
                    },
                    Problem::Lossy => SddlError::Lossy {
                        acl: component,
                        ace: index,
                    },
                })?;
            }
        }
    }
    Ok(())
}

/// The reason why an entry has no text form.
enum Problem {
    /// Its type has no name.
    Type,
    /// Its data is malformed.
    Data(super::super::SecurityError),
    /// Its text would mean something else.
    Lossy,
}

fn push_ace(out: &mut String, ace: &Ace, domain: Option<&Sid>) -> Result<(), Problem> {
    let name = names::ace_type_name(ace.ace_type).ok_or(Problem::Type)?;
    let AceBody::Trustee {
        mask,
        object,
        sid,
        data,
    } = &ace.body
    else {
        return Err(Problem::Type);
    };
    if object.is_some() != ace.ace_type.is_object() {
        return Err(Problem::Lossy);
    }
    let object = object.unwrap_or_default();
    if object.other_flags != 0 {
        return Err(Problem::Lossy);
    }
    let guid = |guid: Option<super::super::Guid>| guid.map_or(String::new(), |g| g.to_string());
    out.push('(');
    for field in [
        name,
        &names::ace_flags_text(ace.ace_type, ace.flags),
        &names::rights_text(ace.ace_type, *mask),
        &guid(object.object_type),
        &guid(object.inherited_object_type),
    ] {
        out.push_str(field);
        out.push(';');
    }
    push_sid(out, sid, domain);
    push_data(out, ace.ace_type, data, domain)?;
    out.push(')');
    Ok(())
}

/// Appends the condition or claim in `data`; the data of other types must be padding.
fn push_data(
    out: &mut String,
    ace_type: AceType,
    data: &[u8],
    domain: Option<&Sid>,
) -> Result<(), Problem> {
    let start = out.len() + 1;
    let faithful = if ace_type.is_conditional() {
        let condition = Condition::decode(data).map_err(Problem::Data)?;
        out.push(';');
        push_condition(out, &condition, domain);
        Parser::new(&out[start..], domain).condition() == Ok(condition)
    } else if ace_type == AceType::SYSTEM_RESOURCE_ATTRIBUTE {
        let claim = Claim::decode(data).map_err(Problem::Data)?;
        out.push(';');
        push_claim(out, &claim, domain);
        Parser::new(&out[start..], domain).claim() == Ok(claim)
    } else {
        data.iter().all(|&byte| byte == 0)
    };
    if faithful {
        Ok(())
    } else {
        Err(Problem::Lossy)
    }
}
