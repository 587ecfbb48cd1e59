//! The calls of each writer and reader, and their order.

use wclayer::hcs::{Contents, Function};

use crate::layers;
use crate::support::{APP, BASE, Machine, meanings};

/// Returns the service's calls, except those that only query IDs; temporary folders are named
/// `T`.
fn service_calls(machine: &Machine) -> Vec<String> {
    let calls = machine.windows.service_calls().into_iter();
    let calls = calls.filter(|call| !call.starts_with("NameToGuid"));
    calls.map(|call| without_temporary_names(&call)).collect()
}

fn without_temporary_names(call: &str) -> String {
    let parts = call
        .split(", ")
        .map(|part| if part.contains("/tmp") { "T" } else { part });
    parts.collect::<Vec<_>>().join(", ")
}

#[test]
fn base_writer_processes_both_images_at_the_end() {
    let machine = Machine::new();
    machine.import(&layers::base(), BASE, &[]).unwrap();
    assert_eq!(
        service_calls(&machine),
        [
            "ProcessBaseImage(/c/layers/base)",
            "ProcessUtilityImage(/c/layers/base/UtilityVM)",
        ]
    );
    let calls = machine.windows.calls();
    let process = calls
        .iter()
        .position(|call| call.function == "ProcessBaseImage")
        .unwrap();
    let wrote = calls
        .iter()
        .rposition(|call| call.function == "backup_write")
        .unwrap();
    assert!(
        wrote < process,
        "the layer is written before it is processed"
    );
}

#[test]
fn legacy_writer_imports_a_folder_and_then_completes_the_layer() {
    let machine = Machine::without_filter();
    machine.import(&layers::base(), BASE, &[]).unwrap();
    machine.windows.clear_calls();
    machine.import(&layers::app(), APP, &[BASE]).unwrap();
    assert_eq!(
        service_calls(&machine),
        [
            "ImportLayer(/c/layers/app, T, [/c/layers/base])",
            "ProcessUtilityImage(/c/layers/app/UtilityVM)",
        ]
    );
    let calls = machine.windows.calls();
    let import = calls
        .iter()
        .position(|call| call.function == "ImportLayer")
        .unwrap();
    let after = &calls[import..];
    let first = |function: &str, what: &str| {
        let is_it =
            |call: &&fakewindows::Call| call.function == function && call.arguments.ends_with(what);
        let found = after.iter().position(|call| is_it(&call));
        found.unwrap_or_else(|| panic!("{function} {what} is not called after ImportLayer"))
    };
    let removed = first("delete", "Files/Windows/gone.txt");
    let linked = first("link", "Files/Windows/alias of base.dll");
    let times = first("set_basic_info", "/c/layers/app/Files/Windows");
    let parent_times = first("set_basic_info", "/c/layers/app/Files");
    let process = first("ProcessUtilityImage", "UtilityVM");
    assert!(removed < linked && linked < times && times < parent_times && parent_times < process);
    let folders = ["delete_path", "temporary_folder"];
    let of_folders = calls.iter().filter(|call| folders.contains(&call.function));
    let of_folders: Vec<_> = of_folders.map(|call| call.function).collect();
    assert_eq!(of_folders.first(), Some(&"temporary_folder"));
    assert_eq!(of_folders.last(), Some(&"delete_path"));
}

#[test]
fn filter_writer_passes_every_entry_in_source_order() {
    let machine = Machine::new();
    machine.import(&layers::base(), BASE, &[]).unwrap();
    machine.windows.clear_calls();
    let tar = layers::app_without_links();
    machine
        .import_contents(&tar, APP, &[BASE], Contents::FilesAndRemovals)
        .unwrap();
    let calls = service_calls(&machine);
    let calls: Vec<_> = calls
        .iter()
        .filter(|call| !call.starts_with("ImportLayerWrite"))
        .collect();
    assert_eq!(
        calls[0],
        "ImportLayerBegin(/c/layers/app, [/c/layers/base])"
    );
    assert_eq!(calls[1], r"ImportLayerNext(\Files)");
    assert_eq!(calls[2], r"ImportLayerNext(\Files\Empty)");
    assert!(
        calls
            .iter()
            .any(|call| *call == r"ImportLayerNext(\Files\Gone, removed)")
    );
    assert_eq!(*calls[calls.len() - 1], "ImportLayerEnd()");
    assert_eq!(calls.len() - 2, meanings(&tar).len());
}

#[test]
fn the_writer_is_chosen_like_in_the_reference_and_by_the_content_of_the_source() {
    let first_call = |machine: &Machine, contents| {
        machine.import(&layers::base(), BASE, &[]).unwrap();
        machine.windows.clear_calls();
        machine
            .import_contents(&layers::app_without_links(), APP, &[BASE], contents)
            .unwrap();
        let calls = service_calls(machine);
        calls[0].split('(').next().unwrap().to_owned()
    };
    let full = || Machine::new();
    assert_eq!(
        first_call(&full(), Contents::FilesAndRemovals),
        "ImportLayerBegin"
    );
    assert_eq!(first_call(&full(), Contents::Anything), "ImportLayer");
    let without = Machine::without_filter();
    assert_eq!(
        first_call(&without, Contents::FilesAndRemovals),
        "ImportLayer"
    );
}

#[test]
fn export_activates_prepares_and_unprepares_the_layer_first() {
    let machine = Machine::without_filter();
    machine.import(&layers::base(), BASE, &[]).unwrap();
    machine.import(&layers::app(), APP, &[BASE]).unwrap();
    machine.windows.clear_calls();
    machine.export(APP, &[BASE]).unwrap();
    assert_eq!(
        service_calls(&machine),
        [
            "ActivateLayer(/c/layers/app)",
            "PrepareLayer(/c/layers/app, [/c/layers/base])",
            "UnprepareLayer(/c/layers/app)",
            "ExportLayer(/c/layers/app, T, [/c/layers/base])",
            "DeactivateLayer(/c/layers/app)",
        ]
    );
    assert_eq!(machine.windows.active_layers(), (0, 0));
}

#[test]
fn export_uses_the_filter_if_nothing_else_is_available() {
    let machine = Machine::with(fakewindows::FakeWindows::new().without(Function::ExportLayer));
    machine.import(&layers::base(), BASE, &[]).unwrap();
    machine.import(&layers::app(), APP, &[BASE]).unwrap();
    machine.windows.clear_calls();
    machine.export(APP, &[BASE]).unwrap();
    let calls = service_calls(&machine);
    assert_eq!(
        calls[3],
        "ExportLayerBegin(/c/layers/app, [/c/layers/base])"
    );
    assert_eq!(calls[calls.len() - 2], "ExportLayerEnd()");
    assert_eq!(calls[calls.len() - 1], "DeactivateLayer(/c/layers/app)");
}
