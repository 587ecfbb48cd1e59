//! Paths in any spelling: the service and the disks always get the canonical one.

use std::path::{Path, PathBuf};

use wclayer::ParentChain;
use wclayer::hcs::{self, Contents};

use crate::layers;
use crate::support::{APP, BASE, Machine, chain};

const SCRATCH: &str = "/c/layers/scratch";
const TARGET: &str = "/c/mnt";

/// Spellings of one path.
fn spellings(path: &str) -> Vec<String> {
    let (folder, name) = path.rsplit_once('/').unwrap();
    vec![
        format!("{path}/"),
        format!("{path}//"),
        format!("{path}/."),
        format!("/.{folder}//{name}"),
        format!("{folder}/x/../{name}/"),
        format!("{path}/Files/.."),
        format!("/..{path}"),
    ]
}

/// Calls of the service and of the disks with any other spelling of the same paths.
fn odd_calls(machine: &Machine) -> Vec<String> {
    let is_odd = |text: &str| {
        let mut paths = text.split(['(', ')', '[', ']', ',', ' ']);
        paths.any(|path| {
            path.starts_with('/') && path.len() > 1 && path.ends_with('/')
                || ["//", "/./", "/../"].iter().any(|odd| path.contains(odd))
                || path.ends_with("/.")
                || path.ends_with("/..")
        })
    };
    let calls = machine.windows.calls();
    let calls = calls.iter().map(ToString::to_string);
    calls.filter(|call| is_odd(call)).collect()
}

fn with_layers(machine: Machine) -> Machine {
    machine.import(&layers::base(), BASE, &[]).unwrap();
    machine.import(&layers::app(), APP, &[BASE]).unwrap();
    machine.windows.folder(TARGET);
    machine.windows.clear_calls();
    machine
}

fn stored(machine: &Machine, layer: &str) -> String {
    let chain = machine.windows.data(format!("{layer}/layerchain.json"));
    String::from_utf8(chain.unwrap()).unwrap()
}

