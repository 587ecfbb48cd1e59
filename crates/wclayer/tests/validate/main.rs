//! `validate`: for every rule, a layer that breaks only that rule, and a near miss that breaks
//! none.

mod bytes;
mod entries;
mod headers;
mod peers;
mod properties;
mod rows;
mod sources;
mod vectors;
mod whole;

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::PathBuf;

use layergen::{Meta, TarBuilder, minimal_hive, standard_descriptors};
use tempfile::TempDir;
use wclayer::ParentChain;
use wclayer::rules::Rule;
use wclayer::source::{self, OpenOptions};
use wclayer::validate::{Report, validate_tar};

type Tar = TarBuilder<Vec<u8>>;
type Build = fn(&mut Tar) -> std::io::Result<()>;

const HIVES: [&str; 5] = ["DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM"];
const BCD: &str = "UtilityVM/Files/EFI/Microsoft/Boot/BCD";

/// The content of a layer before the additions of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Empty, without parents.
    Nothing,
    /// The required content of a base layer.
    Base,
    /// Empty, on top of a base layer.
    Bare,
    /// The required content on top of a base layer that has `Files/old.txt` and `Files/dir`.
    Above,
    /// The same on top of a base layer with a utility VM.
    AboveVm,
    /// The same with a layer without a utility VM in between.
    AboveMiddle,
}

fn directory() -> Meta {
    Meta {
        security_descriptor: standard_descriptors().pop(),
        ..Meta::with_attributes(0x10)
    }
}

fn file() -> Meta {
    Meta {
        security_descriptor: standard_descriptors().into_iter().next(),
        ..Meta::with_attributes(0x20)
    }
}

fn link() -> Meta {
    Meta {
        attributes: Some(0x420),
        ..file()
    }
}

/// A file's metadata with an additional record.
fn with(key: &str, value: &[u8]) -> Meta {
    let mut meta = file();
    meta.records.push((key.to_owned(), value.to_vec()));
    meta
}

/// Returns a file's metadata with this descriptor.
fn secured(descriptor: &[u8]) -> Meta {
    Meta {
        security_descriptor: Some(descriptor.to_vec()),
        ..file()
    }
}

fn base(tar: &mut Tar) -> std::io::Result<()> {
    for path in [
        "",
        "/Windows",
        "/Windows/System32",
        "/Windows/System32/config",
    ] {
        tar.directory(&format!("Files{path}"), &directory())?;
    }
    for hive in HIVES {
        let path = format!("Files/Windows/System32/config/{hive}");
        tar.file(&path, &file(), &minimal_hive(hive, false))?;
    }
    Ok(())
}

fn vm(tar: &mut Tar) -> std::io::Result<()> {
    vm_in(tar, "UtilityVM/Files")
}

/// Writes a utility VM whose directory of files has the given name.
fn vm_in(tar: &mut Tar, files: &str) -> std::io::Result<()> {
    tar.directory("UtilityVM", &Meta::with_attributes(0x10))?;
    tar.directory(files, &directory())?;
    for path in [
        "/Files/EFI",
        "/Files/EFI/Microsoft",
        "/Files/EFI/Microsoft/Boot",
    ] {
        tar.directory(&format!("UtilityVM{path}"), &directory())?;
    }
    tar.file(BCD, &file(), &minimal_hive("BCD", false))
}

fn parent(tar: &mut Tar, has_vm: bool) -> std::io::Result<()> {
    base(tar)?;
    tar.file("Files/old.txt", &file(), b"old")?;
    tar.directory("Files/dir", &directory())?;
    tar.file("Files/dir/in.txt", &file(), b"in")?;
    match has_vm {
        true => vm(tar),
        false => Ok(()),
    }
}

/// Builds a tar.
fn tar(start: Start, build: Build) -> Vec<u8> {
    let mut tar = TarBuilder::new(Vec::new());
    let above = |tar: &mut Tar| {
        tar.directory("Files", &directory())?;
        tar.directory("Hives", &directory())
    };
    match start {
        Start::Nothing | Start::Bare => Ok(()),
        Start::Base => base(&mut tar),
        Start::Above | Start::AboveVm | Start::AboveMiddle => above(&mut tar),
    }
    .and_then(|()| build(&mut tar))
    .expect("memory");
    tar.finish().expect("memory")
}

