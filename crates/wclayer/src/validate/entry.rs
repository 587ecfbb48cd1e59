//! Rules on a single entry, whatever kind of layer it comes from.

use ntmeta::security::AclSlot;
use ntmeta::{
    EaError, FileAttributes, FileBasicInfo, FileTime, ReparsePoint, SecurityDescriptor, ea, wide,
};

use super::hive::{self, Hive};
use super::{Report, Rule};
use crate::layout::{self, FILES, HIVES, UTILITY_VM, UTILITY_VM_FILES};
use crate::path::LayerPath;
use crate::rules::Breach;

/// From this size on, in bytes, a size does not fit the field of a plain tar header.
const LARGE: u64 = 8 << 30;

/// An entry as every kind of layer has it.
pub(super) struct Subject<'a> {
    pub(super) path: &'a LayerPath,
    /// Where its first header block starts in the tar, in bytes; `None` without a tar.
    pub(super) offset: Option<u64>,
    /// The first of its times that Windows cannot store, by its key in a tar.
    pub(super) unstorable_time: Option<&'static str>,
    pub(super) kind: Kind<'a>,
}

/// What an entry is.
pub(super) enum Kind<'a> {
    /// A file, directory or reparse point.
    File(File<'a>),
    /// A hard link.
    Link { target: &'a LayerPath },
    /// A removed path.
    Removal,
    /// A directory whose content in the parents is removed.
    Opaque,
}

/// The metadata of a file, directory or reparse point.
pub(super) struct File<'a> {
    pub(super) attributes: FileAttributes,
    /// The self-relative security descriptor.
    pub(super) security: Option<&'a [u8]>,
    /// The extended attributes as a list; `None` without any.
    pub(super) ea: Option<Ea<'a>>,
    /// The buffer of the reparse point.
    pub(super) reparse: Option<&'a [u8]>,
}

/// The extended attributes of a file.
#[derive(Clone, Copy)]
pub(super) enum Ea<'a> {
    /// The reader of the layer has checked them.
    Checked,
    /// A list as it is stored.
    Stored(&'a [u8]),
}

impl Ea<'_> {
    fn check(self) -> Result<(), EaError> {
        match self {
            Self::Checked => Ok(()),
            Self::Stored(list) => ea::decode_list(list).map(drop),
        }
    }
}

impl File<'_> {
    fn is_directory(&self) -> bool {
        self.attributes.contains(FileAttributes::DIRECTORY)
    }

    fn is_plain_directory(&self) -> bool {
        self.is_directory() && self.reparse.is_none()
    }
}

/// Collects the findings on one entry.
struct Findings<'a> {
    subject: &'a Subject<'a>,
    report: &'a mut Report,
}

impl Findings<'_> {
    fn add(&mut self, rule: Rule, detail: impl Into<String>) {
        let path = self.subject.path.to_string();
        self.report.add(rule, path, self.subject.offset, detail);
    }

    fn add_breach(&mut self, breach: Breach) {
        let error = breach.of(self.subject.path, self.subject.offset);
        self.report.add_breach(error);
    }
}

/// Finds a time at either end of the range that Windows stores: it was moved there, or Windows
/// cannot store it.
pub(super) fn unstorable_time(info: &FileBasicInfo) -> Option<&'static str> {
    let times = [
        ("mtime", info.last_write_time),
        ("LIBARCHIVE.creationtime", info.creation_time),
        ("atime", info.last_access_time),
        ("ctime", info.change_time),
    ];
    let is_end =
        |time: FileTime| time == FileTime::EARLIEST_STORED || time >= FileTime::LATEST_STORED;
    times
        .into_iter()
        .find(|(_, time)| is_end(*time))
        .map(|(key, _)| key)
}

/// Checks an entry of a base layer (`is_base`) or of a layer with parents.
pub(super) fn check(subject: &Subject<'_>, is_base: bool, report: &mut Report) {
    let mut found = Findings { subject, report };
    let path = subject.path;
    match &subject.kind {
        Kind::File(file) => check_file(file, is_base, &mut found),
        Kind::Link { target } => check_link(target, &mut found),
        Kind::Removal if is_removable(path) => {}
        Kind::Removal => found.add_breach(Breach::RemovalOutside),
        Kind::Opaque if layout::is_in(path, FILES) => found.add(Rule::WhiteoutOpaque, ""),
        Kind::Opaque if layout::is_in(path, UTILITY_VM_FILES) => {
            found.add(Rule::WhiteoutUtilityVm, "the whiteout is opaque");
        }
        Kind::Opaque => found.add_breach(Breach::RemovalOutside),
    }
    if let Some(key) = subject.unstorable_time {
        found.add(Rule::TimeRange, format!("`{key}`"));
    }
    let is_in_layout = [FILES, HIVES, UTILITY_VM]
        .iter()
        .any(|top| layout::is_in(path, top));
    if layout::is(path, layout::TOMBSTONES) {
        found.add_breach(Breach::ReservedName);
    } else if !is_in_layout {
        found.add(Rule::TopLevelName, "");
    }
    if !is_spelled_well(path) {
        found.add(Rule::TopLevelCase, "");
    }
}

