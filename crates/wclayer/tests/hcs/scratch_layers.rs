//! Scratch layers and removal: the order of the calls, and the state after a failed one.

use std::path::Path;

use fakewindows::FakeWindows;
use wclayer::hcs::{self, HResult, HcsError};
use wclayer::volume::Privilege;
use wclayer::{Error, ErrorKind, ParentChain};

const BASE: &str = "/c/layers/base";
const APP: &str = "/c/layers/app";
const SCRATCH: &str = "/c/layers/scratch";
const TARGET: &str = "/c/mnt";

fn machine() -> FakeWindows {
    let windows = FakeWindows::new();
    windows.file("/c/layers/base/Files/a", b"base");
    windows.file("/c/layers/app/Files/a", b"app");
    windows.folder(TARGET);
    windows
}

fn parents() -> ParentChain {
    ParentChain::from_nearest_first([APP, BASE])
}

/// Returns the service's calls except those that only query IDs.
fn steps(windows: &FakeWindows) -> Vec<String> {
    let calls = windows.service_calls().into_iter();
    calls
        .filter(|call| !call.starts_with("NameToGuid"))
        .collect()
}

fn nothing_is_open(windows: &FakeWindows) {
    assert_eq!(windows.open_handles(), [""; 0]);
    assert_eq!(windows.enabled_privileges(), []);
    assert_eq!(windows.active_layers(), (0, 0));
    assert_eq!(windows.mounts(), [""; 0].map(std::path::PathBuf::from));
    assert!(windows.temporary_folders().is_empty());
}

/// Runs `action` on new machines, with the n-th call failing in the n-th run, until no call fails;
/// `check` sees every machine on which it failed.
fn with_every_call_failing<T>(
    prepare: impl Fn(&FakeWindows),
    action: impl Fn(&FakeWindows) -> Result<T, Error>,
    check: impl Fn(&FakeWindows, &Error),
) -> usize {
    for number in 1.. {
        let windows = machine();
        prepare(&windows);
        windows.clear_calls();
        windows.fail_at(number, HResult::from_win32(31));
        let result = action(&windows);
        if windows.calls().len() < number {
            result.map(drop).expect("nothing failed");
            return number - 1;
        }
        windows.clear_calls();
        if let Err(error) = result {
            check(&windows, &error);
        }
    }
    unreachable!("every action ends")
}

#[test]
fn a_scratch_layer_is_created_on_its_parents_and_records_them() {
    let windows = machine();
    let host = windows.host_compute();
    hcs::create_scratch(&host, Path::new(SCRATCH), &parents(), Some(1 << 34)).expect("created");
    let steps = steps(&windows);
    assert_eq!(steps.len(), 2, "{steps:?}");
    assert!(
        steps[0]
            .starts_with("CreateSandboxLayer(/c/layers/scratch, [/c/layers/app, /c/layers/base"),
        "{steps:?}"
    );
    assert!(steps[1].starts_with("ExpandSandboxSize(/c/layers/scratch, 17179869184"));
    assert_eq!(
        hcs::stored_parents(&host.volume, Path::new(SCRATCH)).expect("a chain"),
        Some(parents())
    );
    nothing_is_open(&windows);
}

#[test]
fn no_failure_leaves_an_incomplete_scratch_layer() {
    let count = with_every_call_failing(
        |_| {},
        |windows| {
            let host = windows.host_compute();
            hcs::create_scratch(&host, Path::new(SCRATCH), &parents(), Some(1 << 34))
        },
        |windows, error| {
            assert!(!windows.exists(SCRATCH), "{error}");
            nothing_is_open(windows);
        },
    );
    assert!(count >= 6, "{count}");
}

#[test]
fn a_scratch_layer_does_not_inherit_the_marker_of_an_incomplete_layer() {
    const MARK: &str = "/c/layers/.scratch.wclayer-importing";
    let windows = machine();
    windows.file(MARK, b"");
    let host = windows.host_compute();
    hcs::create_scratch(&host, Path::new(SCRATCH), &parents(), None).expect("made");
    assert!(!windows.exists(MARK));
    windows.file(MARK, b"");
    hcs::create_scratch(&host, Path::new(SCRATCH), &parents(), None)
        .expect_err("an incomplete layer exists");
    assert!(windows.exists(MARK));
}

#[test]
fn a_failed_create_does_not_delete_an_existing_folder() {
    let windows = machine();
    windows.file("/c/layers/scratch/precious", b"precious");
    windows.file("/c/layers/scratch/sandbox.vhdx", b"disk");
    let host = windows.host_compute();
    hcs::create_scratch(&host, Path::new(SCRATCH), &parents(), None).expect_err("it exists");
    assert_eq!(windows.list(SCRATCH), ["precious", "sandbox.vhdx"],);
}

