//! Valid content of layers, where the reference is stricter or looser, and interrupted operations.

use std::io::Cursor;
use std::sync::atomic::{AtomicU32, Ordering};

use layergen::TarBuilder;
use wclayer::hcs::{self, Contents, ImportOptions};
use wclayer::tar::TarLayerReader;
use wclayer::volume::Privilege;
use wclayer::volume::Volume;
use wclayer::{Error, ErrorKind, Progress};

use crate::layers;
use crate::support::{APP, BASE, Machine, below, chain, directory, file, messages, tar};

type Build = fn(&mut TarBuilder<Vec<u8>>) -> std::io::Result<()>;

fn two_layers(build: Build) -> (Machine, Result<hcs::ImportSummary, Error>) {
    let machine = Machine::without_filter();
    machine.import(&layers::base(), BASE, &[]).unwrap();
    let tar = tar(|tar| {
        tar.directory("Files", &directory(0))?;
        build(tar)
    });
    let result = machine.import(&tar, APP, &[BASE]);
    machine.assert_nothing_left("after the import");
    (machine, result)
}

#[test]
fn links_before_their_target_and_to_links_share_one_file() {
    let build: Build = |tar| {
        tar.hard_link("Files/a", "Files/b", &file(1))?;
        tar.hard_link("Files/b", "Files/c", &file(1))?;
        tar.file("Files/c", &file(1), b"content")?;
        tar.hard_link("Files/d", "FILES/B", &file(1))
    };
    let (above, result) = two_layers(build);
    result.unwrap();
    let alone = Machine::new();
    let tar = tar(|tar| {
        tar.directory("Files", &directory(0))?;
        build(tar)
    });
    alone.import(&tar, APP, &[]).unwrap();
    for machine in [above, alone] {
        for name in ["a", "b", "c", "d"] {
            let object = machine.windows.look(format!("{APP}/Files/{name}")).unwrap();
            assert_eq!(
                (&object.data[..], object.links),
                (&b"content"[..], 4),
                "{name}"
            );
        }
    }
}

/// hcsshim `internal/wclayer/legacy.go`, `AddLink`: a target below `Files` may be in a parent; a
/// target below `UtilityVM/Files` is in the layer's own clone.
#[test]
fn links_lead_from_files_to_the_utility_vm_and_back() {
    let (machine, result) = two_layers(|tar| {
        tar.directory("UtilityVM", &directory(1))?;
        tar.hard_link("UtilityVM/Files/new", "Files/new", &file(1))?;
        tar.hard_link(
            "UtilityVM/Files/Windows/old.sys",
            "Files/Windows/a.dll",
            &file(1),
        )?;
        tar.file("Files/new", &file(1), b"of the volume")?;
        tar.hard_link("Files/kept", "UtilityVM/Files/Windows/kept.sys", &file(1))?;
        tar.file("UtilityVM/Files/live", &file(1), b"of the VM")?;
        tar.hard_link("Files/live", "UtilityVM/Files/live", &file(1))
    });
    result.unwrap();
    for (one, other, content) in [
        ("UtilityVM/Files/new", "Files/new", &b"of the volume"[..]),
        ("UtilityVM/Files/live", "Files/live", b"of the VM"),
        ("UtilityVM/Files/Windows/kept.sys", "Files/kept", b"kept"),
        ("UtilityVM/Files/Windows/old.sys", "", &[7; 3000]),
    ] {
        let look = |path| machine.windows.look(format!("{APP}/{path}")).unwrap();
        assert_eq!(look(one).data, content, "{one}");
        if !other.is_empty() {
            assert_eq!(look(other).data, content, "{other}");
            assert!(
                look(one).links > 1 && look(one).links == look(other).links,
                "{one}"
            );
        }
    }
    let alone = Machine::new();
    let tar = tar(|tar| {
        tar.directory("Files", &directory(0))?;
        tar.directory("UtilityVM", &directory(0))?;
        tar.directory("UtilityVM/Files", &directory(0))?;
        tar.hard_link("UtilityVM/Files/a", "Files/a", &file(1))?;
        tar.file("Files/a", &file(1), b"content")?;
        tar.hard_link("Files/b", "UtilityVM/Files/a", &file(1))
    });
    alone.import(&tar, APP, &[]).unwrap();
    for name in ["Files/a", "Files/b", "UtilityVM/Files/a"] {
        let object = alone.windows.look(format!("{APP}/{name}")).unwrap();
        assert_eq!(
            (&object.data[..], object.links),
            (&b"content"[..], 3),
            "{name}"
        );
    }
}

