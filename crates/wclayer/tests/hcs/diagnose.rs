//! The causes found for the service's error codes.

use std::path::Path;

use fakewindows::FakeWindows;
use wclayer::error::{FailureCause, HResult, HcsError, ServiceError, WindowsError};
use wclayer::hcs;
use wclayer::volume::Privilege;
use wclayer::{Error, ParentChain};

const BASE: &str = "/c/layers/base";
const APP: &str = "/c/layers/app";
const NEW: &str = "/c/layers/new";
const TRANSPORT: &str = "/c/transport";

fn machine() -> FakeWindows {
    let windows = FakeWindows::new();
    windows.file("/c/layers/base/Files/a", b"base");
    windows.file("/c/layers/app/Files/a", b"app");
    windows.folder("/c/transport/Files");
    for hive in wclayer::layout::HIVE_DELTAS {
        windows.file(format!("/c/transport/Hives/{hive}"), b"hive");
    }
    windows
}

fn failed(function: &'static str, code: u16) -> Error {
    ServiceError::Failed {
        function,
        dll: "vmcompute.dll",
        on: format!("layer `{NEW}`"),
        cause: None,
        source: WindowsError::new(HResult::from_win32(code)),
    }
    .into()
}

/// Returns the cause in an error.
fn cause_in(error: &Error) -> Option<&FailureCause> {
    match error {
        Error::Layer { source, .. } => cause_in(source),
        Error::Hcs(HcsError::Service(ServiceError::Failed { cause, .. })) => cause.as_deref(),
        _ => None,
    }
}

/// Returns the cause found for a failed import to `layer` on top of both parents.
fn cause_at(
    windows: &FakeWindows,
    layer: &str,
    function: &'static str,
    code: u16,
) -> Option<String> {
    let parents = ParentChain::from_nearest_first([APP, BASE]);
    let host = windows.host_compute();
    let transport = Some(Path::new(TRANSPORT));
    let error = failed(function, code);
    let error = hcs::explain(&host, Path::new(layer), &parents, transport, error);
    cause_in(&error).map(ToString::to_string)
}

fn cause(windows: &FakeWindows, function: &'static str, code: u16) -> String {
    cause_at(windows, NEW, function, code).expect("a cause")
}

#[test]
fn no_cause_is_invented_if_everything_is_in_order() {
    let windows = machine();
    for code in [2, 3, 5, 87, 123, 31] {
        assert_eq!(cause_at(&windows, NEW, "ImportLayer", code), None, "{code}");
    }
    assert_eq!(windows.enabled_privileges(), []);
}

#[test]
fn the_causes_of_path_not_found_are_distinguished() {
    type Spoil = fn(&FakeWindows);
    let cases: [(&str, Spoil); 6] = [
        (
            "the parent layer `/c/layers/base` does not exist",
            |windows| {
                windows.delete(BASE);
            },
        ),
        ("the parent `/c/layers/app` is a file", |windows| {
            windows.delete(APP);
            windows.file(APP, b"");
        }),
        (
            "the parent layer `/c/layers/base` has no `Files`",
            |windows| {
                windows.delete("/c/layers/base/Files");
            },
        ),
        (
            "the transport folder `/c/transport` does not exist",
            |windows| {
                windows.delete(TRANSPORT);
            },
        ),
        ("`/c/transport` has no `Files` folder", |windows| {
            windows.delete("/c/transport/Files");
        }),
        ("only 1 MiB are free where `/c/layers` is", |windows| {
            windows.set_free_space(1 << 20);
        }),
    ];
    for (start, spoil) in cases {
        let windows = machine();
        spoil(&windows);
        let cause = cause(&windows, "ImportLayer", 3);
        assert!(cause.starts_with(start), "{start}: {cause}");
    }
}

#[test]
fn paths_that_are_missing_or_too_long_are_named() {
    let windows = machine();
    let at = |layer: &str, function| cause_at(&windows, layer, function, 3).expect("a cause");
    assert!(at("/c/nowhere/new", "ImportLayer").starts_with("the folder `/c/nowhere`, in which"),);
    assert!(at(NEW, "ActivateLayer").starts_with("the layer `/c/layers/new` does not exist"));
    windows.folder("/c/layers/stranger");
    assert!(at("/c/layers/stranger", "ActivateLayer").contains("it is not a layer"));
    let long = format!("/c/layers/{}", "x".repeat(240));
    assert!(at(&long, "ImportLayer").contains("too long"));
    assert!(cause(&windows, "ImportLayer", 206).contains("too long"));
}