#[test]
fn a_scratch_layer_needs_parents_and_the_volume_privilege() {
    let windows = machine();
    let host = windows.host_compute();
    let error = hcs::create_scratch(&host, Path::new(SCRATCH), &ParentChain::none(), None)
        .expect_err("no parents");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    windows.deny(Privilege::ManageVolume);
    for error in [
        hcs::create_scratch(&host, Path::new(SCRATCH), &parents(), None).expect_err("denied"),
        hcs::mount(&host, Path::new(SCRATCH), &parents(), None).expect_err("denied"),
        hcs::unmount(&host, Path::new(SCRATCH), None).expect_err("denied"),
    ] {
        let text = crate::support::messages(&error);
        assert!(text.contains("Perform volume maintenance tasks"), "{text}");
    }
    assert_eq!(windows.service_calls(), [""; 0]);
}

fn with_scratch(windows: &FakeWindows) {
    let host = windows.host_compute();
    hcs::create_scratch(&host, Path::new(SCRATCH), &parents(), None).expect("created");
}

#[test]
fn mount_and_unmount_take_their_steps_in_opposite_orders() {
    let windows = machine();
    with_scratch(&windows);
    windows.clear_calls();
    let host = windows.host_compute();
    let (scratch, target) = (Path::new(SCRATCH), Path::new(TARGET));
    let volume = hcs::mount(&host, scratch, &parents(), Some(target)).expect("mounted");
    assert!(volume.starts_with(r"\\?\Volume{"), "{volume}");
    assert_eq!(windows.mounts(), [target]);
    assert_eq!(windows.active_layers(), (1, 1));
    assert_eq!(hcs::mount_path(&host, scratch).expect("a path"), volume);
    hcs::unmount(&host, scratch, Some(target)).expect("unmounted");
    let names: Vec<_> = steps(&windows)
        .iter()
        .filter_map(|call| call.split('(').next().map(str::to_owned))
        .filter(|name| name != "GetLayerMountPath")
        .collect();
    assert_eq!(
        names,
        [
            "ActivateLayer",
            "PrepareLayer",
            "UnprepareLayer",
            "DeactivateLayer"
        ]
    );
    nothing_is_open(&windows);
}

#[test]
fn a_mount_that_fails_is_undone() {
    let count = with_every_call_failing(
        with_scratch,
        |windows| {
            let host = windows.host_compute();
            hcs::mount(
                &host,
                Path::new(SCRATCH),
                &parents(),
                Some(Path::new(TARGET)),
            )
        },
        |windows, _| nothing_is_open(windows),
    );
    assert!(count >= 6, "{count}");
}

#[test]
fn unmounting_continues_after_a_failure_and_reports_the_first() {
    let windows = machine();
    with_scratch(&windows);
    let host = windows.host_compute();
    hcs::mount(&host, Path::new(SCRATCH), &parents(), None).expect("mounted");
    let error = hcs::unmount(&host, Path::new(SCRATCH), Some(Path::new(TARGET)))
        .expect_err("nothing is mounted there");
    let Error::Layer { source, .. } = &error else {
        panic!("{error}");
    };
    assert!(source.to_string().contains(TARGET), "{source}");
    nothing_is_open(&windows);
}

