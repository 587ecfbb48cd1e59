//! Transport folders on the disks of this machine: tar → folder → tar, hostile folders, and failing
//! imports.
#![cfg(unix)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::symlink;
use std::path::Path;

use common::{
    DIRECTORY, Layers, REPARSE, chain, directory, names_in, plain, root_cause, snapshot, tar,
};
use layergen::{Meta, TarBuilder};
use wclayer::hub::{self, Entry, LayerReader};
use wclayer::ntmeta::{BackupStreamReader, StreamHeader, StreamId};
use wclayer::source::{self, Kind};
use wclayer::tar::{TarLayerReader, TarLayerWriter};
use wclayer::transport::{self, FolderSummary, ImportOptions, ImportSummary};
use wclayer::volume::host::HostVolume;
use wclayer::{Error, ErrorKind, LayerPath, ParentChain};

/// The streams of a backup stream, with their bodies.
type Streams = Vec<(StreamHeader, Vec<u8>)>;

/// Returns the entries of a source, each with the streams of its backup stream.
fn entries(source: &mut dyn LayerReader) -> Vec<(Entry, Streams)> {
    let mut all = Vec::new();
    while let Some(entry) = source.next_entry().expect("a readable layer") {
        let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            match source.read_stream(&mut piece).expect("a readable layer") {
                0 => break,
                read => bytes.extend_from_slice(&piece[..read]),
            }
        }
        let mut reader = BackupStreamReader::new(&bytes[..]);
        let mut streams = Vec::new();
        while let Some(header) = reader.next_header().expect("a backup stream") {
            let mut body = Vec::new();
            std::io::Read::read_to_end(&mut reader, &mut body).expect("memory");
            streams.push((header, body));
        }
        all.push((entry, streams));
    }
    all
}

/// The entries of a tar by path, reduced to the content of a transport folder: outside `Files`, all
/// times are the write time, `Hives` has those of `System_Delta`, and security is kept only in
/// `Files` and the utility VM; of a link, only its target is kept.
fn kept(tar: &[u8]) -> BTreeMap<String, String> {
    let all = entries(&mut TarLayerReader::new(tar));
    let hive = all.iter().find_map(|(entry, _)| match entry {
        Entry::File(file) if file.path == path("Hives/System_Delta") => Some(file.basic_info),
        _ => None,
    });
    let mut kept = BTreeMap::new();
    let mut links: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (entry, mut streams) in all {
        let name = entry.path().to_string();
        match entry {
            Entry::File(mut file) => {
                let info = &mut file.basic_info;
                let attributes = info.attributes;
                if let (Some(times), "Hives") = (hive, &name[..]) {
                    *info = times;
                    info.attributes = attributes;
                }
                if !name.starts_with("Files") {
                    info.creation_time = info.last_write_time;
                    info.last_access_time = info.last_write_time;
                }
                if name.starts_with("Hives") {
                    streams.retain(|(header, _)| header.id != StreamId::SECURITY_DATA);
                }
                links.entry(name.clone()).or_default();
                kept.insert(
                    name,
                    format!("{:?} {} {streams:?}", file.basic_info, file.size),
                );
            }
            Entry::Link(link) => links.entry(link.target.to_string()).or_default().push(name),
            Entry::Removal(_) => _ = kept.insert(name, "removed".to_owned()),
            Entry::Opaque(_) => panic!("{name}: opaque directories are expanded"),
        }
    }
    // The order of the entries determines which of the names carries the file.
    for (target, mut names) in links {
        if !names.is_empty() {
            let content = kept.remove(&target).expect("the target is an entry");
            names.push(target);
            names.sort();
            kept.insert(names.join(" = "), content);
        }
    }
    kept
}

fn path(text: &str) -> LayerPath {
    text.parse().expect(text)
}

fn import(
    layers: &Layers,
    name: &str,
    tar: &[u8],
    parents: &[&str],
) -> Result<ImportSummary, Error> {
    let parents = ParentChain::from_nearest_first(parents.iter().map(|name| layers.path(name)));
    let options = ImportOptions::default().parents(source::open_parents(&parents, &())?);
    import_with(&layers.path(name), tar, options)
}

