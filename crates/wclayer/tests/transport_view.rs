//! Transport folders in the merged view: a layer looks the same as a tar, a portable layer and a
//! transport folder, even in mixed chains, and hostile folders are rejected.
#![cfg(unix)]

mod common;

use std::fs;
use std::io::{Cursor, Read};
use std::os::unix::fs::symlink;
use std::path::Path;

use common::{DIRECTORY, Layers, chain, directory, plain, snapshot, tar};
use wclayer::hub;
use wclayer::ntmeta::{StreamAttributes, StreamHeader, StreamId};
use wclayer::path::StreamName;
use wclayer::source::{self as layers_of, OpenOptions};
use wclayer::tar::{TarLayerReader, TarLayerWriter};
use wclayer::transport::{self, ImportOptions};
use wclayer::view::{Node, View};
use wclayer::volume::host::HostVolume;
use wclayer::{Error, LayerPath, ParentChain};

const KINDS: [&str; 3] = ["tar", "portable", "folder"];

fn path(text: &str) -> LayerPath {
    text.parse().expect(text)
}

fn sample(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/sample");
    let blob = fs::File::open(folder.join(name)).expect(name);
    let mut tar = Vec::new();
    let mut decoder = wclayer::compression::Decoder::new(blob).expect(name);
    decoder.read_to_end(&mut tar).expect(name);
    tar
}

/// Creates the layer `NAME-KIND` in each kind.
fn make(layers: &Layers, name: &str, tar: &[u8], parent: Option<&str>) {
    let of = |kind: &str| format!("{name}-{kind}");
    fs::write(layers.path(&of("tar")), tar).expect("a file");
    let portable: Vec<_> = parent
        .iter()
        .map(|parent| format!("{parent}-portable"))
        .collect();
    let parents: Vec<_> = portable.iter().map(String::as_str).collect();
    layers
        .import(&of("portable"), Cursor::new(tar.to_vec()), &parents)
        .expect("a portable layer");
    let parents = ParentChain::from_nearest_first(
        parent
            .iter()
            .map(|parent| layers.path(&format!("{parent}-folder"))),
    );
    let options =
        ImportOptions::default().parents(layers_of::open_parents(&parents, &()).expect("parents"));
    let folder = layers.path(&of("folder"));
    let mut reader = TarLayerReader::new(tar);
    transport::import(&HostVolume::new(), &mut reader, &folder, options, &()).expect("a folder");
}

fn view(layers: &Layers, nearest: &str, parents: &[&str]) -> Result<View, Error> {
    let options = OpenOptions {
        parents: ParentChain::from_nearest_first(parents.iter().map(|name| layers.path(name))),
        ..OpenOptions::default()
    };
    layers_of::open(layers.path(nearest), &options, &())
}

fn content(view: &View, node: &Node, stream: Option<&StreamName>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = view
        .content(node, stream)
        .expect("content")
        .reader()
        .read_to_end(&mut bytes);
    read.expect("content");
    bytes
}

/// Everything that a view shows below `Files`, as text, without the parts a folder cannot hold.
fn shown(view: &View) -> Vec<String> {
    let mut lines = Vec::new();
    for node in view.walk(None) {
        let node = node.expect("a readable view");
        let (name, in_files) = (node.path.to_string(), node.path.is_below(&path("Files")));
        let again = view
            .find(&path(&name.to_uppercase()))
            .expect("readable")
            .expect(&name);
        assert_eq!(again.path.to_string(), name, "spelled as in the listing");
        let mut line = format!("{name} {:?} {}", node.kind, node.size());
        let details = view.details(&node).expect(&name);
        if in_files {
            let item = node.item.as_ref().expect(&name);
            let names: Vec<_> = view.names(&node).expect(&name);
            line += &format!(
                " {:?} {} {names:?} {:?} {:?} {:?}",
                item.basic_info, item.total_size, details.security, details.ea, details.reparse
            );
        }
        for stream in &details.streams {
            let bytes = content(view, &node, stream.name.as_ref());
            assert_eq!(bytes.len() as u64, stream.size, "{name}");
            let digest = wclayer::Digest::of(&bytes);
            line += &format!(
                " {:?} {} {} {digest}",
                stream.name, stream.allocated, stream.is_sparse
            );
        }
        lines.push(line);
    }
    lines
}

fn squashed(view: &View) -> Vec<u8> {
    let writer = TarLayerWriter::new(Vec::new());
    hub::copy(&mut view.reader(&[]), writer, &()).expect("a layer")
}

#[test]
fn a_layer_looks_the_same_whatever_kind_it_is() {
    let layers = Layers::new();
    make(&layers, "base", &sample("base.tar.gz"), None);
    let expected = shown(&view(&layers, "base-tar", &[]).expect("a tar"));
    assert!(expected.len() > 20);
    for kind in ["portable", "folder"] {
        let view = view(&layers, &format!("base-{kind}"), &[]).expect(kind);
        assert_eq!(shown(&view), expected, "{kind}");
    }
}

