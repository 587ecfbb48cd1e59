//! Compares two security descriptors part by part.
//!
//! The parts are shown as SDDL. If that is the same for both, the properties that it leaves out are
//! added: the other control flags, the revision of a list, and finally the bytes. Windows uses some
//! of them, and rewriting a layer preserves them.

use ntmeta::SecurityDescriptor;
use ntmeta::security::{AclSlot, ControlFlags};

use super::Aspect;
use super::text::hex;

const PARTS: [Aspect; 4] = [Aspect::Owner, Aspect::Group, Aspect::Dacl, Aspect::Sacl];

/// A difference: the values of the left and the right side, as text.
pub(super) type Sides = [Option<String>; 2];

/// Returns all differences between two self-relative descriptors, `None` for a missing one.
pub(super) fn compare(left: Option<&[u8]>, right: Option<&[u8]>) -> Vec<(Aspect, Sides)> {
    if left == right {
        return Vec::new();
    }
    let parse = |bytes: Option<&[u8]>| SecurityDescriptor::parse(bytes?).ok();
    let (Some(left_parsed), Some(right_parsed)) = (parse(left), parse(right)) else {
        return vec![(
            Aspect::Security,
            [left, right].map(|bytes| bytes.map(whole)),
        )];
    };
    let both = [left_parsed, right_parsed];
    let mut found = Vec::new();
    // Flags that follow from the parts, and those that belong to a part that is present.
    let mut covered =
        ControlFlags::SELF_RELATIVE | ControlFlags::DACL_PRESENT | ControlFlags::SACL_PRESENT;
    for aspect in PARTS {
        let parts = both.each_ref().map(|descriptor| part(descriptor, aspect));
        if parts.iter().any(Option::is_some) {
            covered |= flags(aspect);
        }
        if parts[0] != parts[1] {
            found.push((aspect, part_texts(&parts)));
        }
    }
    let rest = |descriptor: &SecurityDescriptor| {
        let control = descriptor.control.difference(covered);
        (control, descriptor.resource_manager_control)
    };
    if rest(&both[0]) != rest(&both[1]) {
        found.push((Aspect::Security, both.each_ref().map(control_text)));
    }
    if found.is_empty() {
        // The order of the parts, or bytes that belong to none of them.
        found.push((
            Aspect::SecurityBytes,
            [left, right].map(|bytes| bytes.map(hex)),
        ));
    }
    found
}

/// Returns the control flags that belong to a part.
fn flags(aspect: Aspect) -> ControlFlags {
    match aspect {
        Aspect::Owner => ControlFlags::OWNER_DEFAULTED,
        Aspect::Group => ControlFlags::GROUP_DEFAULTED,
        Aspect::Dacl => {
            ControlFlags::DACL_DEFAULTED
                | ControlFlags::DACL_AUTO_INHERIT_REQ
                | ControlFlags::DACL_AUTO_INHERITED
                | ControlFlags::DACL_PROTECTED
        }
        _ => {
            ControlFlags::SACL_DEFAULTED
                | ControlFlags::SACL_AUTO_INHERIT_REQ
                | ControlFlags::SACL_AUTO_INHERITED
                | ControlFlags::SACL_PROTECTED
        }
    }
}

/// Returns one part of a descriptor as a descriptor of its own, with the flags that belong to it.
fn part(descriptor: &SecurityDescriptor, aspect: Aspect) -> Option<SecurityDescriptor> {
    let mut part = SecurityDescriptor::default();
    part.control |= descriptor.control & flags(aspect);
    match aspect {
        Aspect::Owner => part.owner.clone_from(&descriptor.owner),
        Aspect::Group => part.group.clone_from(&descriptor.group),
        Aspect::Dacl => part.dacl.clone_from(&descriptor.dacl),
        _ => part.sacl.clone_from(&descriptor.sacl),
    }
    let is_there = part.owner.is_some()
        || part.group.is_some()
        || part.dacl != AclSlot::Absent
        || part.sacl != AclSlot::Absent;
    is_there.then_some(part)
}

/// Shows two parts that differ, in texts that differ.
fn part_texts(parts: &[Option<SecurityDescriptor>; 2]) -> Sides {
    let bytes = |part: &SecurityDescriptor| hex(&part.to_bytes().unwrap_or_default());
    let sddl = |part: &SecurityDescriptor| part.to_sddl().unwrap_or_else(|_| bytes(part));
    let with_rest = |part: &SecurityDescriptor| format!("{}{}", sddl(part), unspelled(part));
    let with_bytes = |part: &SecurityDescriptor| format!("{}, {}", sddl(part), bytes(part));
    let shown: [&dyn Fn(&SecurityDescriptor) -> String; 2] = [&sddl, &with_rest];
    for text in shown {
        let texts = parts.each_ref().map(|part| part.as_ref().map(text));
        if texts[0] != texts[1] {
            return texts;
        }
    }
    parts.each_ref().map(|part| part.as_ref().map(with_bytes))
}