fn import_with(folder: &Path, tar: &[u8], options: ImportOptions) -> Result<ImportSummary, Error> {
    let mut reader = TarLayerReader::new(tar);
    let made = transport::import(&HostVolume::new(), &mut reader, folder, options, &())?;
    assert_eq!(made.found, counted(folder));
    Ok(made)
}

/// Counts what a finished folder holds.
fn counted(folder: &Path) -> FolderSummary {
    let volume = HostVolume::new();
    let privileges = wclayer::volume::Volume::enable(&volume, &[]).expect("none");
    let mut reader = transport::open(&volume, folder, &privileges).expect("a folder");
    transport::count(&mut reader, &()).expect("readable")
}

fn export(folder: &Path) -> Result<Vec<u8>, Error> {
    transport::export(
        &HostVolume::new(),
        folder,
        TarLayerWriter::new(Vec::new()),
        &(),
    )
}

fn build(build: impl FnOnce(&mut TarBuilder<Vec<u8>>) -> std::io::Result<()>) -> Vec<u8> {
    tar(build).into_inner()
}

fn sample(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/sample");
    let blob = fs::File::open(folder.join(name)).expect(name);
    let mut tar = Vec::new();
    let mut decoder = wclayer::compression::Decoder::new(blob).expect(name);
    std::io::Read::read_to_end(&mut decoder, &mut tar).expect(name);
    tar
}

#[test]
fn a_base_layer_survives_with_everything_a_folder_can_hold() {
    let layers = Layers::new();
    let tar = sample("base.tar.gz");
    let summary = import(&layers, "base", &tar, &[]).expect("a layer");
    assert_eq!(summary.warnings, [] as [&str; 0]);
    let back = export(&layers.path("base")).expect("a folder");
    assert_eq!(kept(&back), kept(&tar));
    // The exported tar survives another round trip byte for byte.
    import(&layers, "again", &back, &[]).expect("a layer");
    assert_eq!(export(&layers.path("again")).expect("a folder"), back);
}

/// The parent of the sample's upper layer is a portable layer or a transport folder.
#[test]
fn removals_survive_on_top_of_either_kind_of_parent() {
    let layers = Layers::new();
    let base = sample("base.tar.gz");
    layers
        .import("portable", Cursor::new(base.clone()), &[])
        .expect("a layer");
    import(&layers, "folder", &base, &[]).expect("a layer");
    let app = sample("app.tar.gz");
    let mut tombstones = Vec::new();
    for parent in ["portable", "folder"] {
        let name = format!("app on {parent}");
        import(&layers, &name, &app, &[parent]).expect(parent);
        let back = export(&layers.path(&name)).expect(parent);
        import(&layers, &format!("{name} again"), &back, &[parent]).expect(parent);
        let again = export(&layers.path(&format!("{name} again"))).expect(parent);
        assert_eq!(again, back, "{parent}");
        tombstones.push(fs::read(layers.path(&name).join("tombstones.txt")).expect(parent));
    }
    assert_eq!(tombstones[0], tombstones[1]);
    assert!(tombstones[0].len() > 16, "the sample removes something");
}

#[test]
fn opaque_directories_become_removals_of_the_parents_entries() {
    let layers = Layers::new();
    let lowest = build(|tar| {
        tar.directory("Files/d", &directory())?;
        tar.file("Files/d/old", &plain(), b"1")?;
        tar.file("Files/d/gone", &plain(), b"1")?;
        tar.file("Files/d/same", &plain(), b"1")?;
        tar.directory("Files/d/sub", &directory())?;
        tar.file("Files/d/sub/old", &plain(), b"1")
    });
    let middle = build(|tar| {
        tar.directory("Files/d", &directory())?;
        tar.whiteout("Files/d/gone")?;
        tar.file("Files/d/New", &plain(), b"2")
    });
    let upper = build(|tar| {
        tar.directory("Files/d", &directory())?;
        tar.opaque("Files/d")?;
        tar.file("Files/d/SAME", &plain(), b"3")?;
        tar.directory("Files/d/sub", &directory())?;
        tar.file("Files/d/sub/mine", &plain(), b"3")
    });
    import(&layers, "lowest", &lowest, &[]).expect("a layer");
    import(&layers, "middle", &middle, &["lowest"]).expect("a layer");
    import(&layers, "upper", &upper, &["middle", "lowest"]).expect("a layer");
    let text = fs::read_to_string(layers.path("upper/tombstones.txt")).expect("written");
    assert_eq!(
        text,
        "\u{feff}Version 1.0\r\n\\d\\New\r\n\\d\\old\r\n\\d\\sub\\old\r\n"
    );
}