#[test]
fn chains_of_any_kinds_look_the_same() {
    let layers = Layers::new();
    make(&layers, "base", &sample("base.tar.gz"), None);
    make(&layers, "app", &sample("app.tar.gz"), Some("base"));
    let names = |view: &View| -> Vec<String> {
        let nodes = view.walk(None).map(|node| node.expect("readable"));
        nodes
            .map(|node| {
                format!(
                    "{} {:?} {} {}",
                    node.path,
                    node.kind,
                    node.size(),
                    node.layer
                )
            })
            .collect()
    };
    let expected = names(&view(&layers, "app-tar", &["base-tar"]).expect("tars"));
    for upper in ["tar", "folder"] {
        for lower in KINDS {
            let (upper, lower) = (format!("app-{upper}"), format!("base-{lower}"));
            let view = view(&layers, &upper, &[&lower]).expect(&upper);
            if upper == "app-tar" {
                assert_eq!(names(&view), expected, "{upper} on {lower}");
            }
            // The squashed chain looks like the original.
            fs::write(layers.path("squashed"), squashed(&view)).expect("a file");
            let again = self::view(&layers, "squashed", &[]).expect("a tar");
            assert_eq!(shown(&again), shown(&view), "{upper} on {lower}");
        }
    }
}

#[test]
fn removals_of_a_folder_take_effect_and_are_listed() {
    let layers = Layers::new();
    let base = tar(|tar| {
        tar.directory("Files/d", &directory())?;
        tar.file("Files/d/gone", &plain(), b"1")?;
        tar.file("Files/d/stays", &plain(), b"2")
    });
    let upper = tar(|tar| tar.whiteout("Files/d/Gone"));
    make(&layers, "base", base.get_ref(), None);
    make(&layers, "upper", upper.get_ref(), Some("base"));
    for lower in KINDS {
        let view = view(&layers, "upper-folder", &[&format!("base-{lower}")]).expect(lower);
        assert!(view.find(&path("Files/D/gone")).expect(lower).is_none());
        assert!(view.find(&path("files/d/STAYS")).expect(lower).is_some());
    }
    let options = OpenOptions {
        this_layer: true,
        ..OpenOptions::default()
    };
    let alone = layers_of::open(layers.path("upper-folder"), &options, &()).expect("a layer");
    let removal = alone.find(&path("FILES/D/GONE")).expect("readable");
    let spelled = removal.map(|node| node.path.to_string());
    assert_eq!(spelled.as_deref(), Some("Files/d/Gone"));
    let nodes: Vec<_> = alone
        .walk(None)
        .map(|node| node.expect("readable"))
        .collect();
    let told: Vec<_> = nodes
        .iter()
        .map(|node| {
            (
                node.path.to_string(),
                node.item.is_some(),
                node.removed.is_some(),
            )
        })
        .collect();
    let line = |name: &str, has_item, is_removed| (name.to_owned(), has_item, is_removed);
    assert_eq!(
        told,
        [
            line("Files", true, false),
            line("Files/d", false, false),
            line("Files/d/Gone", false, true)
        ]
    );
}

#[test]
fn the_chain_file_of_a_folder_determines_its_parents() {
    let layers = Layers::new();
    let base = tar(|tar| tar.file("Files/below", &plain(), b"1"));
    let upper = tar(|tar| tar.file("Files/above", &plain(), b"2"));
    make(&layers, "base", base.get_ref(), None);
    make(&layers, "upper", upper.get_ref(), None);
    let chain_file = layers.path("upper-folder/layerchain.json");
    let base_path = layers.path("base-portable");
    fs::write(
        &chain_file,
        format!("[{:?}]", base_path.display().to_string()),
    )
    .expect("a file");
    let view = view(&layers, "upper-folder", &[]).expect("a chain");
    assert_eq!(view.depth(), 2);
    assert!(view.find(&path("Files/below")).expect("readable").is_some());
    assert!(
        view.find(&path("layerchain.json"))
            .expect("readable")
            .is_none()
    );
    fs::write(&chain_file, "[\"relative\"]").expect("a file");
    assert!(self::view(&layers, "upper-folder", &[]).is_err());
    fs::remove_file(&chain_file).expect("the file exists");
    fs::write(layers.path("elsewhere"), "[]").expect("a file");
    symlink("../elsewhere", &chain_file).expect("a link");
    assert!(self::view(&layers, "upper-folder", &[]).is_err());
}

/// Changes a folder.
type Spoil<'a> = &'a dyn Fn(&Path);

/// Damages a folder, reads all of it, and returns the error.
#[track_caller]
fn spoilt(change: Spoil<'_>) -> String {
    let layers = Layers::new();
    let tar = tar(|tar| {
        tar.directory("Files/d", &directory())?;
        tar.file("Files/d/f", &plain(), b"content")
    });
    make(&layers, "layer", tar.get_ref(), None);
    fs::create_dir(layers.path("outside")).expect("a folder");
    fs::write(layers.path("outside/f"), "secret").expect("a file");
    let folder = layers.path("layer-folder");
    change(&folder);
    let before = snapshot(&folder);
    let looked = view(&layers, "layer-folder", &[]).and_then(|view| {
        for node in view.walk(None) {
            view.details(&node?)?;
        }
        Ok(())
    });
    let error = looked.expect_err("spoilt");
    assert_eq!(snapshot(&folder), before);
    chain(&error).join(": ")
}