#[test]
fn codes_with_a_specific_cause_are_trusted() {
    let windows = machine();
    assert!(cause(&windows, "ImportLayer", 112).contains("the disk is full"));
    windows.set_free_space(2 << 20);
    assert!(cause(&windows, "ImportLayer", 112).starts_with("only 2 MiB"));
    assert!(cause(&windows, "ImportLayer", 1314).contains("a privilege that the call needs"));
    windows.deny(Privilege::Restore);
    for code in [5, 1314] {
        let cause = cause(&windows, "ImportLayer", code);
        assert!(cause.contains("Restore files and directories"), "{cause}");
    }
}

#[test]
fn the_documented_api_requires_all_hives() {
    let windows = machine();
    windows.delete("/c/transport/Hives/Sam_Delta");
    assert_eq!(cause_at(&windows, NEW, "ImportLayer", 2), None);
    let cause = cause(&windows, "HcsImportLayer", 2);
    assert!(cause.contains("no hive `Sam_Delta`"), "{cause}");
}

#[test]
fn other_errors_and_known_causes_are_not_changed() {
    let windows = machine();
    windows.delete(BASE);
    let host = windows.host_compute();
    let parents = ParentChain::from_nearest_first([BASE]);
    let explain = |error| hcs::explain(&host, Path::new(NEW), &parents, None, error);
    assert!(matches!(explain(Error::Cancelled), Error::Cancelled));
    let mut known = failed("ImportLayer", 3);
    if let Error::Hcs(HcsError::Service(ServiceError::Failed { cause, .. })) = &mut known {
        *cause = Some(Box::new(FailureCause::Nul));
    }
    assert_eq!(cause_in(&explain(known)), Some(&FailureCause::Nul));
    assert_eq!(cause_in(&explain(failed("ImportLayer", 31))), None);
}

#[test]
fn a_call_that_does_not_concern_the_layer_does_not_blame_it() {
    let windows = machine();
    // As during an import: the folder exists and is empty.
    windows.folder(NEW);
    for function in [
        "NameToGuid",
        "GrantVmAccess",
        "GetBaseImages",
        "ImportLayer",
        "ImportLayerBegin",
        "ImportLayerNext",
        "ImportLayerWrite",
        "ImportLayerEnd",
        "HcsImportLayer",
        "CopyFile",
        "CreateVirtualDisk",
    ] {
        for code in [2, 3, 5, 53, 87, 123, 161, 267] {
            assert_eq!(cause_at(&windows, NEW, function, code), None, "{function}");
        }
    }
    // The real problem is still found.
    windows.delete(BASE);
    assert!(cause(&windows, "NameToGuid", 87).contains("/c/layers/base"));
}

#[test]
fn an_import_that_gets_no_id_does_not_blame_the_layer() {
    let base = crate::layers::base();
    let tar = crate::layers::app_without_links();
    for contents in [hcs::Contents::Anything, hcs::Contents::FilesAndRemovals] {
        let start = || {
            let machine = crate::support::Machine::new();
            machine.import(&base, BASE, &[]).expect("a base layer");
            machine.windows.clear_calls();
            machine
        };
        let import = |machine: &crate::support::Machine| {
            machine.import_contents(&tar, NEW, &[BASE], contents)
        };
        let machine = start();
        import(&machine).expect("a layer");
        let calls = machine.windows.calls();
        let number = calls.iter().position(|call| call.function == "NameToGuid");
        let machine = start();
        let number = number.expect("an ID is queried") + 1;
        machine.windows.fail_at(number, HResult::from_win32(87));
        let error = import(&machine).expect_err("no ID");
        let text = crate::support::messages(&error);
        assert!(text.contains("NameToGuid"), "{text}");
        assert_eq!(cause_in(&error), None, "{text}");
    }
}