#[test]
fn links_before_their_target_and_to_links_are_hard_links() {
    let layers = Layers::new();
    let tar = build(|tar| {
        tar.hard_link("Files/a", "Files/c", &plain())?;
        tar.hard_link("Files/b", "Files/a", &plain())?;
        tar.file("Files/c", &plain(), b"content")
    });
    import(&layers, "layer", &tar, &[]).expect("a layer");
    use std::os::unix::fs::MetadataExt;
    let inode = |name: &str| {
        fs::metadata(layers.path("layer/Files").join(name))
            .expect(name)
            .ino()
    };
    assert_eq!((inode("a"), inode("b")), (inode("c"), inode("c")));
    let back = export(&layers.path("layer")).expect("a folder");
    let all = entries(&mut TarLayerReader::new(&back[..]));
    let targets: Vec<_> = all
        .iter()
        .filter_map(|(entry, _)| match entry {
            Entry::Link(link) => Some((link.path.to_string(), link.target.to_string())),
            _ => None,
        })
        .collect();
    let link = |name: &str| (name.to_owned(), "Files/a".to_owned());
    assert_eq!(targets, [link("Files/b"), link("Files/c")]);
}

#[test]
fn a_loop_of_links_is_refused() {
    let layers = Layers::new();
    let tar = build(|tar| {
        tar.hard_link("Files/a", "Files/b", &plain())?;
        tar.hard_link("Files/b", "Files/a", &plain())
    });
    let error = import(&layers, "layer", &tar, &[]).expect_err("a loop");
    let cause = root_cause(&error);
    assert!(cause.contains("a loop of hard links"), "{cause}");
    assert_eq!(layers.names(), [""; 0]);
}

#[test]
fn long_chains_of_links_and_removals_of_a_parent_are_resolved_by_name() {
    const MANY: usize = 2_000;
    let layers = Layers::new();
    let parent =
        build(|tar| (0..MANY).try_for_each(|number| tar.whiteout(&format!("Files/d/{number}"))));
    let base = build(|tar| {
        (0..MANY).try_for_each(|number| tar.file(&format!("Files/d/{number}"), &plain(), b""))
    });
    import(&layers, "base", &base, &[]).expect("a base layer");
    import(&layers, "parent", &parent, &["base"]).expect("a parent");
    let tar = build(|tar| {
        tar.opaque("Files/d")?;
        tar.file("Files/0", &plain(), b"")?;
        (1..MANY).try_for_each(|number| {
            let target = format!("Files/{}", number - 1);
            tar.hard_link(&format!("Files/{number}"), &target, &plain())
        })?;
        (0..MANY).try_for_each(|number| tar.file(&format!("Files/e{number}"), &plain(), b""))
    });
    import(&layers, "layer", &tar, &["parent", "base"]).expect("a layer");
    let tombstones = fs::read(layers.path("layer/tombstones.txt")).expect("written");
    assert!(
        !tombstones.contains(&b'\\'),
        "the parent already removes everything"
    );
}

