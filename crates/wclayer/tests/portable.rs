//! Portable layers through the public API: an exported tar equals the imported one, and invalid
//! input is rejected and leaves nothing behind.

mod common;

use std::fs;
use std::io::{Cursor, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use common::{Layers, REPARSE, chain, directory, names_in, plain, root_cause, tar};
use layergen::{Meta, TarBuilder};
use wclayer::compression::{Compression, CompressionSpec, Decoder};
use wclayer::hub::copy;
use wclayer::index::{IndexedKind, Lookup};
use wclayer::portable::{self, ImportOptions, PortableLayer, PortableLayerWriter};
use wclayer::tar::{TarLayerReader, TarLayerWriter};
use wclayer::{
    DiffId, Digest, Entry, ErrorKind, LayerPath, LayerReader as _, ParentChain, Progress,
};

fn path(text: &str) -> LayerPath {
    text.parse().expect(text)
}

fn rich_tar() -> Cursor<Vec<u8>> {
    tar(|tar| {
        let mut secured = plain();
        secured.security_descriptor = Some(layergen::standard_descriptors()[0].clone());
        tar.directory("Files/dir", &directory())?;
        tar.file("Files/dir/a.txt", &secured, b"content of a")?;
        tar.stream(
            "Files/dir/a.txt",
            "Zone.Identifier",
            &plain(),
            b"[ZoneTransfer]",
        )?;
        tar.file("Files/dir/B.bin", &secured, &[7; 100_000])?;
        tar.symlink("Files/link", "dir/a.txt", &Meta::with_attributes(REPARSE))?;
        tar.hard_link("Files/hard", "Files/later", &plain())?;
        tar.file("Files/later", &plain(), b"")
    })
}

#[test]
fn an_imported_tar_is_exported_bit_for_bit_in_every_compression() {
    let layers = Layers::new();
    let tar = rich_tar();
    let layer = layers
        .import("base", tar.clone(), &[])
        .expect("a legal layer");
    assert_eq!(layer.descriptor().diff_id, DiffId::of(tar.get_ref()));
    for method in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut exported = Vec::new();
        let summary = layer
            .export(&mut exported, CompressionSpec::from(method), &())
            .expect("an intact layer");
        assert_eq!(summary.digest, Digest::of(&exported));
        assert_eq!(summary.size, exported.len() as u64);
        let mut decoded = Vec::new();
        let mut decoder = Decoder::new(&exported[..]).expect("memory");
        assert_eq!(decoder.compression(), method);
        decoder.read_to_end(&mut decoded).expect("our own data");
        assert!(decoded == *tar.get_ref(), "{method}");
    }
    assert_eq!(layers.names(), ["base"]);
}

#[test]
fn the_descriptor_counts_the_content_of_the_layer() {
    let layers = Layers::new();
    let layer = layers
        .import("base", rich_tar(), &[])
        .expect("a legal layer");
    let counts = layer.descriptor().entries;
    assert_eq!(
        (counts.directories, counts.files, counts.reparse_points),
        (2, 3, 1)
    );
    assert_eq!((counts.links, counts.streams, counts.total()), (1, 1, 7));
    assert_eq!(layer.descriptor().content_size, 12 + 14 + 100_000);
    assert_eq!(
        layer.descriptor().source.media_type,
        Compression::None.media_type()
    );
    assert_eq!(
        names_in(layer.path()),
        ["index.sqlite", "layer.json", "layer.tar", "layerchain.json"]
    );
}