/// The parents of a layer with this start, in a folder that is deleted with them.
fn parents(start: Start) -> Option<(wclayer::view::View, TempDir, PathBuf)> {
    let has_vm = match start {
        Start::Nothing | Start::Base => return None,
        Start::Bare | Start::Above => false,
        Start::AboveVm | Start::AboveMiddle => true,
    };
    let mut builder = TarBuilder::new(Vec::new());
    parent(&mut builder, has_vm).expect("memory");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("base.tar");
    std::fs::write(&path, builder.finish().expect("memory")).expect("free");
    let mut options = OpenOptions::default();
    let mut nearest = path.clone();
    if start == Start::AboveMiddle {
        nearest = folder.path().join("middle.tar");
        std::fs::write(&nearest, tar(Start::Above, |_| Ok(()))).expect("free");
        options.parents = ParentChain::from_nearest_first([&path]);
    }
    let view = source::open(&nearest, &options, &()).expect("a layer");
    Some((view, folder, path))
}

fn check(start: Start, tar: Vec<u8>) -> Report {
    let parents = parents(start);
    let view = parents.as_ref().map(|(view, ..)| view);
    validate_tar(Cursor::new(tar), view, 3, &()).expect("it can be read")
}

fn broken(report: &Report) -> BTreeSet<&'static str> {
    report.rules.keys().map(|rule| rule.info().id).collect()
}

/// A rule, a layer that breaks only that rule, and a similar layer that breaks none.
struct Row {
    rule: Rule,
    start: Start,
    breaks: Build,
    keeps: Build,
}

#[test]
fn every_rule_can_be_broken_alone_and_is_kept_by_a_near_miss() {
    let mut seen: BTreeSet<Rule> = bytes::RULES.iter().copied().collect();
    // `a_file_of_8_gib_is_large`
    seen.insert(Rule::LargeFile);
    for row in rows::rows() {
        let id = row.rule.info().id;
        let report = check(row.start, tar(row.start, row.breaks));
        assert_eq!(broken(&report), [id].into(), "{id} is broken: {report:#?}");
        let report = check(row.start, tar(row.start, row.keeps));
        assert_eq!(broken(&report), [].into(), "{id} is kept: {report:#?}");
        assert!(seen.insert(row.rule), "{id} has one row");
    }
    for rule in Rule::ALL {
        assert!(seen.contains(rule), "{} has no row", rule.info().id);
    }
}

#[test]
fn the_start_of_the_rows_breaks_no_rule() {
    for start in [Start::Base, Start::Above, Start::AboveVm] {
        let report = check(start, tar(start, |_| Ok(())));
        assert_eq!(broken(&report), [].into(), "{start:?}");
        assert!(report.is_complete);
    }
}

#[test]
fn a_finding_names_the_entry_and_its_byte() {
    let bytes = tar(Start::Above, |tar| {
        tar.file("Files/a", &file(), b"")?;
        tar.file("Files/nul", &file(), b"")
    });
    let at = bytes
        .windows(9)
        .rposition(|name| name == b"Files/nul")
        .expect("the finding exists");
    let report = check(Start::Above, bytes);
    let found = &report.rules[&Rule::PathReservedName].first[0];
    assert_eq!(found.entry, "Files/nul");
    // This is the second header: the extended header and its records come first.
    assert!(
        found
            .offset
            .is_some_and(|offset| offset + 1024 == at as u64),
        "{found:?} {at}"
    );
}

#[test]
fn the_pass_continues_after_an_error_and_counts_all_of_them() {
    let bytes = tar(Start::Above, |tar| {
        for number in 0..7 {
            tar.file(&format!("Files/..{number}/../x"), &file(), b"content")?;
        }
        tar.file("Files/bad", &with("MSWINDOWS.fileattr", b"x"), b"")?;
        tar.raw_entry("Files/device", b'3', &[], b"")
    });
    let report = check(Start::Above, bytes);
    assert_eq!(
        broken(&report),
        ["path-parent", "tar-entry-type", "tar-record"].into()
    );
    let found = &report.rules[&Rule::PathParent];
    assert_eq!((found.count, found.first.len()), (7, 3));
    assert_eq!(report.entries, 11);
}