#[test]
fn a_link_to_a_file_of_a_parent_is_copied_with_a_warning() {
    let layers = Layers::new();
    let base = build(|tar| tar.file("Files/shared", &plain(), b"of the parent"));
    layers
        .import("portable", Cursor::new(base.clone()), &[])
        .expect("a layer");
    import(&layers, "folder", &base, &[]).expect("a layer");
    let upper = build(|tar| {
        tar.hard_link("Files/one", "Files/shared", &plain())?;
        tar.hard_link("Files/two", "Files/SHARED", &plain())
    });
    for parent in ["portable", "folder"] {
        let name = format!("on {parent}");
        let summary = import(&layers, &name, &upper, &[parent]).expect(parent);
        assert_eq!(summary.warnings.len(), 1, "{:?}", summary.warnings);
        let back = export(&layers.path(&name)).expect(parent);
        let back = kept(&back);
        assert!(back["Files/one = Files/two"].contains("13"), "{back:?}");
    }
    let error = import(&layers, "alone", &upper, &[]).expect_err("no parent");
    assert_eq!(error.kind(), ErrorKind::InvalidLayer, "{:?}", chain(&error));
    assert!(!layers.path("alone").exists());
}

#[test]
fn missing_hives_are_added() {
    let layers = Layers::new();
    let tar = build(|tar| {
        tar.directory("Hives", &directory())?;
        tar.file("Hives/SYSTEM_DELTA", &plain(), b"its own")
    });
    let options = ImportOptions::default().hives(true);
    import_with(&layers.path("layer"), &tar, options).expect("a layer");
    let hives = layers.path("layer/Hives");
    let expected = [
        "DefaultUser_Delta",
        "SYSTEM_DELTA",
        "Sam_Delta",
        "Security_Delta",
        "Software_Delta",
    ];
    assert_eq!(names_in(&hives), expected);
    assert_eq!(
        fs::read(hives.join("SYSTEM_DELTA")).expect("read"),
        b"its own"
    );
    let sam = fs::read(hives.join("Sam_Delta")).expect("read");
    assert_eq!(wclayer::ntmeta::hive::check(&sam, sam.len() as u64), Ok(()));
}

/// A rejected import leaves nothing behind.
#[test]
fn a_rejected_layer_leaves_nothing_behind() {
    type Build = fn(&mut TarBuilder<Vec<u8>>) -> std::io::Result<()>;
    let cases: [(&str, Build); 9] = [
        ("a directory with data", |tar| {
            tar.file("Files/f", &directory(), b"data")
        }),
        ("a file where a directory must be", |tar| {
            tar.file("Hives", &plain(), b"")
        }),
        ("removal without parents", |tar| tar.whiteout("Files/x")),
        ("reserved name", |tar| {
            tar.file("Files/d.$wcidirs$", &plain(), b"")
        }),
        ("below a file", |tar| {
            tar.file("Files/f", &plain(), b"")?;
            tar.file("Files/f/x", &plain(), b"")
        }),
        ("link to nothing", |tar| {
            tar.hard_link("Files/l", "Files/none", &plain())
        }),
        ("link to itself", |tar| {
            tar.hard_link("Files/l", "Files/l", &plain())
        }),
        ("link to a directory", |tar| {
            tar.directory("Files/d", &directory())?;
            tar.hard_link("Files/l", "Files/d", &plain())
        }),
        ("link out of Files", |tar| {
            tar.directory("Hives", &directory())?;
            tar.file("Hives/x", &plain(), b"")?;
            tar.hard_link("Files/l", "Hives/x", &plain())
        }),
    ];
    for (what, case) in cases {
        let layers = Layers::new();
        import(&layers, "layer", &build(case), &[]).expect_err(what);
        assert_eq!(layers.names(), [""; 0], "{what}");
    }
}

