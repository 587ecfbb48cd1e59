//! The machine around the files: privileges and the DLLs of the service.

use wclayer::ErrorKind;
use wclayer::volume::{Privilege, PrivilegeError, Volume};
use wclayer::windows::{Api, NtVolume, host_compute};

use crate::Result;

#[test]
fn a_root_requires_the_privileges_of_its_files() -> Result {
    let volume = NtVolume::new();
    let folder = std::env::temp_dir();
    let none = volume.enable(&[])?;
    assert!(volume.open_root(&folder, &none).is_err());
    let only_backup = volume.enable(&[Privilege::Backup])?;
    assert!(volume.open_root(&folder, &only_backup).is_ok());
    assert!(matches!(
        only_backup.require(&[Privilege::Restore]),
        Err(PrivilegeError::NotHeld(Privilege::Restore))
    ));
    let both = volume.enable_with(&[Privilege::Backup], &[Privilege::Restore])?;
    drop(only_backup);
    assert!(
        both.require(&[Privilege::Backup, Privilege::Restore])
            .is_ok()
    );
    assert!(volume.open_root(&folder, &both).is_ok());
    Ok(())
}

#[test]
fn a_missing_dll_is_named() -> Result {
    for (api, dll) in [
        (Api::Vmcompute, "vmcompute.dll"),
        (Api::Computestorage, "computestorage.dll"),
    ] {
        match host_compute(api) {
            Ok(found) => assert_eq!(found.service.dll(), dll),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                assert!(error.to_string().contains(dll), "{error}");
            }
        }
    }
    Ok(())
}
