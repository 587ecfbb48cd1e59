//! Rows of rules on a whole layer, including its parents.

use layergen::{Meta, minimal_hive};
use wclayer::rules::Rule;

use crate::Start::{Above, AboveMiddle, AboveVm, Bare, Base, Nothing};
use crate::{BCD, Build, HIVES, Row, Start, directory, file, link, vm};

fn row(rule: Rule, start: Start, breaks: Build, keeps: Build) -> Row {
    Row {
        rule,
        start,
        breaks,
        keeps,
    }
}

/// Returns the metadata of a link to a directory.
fn directory_link() -> Meta {
    Meta {
        attributes: Some(0x410),
        ..directory()
    }
}

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = places();
    rows.extend(links());
    rows.extend(whiteouts());
    rows.extend(machine());
    rows
}

/// Writes a hive in place of the base layer's, and a delta.
fn hives(tar: &mut crate::Tar, base: &str, delta: &str) -> std::io::Result<()> {
    for path in ["", "/System32", "/System32/config"] {
        tar.directory(&format!("Files/Windows{path}"), &directory())?;
    }
    let path = format!("Files/Windows/System32/config/{base}");
    tar.file(&path, &file(), &minimal_hive(base, false))?;
    tar.file(
        &format!("Hives/{delta}"),
        &file(),
        &minimal_hive(delta, true),
    )
}

fn places() -> Vec<Row> {
    vec![
        row(
            Rule::ParentMissing,
            Above,
            |tar| tar.file("Files/dir/a", &file(), b""),
            |tar| {
                tar.directory("Files/dir", &directory())?;
                tar.file("Files/dir/a", &file(), b"")
            },
        ),
        row(
            Rule::ChildBeforeParent,
            Above,
            |tar| {
                tar.file("Files/new/a", &file(), b"")?;
                tar.directory("Files/new", &directory())
            },
            |tar| {
                tar.directory("Files/new", &directory())?;
                tar.file("Files/new/a", &file(), b"")
            },
        ),
        row(
            Rule::BelowFile,
            Above,
            |tar| {
                tar.file("Files/a", &file(), b"")?;
                tar.file("Files/a/b", &file(), b"")
            },
            |tar| {
                // A directory replaces the parent's file.
                tar.directory("Files/old.txt", &directory())?;
                tar.file("Files/old.txt/b", &file(), b"")
            },
        ),
        row(
            Rule::BelowReparsePoint,
            Above,
            |tar| {
                tar.junction(
                    "Files/a",
                    "C:\\Windows",
                    &crate::Meta {
                        attributes: Some(0x410),
                        ..directory()
                    },
                )?;
                tar.file("Files/a/b", &file(), b"")
            },
            |tar| {
                tar.junction(
                    "Files/a",
                    "C:\\Windows",
                    &crate::Meta {
                        attributes: Some(0x410),
                        ..directory()
                    },
                )
            },
        ),
        row(
            Rule::DuplicateKind,
            Above,
            |tar| {
                tar.file("Files/a", &file(), b"")?;
                tar.symlink("Files/a", "b", &link())
            },
            |tar| {
                tar.file("Files/a", &file(), b"")?;
                tar.symlink("Files/c", "b", &link())
            },
        ),
        row(
            Rule::Duplicate,
            Above,
            |tar| {
                tar.file("Files/a", &file(), b"1")?;
                tar.file("Files/a", &file(), b"2")
            },
            |tar| tar.file("Files/a", &file(), b"1"),
        ),
        row(
            Rule::CaseTwin,
            Above,
            |tar| {
                tar.file("Files/ä", &file(), b"1")?;
                tar.file("Files/Ä", &file(), b"2")
            },
            |tar| {
                tar.file("Files/ss", &file(), b"1")?;
                tar.file("Files/ß", &file(), b"2")
            },
        ),
    ]
}

