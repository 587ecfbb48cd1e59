//! Reparse points, wherever an attacker planted them, are never followed.

use wclayer::hcs;

use crate::layers;
use crate::support::{APP, BASE, Machine, directory, file, messages, meta, tar};

const OUTSIDE: &str = "/c/outside";

fn machine_with_base() -> Machine {
    let machine = Machine::without_filter();
    machine
        .windows
        .file(format!("{OUTSIDE}/precious.txt"), b"precious");
    machine
        .windows
        .file(format!("{OUTSIDE}/Files/precious.txt"), b"precious");
    machine.import(&layers::base(), BASE, &[]).unwrap();
    machine
}

fn assert_untouched(machine: &Machine, when: &str) {
    assert_eq!(machine.windows.traversals(), 0, "{when}");
    assert_eq!(
        machine.windows.list(OUTSIDE),
        ["Files", "precious.txt"],
        "{when}"
    );
    assert_eq!(
        machine.windows.list(format!("{OUTSIDE}/Files")),
        ["precious.txt"],
        "{when}"
    );
    let data = machine.windows.data(format!("{OUTSIDE}/precious.txt"));
    assert_eq!(data.unwrap(), b"precious", "{when}");
}

/// Replaces a directory with a junction that leads out of the layer.
fn plant(machine: &Machine, path: &str) {
    machine.windows.delete(path);
    machine.windows.junction(path, r"C:\outside");
}

#[test]
fn reparse_points_in_a_parent_are_never_followed() {
    for planted in [
        "Files",
        "Files/Windows",
        "Files/Opaque",
        "Files/Gone",
        "UtilityVM",
        "UtilityVM/Files",
        "UtilityVM/Files/EFI",
        "UtilityVM/Files/Windows",
    ] {
        let machine = machine_with_base();
        plant(&machine, &format!("{BASE}/{planted}"));
        let result = machine.import(&layers::app(), APP, &[BASE]);
        // The layer may replace a cloned reparse point, but nothing looks inside it.
        let text = result
            .as_ref()
            .map_or_else(|error| messages(error), |_| "success".to_owned());
        assert_untouched(&machine, &format!("{planted}: {text}"));
        machine.assert_nothing_left(&format!("{planted}: {text}"));
        assert_eq!(
            machine.windows.exists(APP),
            result.is_ok(),
            "{planted}: {text}"
        );
    }
}

#[test]
fn nothing_is_written_through_a_reparse_point_of_the_layer_itself() {
    for (point, child) in [
        ("Files/point", "Files/point/through.txt"),
        ("Files/Windows", "Files/Windows/through.txt"),
        ("Files/point", "Files/POINT/deeper/through.txt"),
        (
            "UtilityVM/Files/Windows/point",
            "UtilityVM/Files/Windows/point/through.txt",
        ),
        (
            "UtilityVM/Files/Windows/new",
            "UtilityVM/Files/Windows/new/through.txt",
        ),
    ] {
        let tar = tar(|tar| {
            tar.directory("Files", &directory(0))?;
            if point.starts_with("UtilityVM") {
                tar.directory("UtilityVM", &directory(0))?;
                tar.directory("UtilityVM/Files", &directory(0))?;
                tar.directory("UtilityVM/Files/Windows", &directory(0))?;
            }
            tar.junction(point, r"C:\outside", &meta(0x410, 1))?;
            tar.file(child, &file(2), b"through")
        });
        for parents in [&[BASE][..], &[]] {
            let machine = machine_with_base();
            let error = machine.import(&tar, APP, parents).expect_err(child);
            let text = messages(&error);
            assert_untouched(&machine, &text);
            assert!(
                text.to_lowercase().contains(&point.to_lowercase()),
                "{text}"
            );
            assert!(!machine.windows.exists(APP), "{text}");
            machine.assert_nothing_left(&text);
        }
    }
}

#[test]
fn the_chain_is_not_written_through_a_link_in_the_layer() {
    let linked = tar(|tar| {
        tar.directory("Files", &directory(0))?;
        tar.file("Files/kept.txt", &file(1), b"kept")?;
        tar.hard_link("layerchain.json", "Files/kept.txt", &file(1))
    });
    let machine = machine_with_base();
    machine.import(&linked, APP, &[]).expect("a base layer");
    let data = |name: &str| machine.windows.data(format!("{APP}/{name}"));
    assert_eq!(data("Files/kept.txt").as_deref(), Some(&b"kept"[..]));
    assert_eq!(data("layerchain.json").as_deref(), Some(&b"null"[..]));
}

#[test]
fn nothing_that_windows_writes_to_is_a_reparse_point() {
    for (point, is_directory) in [
        ("layerchain.json", false),
        ("Hives", true),
        ("blank-base.vhdx", false),
        ("UtilityVM/SystemTemplateBase.vhdx", false),
    ] {
        let tar = tar(|tar| {
            tar.directory("Files", &directory(0))?;
            if point.starts_with("UtilityVM") {
                tar.directory("UtilityVM", &directory(0))?;
            }
            match is_directory {
                true => tar.junction(point, r"C:\outside", &meta(0x410, 1)),
                false => tar.symlink(point, r"C:\outside\precious.txt", &meta(0x420, 1)),
            }
        });
        let machine = machine_with_base();
        let error = machine.import(&tar, APP, &[]).expect_err(point);
        let text = messages(&error);
        assert!(text.contains(point), "{text}");
        assert_untouched(&machine, &text);
        assert!(!machine.windows.exists(APP), "{text}");
        machine.assert_nothing_left(&text);
    }
}

