use std::fs;
use std::os::unix::fs::symlink;

use ntmeta::backup_stream::{BackupStreamWriter, StreamHeader, StreamId};
use ntmeta::{FileBasicInfo, FileTime, ReparseTag};
use tempfile::TempDir;

use super::*;
use crate::steps::assert_linear;
use crate::volume::{File, Scope, delete_tree};

fn folder() -> (TempDir, HostRoot) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = open(&HostVolume::new(), folder.path());
    (folder, root)
}

fn open(volume: &HostVolume, folder: &Path) -> HostRoot {
    let privileges = volume.enable(&[]).expect("no privilege is needed");
    volume.open_root(folder, &privileges).expect("it exists")
}

fn path(text: &str) -> LayerPath {
    text.parse().expect(text)
}

fn make(root: &HostRoot, name: &str, kind: Kind) -> io::Result<()> {
    root.create(&path(name), kind).and_then(File::close)
}

fn stream(parts: &[(StreamHeader, &[u8])]) -> Vec<u8> {
    let mut writer = BackupStreamWriter::new(Vec::new());
    for (header, body) in parts {
        writer.begin(header).expect("memory");
        io::Write::write_all(&mut writer, body).expect("memory");
    }
    writer.finish().expect("complete")
}

fn read_stream(root: &HostRoot, name: &str, scope: Scope) -> Vec<u8> {
    let mut file = root.open(Some(&path(name)), Access::Read).expect(name);
    let (mut all, mut piece) = (Vec::new(), [0; 7]);
    loop {
        match file.backup_read(&mut piece, scope).expect(name) {
            0 => return all,
            read => all.extend_from_slice(&piece[..read]),
        }
    }
}

fn info(attributes: u32) -> FileBasicInfo {
    let time = |ticks: u64| FileTime::from_ticks(133_000_000_000_000_000 + ticks);
    FileBasicInfo {
        creation_time: time(1),
        last_access_time: time(2),
        last_write_time: time(3),
        change_time: time(4),
        attributes: FileAttributes::from_bits_retain(attributes),
    }
}

/// Makes every call that takes a path, with a symbolic link as the component `planted` that leads
/// to a tree of the same shape.
#[test]
fn a_symbolic_link_at_any_component_is_never_followed() {
    for planted in ["a", "a/b", "a/b/c"] {
        let (outside, inside) = folder();
        fs::create_dir_all(outside.path().join("real/b/c")).expect("a folder");
        fs::create_dir_all(outside.path().join("root/a/b/c")).expect("a folder");
        for tree in ["real/b/c/x", "real/c/x", "real/x"] {
            let file = outside.path().join(tree);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, "secret").expect("a file");
        }
        drop(inside);
        let place = outside.path().join("root").join(planted);
        fs::remove_dir_all(&place).expect("a folder");
        symlink(outside.path().join("real"), &place).expect("a link");
        let volume = HostVolume::new();
        let root = open(&volume, &outside.path().join("root"));
        let behind = path(&format!("{planted}/x"));
        let before = fs::read_dir(outside.path().join("real"))
            .expect("listed")
            .count();
        for error in [
            root.open(Some(&behind), Access::Read).err(),
            root.create(&path(&format!("{planted}/new")), Kind::File)
                .err(),
            root.create(&path(&format!("{planted}/new")), Kind::Directory)
                .err(),
            root.link(&root, &behind, &path("linked")).err(),
            root.delete(&behind).err(),
            root.list(Some(&path(planted))).err(),
            root.look(&behind).err(),
        ] {
            let error = error.expect(planted);
            assert_eq!(
                error.kind(),
                io::ErrorKind::NotADirectory,
                "{planted}: {error}"
            );
        }
        let stat = root.look(&path(planted)).expect(planted).expect("the link");
        assert!(stat.is_reparse_point() && !stat.is_plain_directory());
        assert_eq!(stat.reparse_tag, Some(ReparseTag::LX_SYMLINK));
        assert!(root.open(Some(&path(planted)), Access::Read).is_err());
        delete_tree(&root, &path(planted)).expect("the link itself");
        assert!(fs::symlink_metadata(&place).is_err());
        let after = fs::read_dir(outside.path().join("real"))
            .expect("listed")
            .count();
        assert_eq!(before, after, "{planted}");
    }
}