/// The model is the import to a portable layer, which rejects the same layers.
#[test]
fn no_entry_with_a_duplicate_name_is_silently_lost() {
    type Build = fn(&mut Tar, &str) -> std::io::Result<()>;
    type Tar = TarBuilder<Vec<u8>>;
    let kinds: [(&str, Build); 5] = [
        ("file", |tar, path| tar.file(path, &plain(), b"content")),
        ("hard link", |tar, path| {
            tar.hard_link(path, "Files/target", &plain())
        }),
        ("symbolic link", |tar, path| {
            tar.symlink(path, "target", &plain())
        }),
        ("directory", |tar, path| tar.directory(path, &directory())),
        ("junction", |tar, path| {
            tar.junction(
                path,
                r"C:\target",
                &Meta::with_attributes(DIRECTORY | REPARSE),
            )
        }),
    ];
    for part in ["Files", "UtilityVM/Files"] {
        for (first, add_first) in kinds {
            for (second, add_second) in kinds {
                let layers = Layers::new();
                let tar = build(|tar| {
                    tar.directory("UtilityVM", &directory())?;
                    tar.directory("UtilityVM/Files", &directory())?;
                    tar.file("Files/target", &plain(), b"target")?;
                    add_first(tar, &format!("{part}/x"))?;
                    add_second(tar, &format!("{part}/X"))
                });
                let what = format!("{first}, {second} in {part}");
                let portable = layers.import("portable", Cursor::new(tar.clone()), &[]);
                let folder = import(&layers, "folder", &tar, &[]);
                assert_eq!(portable.is_ok(), first == second, "{what}");
                assert_eq!(folder.is_ok(), first == second, "{what}: {folder:?}");
                assert_eq!(layers.path("folder").exists(), first == second, "{what}");
            }
        }
    }
}

#[test]
fn the_last_of_two_links_with_the_same_name_counts() {
    let layers = Layers::new();
    let tar = build(|tar| {
        tar.file("Files/a", &plain(), b"first")?;
        tar.file("Files/b", &plain(), b"second one")?;
        tar.hard_link("Files/l", "Files/a", &plain())?;
        tar.hard_link("Files/L", "Files/b", &plain())
    });
    import(&layers, "layer", &tar, &[]).expect("a layer");
    let back = kept(&export(&layers.path("layer")).expect("a folder"));
    let names: Vec<_> = back.keys().collect();
    assert_eq!(names, ["Files", "Files/L = Files/b", "Files/a"]);
}

#[test]
fn an_existing_folder_is_only_replaced_on_request_and_if_it_is_a_layer() {
    let layers = Layers::new();
    let (old, new) = (
        build(|tar| tar.file("Files/old", &plain(), b"")),
        build(|tar| tar.file("Files/new", &plain(), b"")),
    );
    import(&layers, "layer", &old, &[]).expect("a layer");
    let error = import(&layers, "layer", &new, &[]).expect_err("it already exists");
    assert_eq!(error.kind(), ErrorKind::Exists);
    let replace = || ImportOptions::default().replace(true);
    import_with(&layers.path("layer"), &new, replace()).expect("replaced");
    assert!(layers.path("layer/Files/new").exists());
    assert!(!layers.path("layer/Files/old").exists());
    fs::create_dir(layers.path("other")).expect("a folder");
    fs::write(layers.path("other/precious"), "x").expect("a file");
    import_with(&layers.path("other"), &new, replace()).expect_err("not a layer");
    assert_eq!(names_in(&layers.path("other")), ["precious"]);
}

/// Creates a folder, lets `change` damage it, and returns the reason why it cannot be read.
#[track_caller]
fn spoilt(change: impl FnOnce(&Path)) -> String {
    let layers = Layers::new();
    let tar = build(|tar| {
        tar.directory("Files/d", &directory())?;
        tar.file("Files/d/f", &plain(), b"content")
    });
    import(&layers, "layer", &tar, &[]).expect("a layer");
    fs::write(layers.path("outside"), "secret").expect("a file");
    change(&layers.path("layer"));
    let before = snapshot(&layers.path("layer"));
    let error = export(&layers.path("layer")).expect_err("spoilt");
    assert_eq!(snapshot(&layers.path("layer")), before);
    chain(&error).join(": ")
}

