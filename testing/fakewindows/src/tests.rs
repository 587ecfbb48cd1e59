//! Tests of the fake itself.

use std::io;
use std::path::Path;

use ntmeta::{FileAttributes, FileBasicInfo, FileTime, StreamHeader, StreamId};
use wclayer::LayerPath;
use wclayer::hcs::{FilterExport, Function, HResult, HostCompute, ParentLayer};
use wclayer::volume::{Access, File, Kind, Privilege, Privileges, Root, Scope, Volume};

use crate::{FakeRoot, FakeVolume, FakeWindows};

const BOTH: [Privilege; 2] = [Privilege::Backup, Privilege::Restore];

fn path(text: &str) -> LayerPath {
    text.parse().expect(text)
}

fn info(attributes: FileAttributes) -> FileBasicInfo {
    let time = FileTime::from_ticks(0x01D0_0000_0000_0000);
    FileBasicInfo {
        creation_time: time,
        last_access_time: time,
        last_write_time: time,
        change_time: time,
        attributes,
    }
}

fn stream(id: StreamId, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    StreamHeader::new(id, body.len() as u64).encode(&mut bytes);
    bytes.extend_from_slice(body);
    bytes
}

struct Machine {
    windows: FakeWindows,
    host: HostCompute<FakeVolume>,
    privileges: Privileges,
}

impl Machine {
    fn new() -> Self {
        let windows = FakeWindows::new();
        let host = windows.host_compute();
        let privileges = host.volume.enable(&BOTH).unwrap();
        Self {
            windows,
            host,
            privileges,
        }
    }

    fn root(&self, folder: &str) -> FakeRoot {
        self.windows.folder(folder);
        self.host
            .volume
            .open_root(folder.as_ref(), &self.privileges)
            .unwrap()
    }

    fn parent(&self, folder: &str) -> ParentLayer {
        let name = Path::new(folder).file_name().unwrap().to_str().unwrap();
        ParentLayer {
            id: self.host.service.name_to_guid(name).unwrap(),
            path: folder.into(),
        }
    }
}

#[test]
fn names_ignore_case_and_changes_update_the_directory() {
    let machine = Machine::new();
    let root = machine.root("/c/x");
    root.create(&path("Dir"), Kind::Directory).unwrap();
    let set = info(FileAttributes::HIDDEN);
    root.open(Some(&path("dir")), Access::Info)
        .unwrap()
        .set_basic_info(&set)
        .unwrap();
    let stat = root.look(&path("DIR")).unwrap().unwrap();
    assert_eq!(stat.basic_info.last_write_time, set.last_write_time);
    assert_eq!(
        stat.basic_info.attributes,
        FileAttributes::HIDDEN | FileAttributes::DIRECTORY
    );
    root.create(&path("dir/a"), Kind::File).unwrap();
    let clash = root.create(&path("DIR/A"), Kind::File).err().unwrap();
    assert_eq!(clash.kind(), io::ErrorKind::AlreadyExists);
    let stat = root.look(&path("DIR")).unwrap().unwrap();
    assert!(stat.basic_info.last_write_time > set.last_write_time);
    assert_eq!(stat.basic_info.creation_time, set.creation_time);
}

#[test]
fn names_below_a_reparse_point_do_not_resolve_and_are_counted() {
    let machine = Machine::new();
    machine.windows.file("/c/target/a", b"x");
    machine.windows.junction("/c/x/j", r"C:\target");
    let root = machine.root("/c/x");
    assert!(root.look(&path("j")).unwrap().unwrap().is_reparse_point());
    assert_eq!(machine.windows.traversals(), 0);
    assert!(root.look(&path("j/a")).is_err());
    assert!(root.create(&path("j/b"), Kind::File).is_err());
    assert!(root.list(Some(&path("j"))).is_err());
    assert_eq!(machine.windows.traversals(), 2);
    root.delete(&path("j")).unwrap();
    assert!(machine.windows.exists("/c/target/a"));
}

#[test]
fn open_files_and_restored_descriptors_resist_deletion() {
    let machine = Machine::new();
    let root = machine.root("/c/x");
    let mut file = root.create(&path("a"), Kind::File).unwrap();
    let again = root.open(Some(&path("a")), Access::Read).err().unwrap();
    assert_eq!(again.kind(), io::ErrorKind::ResourceBusy);
    assert_eq!(
        root.delete(&path("a")).unwrap_err().kind(),
        io::ErrorKind::ResourceBusy
    );
    file.backup_write(
        &stream(StreamId::SECURITY_DATA, b"descriptor"),
        Scope::WithSecurity,
    )
    .unwrap();
    file.close().unwrap();
    let denied = machine.host.volume.delete("/c/x/a".as_ref()).unwrap_err();
    assert_eq!(denied.kind(), io::ErrorKind::PermissionDenied);
    root.delete(&path("a")).unwrap();
    assert_eq!(machine.windows.open_handles(), ["/c/x"]);
}

#[test]
fn a_backup_stream_is_returned_in_windows_order() {
    let machine = Machine::new();
    let root = machine.root("/c/x");
    let parts = [
        stream(StreamId::EA_DATA, b"attributes"),
        stream(StreamId::SECURITY_DATA, b"descriptor"),
        stream(StreamId::DATA, b"data"),
    ];
    let mut file = root.create(&path("a"), Kind::File).unwrap();
    for byte in parts.concat() {
        file.backup_write(&[byte], Scope::WithSecurity).unwrap();
    }
    file.close().unwrap();
    let read = |scope| {
        let mut file = root.open(Some(&path("a")), Access::Read).unwrap();
        let mut bytes = [0; 4096];
        let length = file.backup_read(&mut bytes, scope).unwrap();
        bytes[..length].to_vec()
    };
    let without = read(Scope::WithoutSecurity);
    assert_eq!(without, [&parts[2][..], &parts[0]].concat());
    let mut security = parts[1].clone();
    security[4] = 2;
    assert_eq!(read(Scope::WithSecurity), [security, without].concat());
    let mut cut = root.create(&path("b"), Kind::File).unwrap();
    cut.backup_write(&parts[0][..5], Scope::WithSecurity)
        .unwrap();
    assert_eq!(
        cut.close().unwrap_err().kind(),
        io::ErrorKind::UnexpectedEof
    );
}