fn links() -> Vec<Row> {
    vec![
        row(
            Rule::LinkTargetMissing,
            Above,
            |tar| tar.hard_link("Files/a", "Files/nothing", &file()),
            |tar| tar.symlink("Files/a", "nothing", &link()),
        ),
        row(
            Rule::SymlinkKind,
            Above,
            |tar| tar.symlink("Files/a", "dir", &link()),
            |tar| tar.symlink("Files/a", "dir", &directory_link()),
        ),
        row(
            Rule::HiveWithoutDelta,
            Above,
            |tar| hives(tar, "SYSTEM", "Software_Delta"),
            |tar| hives(tar, "SYSTEM", "System_Delta"),
        ),
        row(
            Rule::LinkToDirectory,
            Base,
            |tar| tar.hard_link("Files/a", "Files/Windows", &file()),
            |tar| tar.symlink("Files/a", "Windows", &directory_link()),
        ),
        row(
            Rule::LinkLoop,
            Above,
            |tar| {
                tar.hard_link("Files/a", "Files/b", &file())?;
                tar.hard_link("Files/b", "Files/a", &file())
            },
            |tar| {
                tar.file("Files/c", &file(), b"")?;
                tar.hard_link("Files/b", "Files/c", &file())?;
                tar.hard_link("Files/a", "Files/b", &file())
            },
        ),
        row(
            Rule::LinkBeforeTarget,
            Base,
            |tar| {
                tar.hard_link("Files/a", "Files/b", &file())?;
                tar.file("Files/b", &file(), b"")
            },
            |tar| {
                tar.file("Files/b", &file(), b"")?;
                tar.hard_link("Files/a", "Files/b", &file())
            },
        ),
        row(
            Rule::LinkTargetCase,
            Above,
            |tar| {
                tar.file("Files/b", &file(), b"")?;
                tar.hard_link("Files/a", "Files/B", &file())
            },
            |tar| {
                tar.file("Files/b", &file(), b"")?;
                tar.hard_link("Files/a", "Files/b", &file())
            },
        ),
        row(
            Rule::LinkToParent,
            Above,
            |tar| tar.hard_link("Files/a", "Files/OLD.txt", &file()),
            |tar| {
                tar.file("Files/old.txt", &file(), b"")?;
                tar.hard_link("Files/a", "Files/old.txt", &file())
            },
        ),
        row(
            Rule::LinkTooMany,
            Base,
            |tar| many_links(tar, 1024),
            |tar| many_links(tar, 1023),
        ),
    ]
}

fn many_links(tar: &mut crate::Tar, count: u32) -> std::io::Result<()> {
    tar.file("Files/a", &file(), b"")?;
    tar.hard_link("Files/b", "Files/a", &file())?;
    (1..count).try_for_each(|number| {
        let target = if number % 2 == 0 {
            "Files/a"
        } else {
            "Files/b"
        };
        tar.hard_link(&format!("Files/{number}"), target, &file())
    })
}

/// Links that each lead to the previous one; the first leads to the last or to a file.
fn link_chain(count: u32, is_ring: bool) -> Vec<u8> {
    let mut tar = layergen::TarBuilder::new(Vec::new());
    let fill = |tar: &mut crate::Tar| {
        let last = format!("Files/{}", count - 1);
        let first = if is_ring { &*last } else { "Files/file" };
        tar.directory("Files/", &directory())?;
        tar.file("Files/file", &file(), b"")?;
        tar.hard_link("Files/0", first, &file())?;
        (1..count).try_for_each(|number| {
            let target = format!("Files/{}", number - 1);
            tar.hard_link(&format!("Files/{number}"), &target, &file())
        })
    };
    fill(&mut tar).expect("memory");
    tar.finish().expect("memory")
}

#[test]
fn chains_of_links_are_limited_by_the_number_of_names_on_ntfs() {
    let found = |count| {
        let report = crate::check(Start::Nothing, link_chain(count, false));
        let found = report.rules.get(&Rule::LinkTooMany);
        found.map_or(0, |found| found.count)
    };
    assert_eq!(found(1023), 0);
    // The link that leads too far, and the file with too many names.
    assert_eq!(found(1024), 2);
}