#[test]
fn the_index_finds_paths_directories_and_the_bytes_of_every_stream() {
    let layers = Layers::new();
    let tar = rich_tar();
    let layer = layers
        .import("base", tar.clone(), &[])
        .expect("a legal layer");
    let index = layer.index().expect("a fresh index");
    let entry = index
        .find_added(&path(r"FILES\DIR\A.TXT"))
        .expect("intact")
        .expect("there");
    assert_eq!(entry.path.to_string(), "Files/dir/a.txt");
    let security = index
        .security(entry.security.expect("it has one"))
        .expect("there");
    assert_eq!(security, layergen::standard_descriptors()[0]);
    let streams = index.streams(&entry).expect("intact");
    let contents: [&[u8]; 2] = [b"content of a", b"[ZoneTransfer]"];
    assert_eq!(streams.len(), 2);
    for (stream, content) in streams.iter().zip(contents) {
        let start = stream.offset as usize;
        assert_eq!(&tar.get_ref()[start..start + stream.size as usize], content);
        assert_eq!(stream.sha256, Some(Digest::of(content)));
    }
    assert_eq!(
        streams[1].name.as_ref().map(ToString::to_string).as_deref(),
        Some("Zone.Identifier")
    );
    let names = |entries: Vec<wclayer::index::IndexedEntry>| {
        entries
            .iter()
            .map(|entry| entry.path.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(index.children(None).expect("intact")), ["Files"]);
    assert_eq!(
        names(index.children(Some(&path("files/DIR"))).expect("intact")),
        ["Files/dir/a.txt", "Files/dir/B.bin"]
    );
    let link = index
        .find_added(&path("Files/hard"))
        .expect("intact")
        .expect("there");
    assert_eq!(
        (link.kind, link.target),
        (IndexedKind::Link, Some(path("Files/later")))
    );
    let shared: Vec<_> = ["Files/dir/a.txt", "Files/dir/b.bin"]
        .iter()
        .map(|name| {
            index
                .find_added(&path(name))
                .expect("intact")
                .expect("there")
                .security
        })
        .collect();
    assert_eq!(shared[0], shared[1], "equal descriptors are stored once");
}

#[test]
fn a_layer_is_a_source_and_a_sink_of_the_hub() {
    let layers = Layers::new();
    let layer = layers
        .import("base", rich_tar(), &[])
        .expect("a legal layer");
    let options = ImportOptions::default();
    let writer = PortableLayerWriter::create(layers.path("copy"), &options, &())
        .expect("nothing exists there");
    let mut reader = layer.reader().expect("there");
    let copied = copy(&mut reader, writer, &()).expect("entries that were read can be written");
    assert_eq!(copied.descriptor().entries, layer.descriptor().entries);
    // Both yield the same tar.
    let as_tar = |layer: &PortableLayer| {
        let mut reader = layer.reader().expect("there");
        copy(&mut reader, TarLayerWriter::new(Vec::new()), &()).expect("memory")
    };
    assert_eq!(as_tar(&layer), as_tar(&copied));
}

#[test]
fn a_dropped_writer_leaves_nothing_behind() {
    let layers = Layers::new();
    let options = ImportOptions::default();
    let writer =
        PortableLayerWriter::create(layers.path("x"), &options, &()).expect("nothing exists there");
    drop(writer);
    assert_eq!(layers.names(), [""; 0]);
}

#[test]
fn rules_are_checked_and_a_rejected_layer_leaves_nothing_behind() {
    type Build = fn(&mut TarBuilder<Vec<u8>>) -> std::io::Result<()>;
    let cases: [(&str, Build, &str); 10] = [
        (
            "missing target",
            |tar| tar.hard_link("Files/l", "Files/nowhere", &plain()),
            "the hard link's target `Files/nowhere` is neither in this layer nor in its parents",
        ),
        (
            "link to a directory",
            |tar| tar.hard_link("Files/l", "Files", &plain()),
            "the hard link's target `Files` is a directory",
        ),
        (
            "link loop",
            |tar| {
                tar.hard_link("Files/a", "Files/b", &plain())?;
                tar.hard_link("Files/b", "files/A", &plain())
            },
            "the hard link's target `Files/b` leads into a loop of hard links",
        ),
        (
            "removal in a base layer",
            |tar| tar.whiteout("Files/x"),
            "a layer without parents has nothing to remove",
        ),
        (
            "opaque in a base layer",
            |tar| tar.opaque("Files"),
            "a layer without parents has nothing to remove",
        ),
        (
            "below a file",
            |tar| {
                tar.file("Files/f", &plain(), b"")?;
                tar.file("Files/F/g", &plain(), b"")
            },
            "it is below `Files/f`, which is not a directory",
        ),
        (
            "deep below a file that comes later",
            |tar| {
                tar.file("Files/f/x/y/g", &plain(), b"")?;
                tar.file("Files/f", &plain(), b"")
            },
            "it is below `Files/f`, which is not a directory",
        ),
        (
            "below a junction",
            |tar| {
                tar.junction(
                    "Files/j",
                    r"C:\Windows",
                    &Meta::with_attributes(REPARSE | 0x10),
                )?;
                tar.file("Files/j/g", &plain(), b"")
            },
            "it is below `Files/j`, which is a reparse point",
        ),
        (
            "two kinds at one path",
            |tar| {
                tar.file("Files/x", &plain(), b"")?;
                tar.directory("Files/X", &directory())
            },
            "it is a directory, but another entry at the same path is a file (at byte 0x600)",
        ),
        (
            "a path that leaves the layer",
            |tar| tar.file("Files/../../x", &plain(), b""),
            "the path contains a `..` component",
        ),
    ];
    for (name, build, message) in cases {
        let layers = Layers::new();
        let error = layers.import("layer", tar(build), &[]).expect_err(name);
        assert_eq!(root_cause(&error), message, "{name}: {:?}", chain(&error));
        assert_eq!(error.kind(), ErrorKind::InvalidLayer, "{name}");
        assert_eq!(layers.names(), [""; 0], "{name}");
    }
}

#[test]
fn errors_name_the_layer_the_entry_and_its_byte() {
    let layers = Layers::new();
    let tar = tar(|tar| {
        tar.file("Files/a", &plain(), b"12")?;
        tar.hard_link("Files/bad", "Files/nowhere", &plain())
    });
    let error = layers
        .import("app", tar, &[])
        .expect_err("the target is missing");
    let messages = chain(&error);
    assert_eq!(
        messages[0],
        format!("cannot import layer `{}`", layers.path("app").display())
    );
    assert!(
        messages[1].starts_with("entry `Files/bad` at byte 0x")
            && messages[1].ends_with(" of the tar"),
        "{messages:?}"
    );
}

#[test]
fn chains_of_links_are_limited_by_the_number_of_names_of_a_file() {
    let layers = Layers::new();
    let links = |count: u32| {
        tar(|tar| {
            tar.file("Files/0", &plain(), b"first")?;
            (1..=count).try_for_each(|number| {
                let target = format!("Files/{}", number - 1);
                tar.hard_link(&format!("Files/{number}"), &target, &plain())
            })
        })
    };
    layers.import("base", links(1023), &[]).expect("legal");
    let error = layers
        .import("more", links(1024), &[])
        .expect_err("one link too many");
    let cause = root_cause(&error);
    assert!(cause.contains("more than 1,023 hard links"), "{cause}");
}

#[test]
fn a_path_with_two_entries_of_the_same_kind_counts_once() {
    let layers = Layers::new();
    let tar = tar(|tar| {
        tar.file("Files/x", &plain(), b"first")?;
        tar.file("Files/X", &plain(), b"last")
    });
    let layer = layers.import("base", tar, &[]).expect("legal");
    let index = layer.index().expect("fresh");
    let entry = index
        .find_added(&path("files/x"))
        .expect("intact")
        .expect("there");
    assert_eq!(
        index.streams(&entry).expect("intact")[0].sha256,
        Some(Digest::of(b"last"))
    );
}

fn two_parents(layers: &Layers) {
    let base = tar(|tar| {
        tar.directory("Files/dir", &directory())?;
        tar.file("Files/dir/old", &plain(), b"old")?;
        tar.file("Files/file", &plain(), b"file")?;
        tar.symlink("Files/sym", "dir", &Meta::with_attributes(REPARSE | 0x10))
    });
    let patch = tar(|tar| {
        tar.whiteout("Files/sym")?;
        tar.file("Files/new", &plain(), b"new")
    });
    layers.import("base", base, &[]).expect("legal");
    layers.import("patch", patch, &["base"]).expect("legal");
}

#[test]
fn link_targets_and_directories_are_looked_up_in_the_whole_chain() {
    type Build = fn(&mut TarBuilder<Vec<u8>>) -> std::io::Result<()>;
    let cases: [(&str, Build, Option<&str>); 6] = [
        (
            "link into the base",
            |tar| tar.hard_link("Files/l", "Files/dir/OLD", &plain()),
            None,
        ),
        (
            "link into the patch",
            |tar| tar.hard_link("Files/l", "Files/new", &plain()),
            None,
        ),
        (
            "link to a path that the patch removed",
            |tar| tar.hard_link("Files/l", "Files/sym", &plain()),
            Some("the hard link's target `Files/sym` is neither in this layer nor in its parents"),
        ),
        (
            "below a file of the base",
            |tar| tar.file("Files/file/x", &plain(), b""),
            Some("it is below `Files/file`, which is not a directory"),
        ),
        (
            "below a former link of the base",
            |tar| tar.file("Files/sym/x", &plain(), b""),
            None,
        ),
        (
            "replacing a file by a directory",
            |tar| {
                tar.whiteout("Files/file")?;
                tar.directory("Files/file", &directory())?;
                tar.file("Files/file/x", &plain(), b"")
            },
            None,
        ),
    ];
    for (name, build, message) in cases {
        let layers = Layers::new();
        two_parents(&layers);
        let result = layers.import("app", tar(build), &["patch", "base"]);
        assert_eq!(
            result
                .as_ref()
                .err()
                .map(|error| root_cause(error))
                .as_deref(),
            message,
            "{name}"
        );
    }
}

#[test]
fn only_visible_entries_of_the_parents_are_in_the_way() {
    type Build = fn(&mut TarBuilder<Vec<u8>>) -> std::io::Result<()>;
    let below: Build = |tar| tar.file("Files/d/x", &plain(), b"");
    let cases: [(&str, [Build; 3], Option<&str>); 7] = [
        (
            "an opaque whiteout of a file, which removes nothing",
            [
                |tar| tar.file("Files/d", &plain(), b""),
                |_| Ok(()),
                |tar| {
                    tar.opaque("Files/d")?;
                    tar.file("Files/d/x", &plain(), b"")
                },
            ],
            Some("it is below `Files/d`, which is not a directory"),
        ),
        (
            "a directory of the middle layer replaces a file of the base",
            [
                |tar| tar.file("Files/d", &plain(), b""),
                |tar| tar.directory("Files/d", &directory()),
                below,
            ],
            None,
        ),
        (
            "so does one that it only implies, where the base has a removed link",
            [
                |tar| tar.symlink("Files/d", "x", &Meta::with_attributes(REPARSE | 0x10)),
                |tar| {
                    tar.whiteout("Files/d")?;
                    tar.file("Files/d/y", &plain(), b"")
                },
                below,
            ],
            None,
        ),
        (
            "a file of the middle layer replaces a directory of the base",
            [
                |tar| tar.directory("Files/d", &directory()),
                |tar| tar.file("Files/d", &plain(), b""),
                below,
            ],
            Some("it is below `Files/d`, which is not a directory"),
        ),
        (
            "a hard link of the middle layer",
            [
                |tar| tar.file("Files/f", &plain(), b""),
                |tar| tar.hard_link("Files/d", "Files/f", &plain()),
                below,
            ],
            Some("it is below `Files/d`, which is not a directory"),
        ),
        (
            "a link to a directory that a parent only implies",
            [
                |tar| tar.file("Files/d/y", &plain(), b""),
                |_| Ok(()),
                |tar| tar.hard_link("Files/l", "Files/d", &plain()),
            ],
            Some("the hard link's target `Files/d` is a directory"),
        ),
        (
            "a link to a directory of which only removals are known",
            [
                |tar| tar.file("Files/d/y", &plain(), b""),
                |tar| tar.whiteout("Files/d"),
                |tar| tar.hard_link("Files/l", "Files/d", &plain()),
            ],
            Some("the hard link's target `Files/d` is neither in this layer nor in its parents"),
        ),
    ];
    for (name, [base, middle, top], message) in cases {
        let layers = Layers::new();
        layers.import("base", tar(base), &[]).expect(name);
        layers.import("middle", tar(middle), &["base"]).expect(name);
        let result = layers.import("top", tar(top), &["middle", "base"]);
        let cause = result.as_ref().err().map(|error| root_cause(error));
        assert_eq!(cause.as_deref(), message, "{name}");
    }
}

#[test]
fn a_chain_is_checked_and_completed() {
    let layers = Layers::new();
    two_parents(&layers);
    let app = || tar(|tar| tar.hard_link("Files/l", "Files/dir/old", &plain()));
    let layer = layers
        .import("nearest-only", app(), &["patch"])
        .expect("completed");
    assert_eq!(layer.parents().len(), 2);
    layers
        .import("whole", app(), &["patch", "base"])
        .expect("the same chain");
    let error = layers
        .import("wrong", app(), &["base", "patch"])
        .expect_err("reversed");
    let text = chain(&error).join(": ");
    assert!(text.contains("the parents of"), "{text}");
    let error = layers
        .import("none", app(), &["nowhere"])
        .expect_err("no layer");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let given = ParentChain::from_base_first([layers.path("base"), layers.path("patch")]);
    layer.check_parents(&given).expect("its own");
    layer
        .check_parents(&ParentChain::none())
        .expect("no parents given");
    let nearest = ParentChain::from_nearest_first([layers.path("patch")]);
    layer
        .check_parents(&nearest)
        .expect("the nearest parent implies the others");
    let other = ParentChain::from_nearest_first([layers.path("base")]);
    layer
        .check_parents(&other)
        .expect_err("not its own parents");
}

#[test]
fn a_folder_may_have_any_name() {
    let layers = Layers::new();
    for name in [
        "with space",
        "per%20cent",
        "que?stion",
        "hash#",
        "ünï",
        "a:b",
    ] {
        if cfg!(windows) && name.contains(['?', ':']) {
            continue;
        }
        let layer = layers.import(name, rich_tar(), &[]).expect(name);
        layer.index().expect(name);
    }
}

#[test]
fn look_up_distinguishes_hidden_from_unknown() {
    let layers = Layers::new();
    two_parents(&layers);
    let index = PortableLayer::open(layers.path("patch")).and_then(|layer| layer.index());
    let index = index.expect("intact");
    for (name, expected) in [
        ("Files/sym", true),
        ("Files/sym/x/y", true),
        ("Files/dir", false),
    ] {
        let lookup = index.look_up(&path(name)).expect("intact");
        assert_eq!(
            lookup,
            if expected {
                Lookup::Hidden
            } else {
                Lookup::Unknown
            },
            "{name}"
        );
    }
    assert!(matches!(
        index.look_up(&path("Files/new")),
        Ok(Lookup::Present(_))
    ));
}

#[test]
fn an_existing_layer_is_only_replaced_on_request() {
    let layers = Layers::new();
    layers.import("x", rich_tar(), &[]).expect("legal");
    let other = || tar(|tar| tar.file("Files/other", &plain(), b"other"));
    let error = layers.import("x", other(), &[]).expect_err("it exists");
    assert_eq!(error.kind(), ErrorKind::Exists);
    let before = PortableLayer::open(layers.path("x")).expect("untouched");
    assert_eq!(before.descriptor().entries.total(), 7);
    let options = ImportOptions::default().replace(true);
    let bad = Cursor::new(vec![1; 600]);
    portable::import(bad, layers.path("x"), &options, &()).expect_err("not a tar");
    assert_eq!(
        PortableLayer::open(layers.path("x"))
            .expect("untouched")
            .descriptor(),
        before.descriptor()
    );
    let after = portable::import(other(), layers.path("x"), &options, &()).expect("replaced");
    assert_eq!(after.descriptor().entries.total(), 2);
    assert_eq!(layers.names(), ["x"]);
    // Anything else than a layer is never replaced.
    fs::create_dir(layers.path("y")).expect("free");
    fs::write(layers.path("y").join("precious"), "data").expect("writable");
    let error =
        portable::import(other(), layers.path("y"), &options, &()).expect_err("not a layer");
    assert_eq!(error.kind(), ErrorKind::Exists);
    assert_eq!(names_in(&layers.path("y")), ["precious"]);
    // An empty folder is treated like none.
    fs::create_dir(layers.path("z")).expect("free");
    layers.import("z", other(), &[]).expect("empty");
}

#[test]
fn only_portable_layers_are_removed_or_replaced() {
    let layers = Layers::new();
    layers.import("x", rich_tar(), &[]).expect("legal");
    fs::create_dir(layers.path("other")).expect("free");
    fs::write(
        layers.path("other/layer.json"),
        r#"{"format":"other","version":1}"#,
    )
    .expect("free");
    portable::remove(layers.path("other")).expect_err("another program's");
    let options = ImportOptions::default().replace(true);
    portable::import(rich_tar(), layers.path("other"), &options, &()).expect_err("not ours");
    portable::remove(layers.path("nowhere")).expect_err("nothing there");
    assert_eq!(layers.names(), ["other", "x"]);
    let size = fs::metadata(layers.path("x/layer.tar"))
        .expect("there")
        .len();
    assert!(portable::remove(layers.path("x")).expect("a layer").size > size);
    assert_eq!(layers.names(), ["other"]);
}

#[test]
fn leftovers_of_a_killed_import_are_removed_by_the_next() {
    let layers = Layers::new();
    let left = layers.path(".x.wclayer-abcdef");
    fs::create_dir(&left).expect("free");
    fs::write(left.join("layer.tar"), "half").expect("writable");
    fs::write(layers.path(".x.lock"), "").expect("writable");
    layers
        .import("x", rich_tar(), &[])
        .expect("nobody holds the lock");
    assert_eq!(layers.names(), ["x"]);
}

#[test]
fn two_imports_to_the_same_path_do_not_collide() {
    struct Blocked<'a>(&'a Layers, std::sync::Mutex<Option<wclayer::Error>>);
    impl Progress for Blocked<'_> {
        fn entry(&self) {
            let error = self
                .0
                .import("x", rich_tar(), &[])
                .expect_err("the path is locked");
            *self.1.lock().expect("one thread") = Some(error);
        }
    }
    let layers = Layers::new();
    let progress = Blocked(&layers, std::sync::Mutex::new(None));
    portable::import(
        rich_tar(),
        layers.path("x"),
        &ImportOptions::default(),
        &progress,
    )
    .expect("the first one wins");
    let error = progress
        .1
        .lock()
        .expect("one thread")
        .take()
        .expect("there were entries");
    assert!(
        root_cause(&error).contains("another process is importing"),
        "{error:?}"
    );
    assert_eq!(layers.names(), ["x"]);
}