#[test]
fn hostile_folders_are_rejected() {
    let replace = |path: &Path, content: &[u8]| {
        fs::remove_file(path).expect("the file exists");
        fs::write(path, content).expect("a file");
    };
    for (part, change) in [
        (
            "tombstones.txt",
            Box::new(|layer: &Path| {
                fs::remove_file(layer.join("tombstones.txt")).expect("the file exists");
            }) as Box<dyn Fn(&Path)>,
        ),
        (
            "line 2",
            Box::new(move |layer| {
                replace(&layer.join("tombstones.txt"), b"Version 1.0\n\\..\\..\\x\n");
            }),
        ),
        (
            "shorter",
            Box::new(move |layer| replace(&layer.join("Files/d/f"), b"abc")),
        ),
        (
            "kind",
            Box::new(move |layer| replace(&layer.join("Files/d/f"), &DIRECTORY.to_le_bytes())),
        ),
        (
            "kind",
            Box::new(move |layer| replace(&layer.join("Files/d.$wcidirs$"), &[0; 4])),
        ),
        (
            "$wcidirs$",
            Box::new(|layer| {
                fs::remove_file(layer.join("Files/d.$wcidirs$")).expect("the file exists");
            }),
        ),
        (
            "backup stream",
            Box::new(move |layer| {
                replace(&layer.join("Files/d/f"), &[0x20, 0, 0, 0, 1, 0]);
            }),
        ),
        (
            "reparse point",
            Box::new(|layer| {
                symlink("../../outside", layer.join("Files/link")).expect("a link");
            }),
        ),
        (
            "reparse point",
            Box::new(|layer| {
                fs::rename(layer.join("Files/d"), layer.join("../moved")).expect("moved");
                symlink("../../moved", layer.join("Files/d")).expect("a link");
            }),
        ),
        (
            "symbolic link",
            Box::new(|layer| {
                fs::remove_file(layer.join("tombstones.txt")).expect("the file exists");
                symlink("../outside", layer.join("tombstones.txt")).expect("a link");
            }),
        ),
        (
            "a:b",
            Box::new(|layer| fs::write(layer.join("Files/a:b"), "").expect("a file")),
        ),
        (
            "a\\b",
            Box::new(|layer| fs::write(layer.join("Files/a\\b"), "").expect("a file")),
        ),
        (
            "name of a file that describes",
            Box::new(|layer| {
                fs::create_dir(layer.join("Files/x.$WCIDIRS$")).expect("a folder");
            }),
        ),
        (
            "not empty",
            Box::new(move |layer| {
                replace(&layer.join("Files/d.$wcidirs$"), &0x410_u32.to_le_bytes());
            }),
        ),
    ] {
        let error = spoilt(change);
        assert!(error.contains(part), "{part}: {error}");
        assert!(!error.contains("secret"));
    }
}

#[test]
fn the_recycle_bin_is_ignored_but_no_removal_is() {
    let layers = Layers::new();
    import(&layers, "layer", &build(|_| Ok(())), &[]).expect("a layer");
    fs::create_dir(layers.path("layer/Files/$RECYCLE.bin")).expect("a folder");
    let text = "\u{feff}Version 1.0\n\\no\\where\n\n\\here\n\\NO\\other\n";
    fs::write(layers.path("layer/tombstones.txt"), text).expect("a file");
    let back = export(&layers.path("layer")).expect("a folder");
    let all = entries(&mut TarLayerReader::new(&back[..]));
    let names: Vec<_> = all
        .iter()
        .map(|(entry, _)| entry.path().to_string())
        .collect();
    assert_eq!(
        names,
        ["Files", "Files/here", "Files/no/where", "Files/NO/other"]
    );
}

#[test]
fn a_utility_vm_is_stored_in_its_final_form() {
    let layers = Layers::new();
    let secured = Meta {
        security_descriptor: Some(layergen::security_descriptor(
            &layergen::sid(5, &[18]),
            &layergen::sid(5, &[18]),
            &[],
            0,
        )),
        ..plain()
    };
    let tar = build(|tar| {
        tar.directory("UtilityVM", &directory())?;
        tar.directory("UtilityVM/Files", &directory())?;
        tar.file("UtilityVM/Files/a", &secured, b"live")?;
        tar.hard_link("UtilityVM/Files/b", "UtilityVM/Files/a", &plain())
    });
    import(&layers, "layer", &tar, &[]).expect("a layer");
    assert_eq!(
        fs::read(layers.path("layer/UtilityVM/Files/b")).expect("read"),
        b"live"
    );
    let back = export(&layers.path("layer")).expect("a folder");
    assert_eq!(kept(&back), kept(&tar));
}