/// Checks the size of a data stream.
pub(super) fn check_size(size: u64, mut add: impl FnMut(Rule, String)) {
    if size >= LARGE {
        add(Rule::LargeFile, format!("{size} bytes"));
    }
}

/// Checks the content of a hive.
pub(super) fn check_hive(subject: &Subject<'_>, content: &Hive<'_>, report: &mut Report) {
    if let Some((rule, detail)) = hive::check(content) {
        Findings { subject, report }.add(rule, detail);
    }
}

/// Returns whether a path that starts with a name of the layout has exactly its spelling.
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

fn check_link(target: &LayerPath, found: &mut Findings<'_>) {
    if !layout::is_link_allowed(found.subject.path, target) {
        let target = target.clone();
        found.add_breach(Breach::LinkOutside { target });
    }
    if !is_spelled_well(target) {
        found.add(Rule::TopLevelCase, format!("its target is `{target}`"));
    }
}

fn check_file(file: &File<'_>, is_base: bool, found: &mut Findings<'_>) {
    let path = found.subject.path;
    check_top(file, is_base, found);
    if hive::is_hive(path) && (file.is_directory() || file.reparse.is_some()) {
        found.add(Rule::HiveKind, "");
    }
    if layout::is_below(path, HIVES) && !hive::is_name_known(path, is_base) {
        found.add(Rule::HiveName, "");
    }
    check_reparse_point(file, found);
    match file.security {
        Some(bytes) => check_security(bytes, found),
        // Hives are written without a descriptor, and the import makes the top directories.
        None if is_removable(path) => found.add(Rule::SecurityMissing, ""),
        None => {}
    }
    if let Some(Err(error)) = file.ea.map(Ea::check) {
        found.add(Rule::EaMalformed, error.to_string());
    }
}

fn check_reparse_point(file: &File<'_>, found: &mut Findings<'_>) {
    let is_marked = file.attributes.contains(FileAttributes::REPARSE_POINT);
    let Some(buffer) = file.reparse else {
        if is_marked {
            found.add(Rule::ReparseDataMissing, "");
        }
        return;
    };
    if !is_marked {
        found.add(Rule::ReparseAttributeMissing, "");
    }
    let point = match ReparsePoint::decode(buffer) {
        Ok(point) => point,
        Err(error) => return found.add(Rule::ReparseMalformed, error.to_string()),
    };
    if let ReparsePoint::Other { tag, .. } = point {
        return found.add(Rule::ReparseTag, format!("its tag is {:#x}", tag.0));
    }
    let target = point.target().unwrap_or_default();
    if target.is_empty() {
        found.add(Rule::ReparseNoTarget, "");
    }
    if starts_in_files(&target) {
        let detail = format!("its target is `{}`", wide::display(&target));
        found.add(Rule::SymlinkFilesPrefix, detail);
    }
}

fn starts_in_files(target: &[u8]) -> bool {
    target
        .split_at_checked(FILES.len())
        .is_some_and(|(start, rest)| {
            start.eq_ignore_ascii_case(FILES.as_bytes())
                && matches!(rest.first(), Some(b'/' | b'\\'))
        })
}

fn check_security(bytes: &[u8], found: &mut Findings<'_>) {
    let descriptor = match SecurityDescriptor::parse(bytes) {
        Ok(descriptor) => descriptor,
        Err(error) => return found.add(Rule::SecurityMalformed, error.to_string()),
    };
    if descriptor.owner.is_none() {
        found.add(Rule::SecurityNoOwner, "");
    }
    if !matches!(descriptor.dacl, AclSlot::Present(_)) {
        found.add(Rule::SecurityNoDacl, "");
    }
}

/// Checks the directories that a layer consists of.
fn check_top(file: &File<'_>, is_base: bool, found: &mut Findings<'_>) {
    let path = found.subject.path;
    let is_one_of = |names: &[&str]| names.iter().any(|name| layout::is(path, name));
    let is_plain = file.is_plain_directory();
    if !is_plain && is_one_of(&[FILES, HIVES, UTILITY_VM, UTILITY_VM_FILES]) {
        found.add_breach(Breach::NotAPlainDirectory { path: path.clone() });
    }
    if is_base {
        return;
    }
    let has_metadata = file.security.is_some() || file.ea.is_some();
    if layout::is(path, UTILITY_VM) && is_plain && has_metadata {
        found.add(Rule::UtilityVmMetadata, "");
    }
    if layout::is_below(path, UTILITY_VM) && !layout::is_in(path, UTILITY_VM_FILES) {
        found.add_breach(Breach::OutsideUtilityVmFiles);
    }
}