#[test]
fn a_link_that_replaces_a_file_of_the_parent_does_not_change_the_parent() {
    let (machine, result) = two_layers(|tar| {
        tar.directory("Files/Windows", &directory(1))?;
        tar.hard_link("Files/Windows/changed.txt", "Files/Windows/a.dll", &file(1))
    });
    result.unwrap();
    let data = |layer| {
        machine
            .windows
            .data(format!("{layer}/Files/Windows/changed.txt"))
            .unwrap()
    };
    assert_eq!(data(APP), [7; 3000]);
    assert_eq!(data(BASE), b"of the base");
}

#[test]
fn invalid_entries_are_named_and_leave_nothing_behind() {
    let rules: [(&str, Build, &str); 15] = [
        (
            "Files/bad",
            |tar| tar.hard_link("Files/bad", "Files/nowhere", &file(1)),
            "Files/nowhere",
        ),
        (
            "Files/bad",
            |tar| tar.hard_link("Files/bad", "Files/Windows", &file(1)),
            "Files/Windows",
        ),
        (
            "Files/bad",
            |tar| tar.hard_link("Files/bad", "Hives/System_Delta", &file(1)),
            "hard link",
        ),
        (
            "Hives/bad",
            |tar| tar.hard_link("Hives/bad", "Files/Windows/a.dll", &file(1)),
            "hard link",
        ),
        (
            "Files/bad",
            // The layer has no utility VM of its own.
            |tar| tar.hard_link("Files/bad", "UtilityVM/Files/Windows/kept.sys", &file(1)),
            "UtilityVM/Files/Windows/kept.sys",
        ),
        (
            "Files/X",
            |tar| {
                tar.file("Files/x", &file(1), b"content")?;
                tar.hard_link("Files/X", "Files/Windows/a.dll", &file(1))
            },
            "another entry at the same path",
        ),
        (
            "Files/x",
            |tar| {
                tar.hard_link("Files/X", "Files/Windows/a.dll", &file(1))?;
                tar.file("Files/x", &file(1), b"content")
            },
            "another entry at the same path",
        ),
        (
            "Files/x",
            |tar| {
                tar.file("Files/x", &file(1), b"content")?;
                tar.symlink("Files/x", "Windows", &file(1))
            },
            "another entry at the same path",
        ),
        (
            "UtilityVM/Files/x",
            |tar| {
                tar.directory("UtilityVM", &directory(1))?;
                tar.file("UtilityVM/Files/x", &file(1), b"content")?;
                tar.hard_link("UtilityVM/Files/x", "Files/Windows/a.dll", &file(1))
            },
            "another entry at the same path",
        ),
        (
            "UtilityVM/other",
            |tar| {
                tar.directory("UtilityVM", &directory(1))?;
                tar.file("UtilityVM/other", &file(1), b"x")
            },
            "UtilityVM/Files",
        ),
        (
            "UtilityVM/Files/Windows/nothing",
            |tar| {
                tar.directory("UtilityVM", &directory(1))?;
                tar.whiteout("UtilityVM/Files/Windows/nothing")
            },
            "remove",
        ),
        (
            "Hives/Sam_Delta",
            |tar| tar.whiteout("Hives/Sam_Delta"),
            "removed",
        ),
        (
            "Files/x",
            |tar| {
                tar.file("Files/x", &file(1), b"file")?;
                tar.directory("Files/X", &directory(1))
            },
            "another entry at the same path",
        ),
        (
            "Files/x/y",
            |tar| {
                tar.file("Files/x", &file(1), b"file")?;
                tar.file("Files/x/y", &file(1), b"below")
            },
            "is not a directory",
        ),
        (
            "Files/a",
            |tar| {
                tar.hard_link("Files/a", "Files/b", &file(1))?;
                tar.hard_link("Files/b", "Files/a", &file(1))
            },
            "Files/",
        ),
    ];
    for (entry, build, words) in rules {
        let (machine, result) = two_layers(build);
        let error = result.expect_err(entry);
        let text = messages(&error).to_lowercase();
        let has = |words: &str| text.contains(&words.to_lowercase());
        assert!(has(entry) && has(words), "{entry}, {words}: {text}");
        assert_eq!(error.kind(), ErrorKind::InvalidLayer, "{text}");
        assert!(!machine.windows.exists(APP), "{entry}");
    }
}

