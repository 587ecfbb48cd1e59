//! The privileges that each operation requests.

use wclayer::hcs;
use wclayer::volume::Privilege;

use crate::layers;
use crate::support::{APP, BASE, Machine, chain, messages};

/// Returns the requested privileges, in order.
fn asked_for(machine: &Machine) -> Vec<String> {
    let calls = machine.windows.calls().into_iter();
    let calls = calls.filter(|call| call.function == "enable");
    calls.map(|call| call.arguments).collect()
}

fn with_layers() -> Machine {
    let machine = Machine::without_filter();
    machine.import(&layers::base(), BASE, &[]).unwrap();
    machine.import(&layers::app(), APP, &[BASE]).unwrap();
    machine.windows.clear_calls();
    machine
}

#[test]
fn an_import_requests_symbolic_links_but_does_not_require_them() {
    for is_held in [true, false] {
        let machine = Machine::new();
        if !is_held {
            machine.windows.deny(Privilege::CreateSymbolicLink);
        }
        machine.import(&layers::base(), BASE, &[]).unwrap();
        assert_eq!(
            asked_for(&machine),
            [
                "SeBackupPrivilege, SeRestorePrivilege",
                "SeCreateSymbolicLinkPrivilege",
            ]
        );
        machine.assert_nothing_left("after an import");
    }
}

#[test]
fn an_export_only_needs_the_backup_privilege() {
    let whole = with_layers();
    for (layer, parents) in [(BASE, &[][..]), (APP, &[BASE])] {
        let machine = with_layers();
        for privilege in [
            Privilege::Restore,
            Privilege::ManageVolume,
            Privilege::Security,
            Privilege::CreateSymbolicLink,
        ] {
            machine.windows.deny(privilege);
        }
        let exported = machine.export(layer, parents).unwrap();
        assert_eq!(exported, whole.export(layer, parents).unwrap());
        let asked = asked_for(&machine);
        assert_eq!(asked, ["SeBackupPrivilege", "SeManageVolumePrivilege"]);
        machine.assert_nothing_left("after an export");
        machine.windows.deny(Privilege::Backup);
        let error = machine.export(layer, parents).unwrap_err();
        let text = messages(&error);
        assert!(text.contains("Back up files and directories"), "{text}");
    }
}

#[test]
fn a_removal_requests_the_privileges_for_deleting() {
    let machine = with_layers();
    hcs::remove(&machine.host, APP.as_ref(), true).unwrap();
    assert_eq!(
        asked_for(&machine),
        ["SeBackupPrivilege, SeRestorePrivilege"]
    );
}

#[test]
fn creating_a_scratch_layer_does_not_need_the_cleanup_privileges() {
    let machine = with_layers();
    machine.windows.deny(Privilege::Backup);
    machine.windows.deny(Privilege::Restore);
    let parents = chain(&[BASE]);
    hcs::create_scratch(&machine.host, "/c/layers/scratch".as_ref(), &parents, None).unwrap();
    assert!(machine.windows.exists("/c/layers/scratch/sandbox.vhdx"));
    machine.assert_nothing_left("after a scratch layer was made");
}