#[test]
fn a_single_parent_implies_its_own_parents() {
    let windows = machine();
    windows.file("/c/layers/app/layerchain.json", br#"["/c/layers/base"]"#);
    windows.file("/c/layers/base/layerchain.json", b"null");
    let volume = windows.host_compute().volume;
    let resolve = |given: &ParentChain| hcs::resolve_parents(&volume, Path::new(SCRATCH), given);
    let nearest = ParentChain::from_nearest_first([APP]);
    assert_eq!(resolve(&nearest).expect("a chain"), parents());
    assert_eq!(resolve(&parents()).expect("a chain"), parents());
    assert_eq!(
        resolve(&ParentChain::none()).expect("a chain"),
        ParentChain::none()
    );
    let base = ParentChain::from_nearest_first([BASE]);
    assert_eq!(resolve(&base).expect("a chain"), base);
    for damaged in ["{", r#"["base"]"#, r#"{"a": 1}"#] {
        windows.file("/c/layers/app/layerchain.json", damaged.as_bytes());
        resolve(&nearest).expect_err(damaged);
    }
}

#[test]
fn the_service_removes_a_layer_and_the_result_is_checked() {
    let windows = machine();
    let host = windows.host_compute();
    hcs::remove(&host, Path::new(APP), false).expect("removed");
    assert_eq!(windows.service_calls(), ["DestroyLayer(/c/layers/app)"]);
    assert!(!windows.exists(APP));
    let error = hcs::remove(&host, Path::new(APP), false).expect_err("it is gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    nothing_is_open(&windows);
}

#[test]
fn a_layer_left_by_a_successful_call_is_an_error_and_force_deletes_it() {
    let windows = machine();
    windows.file("/c/precious/file", b"precious");
    windows.junction("/c/layers/app/Files/junction", r"C:\precious");
    windows.symlink("/c/layers/app/Files/link", r"C:\precious\file");
    windows.let_destroy_leave_the_layer();
    let host = windows.host_compute();
    let error = hcs::remove(&host, Path::new(APP), false).expect_err("it still exists");
    assert!(
        matches!(&error, Error::Layer { source, .. }
            if matches!(**source, Error::Hcs(HcsError::StillThere { .. }))),
        "{error:?}"
    );
    hcs::remove(&host, Path::new(APP), true).expect("removed");
    assert!(!windows.exists(APP));
    assert_eq!(windows.traversals(), 0);
    assert_eq!(
        windows.data("/c/precious/file").as_deref(),
        Some(&b"precious"[..])
    );
    nothing_is_open(&windows);
}

#[test]
fn a_killed_removal_can_be_repeated() {
    for number in 1.. {
        let windows = machine();
        windows.file("/c/layers/app/Files/d/e/f", b"deep");
        windows.file("/c/layers/app/layerchain.json", b"null");
        windows.let_destroy_leave_the_layer();
        windows.die_at(number);
        let result = hcs::remove(&windows.host_compute(), Path::new(APP), true);
        if !windows.restart() {
            result.expect("it was not killed");
            assert!(number > 8, "{number}");
            return;
        }
        if windows.exists(APP) {
            let is_layer = hcs::is_layer(&windows.host_compute().volume, Path::new(APP));
            assert!(is_layer.expect("the layer can be examined"), "{number}");
            hcs::remove(&windows.host_compute(), Path::new(APP), true).expect("removed");
        }
        assert!(!windows.exists(APP), "{number}");
    }
}

#[test]
fn the_first_path_that_cannot_be_deleted_is_named() {
    let windows = machine();
    windows.file("/c/layers/app/Files/d/in use", b"");
    windows.let_destroy_leave_the_layer();
    let host = windows.host_compute();
    let privileges =
        wclayer::volume::Volume::enable(&host.volume, &[Privilege::Backup, Privilege::Restore])
            .expect("privileges");
    let root = wclayer::volume::Volume::open_root(
        &host.volume,
        Path::new("/c/layers/app/Files/d"),
        &privileges,
    )
    .expect("a folder");
    let path = "in use".parse().expect("a path");
    let open = wclayer::volume::Root::open(&root, Some(&path), wclayer::volume::Access::Read);
    let error = hcs::destroy(&host, Path::new(APP), &privileges).expect_err("it is open");
    assert!(
        error.to_string().contains("/c/layers/app/Files/d/in use"),
        "{error}"
    );
    drop((open, root));
    hcs::destroy(&host, Path::new(APP), &privileges).expect("deleted");
    hcs::destroy(&host, Path::new(APP), &privileges).expect("a missing layer is not an error");
}

#[test]
fn simple_queries_reach_the_service() {
    let windows = machine();
    windows.set_base_images(r#"{"Images":[{"Name":"a"}]}"#);
    let host = windows.host_compute();
    assert!(hcs::exists(&host, Path::new(APP)).expect("an answer"));
    assert!(!hcs::exists(&host, Path::new("/c/layers/none")).expect("an answer"));
    assert_eq!(
        hcs::name_to_guid(&host, "app").expect("an id"),
        hcs::name_to_guid(&host, "app").expect("an id")
    );
    assert_eq!(
        hcs::base_images(&host).expect("a text"),
        r#"{"Images":[{"Name":"a"}]}"#
    );
    hcs::grant_vm_access(&host, "vm", Path::new("/c/layers/app/Files/a")).expect("granted");
    assert_eq!(windows.granted().len(), 1);
    let error = hcs::expand(&host, Path::new("/c/layers/none"), 1).expect_err("no such layer");
    assert!(error.to_string().contains("/c/layers/none"), "{error}");
}
