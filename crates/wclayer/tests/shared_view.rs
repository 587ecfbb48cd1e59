//! One view for several threads, content at any offset, and names looked up one by one.
#![cfg(unix)] // transport folders are written to the host's disk

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;

use proptest::prelude::*;
use wclayer::compression::Encoder;
use wclayer::layer::{ChainLayer, Content, ContentReader, ItemKind};
use wclayer::source::{self, Access, OpenOptions, Passed};
use wclayer::tar::TarLayerReader;
use wclayer::transport;
use wclayer::view::{Node, NodeKind, View};
use wclayer::volume::host::HostVolume;
use wclayer::{Digest, LayerPath, ParentChain, StreamName};

mod common;

use common::{Layers, directory, gnu_sparse, plain, tar};

#[test]
fn views_and_layers_are_shared_by_threads() {
    fn is_shared<T: Send + Sync + ?Sized>() {}
    is_shared::<View>();
    is_shared::<dyn ChainLayer>();
    is_shared::<dyn Content>();
    is_shared::<ContentReader>();
}

fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut rng = layergen::Rng::new(seed);
    (0..size).map(|_| rng.next_u64() as u8).collect()
}

/// Names that NTFS cannot tell apart must not both be in a folder, so none are.
fn base() -> Vec<u8> {
    let tar = tar(|tar| {
        for number in 0..40 {
            let directory_name = format!("Files/Directory{}", number % 7);
            if number < 7 {
                tar.directory(&directory_name, &directory())?;
            }
            let name = format!("{directory_name}/file{number}");
            tar.file(&name, &plain(), &noise(number, 3000 * number as usize))?;
            tar.stream(&name, "side", &plain(), &noise(number, 500))?;
        }
        tar.raw_bytes(&gnu_sparse(
            "Files/sparse",
            3 << 20,
            &[(5, b"start"), (1 << 20, &noise(9, 100_000))],
        ))?;
        tar.hard_link("Files/link", "Files/Directory1/file1", &plain())?;
        tar.symlink("Files/soft", r"Directory1\file1", &plain())
    });
    tar.into_inner()
}

fn app() -> Vec<u8> {
    let tar = tar(|tar| {
        tar.directory("Files/Directory2", &directory())?;
        tar.file("Files/Directory2/file2", &plain(), b"of the app")?;
        tar.whiteout("Files/Directory1/file8")?;
        tar.directory("Files/New", &directory())?;
        tar.file("Files/New/large", &plain(), &noise(1, 700_000))
    });
    tar.into_inner()
}

fn gzip(tar: &[u8], path: &Path) {
    let file = fs::File::create_new(path).expect("a new file");
    let mut gzip = Encoder::new(file, "gzip:1".parse().expect("gzip")).expect("an encoder");
    gzip.write_all(tar).expect("written");
    gzip.finish().expect("written");
}

fn open(layer: PathBuf, parents: &[PathBuf], access: Access) -> View {
    let options = OpenOptions::default()
        .parents(ParentChain::from_nearest_first(parents))
        .access(access);
    source::open(layer, &options, &()).expect("a view")
}