#[test]
fn one_call_fails_or_the_process_dies() {
    let machine = Machine::new();
    let windows = &machine.windows;
    windows.fail_at(2, HResult::from_win32(112));
    assert!(machine.host.volume.create_folder("/a".as_ref()).is_ok());
    let error = machine
        .host
        .volume
        .create_folder("/b".as_ref())
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(machine.host.volume.create_folder("/b".as_ref()).is_ok());
    let root = machine.root("/b");
    windows.die_at(1);
    assert!(machine.host.volume.create_folder("/c".as_ref()).is_err());
    assert!(root.create(&path("a"), Kind::File).is_err());
    assert!(windows.restart());
    assert!(windows.open_handles().is_empty() && windows.enabled_privileges().is_empty());
    assert!(!windows.exists("/c") && !windows.exists("/b/a"));
}

/// The changes of a layer on top of a base are exported by `ExportLayer` and `ExportLayerBegin`.
#[test]
fn an_imported_layer_can_be_exported() {
    let machine = Machine::new();
    let (windows, service) = (&machine.windows, &machine.host.service);
    windows.file("/c/base/Files/dir/gone", b"1");
    windows.file("/c/base/Files/dir/kept", b"2");
    windows.file("/c/base/Files/changed", b"3");
    let encoded = |attributes: u32, body: &[u8]| [&attributes.to_le_bytes(), body].concat();
    windows.file(
        "/t/Files/changed",
        &encoded(0x20, &stream(StreamId::DATA, b"new")),
    );
    windows.folder("/t/Files/dir");
    windows.file("/t/Files/dir.$wcidirs$", &encoded(0x12, b""));
    let tombstones = "\u{feff}Version 1.0\r\n\\dir\\gone\r\n";
    windows.file("/t/tombstones.txt", tombstones.as_bytes());
    let parents = [machine.parent("/c/base")];
    service
        .import_layer("/c/app".as_ref(), "/t".as_ref(), &parents)
        .unwrap();
    assert_eq!(windows.data("/c/app/Files/changed").unwrap(), b"new");
    assert_eq!(windows.data("/c/base/Files/changed").unwrap(), b"3");
    assert_eq!(windows.list("/c/app/Files/dir"), ["kept"]);
    assert_eq!(windows.look("/c/app/Files/dir/kept").unwrap().links, 2);
    service
        .export_layer("/c/app".as_ref(), "/u".as_ref(), &parents)
        .unwrap();
    assert_eq!(
        windows.data("/u/tombstones.txt").unwrap(),
        tombstones.as_bytes()
    );
    assert_eq!(
        windows.list("/u/Files"),
        ["changed", "dir", "dir.$wcidirs$"]
    );
    for name in ["Files/changed", "Files/dir.$wcidirs$"] {
        assert_eq!(
            windows.data(Path::new("/u").join(name)),
            windows.data(Path::new("/t").join(name)),
            "{name}"
        );
    }
    let mut export = service.begin_export("/c/app".as_ref(), &parents).unwrap();
    let names = listed(&mut *export);
    assert_eq!(
        names,
        [
            r"\Files",
            r"\Files\changed",
            r"\Files\dir",
            r"-\Files\dir\gone"
        ]
    );
    assert_eq!(windows.contexts(), ["export /c/app"]);
    export.end().unwrap();
    assert!(windows.contexts().is_empty());
}

fn listed(export: &mut dyn FilterExport) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(entry) = export.next().unwrap() {
        let sign = if entry.deleted { "-" } else { "" };
        names.push(format!("{sign}{}", String::from_utf16_lossy(&entry.name)));
    }
    names
}

#[test]
fn states_and_missing_calls_are_errors() {
    let machine = Machine::new();
    let service = &machine.host.service;
    let layer = Path::new("/c/scratch");
    machine.windows.file("/c/base/Files/a", b"1");
    let parents = [machine.parent("/c/base")];
    service.create_scratch_layer(layer, &parents).unwrap();
    assert!(service.prepare_layer(layer, &parents).is_err());
    assert!(service.layer_mount_path(layer).is_err());
    service.activate_layer(layer).unwrap();
    service.prepare_layer(layer, &parents).unwrap();
    let volume = service.layer_mount_path(layer).unwrap();
    machine.windows.folder("/c/here");
    machine
        .host
        .volume
        .mount(&format!("{volume}\\"), "/c/here".as_ref())
        .unwrap();
    assert!(service.deactivate_layer(layer).is_err());
    assert!(service.destroy_layer(layer).is_err());
    machine.host.volume.unmount("/c/here".as_ref()).unwrap();
    service.unprepare_layer(layer).unwrap();
    service.deactivate_layer(layer).unwrap();
    service.destroy_layer(layer).unwrap();
    let windows = FakeWindows::new().without(Function::ImportLayerBegin);
    let service = windows.host_compute().service;
    assert!(!service.has(Function::ImportLayerBegin));
    assert!(
        service
            .begin_import(layer, &[])
            .err()
            .unwrap()
            .hresult()
            .is_none()
    );
}