/// Returns the properties of a part that SDDL does not express: flags, and the revision of a list.
fn unspelled(part: &SecurityDescriptor) -> String {
    let spelled = ControlFlags::SELF_RELATIVE
        | ControlFlags::DACL_AUTO_INHERIT_REQ
        | ControlFlags::DACL_AUTO_INHERITED
        | ControlFlags::DACL_PROTECTED
        | ControlFlags::SACL_AUTO_INHERIT_REQ
        | ControlFlags::SACL_AUTO_INHERITED
        | ControlFlags::SACL_PROTECTED;
    let left = part.control.difference(spelled);
    let mut text: String = left
        .iter_names()
        .map(|(name, _)| format!(", {name}"))
        .collect();
    for list in [&part.dacl, &part.sacl] {
        if let AclSlot::Present(acl) = list {
            text += &format!(", revision {}", acl.revision);
        }
    }
    text
}

fn control_text(descriptor: &SecurityDescriptor) -> Option<String> {
    let names: Vec<&str> = descriptor
        .control
        .iter_names()
        .map(|(name, _)| name)
        .collect();
    let byte = descriptor.resource_manager_control;
    Some(format!(
        "control {}; resource manager byte {byte:#04x}",
        names.join(", ")
    ))
}

fn whole(bytes: &[u8]) -> String {
    let parsed = SecurityDescriptor::parse(bytes).ok();
    let sddl = parsed.and_then(|parsed| parsed.to_sddl().ok());
    sddl.unwrap_or_else(|| hex(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(sddl: &str, change: impl FnOnce(&mut SecurityDescriptor)) -> Vec<u8> {
        let mut descriptor = SecurityDescriptor::from_sddl(sddl).expect(sddl);
        change(&mut descriptor);
        descriptor.to_bytes().expect(sddl)
    }

    fn shown(left: &[u8], right: &[u8]) -> Vec<String> {
        let found = compare(Some(left), Some(right));
        let line = |(aspect, [left, right]): (Aspect, Sides)| {
            assert_ne!(left, right);
            let text = |side: Option<String>| side.unwrap_or_else(|| "none".to_owned());
            format!("{}: {} -> {}", aspect.name(), text(left), text(right))
        };
        found.into_iter().map(line).collect()
    }

    #[test]
    fn properties_outside_sddl_are_reported() {
        let sddl = "O:BAD:(A;;FA;;;SY)";
        let left = bytes(sddl, |_| {});
        let set = |flags| move |changed: &mut SecurityDescriptor| changed.control |= flags;
        let told = |right: &[u8]| shown(&left, right);
        assert_eq!(told(&left), [""; 0]);
        assert_eq!(
            told(&bytes(sddl, set(ControlFlags::OWNER_DEFAULTED))),
            ["owner: O:BA -> O:BA, OWNER_DEFAULTED"]
        );
        assert_eq!(
            told(&bytes(sddl, set(ControlFlags::DACL_DEFAULTED))),
            ["dacl: D:(A;;FA;;;SY), revision 2 -> D:(A;;FA;;;SY), DACL_DEFAULTED, revision 2"]
        );
        let fourth = |changed: &mut SecurityDescriptor| {
            if let AclSlot::Present(acl) = &mut changed.dacl {
                acl.revision = 4;
            }
        };
        assert_eq!(
            told(&bytes(sddl, fourth)),
            ["dacl: D:(A;;FA;;;SY), revision 2 -> D:(A;;FA;;;SY), revision 4"]
        );
        let slack = |changed: &mut SecurityDescriptor| {
            if let AclSlot::Present(acl) = &mut changed.dacl {
                acl.slack = vec![0; 4];
            }
        };
        assert!(told(&bytes(sddl, slack))[0].starts_with("dacl: D:(A;;FA;;;SY), 0100"));
    }

    #[test]
    fn properties_outside_the_parts_are_reported() {
        let sddl = "O:BAD:(A;;FA;;;SY)";
        let left = bytes(sddl, |_| {});
        let managed = bytes(sddl, |changed| {
            changed.control |= ControlFlags::RM_CONTROL_VALID;
            changed.resource_manager_control = 5;
        });
        assert_eq!(
            shown(&left, &managed),
            [
                "security: control DACL_PRESENT, SELF_RELATIVE; resource manager byte 0x00 -> \
              control DACL_PRESENT, RM_CONTROL_VALID, SELF_RELATIVE; resource manager byte 0x05"
            ]
        );
        // A flag of a list that is absent.
        let protected = bytes(sddl, |changed| {
            changed.control |= ControlFlags::SACL_PROTECTED;
        });
        assert_eq!(shown(&left, &protected).len(), 1);
        let mut longer = left.clone();
        longer.extend([0; 4]);
        assert!(shown(&left, &longer)[0].starts_with("security-bytes: 01000480"));
    }

    #[test]
    fn a_missing_part_is_none() {
        let left = bytes("O:BAG:SY", |_| {});
        let without_owner = bytes("G:SY", |_| {});
        assert_eq!(shown(&left, &without_owner), ["owner: O:BA -> none"]);
        let nothing = SecurityDescriptor::default().to_bytes().expect("20 bytes");
        assert_eq!(
            shown(&nothing, &left),
            ["owner: none -> O:BA", "group: none -> G:SY"]
        );
        let found = compare(None, Some(&nothing));
        let hex = Some("0100008000000000000000000000000000000000".to_owned());
        assert_eq!(found, [(Aspect::Security, [None, hex])]);
    }
}