/// A chain as plain tars, compressed tars that are read in place and spooled, portable layers and
/// transport folders. The layers are given base first.
fn all_kinds(chain: &[Vec<u8>]) -> (Layers, Vec<(&'static str, View)>) {
    let layers = Layers::new();
    let name = |kind: &str, number: usize| format!("{kind}{number}");
    for (number, tar) in chain.iter().enumerate() {
        fs::write(layers.path(&name("tar", number)), tar).expect("written");
        gzip(tar, &layers.path(&name("gzip", number)));
        let parents: Vec<String> = (0..number)
            .rev()
            .map(|number| name("portable", number))
            .collect();
        let parents: Vec<&str> = parents.iter().map(String::as_str).collect();
        let imported = layers.import(
            &name("portable", number),
            Cursor::new(tar.clone()),
            &parents,
        );
        imported.expect("a legal layer");
        let mut source = TarLayerReader::new(&tar[..]);
        let folder = layers.path(&name("folder", number));
        let parent = number.checked_sub(1);
        let parent = parent.map(|number| layers.path(&name("folder", number)));
        let parents = source::open_parents(&ParentChain::from_nearest_first(parent), &());
        let options = transport::ImportOptions::default().parents(parents.expect("a view"));
        let imported = transport::import(&HostVolume::new(), &mut source, &folder, options, &());
        imported.expect("a folder");
    }
    let of_kind = |kind: &str, access| {
        let mut places = (0..chain.len()).rev();
        let top = places.next().expect("a layer");
        let parents: Vec<PathBuf> = places
            .map(|number| layers.path(&name(kind, number)))
            .collect();
        open(layers.path(&name(kind, top)), &parents, access)
    };
    let views = vec![
        ("tar", of_kind("tar", Access::Listing)),
        ("gzip", of_kind("gzip", Access::Listing)),
        ("spooled", of_kind("gzip", Access::Content)),
        ("portable", of_kind("portable", Access::Listing)),
        ("folder", of_kind("folder", Access::Listing)),
    ];
    (layers, views)
}

/// All that a view answers about itself, each question asked in more than one way.
fn answers(view: &View, seed: u64) -> Vec<String> {
    let mut rng = layergen::Rng::new(seed);
    let mut nodes: Vec<Node> = view
        .walk(None)
        .map(|node| node.expect("readable"))
        .collect();
    // Every thread in an order of its own.
    for at in (1..nodes.len()).rev() {
        nodes.swap(at, rng.next_u64() as usize % (at + 1));
    }
    let mut answers: Vec<String> = nodes.iter().map(|node| answer(view, node)).collect();
    answers.sort();
    answers
}

fn answer(view: &View, node: &Node) -> String {
    let asked = node.path.to_string().to_uppercase().parse();
    let found = view.find(&asked.expect("a path")).expect("readable");
    assert_eq!(found.as_ref(), Some(node));
    let details = view.details(node).expect("readable");
    let mut text = format!("{node:?} {:?}", view.names(node).expect("readable"));
    for child in view.children(Some(node)).expect("readable") {
        text += &format!(" {}", child.path);
    }
    for stream in &details.streams {
        let content = view.content(node, stream.name.as_ref()).expect("there");
        assert_eq!(content.len(), stream.size);
        let mut middle = [0; 16];
        let read = content.read_at(stream.size / 2, &mut middle);
        let mut all = Vec::new();
        content.reader().read_to_end(&mut all).expect("readable");
        let read = read.expect("readable");
        assert_eq!(middle[..read], all[all.len() / 2..][..read]);
        text += &format!(" {:?} {}", stream.name, Digest::of(&all));
    }
    let mut stream = Vec::new();
    let backup_stream = view.backup_stream(node).expect("readable");
    { backup_stream }
        .reader
        .read_to_end(&mut stream)
        .expect("readable");
    text + &Digest::of(&stream).to_string()
}

#[test]
fn eight_threads_get_what_one_gets() {
    let (_layers, views) = all_kinds(&[base(), app()]);
    for (kind, view) in &views {
        let expected = answers(view, 0);
        assert!(expected.len() > 40, "{kind}");
        thread::scope(|scope| {
            let threads: Vec<_> = (1..=8)
                .map(|seed| scope.spawn(move || answers(view, seed)))
                .collect();
            for thread in threads {
                assert_eq!(thread.join().expect("no panic"), expected, "{kind}");
            }
        });
    }
}

#[test]
fn threads_share_one_content() {
    let (_layers, views) = all_kinds(&[base(), app()]);
    let expected = noise(1, 700_000);
    for (kind, view) in &views {
        let node = view.find(&"Files/New/large".parse().expect("a path"));
        let content = view.content(&node.expect("readable").expect("there"), None);
        let content = content.expect("there");
        thread::scope(|scope| {
            for seed in 0..4 {
                let (content, expected) = (&content, &expected);
                scope.spawn(move || {
                    let mut rng = layergen::Rng::new(seed);
                    for _ in 0..20 {
                        let offset = rng.next_u64() as usize % expected.len();
                        let mut piece = [0; 5000];
                        let read = content.read_at(offset as u64, &mut piece);
                        let read = read.expect("readable");
                        assert!(read > 0, "{kind}");
                        assert!(piece[..read] == expected[offset..][..read], "{kind}");
                    }
                });
            }
        });
    }
}

/// Going down by names finds what paths find.
#[test]
fn children_are_found_by_name() {
    let (_layers, views) = all_kinds(&[base(), app()]);
    for (kind, view) in &views {
        for node in view.walk(None) {
            let node = node.expect("readable");
            let mut found: Option<Node> = None;
            for name in node.path.components() {
                let name = String::from_utf8_lossy(name).to_lowercase();
                found = view
                    .child(found.as_ref(), name.as_bytes())
                    .expect("readable");
                assert!(found.is_some(), "{kind} {}", node.path);
            }
            assert_eq!(found, Some(node), "{kind}");
        }
        let directory = view
            .child(None, b"FILES")
            .expect("readable")
            .expect("there");
        for name in [
            &b""[..],
            b".",
            b"..",
            b"/",
            b"nothing",
            b"New/large",
            b"New\\large",
            b"new:stream",
            b"\xff",
        ] {
            let found = view.child(Some(&directory), name).expect("readable");
            assert_eq!(found, None, "{kind} {name:?}");
        }
        let top = view.child(None, b"Files/New").expect("readable");
        assert_eq!(top, None, "{kind}");
        // What the app removes is not there, and nothing is in a file.
        let gone = view.find(&"Files/Directory1".parse().expect("a path"));
        let above = gone.expect("readable").expect("there");
        assert_eq!(view.child(Some(&above), b"file8").expect("readable"), None);
        let file = view.child(Some(&above), b"file1").expect("readable");
        let file = file.expect("there");
        assert_eq!(file.kind, NodeKind::File);
        assert_eq!(view.child(Some(&file), b"x").expect("readable"), None);
    }
}

/// A file of a layer: its length, and its parts where it is sparse.
#[derive(Debug, Clone)]
enum File {
    Whole(usize),
    Sparse(u64, Vec<(u64, Vec<u8>)>),
}

fn file() -> impl Strategy<Value = File> {
    let parts = prop::collection::vec((1..200_000_u64, 1..60_000_usize, any::<u64>()), 0..4);
    let sparse = (0..100_000_u64, parts).prop_map(|(end, gaps)| {
        let (mut at, mut parts) = (0, Vec::new());
        for (gap, size, seed) in gaps {
            at += gap;
            parts.push((at, noise(seed, size)));
            at += size as u64;
        }
        File::Sparse(at + end, parts)
    });
    prop_oneof![(0..300_000_usize).prop_map(File::Whole), sparse]
}

/// Makes a layer with these files below `Files`, and below `UtilityVM/Files`, which is not described
/// by other files in a transport folder.
fn layer(files: &[File]) -> Vec<u8> {
    let tar = tar(|tar| {
        tar.directory("UtilityVM", &directory())?;
        tar.directory("UtilityVM/Files", &directory())?;
        let volumes = ["Files", "UtilityVM/Files"];
        let files = volumes.into_iter().flat_map(|volume| {
            let files = files.iter().enumerate();
            files.map(move |(number, file)| (volume, number, file))
        });
        for (volume, number, file) in files {
            let name = format!("{volume}/{number}");
            match file {
                File::Whole(size) => {
                    tar.file(&name, &plain(), &noise(number as u64, *size))?;
                    // The host keeps streams of the utility VM in extended attributes, which are small.
                    let most = if volume == "Files" { usize::MAX } else { 500 };
                    tar.stream(&name, "side", &plain(), &noise(7, most.min(size / 2)))?;
                }
                File::Sparse(size, parts) => {
                    let parts: Vec<(u64, &[u8])> = parts
                        .iter()
                        .map(|(offset, bytes)| (*offset, &bytes[..]))
                        .collect();
                    tar.raw_bytes(&gnu_sparse(&name, *size, &parts))?;
                }
            }
        }
        Ok(())
    });
    tar.into_inner()
}

/// Reads at offsets in any order, and compares with the whole.
fn check_content(content: Box<dyn Content>, expected: &[u8], reads: &[(u64, usize)]) {
    let size = expected.len() as u64;
    assert_eq!((content.len(), content.is_empty()), (size, size == 0));
    for (offset, length) in reads {
        // Also at the end, and beyond.
        let offset = offset % (size + 2);
        let mut piece = vec![0xAA; *length];
        let read = content.read_at(offset, &mut piece).expect("readable");
        let rest = &expected[expected.len().min(offset as usize)..];
        assert_eq!(read == 0, rest.is_empty() || *length == 0);
        assert!(piece[..read] == rest[..read]);
        assert!(piece[read..].iter().all(|byte| *byte == 0xAA));
        let hole = content.hole_at(offset).expect("readable");
        assert!(hole <= rest.len() as u64);
        assert!(rest[..hole as usize].iter().all(|byte| *byte == 0));
    }
    // In order, with the holes left out.
    let (mut reader, mut all, mut piece) = (content.reader(), Vec::new(), vec![0; 70_000]);
    loop {
        let hole = reader.skip_hole().expect("readable");
        all.resize(all.len() + hole as usize, 0);
        let read = reader.read(&mut piece).expect("readable");
        if read == 0 && hole == 0 {
            break;
        }
        all.extend_from_slice(&piece[..read]);
    }
    assert!(all == expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn content_is_the_same_at_any_offset(
        files in prop::collection::vec(file(), 1..5),
        reads in prop::collection::vec((any::<u64>(), 0..100_000_usize), 1..12),
    ) {
        let (layers, views) = all_kinds(&[layer(&files)]);
        for (_, view) in &views {
            for node in view.walk(None) {
                let node = node.expect("readable");
                for stream in view.details(&node).expect("readable").streams {
                    let open = || view.content(&node, stream.name.as_ref()).expect("there");
                    let mut expected = Vec::new();
                    open().reader().read_to_end(&mut expected).expect("readable");
                    check_content(open(), &expected, &reads);
                    if let Some(passed) = passed(&layers, &node, stream.name.as_ref()) {
                        check_content(passed, &expected, &reads);
                    }
                }
            }
        }
    }

    #[test]
    fn the_holes_of_a_sparse_file_are_known(
        // Holes of less than 64 KiB in all are stored as zeros.
        size in 200_000..400_000_u64,
        at in 1..50_000_u64,
        length in 1..50_000_usize,
    ) {
        let part = noise(at, length);
        let tar = layer(&[File::Sparse(size, vec![(at, part)])]);
        let (_layers, views) = all_kinds(&[tar]);
        for (kind, view) in &views {
            let node = view.find(&"Files/0".parse().expect("a path"));
            let content = view.content(&node.expect("readable").expect("there"), None);
            let content = content.expect("there");
            let end = at + length as u64;
            prop_assert_eq!(content.hole_at(end).expect("readable"), size - end, "{}", kind);
            prop_assert_eq!(content.hole_at(0).expect("readable"), at, "{}", kind);
            prop_assert_eq!(content.hole_at(at).expect("readable"), 0, "{}", kind);
            prop_assert_eq!(content.hole_at(at / 2).expect("readable"), at - at / 2, "{}", kind);
            prop_assert_eq!(content.hole_at(size).expect("readable"), 0, "{}", kind);
        }
    }
}

/// Content out of the compressed tar, found in a single pass.
fn passed(layers: &Layers, node: &Node, stream: Option<&StreamName>) -> Option<Box<dyn Content>> {
    let path: &LayerPath = &node.path;
    let is_file = (node.item.as_ref()).is_some_and(|item| item.kind == ItemKind::File);
    let chain = [source::recognise(layers.path("gzip0")).expect("a tar")];
    match source::content_in_passing(&chain, path, stream, &()).expect("readable") {
        Passed::Content { content, .. } => Some(content),
        _ => {
            assert!(!is_file, "{path} is not found");
            None
        }
    }
}
