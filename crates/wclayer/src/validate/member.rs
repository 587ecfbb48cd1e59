//! Rules that only a tar can break: how names are spelled, and what its headers say twice or in
//! another way.

use ntmeta::wide;

use super::entry::{self, Ea, File, Kind, Subject};
use super::{Report, Rule, names};
use crate::layout::{self, UTILITY_VM, UTILITY_VM_FILES};
use crate::tar::{Doubt, FileMember, Member, TarEntry, TarEntryKind};

/// Checks a member, whether or not it makes sense in a layer.
pub(super) fn check(member: &Member, report: &mut Report) {
    let name = wide::display(&member.name);
    let mut add = |rule, detail: String| report.add(rule, &*name, Some(member.offset), detail);
    let file = without_stream(&member.name);
    names::check_spelling(file, |rule| add(rule, String::new()));
    names::check(file, &mut add);
    if member.sparse.is_some() {
        add(Rule::TarSparse, String::new());
    }
    for doubt in &member.doubts {
        match doubt {
            Doubt::Number { field } => {
                add(
                    Rule::TarNumber,
                    format!("the field `{field}` is not a number"),
                );
            }
            Doubt::TwoReadings(why) => add(Rule::TarTwoReadings, why.clone()),
        }
    }
    entry::check_size(member.size, &mut add);
}

/// Checks what the member of an entry says beside the entry itself.
pub(super) fn check_entry(found: &TarEntry, member: &Member, is_base: bool, report: &mut Report) {
    let TarEntryKind::File(file) = &found.kind else {
        return;
    };
    let mut add = |rule, detail| {
        report.add(rule, file.path.to_string(), Some(found.offset), detail);
    };
    if file.is_directory() != is_directory(member) && file.reparse.is_none() {
        let (attributes, kind) = match file.is_directory() {
            true => ("directory", "file"),
            false => ("file", "directory"),
        };
        let detail = format!("a {attributes} by its attributes, a {kind} by its type");
        add(Rule::AttributesKind, detail);
    }
    // hcsshim compares the name itself where it sets up the VM: `UtilityVM` in a layer with
    // parents, `UtilityVM/Files` in a base layer.
    let has_more = member.name.len() > file.path.as_bytes().len();
    let (name, rule) = match is_base {
        true => (UTILITY_VM_FILES, Rule::UtilityVmFilesSlash),
        false => (UTILITY_VM, Rule::UtilityVmSlash),
    };
    if has_more && layout::is(&file.path, name) {
        add(rule, String::new());
    }
}

/// Returns what an entry of a tar is in any layer; `None` for an alternate stream.
pub(super) fn subject(found: &TarEntry) -> Option<Subject<'_>> {
    let (path, kind) = match &found.kind {
        TarEntryKind::File(member) => (&member.path, Kind::File(file(member))),
        TarEntryKind::Stream(_) => return None,
        TarEntryKind::Link(link) => {
            let target = &link.target;
            (&link.path, Kind::Link { target })
        }
        TarEntryKind::Whiteout(path) => (path, Kind::Removal),
        TarEntryKind::Opaque(path) => (path, Kind::Opaque),
    };
    Some(Subject {
        path,
        offset: Some(found.offset),
        unstorable_time: found.unstorable_time,
        kind,
    })
}

fn file(member: &FileMember) -> File<'_> {
    File {
        attributes: member.basic_info.attributes,
        security: member.security.as_deref(),
        ea: (!member.ea.is_empty()).then_some(Ea::Checked),
        reparse: member.reparse.as_deref(),
    }
}

/// Returns whether a member is a directory by its type.
pub(super) fn is_directory(member: &Member) -> bool {
    member.type_flag == b'5'
}

/// Cuts the name of an alternate stream off a name.
fn without_stream(name: &[u8]) -> &[u8] {
    let last = name
        .iter()
        .rposition(|byte| matches!(byte, b'/' | b'\\'))
        .map_or(0, |at| at + 1);
    let colon = name[last..].iter().position(|byte| *byte == b':');
    colon.map_or(name, |colon| &name[..last + colon])
}