#[test]
fn names_are_found_in_any_case_and_keep_their_spelling() {
    let (folder, root) = folder();
    make(&root, "Dir", Kind::Directory).expect("new");
    make(&root, "dir/ÄB.txt", Kind::File).expect("new");
    let taken = make(&root, "DIR/äb.TXT", Kind::File).expect_err("taken");
    assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
    let listed = root.list(Some(&path("dIR"))).expect("listed");
    assert_eq!(listed[0].name, "ÄB.txt".as_bytes());
    assert!(root.look(&path("DIR/ÄB.TXT")).expect("looked").is_some());
    assert_eq!(root.look(&path("DIR/none")).expect("looked"), None);
    // Names that other programs create are found as well.
    fs::write(folder.path().join("Other"), "x").expect("a file");
    let other = open(&HostVolume::new(), folder.path());
    assert!(other.look(&path("oTHER")).expect("looked").is_some());
    root.delete(&path("DIR/äb.txt")).expect("there");
    make(&root, "dir/äb.txt", Kind::File).expect("free again");
    delete_tree(&root, &path("dir")).expect("there");
    make(&root, "DIR", Kind::Directory).expect("free again");
    assert!(root.list(Some(&path("dir"))).expect("listed").is_empty());
}

#[test]
fn names_that_differ_only_in_case_are_found_as_spelled() {
    let (folder, root) = folder();
    fs::write(folder.path().join("a"), "small").expect("a file");
    if fs::symlink_metadata(folder.path().join("A")).is_ok() {
        return; // The disk itself ignores case.
    }
    fs::write(folder.path().join("A"), "LARGE.").expect("a file");
    for (name, size) in [("a", 5), ("A", 6)] {
        let stat = root.look(&path(name)).expect("looked").expect("there");
        assert_eq!(stat.size, size);
    }
    root.delete(&path("A")).expect("there");
    assert_eq!(
        root.look(&path("A"))
            .expect("looked")
            .expect("the other")
            .size,
        5
    );
}

#[test]
fn a_directory_is_not_listed_again_for_each_name() {
    // A directory that was created through the same volume, and one that existed before.
    for is_known in [true, false] {
        assert_linear(300, |size| {
            let (folder, root) = folder();
            make(&root, "d", Kind::Directory).expect("new");
            for number in 0..size {
                make(&root, &format!("d/File{number}"), Kind::File).expect("new");
            }
            let root = match is_known {
                true => root,
                false => open(&HostVolume::new(), folder.path()),
            };
            move || {
                for number in 0..size {
                    let twin = path(&format!("D/fILE{number}"));
                    assert!(root.look(&twin).expect("looked").is_some());
                    make(&root, &format!("D/New{number}"), Kind::File).expect("new");
                }
                drop(folder);
            }
        });
    }
}

/// Creates, examines, lists and deletes each level of a deep tree: opening all directories from the
/// root each time would take some 2,000,000 opens.
#[test]
fn a_deep_tree_opens_few_directories_per_level() {
    const DEPTH: usize = 1000;
    let (_folder, root) = folder();
    let level = |depth: usize| path(&["d"; DEPTH][..depth].join("/"));
    let file = |depth: usize| level(depth).join(b"f").expect("a path");
    for depth in 1..=DEPTH {
        root.create(&level(depth), Kind::Directory)
            .and_then(File::close)
            .expect("new");
        root.create(&file(depth), Kind::File)
            .and_then(File::close)
            .expect("new");
    }
    let made = root.way.lock().expect("no panic").opened;
    assert!(made <= 2 * DEPTH, "{made}");
    for depth in (1..=DEPTH).rev() {
        assert!(root.look(&file(depth)).expect("looked").is_some());
        assert_eq!(
            root.list(Some(&level(depth))).expect("listed").len(),
            1 + usize::from(depth < DEPTH)
        );
    }
    delete_tree(&root, &path("d")).expect("deleted");
    let opened = root.way.lock().expect("no panic").opened;
    assert!(opened <= 80 * DEPTH, "{opened}");
}

#[test]
fn a_recreated_directory_is_used() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let volume = HostVolume::new();
    let (root, other) = (open(&volume, folder.path()), open(&volume, folder.path()));
    for _ in 0..2 {
        make(&root, "d", Kind::Directory).expect("new");
        make(&root, "d/x", Kind::File).expect("new");
        assert!(other.look(&path("d/x")).expect("looked").is_some());
        delete_tree(&root, &path("d")).expect("deleted");
        assert_eq!(other.look(&path("d/x")).expect("looked"), None);
    }
    make(&root, "d/x", Kind::File).expect_err("no directory");
    make(&other, "d", Kind::Directory).expect("new");
    make(&root, "d/x", Kind::File).expect("new");
    assert!(folder.path().join("d/x").is_file());
}