#[test]
fn a_base_layer_cannot_contain_removals() {
    let machine = Machine::new();
    let tar = tar(|tar| {
        tar.directory("Files", &directory(0))?;
        tar.whiteout("Files/x")
    });
    let error = machine.import(&tar, BASE, &[]).unwrap_err();
    assert!(messages(&error).contains("Files/x"), "{}", messages(&error));
    assert!(!machine.windows.exists(BASE));
    machine.assert_nothing_left("after a refusal");
}

#[test]
fn missing_parent_directories_are_created_and_the_last_of_two_entries_wins() {
    let build: Build = |tar| {
        tar.file("Files/no/such/directory/f.txt", &file(1), b"f")?;
        tar.file("Files/twice", &file(2), b"first, and longer")?;
        tar.file("Files/TWICE", &file(3), b"second")
    };
    let (above, summary) = two_layers(build);
    let base = Machine::new();
    let tar = tar(|tar| {
        tar.directory("Files", &directory(0))?;
        build(tar)
    });
    let base_summary = base.import(&tar, APP, &[]);
    for (machine, summary) in [(above, summary), (base, base_summary)] {
        let summary = summary.unwrap();
        let data = |path: &str| machine.windows.data(format!("{APP}/Files/{path}")).unwrap();
        assert_eq!(data("no/such/directory/f.txt"), b"f");
        assert_eq!(data("twice"), b"second");
        assert!(!summary.warnings.is_empty());
        machine.assert_nothing_left("after the import");
    }
}

#[test]
fn a_directory_that_the_layer_lacks_keeps_the_parents_metadata() {
    let (machine, summary) = two_layers(|tar| tar.file("Files/Windows/new", &file(1), b"new"));
    summary.unwrap();
    let [own, parents] = [APP, BASE].map(|layer| {
        machine
            .windows
            .look(format!("{layer}/Files/Windows"))
            .unwrap()
    });
    assert_eq!(own.security, parents.security);
    assert_eq!(own.info, parents.info);
}

#[test]
fn the_layer_chain_and_the_boot_files_are_kept() {
    let machine = Machine::without_filter();
    machine.import(&layers::base(), BASE, &[]).unwrap();
    machine.import(&layers::app(), APP, &[BASE]).unwrap();
    let chain = machine
        .windows
        .data(format!("{APP}/layerchain.json"))
        .unwrap();
    let parents: Vec<String> = serde_json::from_slice(&chain).unwrap();
    assert_eq!(parents, [BASE]);
    assert_eq!(
        machine.windows.data(format!("{APP}/bcd.bak")).unwrap(),
        b"boot of the layer above"
    );
    let boot = "UtilityVM/Files/EFI/Microsoft/Boot/BCD";
    let changed = machine.windows.data(format!("{APP}/{boot}")).unwrap();
    assert!(changed.ends_with(b"changed by Windows"));
    let of_base = machine.windows.data(format!("{BASE}/{boot}")).unwrap();
    assert_eq!(of_base, b"boot of the base changed by Windows");
}