/// Base images have hard links between the two, which have different forms in the folder.
#[test]
fn links_between_files_and_the_utility_vm_become_copies_with_a_warning() {
    let layers = Layers::new();
    let vm = |tar: &mut TarBuilder<Vec<u8>>| {
        tar.directory("UtilityVM", &directory())?;
        tar.directory("UtilityVM/Files", &directory())
    };
    let tar = build(|tar| {
        vm(tar)?;
        tar.hard_link("UtilityVM/Files/first", "Files/file", &plain())?;
        tar.file("Files/file", &plain(), b"of the volume")?;
        tar.stream("Files/file", "stream", &plain(), b"of both")?;
        tar.hard_link("Files/name", "Files/file", &plain())?;
        tar.hard_link("UtilityVM/Files/second", "Files/name", &plain())?;
        tar.hard_link("UtilityVM/Files/third", "UtilityVM/Files/second", &plain())?;
        tar.file("UtilityVM/Files/live", &plain(), b"of the VM")?;
        tar.hard_link("Files/live", "UtilityVM/Files/live", &plain())
    });
    let summary = import(&layers, "base", &tar, &[]).expect("a layer");
    assert_eq!(summary.warnings.len(), 2, "{:?}", summary.warnings);
    assert!(
        summary
            .warnings
            .iter()
            .all(|warning| warning.contains("is a copy of"))
    );
    let content = |name: &str| {
        let view =
            wclayer::source::open(layers.path(name), &Default::default(), &()).expect("a view");
        move |path: &str| {
            let node = view
                .find(&path.parse().expect(path))
                .expect("readable")
                .expect(path);
            let mut text = String::new();
            let mut content = view.content(&node, None).expect("a file").reader();
            std::io::Read::read_to_string(&mut content, &mut text).expect("readable");
            let names = view.names(&node).expect("readable");
            (
                text,
                names.iter().map(ToString::to_string).collect::<Vec<_>>(),
            )
        }
    };
    let of_base = content("base");
    let vm_names = ["first", "second", "third"].map(|name| format!("UtilityVM/Files/{name}"));
    for name in &vm_names {
        assert_eq!(
            of_base(name),
            ("of the volume".to_owned(), vm_names.to_vec())
        );
    }
    let names = ["Files/file", "Files/name"].map(str::to_owned).to_vec();
    assert_eq!(of_base("Files/name"), ("of the volume".to_owned(), names));
    assert_eq!(of_base("Files/live").0, "of the VM");
    assert_eq!(
        fs::read(layers.path("base/UtilityVM/Files/first")).expect("live"),
        b"of the volume"
    );
    // Links to files that only the parent has work in both directions too.
    let upper = build(|tar| {
        vm(tar)?;
        tar.hard_link("UtilityVM/Files/up", "Files/file", &plain())?;
        tar.hard_link("Files/up", "Files/file", &plain())?;
        tar.hard_link("Files/down", "UtilityVM/Files/live", &plain())
    });
    let summary = import(&layers, "upper", &upper, &["base"]).expect("a layer");
    assert_eq!(summary.warnings.len(), 3, "{:?}", summary.warnings);
    let of_upper = content("upper");
    assert_eq!(of_upper("UtilityVM/Files/up").0, "of the volume");
    assert_eq!(of_upper("Files/up").0, "of the volume");
    assert_eq!(of_upper("Files/down").0, "of the VM");
}