#[test]
fn links_share_a_file_and_directories_cannot_be_linked() {
    let (_folder, root) = folder();
    make(&root, "a", Kind::File).expect("new");
    make(&root, "d", Kind::Directory).expect("new");
    root.link(&root, &path("A"), &path("b")).expect("a link");
    let look = |name| root.look(&path(name)).expect("looked").expect("there");
    assert_eq!((look("a").id, look("a").links), (look("b").id, 2));
    let error = root
        .link(&root, &path("d"), &path("e"))
        .expect_err("a directory");
    assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    let error = root.link(&root, &path("a"), &path("B")).expect_err("taken");
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    let error = root
        .link(&root, &path("none"), &path("c"))
        .expect_err("nothing");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn times_and_attributes_are_kept_until_another_program_writes() {
    let (folder, root) = folder();
    let mut file = root.create(&path("a"), Kind::File).expect("new");
    file.set_basic_info(&info(0x1 | 0x10 | 0x20)).expect("set");
    file.write_all(b"content").expect("written");
    file.close().expect("closed");
    let look = || root.look(&path("a")).expect("looked").expect("there");
    // A file does not become a directory.
    assert_eq!(look().basic_info, info(0x21));
    let file = root.open(Some(&path("a")), Access::Info).expect("there");
    file.set_basic_info(&info(0)).expect("set");
    assert_eq!(
        look().basic_info,
        info(0x21),
        "no attributes keep the current ones"
    );
    fs::write(folder.path().join("a"), "other").expect("written");
    let changed = look().basic_info;
    assert_eq!(changed.creation_time, info(0).creation_time);
    assert_eq!(changed.attributes, info(0x21).attributes);
    assert!(changed.last_write_time > info(0).last_write_time);
    root.delete(&path("a")).expect("read-only, and deleted");
}

#[test]
fn a_backup_stream_is_read_in_the_order_of_a_tar() {
    let (_folder, root) = folder();
    let name: Vec<u16> = "s".encode_utf16().collect();
    let alternate = (StreamHeader::alternate_data(&name, 3), &b"alt"[..]);
    let data = (StreamHeader::new(StreamId::DATA, 4), &b"data"[..]);
    let security = (StreamHeader::new(StreamId::SECURITY_DATA, 2), &b"sd"[..]);
    let ea = (StreamHeader::new(StreamId::EA_DATA, 2), &b"ea"[..]);
    let written = [
        alternate.clone(),
        data.clone(),
        ea.clone(),
        security.clone(),
    ];
    let mut file = root.create(&path("a"), Kind::File).expect("new");
    for piece in stream(&written).chunks(5) {
        file.backup_write(piece, Scope::WithSecurity)
            .expect("whole");
    }
    file.close().expect("closed");
    assert_eq!(
        read_stream(&root, "a", Scope::WithSecurity),
        stream(&[security, ea.clone(), data.clone(), alternate.clone()])
    );
    assert_eq!(
        read_stream(&root, "a", Scope::WithoutSecurity),
        stream(&[ea, data, alternate])
    );
}

#[test]
fn sparse_blocks_become_content() {
    let (folder, root) = folder();
    let sparse = stream(&[
        (StreamHeader::new(StreamId::DATA, 0), b""),
        (StreamHeader::sparse_block(3, 2), b"xy"),
        (StreamHeader::sparse_block(8, 0), b""),
    ]);
    let mut file = root.create(&path("a"), Kind::File).expect("new");
    file.backup_write(&sparse, Scope::WithSecurity)
        .expect("whole");
    file.close().expect("closed");
    assert_eq!(
        fs::read(folder.path().join("a")).expect("read"),
        b"\0\0\0xy\0\0\0"
    );
}

/// Holes are returned in blocks of the disk; a file without holes is returned whole.
#[test]
fn holes_are_reported_without_being_read() {
    let (folder, root) = folder();
    let sparse = stream(&[
        (StreamHeader::new(StreamId::DATA, 0), b""),
        (StreamHeader::sparse_block(30 << 30, 2), b"xy"),
        (StreamHeader::sparse_block(60 << 30, 0), b""),
    ]);
    let mut file = root.create(&path("a"), Kind::File).expect("new");
    file.backup_write(&sparse, Scope::WithSecurity)
        .and_then(|()| file.close())
        .expect("whole");
    let mut file = root.open(Some(&path("a")), Access::Read).expect("there");
    let mut start = vec![0; 1 << 20];
    let mut read = 0;
    while read < start.len() {
        match file
            .backup_read(&mut start[read..], Scope::WithSecurity)
            .expect("read")
        {
            0 => break,
            more => read += more,
        }
    }
    if read == start.len() {
        return; // The disk has no holes.
    }
    start.truncate(read);
    root.create(&path("b"), Kind::File)
        .and_then(|mut copy| {
            copy.backup_write(&start, Scope::WithSecurity)?;
            copy.close()
        })
        .expect("whole");
    let copy = fs::File::open(folder.path().join("b")).expect("there");
    let mut data = [0; 4];
    std::os::unix::fs::FileExt::read_exact_at(&copy, &mut data, (30 << 30) - 1).expect("read");
    assert_eq!(&data, b"\0xy\0");
    assert_eq!(copy.metadata().expect("there").len(), 60 << 30);
}

#[test]
fn a_directory_with_reparse_data_has_no_content() {
    let (_folder, root) = folder();
    let body = [&0xA000_0003_u32.to_le_bytes()[..], &[0; 4]].concat();
    let reparse = stream(&[(StreamHeader::new(StreamId::REPARSE_DATA, 8), &body)]);
    let mut junction = root.create(&path("j"), Kind::Directory).expect("new");
    junction
        .backup_write(&reparse, Scope::WithSecurity)
        .expect("whole");
    junction.close().expect("closed");
    let stat = root.look(&path("j")).expect("looked").expect("there");
    assert!(stat.is_directory() && stat.is_reparse_point());
    assert_eq!(stat.reparse_tag, Some(ReparseTag::MOUNT_POINT));
    assert!(!root.list(None).expect("listed")[0].is_plain_directory());
    for error in [
        make(&root, "j/x", Kind::File).err(),
        root.list(Some(&path("j"))).err(),
    ] {
        assert_eq!(error.expect("refused").kind(), io::ErrorKind::NotADirectory);
    }
    assert_eq!(read_stream(&root, "j", Scope::WithSecurity), reparse);
    delete_tree(&root, &path("j")).expect("deleted");
}

#[test]
fn metadata_that_cannot_be_stored_is_an_error() {
    let (_folder, root) = folder();
    let write = |name: &str, kind, bytes: &[u8]| {
        let mut file = root.create(&path(name), kind).expect("new");
        file.backup_write(bytes, Scope::WithSecurity)
            .and_then(|()| file.close())
            .expect_err("refused")
            .kind()
    };
    let large = StreamHeader::new(StreamId::SECURITY_DATA, 1 << 40);
    let mut header = Vec::new();
    large.encode(&mut header);
    assert_eq!(write("a", Kind::File, &header), io::ErrorKind::Unsupported);
    let data = stream(&[(StreamHeader::new(StreamId::DATA, 1), b"x")]);
    assert_eq!(
        write("b", Kind::Directory, &data),
        io::ErrorKind::InvalidData
    );
    assert_eq!(
        write("c", Kind::File, &data[..15]),
        io::ErrorKind::UnexpectedEof
    );
    let mut far = Vec::new();
    StreamHeader::sparse_block(i64::MAX, 1).encode(&mut far);
    assert_eq!(write("d", Kind::File, &far), io::ErrorKind::InvalidData);
    let mut negative = Vec::new();
    StreamHeader::sparse_block(-1, 1).encode(&mut negative);
    assert_eq!(
        write("e", Kind::File, &negative),
        io::ErrorKind::InvalidData
    );
}

#[test]
fn names_that_are_invalid_on_windows_are_refused() {
    for name in ["a:b", "a\\b", "x\u{1}:"] {
        let (folder, root) = folder();
        fs::write(folder.path().join(name), "x").expect(name);
        let error = root.list(None).expect_err(name);
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name}");
    }
}

#[test]
fn special_files_only_have_metadata() {
    let (folder, root) = folder();
    let pipe = folder.path().join("pipe");
    let _pipe = std::os::unix::net::UnixListener::bind(pipe).expect("a pipe");
    let stat = root.look(&path("pipe")).expect("looked").expect("there");
    assert_eq!(stat.basic_info.attributes, FileAttributes::DEVICE);
    assert!(root.open(Some(&path("pipe")), Access::Read).is_err());
    root.delete(&path("PIPE")).expect("deleted");
}

#[test]
fn read_small_rejects_a_fifo_without_blocking() {
    let (folder, _) = folder();
    let fifo = folder.path().join("layerchain.json");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.expect("mkfifo starts").success());
    for path in [&fifo, folder.path()] {
        let error = HostVolume::new().read_small(path, 10).expect_err("no file");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
