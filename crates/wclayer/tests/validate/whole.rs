//! Rows of rules on a whole layer, with its parents.

use wclayer::validate::Rule;

use crate::Start::{Above, AboveVm, Bare, Base, Nothing};
use crate::{BCD, Build, HIVES, Row, Start, directory, file, link, vm};

fn row(rule: Rule, start: Start, breaks: Build, keeps: Build) -> Row {
    Row {
        rule,
        start,
        breaks,
        keeps,
    }
}

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = places();
    rows.extend(links());
    rows.extend(whiteouts());
    rows.extend(machine());
    rows
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
                // A directory takes the place of the parent's file.
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
            Rule::LinkToDirectory,
            Base,
            |tar| tar.hard_link("Files/a", "Files/Windows", &file()),
            |tar| tar.symlink("Files/a", "Windows", &link()),
        ),
        row(
            Rule::LinkLoop,
            Above,
            |tar| {
                tar.hard_link("Files/a", "Files/b", &file())?;
                tar.hard_link("Files/b", "Files/a", &file())
            },
            |tar| {
                tar.hard_link("Files/a", "Files/b", &file())?;
                tar.hard_link("Files/b", "Files/c", &file())?;
                tar.file("Files/c", &file(), b"")
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
            Rule::LinkToParent,
            Above,
            |tar| tar.hard_link("Files/a", "Files/OLD.txt", &file()),
            |tar| {
                tar.file("Files/old.txt", &file(), b"")?;
                tar.hard_link("Files/a", "Files/OLD.txt", &file())
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
    (0..count).try_for_each(|number| {
        let target = if number % 2 == 0 {
            "Files/a"
        } else {
            "Files/A"
        };
        tar.hard_link(&format!("Files/{number}"), target, &file())
    })
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
                tar.directory("hives", &directory())?;
                tar.directory("files", &directory())
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
        row(Rule::UtilityVmParent, Above, vm, |tar| {
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