#[test]
fn every_link_of_a_cycle_is_reported() {
    let report = crate::check(Start::Nothing, link_chain(1500, true));
    assert_eq!(report.rules[&Rule::LinkLoop].count, 1500);
}

fn whiteouts() -> Vec<Row> {
    vec![
        row(
            Rule::WhiteoutInBase,
            Base,
            |tar| tar.whiteout("Files/a"),
            |tar| tar.file("Files/a", &file(), b""),
        ),
        row(
            Rule::WhiteoutPlace,
            AboveVm,
            |tar| tar.whiteout("UtilityVM"),
            |tar| tar.whiteout(BCD),
        ),
        row(
            Rule::WhiteoutOfNothing,
            Above,
            |tar| tar.whiteout("Files/nothing"),
            |tar| tar.whiteout("Files/OLD.TXT"),
        ),
        row(
            Rule::WhiteoutUtilityVm,
            AboveVm,
            |tar| tar.whiteout("UtilityVM/Files/nothing"),
            |tar| tar.whiteout(BCD),
        ),
        row(
            Rule::WhiteoutAndDirectory,
            Above,
            |tar| {
                tar.directory("Files/dir", &directory())?;
                tar.file("Files/dir/new", &file(), b"")?;
                tar.whiteout("Files/dir")
            },
            |tar| {
                tar.directory("Files/dir", &directory())?;
                tar.file("Files/dir/new", &file(), b"")?;
                tar.whiteout("Files/dir/in.txt")
            },
        ),
        row(
            Rule::WhiteoutAndEntry,
            Above,
            |tar| {
                tar.file("Files/old.txt", &file(), b"new")?;
                tar.whiteout("Files/old.txt")
            },
            |tar| tar.file("Files/old.txt", &file(), b"new"),
        ),
    ]
}

fn machine() -> Vec<Row> {
    vec![
        row(
            Rule::FilesMissing,
            Bare,
            |tar| tar.directory("Hives", &directory()),
            |tar| {
                tar.directory("Hives", &directory())?;
                tar.directory("Files", &directory())
            },
        ),
        row(
            Rule::HivesMissing,
            Bare,
            |tar| tar.directory("Files", &directory()),
            |tar| {
                tar.directory("Files", &directory())?;
                tar.directory("Hives", &directory())
            },
        ),
        row(
            Rule::BaseHiveMissing,
            Nothing,
            |tar| without_hive(tar, 1),
            |tar| without_hive(tar, 0),
        ),
        row(
            Rule::BcdMissing,
            Base,
            |tar| {
                tar.directory("UtilityVM", &directory())?;
                tar.directory("UtilityVM/Files", &directory())
            },
            vm,
        ),
        row(
            Rule::UtilityVmFilesMissing,
            Base,
            |tar| tar.directory("UtilityVM", &directory()),
            vm,
        ),
        row(Rule::UtilityVmParent, AboveMiddle, vm, |tar| {
            tar.file("Files/a", &file(), b"")
        }),
    ]
}

fn without_hive(tar: &mut crate::Tar, missing: usize) -> std::io::Result<()> {
    for path in [
        "",
        "/Windows",
        "/Windows/System32",
        "/Windows/System32/config",
    ] {
        tar.directory(&format!("Files{path}"), &directory())?;
    }
    for hive in &HIVES[missing..] {
        let path = format!("Files/Windows/System32/config/{hive}");
        tar.file(&path, &file(), &layergen::minimal_hive(hive, false))?;
    }
    Ok(())
}