#[test]
fn the_content_of_a_folder_is_counted() {
    let layers = Layers::new();
    import(&layers, "layer", &sample("base.tar.gz"), &[]).expect("a layer");
    let portable = layers
        .import("portable", Cursor::new(sample("base.tar.gz")), &[])
        .expect("a layer");
    let volume = HostVolume::new();
    let privileges = wclayer::volume::Volume::enable(&volume, &[]).expect("none");
    let mut reader = transport::open(&volume, &layers.path("layer"), &privileges)
        .expect("it is a transport folder");
    let found = transport::count(&mut reader, &()).expect("readable");
    let mut expected = portable.descriptor().entries;
    expected.streams = 0;
    assert_eq!(found.entries, expected);
    symlink(layers.path("layer"), layers.path("link")).expect("a link");
    for (name, kind) in [
        ("layer", Kind::Transport),
        ("link", Kind::Transport),
        ("portable", Kind::Portable),
    ] {
        let found = source::recognise(layers.path(name)).expect("something");
        assert_eq!(found.kind(), kind, "{name}");
    }
    // The hub connects the folder to any sink.
    let mut reader = transport::open(&volume, &layers.path("layer"), &privileges)
        .expect("it is a transport folder");
    hub::copy(&mut reader, TarLayerWriter::new(std::io::sink()), &()).expect("copied");
}

#[test]
fn the_sums_of_an_import_are_those_of_the_finished_folder() {
    let layers = Layers::new();
    let base = build(|tar| {
        tar.file("Files/base", &plain(), &[1; 1000])?;
        tar.directory("Files/full", &directory())?;
        tar.file("Files/full/a", &plain(), b"a")?;
        tar.file("Files/full/b", &plain(), b"b")
    });
    import(&layers, "base", &base, &[]).expect("a layer");
    let reparse = || Meta::with_attributes(DIRECTORY | REPARSE);
    let upper = build(|tar| {
        tar.file("Files/implied/deep/file", &plain(), &[2; 300])?;
        tar.stream("Files/implied/deep/file", "s", &plain(), &[3; 40])?;
        tar.file("Files/twice", &plain(), &[4; 500])?;
        tar.file("Files/TWICE", &plain(), &[5; 20])?;
        tar.hard_link("Files/a", "Files/implied/deep/file", &plain())?;
        tar.hard_link("Files/b", "Files/a", &plain())?;
        tar.hard_link("Files/copy", "Files/base", &plain())?;
        tar.hard_link("Files/copy2", "Files/base", &plain())?;
        tar.symlink("Files/link", "twice", &Meta::with_attributes(REPARSE))?;
        tar.hard_link("Files/link2", "Files/link", &plain())?;
        tar.junction("Files/junction", r"C:\implied", &reparse())?;
        tar.whiteout("Files/base")?;
        tar.opaque("Files/full")?;
        tar.directory("Files/$Recycle.Bin", &directory())?;
        tar.file("Files/$Recycle.Bin/gone", &plain(), &[6; 70])?;
        tar.hard_link("Files/kept", "Files/$Recycle.Bin/gone", &plain())?;
        tar.hard_link("Files/kept2", "Files/kept", &plain())?;
        tar.file(
            "Hives/Software_Delta",
            &plain(),
            &layergen::minimal_hive("Software", true),
        )?;
        tar.directory("UtilityVM", &directory())?;
        tar.directory("UtilityVM/Files", &directory())?;
        tar.file("UtilityVM/Files/own", &plain(), &[7; 80])?;
        tar.hard_link("UtilityVM/Files/own2", "UtilityVM/Files/own", &plain())?;
        tar.hard_link("UtilityVM/Files/other", "Files/twice", &plain())?;
        tar.hard_link("Files/vm", "UtilityVM/Files/own", &plain())
    });
    // `import` compares the sums with a count of the folder.
    let found = import(&layers, "upper", &upper, &["base"])
        .expect("a layer")
        .found;
    let entries = found.entries;
    assert_eq!(
        (entries.directories, entries.files, entries.reparse_points),
        (6, 8, 2)
    );
    assert_eq!((entries.links, entries.removals), (6, 3));
    assert_eq!((entries.opaque, entries.streams), (0, 0));
    let hive = layergen::minimal_hive("Software", true).len() as u64;
    assert_eq!(
        found.content_size,
        300 + 20 + 1000 + 70 + 80 + 20 + 80 + hive
    );
}
