//! Each call fails once, and the process dies at each call: nothing remains, nothing is incomplete.

use fakewindows::{Call, Snapshot};
use wclayer::Error;
use wclayer::hcs::{self, Contents};

use crate::layers;
use crate::support::{APP, BASE, FAILURE, Machine, messages};

/// Runs an operation on a copy of the machine once for each of its calls, and makes that call fail;
/// returns the number of calls.
fn with_every_failure<T>(
    what: &str,
    first: &Machine,
    operation: impl Fn(&Machine) -> Result<T, Error>,
    check: impl Fn(&Machine, &Snapshot, &Result<T, Error>, &str),
) -> usize {
    first.windows.clear_calls();
    let before = first.disk();
    for number in 1.. {
        let machine = first.twin();
        machine.windows.fail_at(number, FAILURE);
        let result = operation(&machine);
        let calls = machine.windows.calls();
        let Some(failed) = calls.get(number - 1) else {
            assert!(result.is_ok(), "{what} fails without a failed call");
            return number - 1;
        };
        let when = format!("when {what} fails at call {number}, {failed}");
        machine.assert_nothing_left(&when);
        // The call that ends it is tried only once, so its effect is unknown.
        if !matches!(failed.function, "UnprepareLayer" | "DeactivateLayer") {
            assert_eq!(
                machine.windows.active_layers(),
                (0, 0),
                "active layers {when}"
            );
        }
        if let Err(error) = &result {
            assert_names(error, failed, &when);
        }
        check(&machine, &before, &result, &when);
    }
    unreachable!()
}

/// Checks that an error names the failed call of the service, or the file.
fn assert_names(error: &Error, failed: &Call, when: &str) {
    let text = messages(error);
    if failed.on_service {
        assert!(text.contains(failed.function), "{when}: {text}");
        assert!(text.contains("0x8007001f"), "{when}: {text}");
    } else if !matches!(failed.function, "enable" | "temporary_folder")
        && !failed.arguments.contains("/tmp")
    {
        // If a whole tree is deleted, the error names the tree.
        let path = failed.arguments.rsplit(", ").next().unwrap();
        let is_tree = matches!(failed.function, "delete" | "list" | "open_look" | "stat");
        let tree = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let names = |path: &str| text.contains(&path.replace(&format!("{APP}/"), ""));
        assert!(names(path) || is_tree && names(tree), "{when}: {text}");
    }
}

/// Checks that a failed import left the disk as it was.
fn assert_unchanged<T>(
    machine: &Machine,
    before: &Snapshot,
    result: &Result<T, Error>,
    when: &str,
) {
    if result.is_err() {
        let now = machine.disk();
        for path in now.keys() {
            assert!(before.contains_key(path), "{path} is left {when}");
        }
        assert!(now == *before, "the disk changed {when}");
    }
}

fn with_base(machine: Machine) -> Machine {
    machine.import(&layers::base(), BASE, &[]).unwrap();
    machine
}

#[test]
fn base_import_leaves_nothing_behind() {
    let tar = layers::base();
    let calls = with_every_failure(
        "the base import",
        &Machine::new(),
        |machine| machine.import(&tar, BASE, &[]),
        assert_unchanged,
    );
    assert!(calls > 100, "{calls}");
}

#[test]
fn legacy_import_leaves_nothing_behind() {
    let tar = layers::app();
    let calls = with_every_failure(
        "the legacy import",
        &with_base(Machine::without_filter()),
        |machine| machine.import(&tar, APP, &[BASE]),
        assert_unchanged,
    );
    assert!(calls > 200, "{calls}");
}

#[test]
fn filter_import_leaves_nothing_behind() {
    let tar = layers::app_without_links();
    let calls = with_every_failure(
        "the filter import",
        &with_base(Machine::new()),
        |machine| machine.import_contents(&tar, APP, &[BASE], Contents::FilesAndRemovals),
        assert_unchanged,
    );
    assert!(calls > 50, "{calls}");
}

#[test]
fn a_failed_layer_that_the_service_leaves_is_deleted_by_handle() {
    let tar = layers::app();
    let machine = with_base(Machine::without_filter());
    machine.windows.let_destroy_leave_the_layer();
    with_every_failure(
        "the import above a lazy service",
        &machine,
        |machine| machine.import(&tar, APP, &[BASE]),
        assert_unchanged,
    );
}

#[test]
fn an_existing_empty_folder_is_empty_again() {
    let tar = layers::base();
    let machine = Machine::new();
    machine.windows.folder(BASE);
    with_every_failure(
        "the import to an empty folder",
        &machine,
        |machine| machine.import(&tar, BASE, &[]),
        |machine, _, result, when| {
            if result.is_err() {
                assert!(machine.windows.exists(BASE), "the folder is gone {when}");
                assert_eq!(machine.windows.list(BASE), [""; 0], "{when}");
            }
        },
    );
}

fn with_app(machine: Machine) -> Machine {
    let machine = with_base(machine);
    machine.import(&layers::app(), APP, &[BASE]).unwrap();
    machine
}

#[test]
fn exports_leave_nothing_behind() {
    let windows = fakewindows::FakeWindows::new();
    let without_export = Machine::with(windows.without(hcs::Function::ExportLayer));
    let same_disk =
        |machine: &Machine, before: &Snapshot, _: &Result<Vec<u8>, Error>, when: &str| {
            assert!(machine.disk() == *before, "the disk changed {when}");
        };
    let legacy = with_every_failure(
        "the legacy export",
        &with_app(Machine::without_filter()),
        |machine| machine.export(APP, &[BASE]),
        same_disk,
    );
    let filter = with_every_failure(
        "the filter export",
        &with_app(without_export),
        |machine| machine.export(APP, &[BASE]),
        same_disk,
    );
    let base = with_every_failure(
        "the base export",
        &with_app(Machine::new()),
        |machine| machine.export(BASE, &[]),
        same_disk,
    );
    assert!(
        legacy > 50 && filter > 50 && base > 50,
        "{legacy} {filter} {base}"
    );
}

/// The process dies at each call of an import. The remains are not a layer, and the next import to
/// the same path succeeds.
fn dies_everywhere(first: &Machine, tar: &[u8], layer: &str, parents: &[&str], step: usize) {
    let whole = first.twin();
    whole.import(tar, layer, parents).unwrap();
    let complete = whole.export(layer, parents).unwrap();
    let mut number = 0;
    loop {
        number += step;
        let machine = first.twin();
        machine.windows.clear_calls();
        machine.windows.die_at(number);
        let result = machine.import(tar, layer, parents);
        let died = machine.windows.restart();
        if !died {
            result.unwrap();
            assert!(number > 100);
            break;
        }
        assert!(result.is_err(), "success after death at call {number}");
        let when = format!("after death at call {number}");
        if let Ok(half) = machine.export(layer, parents) {
            // Only steps after the last byte of the layer are missing.
            assert!(half == complete, "an incomplete layer is read {when}");
        }
        let result = machine.import(tar, layer, parents);
        result.unwrap_or_else(|error| panic!("{when}: {}", messages(&error)));
        let exported = machine.export(layer, parents).unwrap();
        assert!(exported == complete, "a different layer {when}");
    }
}

#[test]
fn a_killed_base_import_can_be_repeated() {
    dies_everywhere(&Machine::new(), &layers::base(), BASE, &[], 1);
}

#[test]
fn a_killed_legacy_import_can_be_repeated() {
    let machine = with_base(Machine::without_filter());
    // Each run needs two complete imports and an export, and neighbouring calls differ little.
    dies_everywhere(&machine, &layers::app(), APP, &[BASE], 5);
}
