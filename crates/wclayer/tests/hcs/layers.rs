//! The layers of most tests: a base and a layer on top, with everything that layers can contain.

use layergen::{Meta, TarBuilder, standard_descriptors};

use crate::support::{directory, file, meta, tar};

type Tar = TarBuilder<Vec<u8>>;

fn secured(meta: Meta, descriptor: usize) -> Meta {
    Meta {
        security_descriptor: Some(standard_descriptors().swap_remove(descriptor)),
        ..meta
    }
}

const BOOT: &str = "UtilityVM/Files/EFI/Microsoft/Boot";

fn boot_directories(tar: &mut Tar, seconds: u64) -> std::io::Result<()> {
    for path in ["UtilityVM/Files/EFI", "UtilityVM/Files/EFI/Microsoft", BOOT] {
        tar.directory(path, &directory(seconds))?;
    }
    Ok(())
}

/// The base layer.
pub(crate) fn base() -> Vec<u8> {
    tar(|tar| {
        tar.directory("Files", &secured(directory(0), 6))?;
        tar.directory("Files/Gone", &directory(1))?;
        tar.file("Files/Gone/inside.txt", &file(2), b"inside")?;
        tar.directory("Files/Opaque", &directory(3))?;
        tar.file("Files/Opaque/a", &file(4), b"a")?;
        tar.file("Files/Opaque/c", &file(5), b"c of the base")?;
        tar.junction("Files/Settings", r"C:\Users", &meta(0x2410, 6))?;
        tar.directory("Files/Windows", &secured(directory(7), 7))?;
        tar.file("Files/Windows/a.dll", &secured(file(8), 1), &[7; 3000])?;
        tar.hard_link("Files/Windows/b.dll", "Files/Windows/a.dll", &file(8))?;
        tar.file(
            "Files/Windows/changed.txt",
            &secured(file(9), 2),
            b"of the base",
        )?;
        tar.file(
            "Files/Windows/gone.txt",
            &secured(meta(0x21, 10), 3),
            b"gone",
        )?;
        tar.symlink("Files/link.txt", r"Windows\changed.txt", &meta(0x420, 11))?;
        tar.directory("UtilityVM", &directory(20))?;
        tar.directory("UtilityVM/Files", &directory(21))?;
        boot_directories(tar, 22)?;
        tar.file(&format!("{BOOT}/BCD"), &file(23), b"boot of the base")?;
        tar.directory("UtilityVM/Files/Windows", &directory(24))?;
        tar.file("UtilityVM/Files/Windows/kept.sys", &file(25), b"kept")?;
        tar.file("UtilityVM/Files/Windows/old.sys", &file(26), b"old")?;
        tar.symlink(
            "UtilityVM/Files/Windows/point",
            r"C:\Windows",
            &meta(0x410, 27),
        )
    })
}

/// Files with all kinds of metadata, without links between them and without removals.
fn files(tar: &mut Tar) -> std::io::Result<()> {
    tar.directory("Files", &secured(directory(100), 8))?;
    tar.directory("Files/Empty", &directory(101))?;
    tar.file(
        "Files/read only.txt",
        &secured(meta(0x21, 102), 4),
        b"read only",
    )?;
    let with_attributes = Meta {
        extended_attributes: vec![
            ("FIRST".to_owned(), b"one".to_vec()),
            ("SECOND".to_owned(), vec![0; 70]),
        ],
        ..secured(file(103), 0)
    };
    tar.file("Files/attributes.bin", &with_attributes, b"")?;
    tar.file("Files/streams.txt", &secured(file(104), 5), b"data")?;
    tar.stream(
        "Files/streams.txt",
        "Zone.Identifier",
        &file(104),
        b"[ZoneTransfer]",
    )?;
    tar.stream("Files/streams.txt", "second", &file(104), &[1; 5000])?;
    let sparse = Meta {
        records: vec![("WCLAYER.sparse".to_owned(), b"8192+8192".to_vec())],
        ..meta(0x220, 105)
    };
    let mut content = vec![0; 0x6000];
    content[0x2000..0x4000].fill(9);
    tar.file("Files/sparse.bin", &sparse, &content)?;
    tar.junction("Files/point", r"C:\Windows", &secured(meta(0x410, 106), 9))?;
    tar.symlink("Files/soft.txt", r"streams.txt", &meta(0x420, 107))?;
    tar.directory("Files/Windows", &secured(directory(108), 10))?;
    tar.file(
        "Files/Windows/changed.txt",
        &file(109),
        b"of the layer above",
    )?;
    tar.file(
        "Files/Windows/new.dll",
        &secured(file(110), 2),
        &[8; 70_000],
    )
}

fn hives(tar: &mut Tar) -> std::io::Result<()> {
    tar.directory("Hives", &directory(120))?;
    for name in ["DefaultUser", "Sam", "Security", "Software", "System"] {
        let hive = layergen::minimal_hive(name, true);
        tar.file(&format!("Hives/{name}_Delta"), &file(121), &hive)?;
    }
    Ok(())
}

fn utility_vm(tar: &mut Tar) -> std::io::Result<()> {
    tar.directory("UtilityVM", &directory(130))?;
    tar.directory("UtilityVM/Files", &directory(131))?;
    boot_directories(tar, 132)?;
    tar.file(
        &format!("{BOOT}/BCD"),
        &file(133),
        b"boot of the layer above",
    )?;
    tar.directory("UtilityVM/Files/Windows", &directory(134))?;
    tar.file(
        "UtilityVM/Files/Windows/new.sys",
        &secured(file(135), 3),
        b"new",
    )
}

/// A layer on top of the base, without hard links and opaque directories.
pub(crate) fn app_without_links() -> Vec<u8> {
    tar(|tar| {
        files(tar)?;
        tar.whiteout("Files/Gone")?;
        tar.whiteout("Files/Windows/gone.txt")?;
        hives(tar)?;
        utility_vm(tar)?;
        tar.whiteout("UtilityVM/Files/Windows/old.sys")
    })
}

/// A layer on top of the base, with everything that a layer can contain.
pub(crate) fn app() -> Vec<u8> {
    tar(|tar| {
        files(tar)?;
        tar.hard_link(
            "Files/Windows/alias of base.dll",
            "Files/Windows/a.dll",
            &file(8),
        )?;
        tar.hard_link("Files/Windows/zz early.txt", "Files/later.txt", &file(111))?;
        tar.hard_link("Files/zz new.dll", "Files/Windows/new.dll", &file(110))?;
        tar.file("Files/later.txt", &file(111), b"after its link")?;
        tar.directory("Files/Opaque", &directory(112))?;
        tar.opaque("Files/Opaque")?;
        tar.file("Files/Opaque/b", &file(113), b"b of the layer above")?;
        tar.whiteout("Files/Gone")?;
        tar.whiteout("Files/Windows/gone.txt")?;
        hives(tar)?;
        utility_vm(tar)?;
        let target = "UtilityVM/Files/Windows/new.sys";
        tar.hard_link("UtilityVM/Files/Windows/other.sys", target, &file(135))?;
        tar.whiteout("UtilityVM/Files/Windows/old.sys")
    })
}