#[test]
fn link_targets_are_earlier_entries_or_in_the_parents() {
    let row = |start: Start, build: Build| -> Vec<(&str, String)> {
        let report = crate::check(start, crate::tar(start, build));
        let found = report.rules.iter();
        found
            .map(|(rule, found)| (rule.info().id, found.first[0].detail.clone()))
            .collect()
    };
    let old = |tar: &mut crate::Tar| {
        tar.hard_link("Files/a", "Files/old.txt", &file())?;
        tar.file("Files/old.txt", &file(), b"new")
    };
    let detail = "the target is `Files/old.txt`; it links to a parent's file at that path";
    assert_eq!(row(Above, old), [("link-before-target", detail.to_owned())]);
    let later = |tar: &mut crate::Tar| {
        tar.hard_link("Files/a", "Files/b", &file())?;
        tar.file("Files/b", &file(), b"new")
    };
    let detail = "the target is `Files/b`";
    for start in [Above, Base] {
        assert_eq!(
            row(start, later),
            [("link-before-target", detail.to_owned())]
        );
    }
    // The utility VM exists from the start, as a copy of the parent's.
    let in_vm = |tar: &mut crate::Tar| {
        tar.directory("UtilityVM", &directory())?;
        tar.hard_link("UtilityVM/Files/a", &BCD.to_ascii_uppercase(), &file())
    };
    let found = row(AboveVm, in_vm);
    assert!(
        !found.iter().any(|(id, _)| id.starts_with("link-before")),
        "{found:?}"
    );
}

#[test]
fn a_whiteout_removes_new_files_but_not_new_links() {
    let broken = |start, build: Build| -> Vec<&str> {
        let found = crate::broken(&crate::check(start, crate::tar(start, build)));
        found.into_iter().collect()
    };
    let link = |tar: &mut crate::Tar| {
        tar.file("Files/a", &file(), b"")?;
        tar.hard_link("Files/old.txt", "Files/a", &file())?;
        tar.whiteout("Files/old.txt")
    };
    assert_eq!(broken(Above, link), [""; 0]);
    // In the utility VM, the order of the entries matters.
    let before = |tar: &mut crate::Tar| {
        tar.directory("UtilityVM", &crate::Meta::with_attributes(0x10))?;
        tar.whiteout(BCD)?;
        tar.file(BCD, &file(), &layergen::minimal_hive("BCD", false))
    };
    assert_eq!(broken(AboveVm, before), [""; 0]);
    let behind = |tar: &mut crate::Tar| {
        vm(tar)?;
        tar.whiteout(BCD)
    };
    assert_eq!(broken(AboveVm, behind), ["whiteout-and-entry"]);
}

/// The parent's VM is copied when `UtilityVM` occurs, and not before.
#[test]
fn directories_of_the_copied_utility_vm_need_no_entry() {
    let top =
        |tar: &mut crate::Tar| tar.directory("UtilityVM", &crate::Meta::with_attributes(0x10));
    let boot =
        |tar: &mut crate::Tar| tar.file("UtilityVM/Files/EFI/Microsoft/Boot/new", &file(), b"");
    let broken = |build: &dyn Fn(&mut crate::Tar) -> std::io::Result<()>| -> Vec<&str> {
        let mut tar = layergen::TarBuilder::new(Vec::new());
        tar.directory("Files", &directory()).expect("memory");
        tar.directory("Hives", &directory()).expect("memory");
        build(&mut tar).expect("memory");
        let found = crate::broken(&crate::check(AboveVm, tar.finish().expect("memory")));
        found.into_iter().collect()
    };
    assert_eq!(broken(&|tar| top(tar).and_then(|()| boot(tar))), [""; 0]);
    let missing = ["parent-missing"];
    assert_eq!(broken(&|tar| boot(tar).and_then(|()| top(tar))), missing);
    let new = |tar: &mut crate::Tar| {
        top(tar)?;
        tar.file("UtilityVM/Files/new/a", &file(), b"")
    };
    assert_eq!(broken(&new), missing);
}