#[test]
fn hostile_folders_are_rejected_and_never_followed() {
    fn replace(path: &Path, content: &[u8]) {
        fs::remove_file(path).expect("the file exists");
        fs::write(path, content).expect("a file");
    }
    let cases: [(&str, Spoil<'_>); 8] = [
        ("shorter", &|layer| {
            replace(&layer.join("Files/d/f"), b"abc")
        }),
        ("kind", &|layer| {
            replace(&layer.join("Files/d/f"), &DIRECTORY.to_le_bytes());
        }),
        ("kind", &|layer| {
            replace(&layer.join("Files/d.$wcidirs$"), &[0; 4])
        }),
        ("$wcidirs$", &|layer| {
            fs::remove_file(layer.join("Files/d.$wcidirs$")).expect("the file exists");
        }),
        ("backup stream", &|layer| {
            // Data that would be far longer than the file.
            let header = [
                0x20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
            ];
            replace(&layer.join("Files/d/f"), &[&header[..], &[0; 8]].concat());
        }),
        ("reparse point", &|layer| {
            symlink("../../outside/f", layer.join("Files/link")).expect("a link");
        }),
        ("reparse point", &|layer| {
            fs::rename(layer.join("Files/d"), layer.join("../moved")).expect("moved");
            symlink("../../outside", layer.join("Files/d")).expect("a link");
        }),
        ("not empty", &|layer| {
            replace(&layer.join("Files/d.$wcidirs$"), &0x410_u32.to_le_bytes());
        }),
    ];
    for (part, change) in cases {
        let error = spoilt(change);
        assert!(error.contains(part), "{part}: {error}");
        assert!(!error.contains("secret"));
    }
}

#[test]
fn sparse_and_alternate_streams_are_read_with_their_holes() {
    let layers = Layers::new();
    make(&layers, "layer", tar(|_| Ok(())).get_ref(), None);
    let mut file = 0x220_u32.to_le_bytes().to_vec();
    let mut put = |header: &StreamHeader, body: &[u8]| {
        header.encode(&mut file);
        file.extend_from_slice(body);
    };
    let mut data = StreamHeader::new(StreamId::DATA, 0);
    data.attributes = StreamAttributes::SPARSE;
    put(&data, b"");
    put(&StreamHeader::sparse_block(2, 3), b"abc");
    put(&StreamHeader::sparse_block(8, 1), b"d");
    put(&StreamHeader::sparse_block(10, 0), b"");
    let long = vec![7; 100_000];
    let units: Vec<u16> = "side".encode_utf16().collect();
    put(
        &StreamHeader::alternate_data(&units, long.len() as u64),
        &long,
    );
    put(&StreamHeader::new(StreamId::EA_DATA, 3), b"eas");
    fs::write(layers.path("layer-folder/Files/f"), file).expect("a file");
    let view = view(&layers, "layer-folder", &[]).expect("a layer");
    let node = view
        .find(&path("Files/F"))
        .expect("readable")
        .expect("there");
    let item = node.item.as_ref().expect("a file");
    assert_eq!((item.size, item.total_size), (10, 100_010));
    let details = view.details(&node).expect("readable");
    assert_eq!(details.ea.as_deref(), Some(&b"eas"[..]));
    let sizes: Vec<_> = details
        .streams
        .iter()
        .map(|stream| (stream.size, stream.allocated, stream.is_sparse))
        .collect();
    assert_eq!(sizes, [(10, 4, true), (100_000, 100_000, false)]);
    assert_eq!(content(&view, &node, None), b"\0\0abc\0\0\0d\0");
    let side = StreamName::parse(b"SIDE").expect("a name");
    assert_eq!(content(&view, &node, Some(&side)), long);
    let other = StreamName::parse(b"other").expect("a name");
    assert!(view.content(&node, Some(&other)).is_err());
}

#[test]
fn a_file_with_endless_holes_is_rejected() {
    let layers = Layers::new();
    make(&layers, "layer", tar(|_| Ok(())).get_ref(), None);
    for (end, is_fine) in [
        (64_u64 << 30, true),
        ((64 << 30) + 1, false),
        (i64::MAX as u64, false),
    ] {
        let mut file = 0x220_u32.to_le_bytes().to_vec();
        let mut data = StreamHeader::new(StreamId::DATA, 0);
        data.attributes = StreamAttributes::SPARSE;
        data.encode(&mut file);
        StreamHeader::sparse_block(end as i64, 0).encode(&mut file);
        fs::write(layers.path("layer-folder/Files/f"), file).expect("a file");
        let view = view(&layers, "layer-folder", &[]).expect("a layer");
        let node = view.find(&path("Files/f"));
        assert_eq!(node.is_ok(), is_fine, "{end}");
    }
}
