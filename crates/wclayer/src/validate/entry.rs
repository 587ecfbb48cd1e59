//! Rules on one entry by itself.

use ntmeta::security::AclSlot;
use ntmeta::{FileAttributes, HiveError, ReparsePoint, SecurityDescriptor, hive, wide};

use super::{Report, Rule, names};
use crate::layout::{self, FILES, HIVES, UTILITY_VM, UTILITY_VM_FILES};
use crate::path::LayerPath;
use crate::tar::{Doubt, FileMember, Member, TarEntry, TarEntryKind};

/// The boot configuration of the utility VM: a hive as well.
pub(super) const BCD: &str = layout::BOOT_FILES[0].0;
/// From this size on, in bytes, a size does not fit the field of a plain header.
const LARGE: u64 = 8 << 30;

/// An entry, and what kind of layer it is in.
pub(super) struct Place<'a> {
    pub(super) entry: &'a TarEntry,
    pub(super) is_base: bool,
}

/// Checks what a member is, whether or not it makes sense in a layer.
pub(super) fn check_member(member: &Member, report: &mut Report) {
    let name = wide::display(&member.name);
    let mut add = |rule, detail: String| report.add(rule, &*name, Some(member.offset), detail);
    names::check(without_stream(&member.name), &mut add);
    if member.sparse.is_some() {
        add(Rule::TarSparse, String::new());
    }
    for doubt in &member.doubts {
        match doubt {
            Doubt::Number { field } => {
                add(
                    Rule::TarNumber,
                    format!("its field `{field}` is not a number"),
                );
            }
            Doubt::TwoReadings(why) => add(Rule::TarTwoReadings, why.clone()),
        }
    }
    if member.size >= LARGE {
        add(Rule::LargeFile, format!("{} bytes", member.size));
    }
    let is_symlink = member.type_flag == b'2';
    if is_symlink && starts_in_files(&member.link_name) {
        let detail = format!("it leads to `{}`", wide::display(&member.link_name));
        add(Rule::SymlinkFilesPrefix, detail);
    }
}

/// Whether a member is a directory by its type.
pub(super) fn is_directory_type(member: &Member) -> bool {
    member.type_flag == b'5'
}

fn starts_in_files(target: &[u8]) -> bool {
    target
        .split_at_checked(FILES.len())
        .is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(FILES.as_bytes())
                && matches!(rest.first(), Some(b'/' | b'\\'))
        })
}

/// Cuts what names a stream from a name.
fn without_stream(name: &[u8]) -> &[u8] {
    let last = name
        .iter()
        .rposition(|byte| matches!(byte, b'/' | b'\\'))
        .map_or(0, |at| at + 1);
    let colon = name[last..].iter().position(|byte| *byte == b':');
    colon.map_or(name, |colon| &name[..last + colon])
}