#[test]
fn reparse_points_of_a_parent_can_be_removed_and_replaced_but_have_no_content() {
    let machine = machine_with_base();
    let replaced = tar(|tar| {
        tar.directory("Files", &directory(0))?;
        tar.directory("Files/Settings", &directory(1))?;
        tar.file("Files/Settings/own.txt", &file(2), b"own")
    });
    machine.import(&replaced, APP, &[BASE]).unwrap();
    assert_eq!(
        machine.windows.list(format!("{APP}/Files/Settings")),
        ["own.txt"]
    );
    let removed = tar(|tar| {
        tar.directory("Files", &directory(0))?;
        tar.whiteout("Files/Settings")
    });
    machine
        .import(&removed, "/c/layers/removed", &[BASE])
        .unwrap();
    assert!(!machine.windows.exists("/c/layers/removed/Files/Settings"));
    let through = tar(|tar| {
        tar.directory("Files", &directory(0))?;
        tar.file("Files/Settings/through.txt", &file(1), b"through")
    });
    let error = machine
        .import(&through, "/c/layers/through", &[BASE])
        .unwrap_err();
    assert!(
        messages(&error).contains("Files/Settings"),
        "{}",
        messages(&error)
    );
    let below = tar(|tar| {
        tar.directory("Files", &directory(0))?;
        tar.whiteout("Files/Settings/precious.txt")
    });
    let result = machine.import(&below, "/c/layers/below", &[BASE]);
    assert_untouched(&machine, &format!("{:?}", result.err()));
}

#[test]
fn links_never_lead_through_a_reparse_point() {
    for target in [
        "Files/Settings/precious.txt",
        "UtilityVM/Files/Windows/point/precious.txt",
    ] {
        let machine = machine_with_base();
        let link = target
            .replace("Settings/precious.txt", "link")
            .replace("point/precious.txt", "link");
        let tar = tar(|tar| {
            tar.directory("Files", &directory(0))?;
            tar.directory("UtilityVM", &directory(0))?;
            tar.hard_link(&link, target, &file(1))
        });
        let error = machine.import(&tar, APP, &[BASE]).expect_err(target);
        let text = messages(&error);
        assert!(text.contains(target), "{text}");
        assert!(!machine.windows.exists(APP), "{text}");
        assert_untouched(&machine, &text);
        let precious = machine.windows.look(format!("{OUTSIDE}/precious.txt"));
        assert_eq!(precious.unwrap().links, 1, "{text}");
    }
}

#[test]
fn removing_a_layer_removes_its_reparse_points_only() {
    for leaves in [false, true] {
        let machine = machine_with_base();
        if leaves {
            machine.windows.let_destroy_leave_the_layer();
        }
        plant(&machine, &format!("{BASE}/Files/Windows"));
        hcs::remove(&machine.host, BASE.as_ref(), true).unwrap();
        assert!(!machine.windows.exists(BASE));
        assert_untouched(&machine, "after the removal");
    }
}

#[test]
fn export_includes_reparse_points_without_following_them() {
    let machine = machine_with_base();
    plant(&machine, &format!("{BASE}/Files/Windows"));
    let exported = machine.export(BASE, &[]).unwrap();
    assert_untouched(&machine, "after the export");
    let entries = crate::support::meanings(&exported);
    assert!(entries.contains_key("Files/Windows"));
    assert!(
        !entries
            .keys()
            .any(|path| path.starts_with("Files/Windows/"))
    );
}

#[test]
fn directories_that_are_reparse_points_get_their_times_at_the_end() {
    let point = |at: &str| {
        tar(|tar| {
            tar.directory("Files", &directory(0))?;
            tar.directory("UtilityVM", &directory(0))?;
            tar.directory("UtilityVM/Files", &directory(0))?;
            tar.junction(at, r"C:\outside", &meta(0x410, 7))
        })
    };
    for (at, parents, last) in [
        ("Files/point", &[][..], "backup_write"),
        ("UtilityVM/Files/point", &[], "ProcessBaseImage"),
        ("Files/point", &[BASE], "ImportLayer"),
        ("UtilityVM/Files/point", &[BASE], "ImportLayer"),
    ] {
        let machine = machine_with_base();
        machine.windows.clear_calls();
        machine.import(&point(at), APP, parents).expect(at);
        let calls = machine.windows.calls();
        let changed = calls.iter().rposition(|call| call.function == last);
        let full = format!("{APP}/{at}");
        let set = calls
            .iter()
            .rposition(|call| call.function == "set_basic_info" && call.arguments == full);
        assert!(set > changed, "{at} after {last}: {set:?} > {changed:?}");
        let found = machine.windows.look(&full).expect(at);
        assert!(found.reparse.is_some(), "{at}");
        let expected = meta(0x410, 7).write_time;
        assert_eq!(Some(found.info.last_write_time.ticks()), expected, "{at}");
        assert_untouched(&machine, at);
    }
}

#[test]
fn reparse_points_of_a_cloned_utility_vm_keep_their_times() {
    let machine = machine_with_base();
    let at = "UtilityVM/Files/Windows/point";
    let in_base = format!("{BASE}/{at}");
    let info = machine.windows.look(&in_base).expect(at).info;
    machine.windows.clear_calls();
    machine.import(&layers::app(), APP, &[BASE]).expect(at);
    let cloned = machine.windows.look(format!("{APP}/{at}")).expect(at);
    assert_eq!(cloned.info, info);
    let calls = machine.windows.calls();
    let last = |function: &str, path: &str| {
        let path = format!("{APP}/{path}");
        let is_it =
            |call: &fakewindows::Call| call.function == function && call.arguments.ends_with(&path);
        calls.iter().rposition(is_it)
    };
    assert!(last("set_basic_info", at) > last("backup_write", at));
    assert_untouched(&machine, at);
}