#[test]
fn a_cancelled_import_leaves_nothing_behind() {
    struct Cancel(AtomicBool);
    impl Progress for Cancel {
        fn entry(&self) {
            self.0.store(true, Ordering::Relaxed);
        }
        fn is_cancelled(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }
    let layers = Layers::new();
    let progress = Cancel(AtomicBool::new(false));
    let error = portable::import(
        rich_tar(),
        layers.path("x"),
        &ImportOptions::default(),
        &progress,
    )
    .expect_err("cancelled");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(layers.names(), [""; 0]);
}

#[test]
fn an_unexpected_diff_id_is_rejected() {
    let layers = Layers::new();
    let right = DiffId::of(rich_tar().get_ref());
    for (name, expected, ok) in [("right", right, true), ("wrong", DiffId::of(b""), false)] {
        let options = ImportOptions::default().expected_diff_id(expected);
        let result = portable::import(rich_tar(), layers.path(name), &options, &());
        assert_eq!(result.is_ok(), ok, "{name}");
    }
    assert_eq!(layers.names(), ["right"]);
}

#[test]
fn damage_is_detected_while_a_layer_is_read() {
    let layers = Layers::new();
    let layer = layers.import("x", rich_tar(), &[]).expect("legal");
    let file = layer.path().join("layer.tar");
    let mut bytes = fs::read(&file).expect("there");
    let at = bytes
        .windows(12)
        .position(|window| window == b"content of a")
        .expect("there");
    bytes[at] ^= 1;
    fs::write(&file, bytes).expect("writable");
    let error = layer
        .export(Vec::new(), Compression::None.into(), &())
        .expect_err("damaged");
    assert!(root_cause(&error).starts_with("the DiffID of the stored layer is sha256:"));
    let mut reader = layer.reader().expect("there");
    let error = loop {
        match reader.next_entry() {
            Ok(entry) => assert!(entry.is_some(), "the damage must be detected"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::InvalidLayer);
}

#[test]
fn bytes_after_the_tar_belong_to_it_and_are_reported() {
    let layers = Layers::new();
    let mut tar = rich_tar().into_inner();
    let end = tar.len();
    let cut = layers
        .import("cut", Cursor::new(tar[..end - 1024].to_vec()), &[])
        .expect("legal");
    assert_eq!(cut.descriptor().warnings, ["the tar has no end blocks"]);
    tar.extend_from_slice(&[0; 2048]);
    let padded = layers
        .import("padded", Cursor::new(tar.clone()), &[])
        .expect("legal");
    assert!(padded.descriptor().warnings.is_empty());
    tar.extend_from_slice(b"garbage");
    let layer = layers
        .import("garbage", Cursor::new(tar.clone()), &[])
        .expect("legal");
    assert_eq!(
        layer.descriptor().warnings,
        ["7 bytes that are not zero follow the tar's end"]
    );
    assert_eq!(layer.descriptor().diff_id, DiffId::of(&tar));
    let mut exported = Vec::new();
    layer
        .export(&mut exported, Compression::None.into(), &())
        .expect("intact");
    assert!(exported == tar);
}

#[test]
fn a_truncated_tar_is_rejected_or_loses_nothing() {
    let layers = Layers::new();
    let whole = rich_tar().into_inner();
    let entries = |bytes: &[u8]| {
        let mut reader = TarLayerReader::new(bytes);
        let mut count = 0;
        while let Ok(Some(entry)) = reader.next_entry() {
            count += usize::from(matches!(entry, Entry::File(_) | Entry::Link(_)));
        }
        count
    };
    for end in (0..whole.len()).step_by(257).chain([0, 1, 511, 512, 513]) {
        let result = layers.import("x", Cursor::new(whole[..end].to_vec()), &[]);
        if let Ok(layer) = result {
            let counts = layer.descriptor().entries;
            assert_eq!(
                counts.total() as usize,
                entries(&whole[..end]),
                "cut at {end}"
            );
            fs::remove_dir_all(layer.path()).expect("ours");
        }
        assert_eq!(layers.names(), [""; 0], "cut at {end}");
    }
}