/// Checks an entry by itself.
pub(super) fn check(place: &Place<'_>, member: &Member, report: &mut Report) {
    let entry = place.entry;
    let mut add = |rule, path: &LayerPath, detail: String| {
        report.add(rule, path.to_string(), Some(entry.offset), detail);
    };
    let time = entry.unstorable_time.map(|key| format!("`{key}`"));
    let path = match &entry.kind {
        TarEntryKind::Stream(_) => return,
        TarEntryKind::File(file) => {
            check_file(file, member, &mut |rule, detail| {
                add(rule, &file.path, detail);
            });
            let is_base = place.is_base;
            check_top(file, &member.name, is_base, &mut |rule| {
                add(rule, &file.path, String::new());
            });
            if is_hive(&file.path) && (file.is_directory() || file.reparse.is_some()) {
                add(Rule::HiveKind, &file.path, String::new());
            }
            check_hive_name(&file.path, place.is_base, &mut |rule| {
                add(rule, &file.path, String::new());
            });
            &file.path
        }
        TarEntryKind::Link(link) => {
            if !layout::is_link_allowed(&link.path, &link.target) {
                let detail = format!("it leads to `{}`", link.target);
                add(Rule::LinkOutside, &link.path, detail);
            }
            if !is_spelled_well(&link.target) {
                let detail = format!("it leads to `{}`", link.target);
                add(Rule::TopLevelCase, &link.path, detail);
            }
            &link.path
        }
        TarEntryKind::Whiteout(path) => {
            if !is_removable(path) {
                add(Rule::WhiteoutPlace, path, String::new());
            }
            path
        }
        TarEntryKind::Opaque(path) => {
            let rule = match [FILES, UTILITY_VM_FILES].map(|top| layout::is_in(path, top)) {
                [true, _] => Rule::WhiteoutOpaque,
                [_, true] => Rule::WhiteoutUtilityVm,
                _ => Rule::WhiteoutPlace,
            };
            let detail = match rule {
                Rule::WhiteoutOpaque => "",
                _ => "it is opaque",
            };
            add(rule, path, detail.to_owned());
            path
        }
    };
    if let Some(detail) = time {
        add(Rule::TimeRange, path, detail);
    }
    let is_known = |top: &str| layout::is_in(path, top);
    if layout::is(path, layout::TOMBSTONES) {
        add(Rule::PathTransportName, path, String::new());
    } else if ![FILES, HIVES, UTILITY_VM].iter().any(|top| is_known(top)) {
        add(Rule::TopLevelName, path, String::new());
    }
    if !is_spelled_well(path) {
        add(Rule::TopLevelCase, path, String::new());
    }
}

/// Whether a path that starts with a name of the layout has it letter by letter.
fn is_spelled_well(path: &LayerPath) -> bool {
    [FILES, HIVES, UTILITY_VM, UTILITY_VM_FILES]
        .iter()
        .all(|top| !layout::is_in(path, top) || path.as_bytes().starts_with(top.as_bytes()))
}

fn is_removable(path: &LayerPath) -> bool {
    [FILES, UTILITY_VM_FILES]
        .iter()
        .any(|top| layout::is_below(path, top))
}

fn check_file(file: &FileMember, member: &Member, add: &mut dyn FnMut(Rule, String)) {
    let attributes = file.basic_info.attributes;
    if file.is_directory() != is_directory_type(member) && file.reparse.is_none() {
        let (attributes, kind) = match file.is_directory() {
            true => ("directory", "file"),
            false => ("file", "directory"),
        };
        let detail = format!("a {attributes} by its attributes, a {kind} by its type");
        add(Rule::AttributesKind, detail);
    }
    let is_marked = attributes.contains(FileAttributes::REPARSE_POINT);
    match &file.reparse {
        Some(_) if !is_marked => add(Rule::ReparseAttributeMissing, String::new()),
        None if is_marked => add(Rule::ReparseDataMissing, String::new()),
        _ => {}
    }
    if let Some(point) = file.reparse.as_deref().map(ReparsePoint::decode) {
        match point {
            Ok(point @ (ReparsePoint::Symlink(_) | ReparsePoint::MountPoint(_))) => {
                if point.target().is_none_or(|target| target.is_empty()) {
                    add(Rule::ReparseNoTarget, String::new());
                }
            }
            Ok(other) => add(Rule::ReparseTag, format!("its tag is {:#x}", other.tag().0)),
            Err(error) => add(Rule::ReparseMalformed, error.to_string()),
        }
    }
    match &file.security {
        Some(bytes) => check_security(bytes, add),
        None if needs_security(&file.path) => add(Rule::SecurityMissing, String::new()),
        None => {}
    }
}

/// Hives are written without a descriptor, and the top directories are made by the import.
fn needs_security(path: &LayerPath) -> bool {
    is_removable(path)
}

fn check_security(bytes: &[u8], add: &mut dyn FnMut(Rule, String)) {
    match SecurityDescriptor::parse(bytes) {
        Err(error) => add(Rule::SecurityMalformed, error.to_string()),
        Ok(descriptor) => {
            if descriptor.owner.is_none() {
                add(Rule::SecurityNoOwner, String::new());
            }
            if !matches!(descriptor.dacl, AclSlot::Present(_)) {
                add(Rule::SecurityNoDacl, String::new());
            }
        }
    }
}