#[test]
fn an_existing_layer_is_not_changed() {
    let machine = Machine::new();
    machine.import(&layers::base(), BASE, &[]).unwrap();
    let before = below(&machine.windows, BASE);
    let error = machine.import(&layers::base(), BASE, &[]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exists, "{}", messages(&error));
    assert_eq!(below(&machine.windows, BASE), before);
    machine.assert_nothing_left("after a refusal");
}

/// Requests cancellation after a number of checks.
struct Patience(AtomicU32);

impl Progress for Patience {
    fn is_cancelled(&self) -> bool {
        let before = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        before.is_err()
    }
}

#[test]
fn a_path_in_use_by_another_process_is_not_changed() {
    let machine = Machine::new();
    machine.import(&layers::base(), BASE, &[]).unwrap();
    let lock = machine.host.volume.lock(BASE.as_ref()).unwrap();
    assert!(lock.is_some());
    let before = machine.disk();
    let imported = machine.import(&layers::base(), BASE, &[]).unwrap_err();
    let removed = hcs::remove(&machine.host, BASE.as_ref(), true).unwrap_err();
    for error in [imported, removed] {
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    }
    assert!(machine.disk() == before, "the disk changed");
    drop(lock);
    hcs::remove(&machine.host, BASE.as_ref(), true).unwrap();
    machine.assert_nothing_left("after the removal");
}

#[test]
fn a_cancelled_import_leaves_nothing_behind() {
    for (contents, tar) in [
        (Contents::Anything, layers::app()),
        (Contents::FilesAndRemovals, layers::app_without_links()),
    ] {
        for patience in [0, 1, 10, 40] {
            let machine = Machine::new();
            machine.import(&layers::base(), BASE, &[]).unwrap();
            let before = machine.disk();
            let options = ImportOptions::default()
                .parents(chain(&[BASE]))
                .contents(contents);
            let mut source = TarLayerReader::new(Cursor::new(&tar));
            let patience = Patience(AtomicU32::new(patience));
            let result = hcs::import(
                &machine.host,
                &mut source,
                APP.as_ref(),
                &options,
                &patience,
            );
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
            machine.assert_nothing_left("after cancelling");
            assert!(machine.disk() == before, "the disk changed");
        }
    }
}

#[test]
fn a_truncated_tar_leaves_nothing_behind() {
    let machine = Machine::new();
    let tar = layers::base();
    let inside_data = tar.windows(9).position(|bytes| bytes == [7; 9]).unwrap() + 100;
    let error = machine.import(&tar[..inside_data], BASE, &[]).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::InvalidLayer,
        "{}",
        messages(&error)
    );
    assert!(!machine.windows.exists(BASE));
    machine.assert_nothing_left("after a truncated tar");
}

#[test]
fn a_parent_that_is_not_a_layer_is_named() {
    let machine = Machine::without_filter();
    machine.windows.folder("/c/layers/empty");
    let tar = tar(|tar| tar.directory("Files", &directory(0)));
    for parent in ["/c/layers/empty", "/c/layers/missing"] {
        let error = machine.import(&tar, APP, &[parent]).unwrap_err();
        let all = format!("{error:?}");
        assert!(all.contains(parent), "{all}");
        assert!(!machine.windows.exists(APP), "{parent}");
        machine.assert_nothing_left("after a parent that is not a layer");
    }
}

#[test]
fn a_missing_privilege_is_named_before_anything_changes() {
    for privilege in [Privilege::Backup, Privilege::Restore] {
        let machine = Machine::new();
        machine.windows.deny(privilege);
        let error = machine.import(&layers::base(), BASE, &[]).unwrap_err();
        assert!(
            messages(&error).contains(privilege.name()),
            "{}",
            messages(&error)
        );
        assert!(!machine.windows.exists(BASE));
        machine.assert_nothing_left("without a privilege");
    }
}