#[test]
fn an_import_uses_canonical_layer_paths() {
    for contents in [Contents::Anything, Contents::FilesAndRemovals] {
        for (layer, parent) in spellings("/c/layers/new").iter().zip(spellings(BASE)) {
            let machine = with_layers(Machine::new());
            machine
                .import_contents(&layers::app_without_links(), layer, &[&parent], contents)
                .unwrap();
            let calls = machine.windows.service_calls();
            let begins = match contents {
                Contents::Anything => "ImportLayer(/c/layers/new, /temp/",
                Contents::FilesAndRemovals => "ImportLayerBegin(/c/layers/new, [/c/layers/base])",
            };
            let begins = calls.iter().filter(|call| call.starts_with(begins));
            assert_eq!(begins.count(), 1, "{layer}: {calls:?}");
            assert_eq!(odd_calls(&machine), [""; 0], "{layer}");
            assert_eq!(stored(&machine, "/c/layers/new"), r#"["/c/layers/base"]"#);
        }
    }
}

#[test]
fn a_base_layer_is_processed_by_its_canonical_path() {
    for layer in spellings("/c/layers/new") {
        let machine = Machine::new();
        machine.import(&layers::base(), &layer, &[]).unwrap();
        assert_eq!(
            machine.windows.service_calls(),
            [
                "ProcessBaseImage(/c/layers/new)",
                "ProcessUtilityImage(/c/layers/new/UtilityVM)",
            ],
            "{layer}"
        );
        assert_eq!(odd_calls(&machine), [""; 0], "{layer}");
        machine.windows.folder("/c/layers/folder/Files");
        machine.windows.clear_calls();
        let folder = layer.replace("new", "folder");
        hcs::make_base_layer(&machine.host, folder.as_ref()).unwrap();
        assert_eq!(
            machine.windows.service_calls(),
            ["ProcessBaseImage(/c/layers/folder)"],
            "{folder}"
        );
        assert_eq!(odd_calls(&machine), [""; 0], "{folder}");
    }
}

#[test]
fn a_transport_folder_is_imported_by_canonical_paths() {
    for ((layer, folder), parent) in spellings("/c/layers/new")
        .iter()
        .zip(spellings("/c/transport"))
        .zip(spellings(BASE))
    {
        let machine = with_layers(Machine::new());
        machine.windows.folder("/c/transport/Files");
        let parents = chain(&[&parent]);
        let _ = hcs::import_layer(&machine.host, layer.as_ref(), folder.as_ref(), &parents);
        let calls = machine.windows.service_calls();
        assert_eq!(
            calls.last().map(String::as_str),
            Some("ImportLayer(/c/layers/new, /c/transport, [/c/layers/base])"),
            "{layer}"
        );
        assert_eq!(odd_calls(&machine), [""; 0], "{layer}");
    }
}

#[test]
fn an_export_uses_canonical_layer_paths() {
    for (layer, parent) in spellings(APP).iter().zip(spellings(BASE)) {
        let machine = with_layers(Machine::new());
        machine.export(layer, &[&parent]).unwrap();
        let calls = machine.windows.service_calls();
        let of_layer = calls.iter().filter(|call| !call.starts_with("NameToGuid"));
        let of_layer: Vec<_> = of_layer.map(|call| call.replace("/temp/", "T")).collect();
        assert_eq!(of_layer.len(), 5, "{layer}: {of_layer:?}");
        assert_eq!(of_layer[0], "ActivateLayer(/c/layers/app)");
        assert_eq!(of_layer[1], "PrepareLayer(/c/layers/app, [/c/layers/base])");
        assert_eq!(of_layer[2], "UnprepareLayer(/c/layers/app)");
        assert!(of_layer[3].starts_with("ExportLayer(/c/layers/app, T"));
        assert_eq!(of_layer[4], "DeactivateLayer(/c/layers/app)");
        assert_eq!(odd_calls(&machine), [""; 0], "{layer}");
    }
}

#[test]
fn a_scratch_layer_has_the_same_path_in_all_calls() {
    for ((scratch, target), parent) in spellings(SCRATCH)
        .iter()
        .zip(spellings(TARGET))
        .zip(spellings(BASE))
    {
        let machine = with_layers(Machine::new());
        let (host, scratch) = (&machine.host, Path::new(scratch));
        let target = Some(Path::new(&target));
        let parents = chain(&[&parent]);
        hcs::create_scratch(host, scratch, &parents, Some(1 << 34)).unwrap();
        assert_eq!(stored(&machine, SCRATCH), r#"["/c/layers/base"]"#);
        hcs::expand(host, scratch, 1 << 35).unwrap();
        assert!(hcs::exists(host, scratch).unwrap());
        hcs::mount(host, scratch, &parents, target).unwrap();
        assert_eq!(machine.windows.mounts(), [PathBuf::from(TARGET)]);
        hcs::mount_path(host, scratch).unwrap();
        hcs::unmount(host, scratch, target).unwrap();
        hcs::remove(host, scratch, false).unwrap();
        let calls = machine.windows.service_calls();
        let calls = calls.iter().filter(|call| !call.starts_with("NameToGuid"));
        let calls: Vec<_> = calls.collect();
        assert_eq!(
            calls,
            [
                "CreateSandboxLayer(/c/layers/scratch, [/c/layers/base])",
                "ExpandSandboxSize(/c/layers/scratch, 17179869184)",
                "ExpandSandboxSize(/c/layers/scratch, 34359738368)",
                "LayerExists(/c/layers/scratch)",
                "ActivateLayer(/c/layers/scratch)",
                "PrepareLayer(/c/layers/scratch, [/c/layers/base])",
                "GetLayerMountPath(/c/layers/scratch)",
                "GetLayerMountPath(/c/layers/scratch)",
                "UnprepareLayer(/c/layers/scratch)",
                "DeactivateLayer(/c/layers/scratch)",
                "DestroyLayer(/c/layers/scratch)",
            ]
        );
        assert_eq!(odd_calls(&machine), [""; 0]);
    }
}

#[test]
fn access_to_a_file_is_granted_by_its_canonical_path() {
    let machine = with_layers(Machine::new());
    let file = Path::new("/c/layers/./app//layerchain.json");
    hcs::grant_vm_access(&machine.host, "vm", file).unwrap();
    let expected = PathBuf::from("/c/layers/app/layerchain.json");
    assert_eq!(
        machine.windows.granted()[0].1.as_os_str(),
        expected.as_os_str()
    );
}

#[test]
fn chains_written_by_other_programs_are_normalised_when_read() {
    let machine = with_layers(Machine::new());
    let text = br#"["/c/layers/middle/","/c/layers//base/."]"#;
    machine.windows.file(format!("{APP}/layerchain.json"), text);
    let volume = &machine.host.volume;
    let expected = ParentChain::from_nearest_first(["/c/layers/middle", "/c/layers/base"]);
    let texts = |chain: &ParentChain| {
        let paths = chain.iter_nearest_first();
        paths
            .map(|path| path.as_os_str().to_owned())
            .collect::<Vec<_>>()
    };
    let stored = hcs::stored_parents(volume, APP.as_ref()).unwrap().unwrap();
    assert_eq!(texts(&stored), texts(&expected));
    // A single given parent is completed from its own chain.
    machine.windows.file("/c/layers/top/Files/a", b"");
    let given = chain(&["/c/layers/app/"]);
    let whole = hcs::resolve_parents(volume, "/c/layers/top".as_ref(), &given).unwrap();
    let expected = ParentChain::from_nearest_first([APP, "/c/layers/middle", "/c/layers/base"]);
    assert_eq!(texts(&whole), texts(&expected));
}

#[test]
fn an_incomplete_layer_is_recognised_by_any_spelling_of_its_path() {
    let machine = with_layers(Machine::new());
    machine
        .windows
        .file("/c/layers/.app.wclayer-importing", b"");
    for layer in spellings(APP) {
        assert!(
            hcs::check_complete(&machine.host, layer.as_ref()).is_err(),
            "{layer}"
        );
    }
}

#[test]
fn the_id_of_a_parent_comes_from_the_last_component() {
    let machine = with_layers(Machine::without_filter());
    let tar = layers::app_without_links();
    machine
        .import(&tar, "/c/layers/new", &["/c/layers/base/"])
        .unwrap();
    let calls = machine.windows.service_calls();
    let names: Vec<_> = calls
        .iter()
        .filter(|call| call.starts_with("NameToGuid"))
        .collect();
    assert_eq!(names, ["NameToGuid(base)"]);
}