/// Checks the directories that a layer is made of. `name` is as in the tar.
fn check_top(file: &FileMember, name: &[u8], is_base: bool, add: &mut dyn FnMut(Rule)) {
    let path = &file.path;
    let is_plain = file.is_directory() && file.reparse.is_none();
    let [is_files, is_hives, is_vm, is_vm_files] =
        [FILES, HIVES, UTILITY_VM, UTILITY_VM_FILES].map(|top| layout::is(path, top));
    if (is_files || is_hives) && !is_plain {
        add(Rule::TopLevelKind);
    }
    if (is_vm || is_vm_files) && !is_plain {
        add(Rule::UtilityVmKind);
    }
    // hcsshim compares the name itself where it sets up the VM: `UtilityVM` in a layer with
    // parents, `UtilityVM/Files` in a base layer.
    let has_more = name.len() > path.as_bytes().len();
    if is_base {
        if is_vm_files && has_more {
            add(Rule::UtilityVmFilesSlash);
        }
        return;
    }
    if is_vm && has_more {
        add(Rule::UtilityVmSlash);
    }
    if is_vm && is_plain && (file.security.is_some() || !file.ea.is_empty()) {
        add(Rule::UtilityVmMetadata);
    }
    if layout::is_below(path, UTILITY_VM) && !layout::is_in(path, UTILITY_VM_FILES) {
        add(Rule::UtilityVmName);
    }
}

fn check_hive_name(path: &LayerPath, is_base: bool, add: &mut dyn FnMut(Rule)) {
    if !layout::is_below(path, HIVES) {
        return;
    }
    let is_known = |names: &[&str]| {
        let in_hives = |name: &&str| layout::is(path, &format!("{HIVES}/{name}"));
        names.iter().any(in_hives)
    };
    match is_known(&layout::HIVE_DELTAS) || (is_base && is_known(&layout::BASE_HIVE_LINKS)) {
        true => {}
        false => add(Rule::HiveName),
    }
}

/// Whether a path is that of a registry hive.
pub(super) fn is_hive(path: &LayerPath) -> bool {
    let is_delta = || {
        let mut names = layout::HIVE_DELTAS.iter().chain(&layout::BASE_HIVE_LINKS);
        names.any(|name| layout::is(path, &format!("{HIVES}/{name}")))
    };
    layout::BASE_HIVES.iter().any(|hive| layout::is(path, hive))
        || layout::is(path, BCD)
        || (layout::is_below(path, HIVES) && is_delta())
}

/// Where the bins of a hive start, in bytes, and what each of them starts with.
const BINS: (usize, &[u8]) = (4096, b"hbin");
/// How much of a hive is looked at, in bytes.
pub(super) const HIVE_START: usize = BINS.0 + BINS.1.len();

/// Checks a hive; `start` is the start of its content.
pub(super) fn check_hive(place: &Place<'_>, file: &FileMember, start: &[u8], report: &mut Report) {
    let entry = place.entry;
    let rule = match hive::check(start, entry.size) {
        // Of a file with holes left out it is not known where its bytes belong.
        Ok(()) if entry.stored.is_some() => return,
        Ok(()) if start.get(BINS.0..).is_some_and(|bins| bins == BINS.1) => return,
        Ok(()) => {
            let detail = format!(
                "there is no `hbin` at byte {:#x}: its bins are damaged",
                BINS.0
            );
            (Rule::HiveMalformed, detail)
        }
        Err(_) if entry.size == 0 => (Rule::HiveEmpty, String::new()),
        Err(error @ HiveError::Unfinished { .. }) => (Rule::HiveUnfinished, error.to_string()),
        Err(error) => (Rule::HiveMalformed, error.to_string()),
    };
    report.add(rule.0, file.path.to_string(), Some(entry.offset), rule.1);
}