#[test]
fn each_hive_of_the_base_has_its_delta() {
    let pairs = [
        ("DEFAULT", "DefaultUser_Delta"),
        ("SAM", "Sam_Delta"),
        ("SECURITY", "Security_Delta"),
        ("SOFTWARE", "Software_Delta"),
        ("system", "SYSTEM_DELTA"),
    ];
    for (hive, its_delta) in pairs {
        for (_, delta) in pairs {
            let mut tar = layergen::TarBuilder::new(Vec::new());
            tar.directory("Files", &directory()).expect("memory");
            tar.directory("Hives", &directory()).expect("memory");
            hives(&mut tar, hive, delta).expect("memory");
            let report = crate::check(Above, tar.finish().expect("memory"));
            let expected = match delta == its_delta {
                true => [].into(),
                false => ["hive-without-delta"].into(),
            };
            assert_eq!(crate::broken(&report), expected, "{hive} {delta}");
        }
    }
}

#[test]
fn windows_links_lead_to_the_kind_they_are_marked_with() {
    type Add = fn(&mut crate::Tar, &Meta) -> std::io::Result<()>;
    let rows: [(&str, Add, bool, bool); 10] = [
        (
            "a directory of the layer",
            |tar, meta| {
                tar.directory("Files/new", &directory())?;
                tar.symlink("Files/a", "new", meta)
            },
            true,
            false,
        ),
        (
            "a file that comes later",
            |tar, meta| {
                tar.symlink("Files/a", r"\new", meta)?;
                tar.file("Files/new", &file(), b"")
            },
            false,
            true,
        ),
        (
            "a directory of the parent, in another case",
            |tar, meta| tar.symlink("Files/a", r"C:\DIR", meta),
            true,
            false,
        ),
        (
            "a file of the parent",
            |tar, meta| tar.symlink("Files/a", "old.txt", meta),
            false,
            true,
        ),
        (
            "a hard link",
            |tar, meta| {
                tar.hard_link("Files/b", "Files/old.txt", &file())?;
                tar.symlink("Files/a", "b", meta)
            },
            false,
            true,
        ),
        (
            "a removed path",
            |tar, meta| {
                tar.whiteout("Files/old.txt")?;
                tar.symlink("Files/a", "old.txt", meta)
            },
            true,
            true,
        ),
        (
            "a file that replaces a directory of the parent",
            |tar, meta| {
                tar.file("Files/dir", &file(), b"")?;
                tar.symlink("Files/a", "dir", meta)
            },
            false,
            true,
        ),
        (
            "nothing that is known",
            |tar, meta| tar.symlink("Files/a", "nowhere", meta),
            true,
            true,
        ),
        (
            "elsewhere",
            |tar, meta| tar.symlink("Files/a", r"D:\dir", meta),
            true,
            true,
        ),
        (
            "the volume",
            |tar, meta| tar.symlink("Files/a", r"C:\", meta),
            true,
            false,
        ),
    ];
    for (what, add, to_directory, to_file) in rows {
        for (meta, is_right) in [(directory_link(), to_directory), (link(), to_file)] {
            let mut tar = layergen::TarBuilder::new(Vec::new());
            tar.directory("Files", &directory()).expect("memory");
            tar.directory("Hives", &directory()).expect("memory");
            add(&mut tar, &meta).expect("memory");
            let report = crate::check(Above, tar.finish().expect("memory"));
            let is_told = report.rules.contains_key(&Rule::SymlinkKind);
            assert_eq!(is_told, !is_right, "{what}: {report:#?}");
        }
    }
    let junction = |target: &'static str| {
        let mut tar = layergen::TarBuilder::new(Vec::new());
        tar.directory("Files", &directory()).expect("memory");
        tar.directory("Hives", &directory()).expect("memory");
        tar.junction("Files/a", target, &directory_link())
            .expect("memory");
        crate::broken(&crate::check(Above, tar.finish().expect("memory")))
    };
    assert_eq!(junction(r"C:\dir"), [].into());
    assert_eq!(junction(r"C:\old.txt"), ["symlink-kind"].into());
}
