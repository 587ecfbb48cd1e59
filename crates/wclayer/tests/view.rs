//! Single answers of the view: links of both kinds, directories without an entry, damage.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use layergen::TarBuilder;
use wclayer::layer::{ItemKind, Removed};
use wclayer::source::{self, OpenOptions};
use wclayer::view::{Resolved, View};
use wclayer::{ErrorKind, ParentChain};

mod common;

use common::{DIRECTORY, Layers, REPARSE, directory, path, plain, tar, write};

type Tar = TarBuilder<Vec<u8>>;

/// Opens layers, nearest first.
fn open(layers: &[PathBuf]) -> View {
    let options = OpenOptions {
        parents: ParentChain::from_nearest_first(&layers[1..]),
        ..OpenOptions::default()
    };
    source::open(&layers[0], &options, &()).expect("a view")
}

/// Describes briefly where a path leads.
fn resolved(view: &View, text: &str) -> String {
    match view.resolve(&path(text)).expect("readable") {
        Resolved::Found(node) => format!("found {}", node.path),
        Resolved::Missing(path) => format!("missing {path}"),
        Resolved::Outside { link, target } => format!("{link} leads to {target}"),
        Resolved::Loop => "loop".to_owned(),
    }
}

fn junction() -> layergen::Meta {
    layergen::Meta::with_attributes(DIRECTORY | REPARSE)
}

#[test]
fn links_are_followed_inside_the_volume_and_across_layers() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = write(&folder, "base.tar", |tar| {
        tar.directory("Files/Real", &directory())?;
        tar.directory("Files/Real/In", &directory())?;
        tar.file("Files/Real/In/file", &plain(), b"x")?;
        tar.file("Files/top", &plain(), b"x")
    });
    let upper = write(&folder, "upper.tar", |tar| {
        tar.junction("Files/J", r"C:\Real", &junction())?;
        tar.symlink("Files/relative", r"J\in", &plain())?;
        tar.symlink("Files/up", r"..\..\..\etc", &plain())?;
        tar.symlink("Files/drive", r"D:\x", &plain())?;
        tar.symlink("Files/nowhere", "none", &plain())?;
        tar.symlink("Files/self", "self", &plain())?;
        tar.symlink("Files/ping", "pong", &plain())?;
        tar.symlink("Files/pong", "ping", &plain())?;
        tar.directory("UtilityVM", &directory())?;
        tar.directory("UtilityVM/Files", &directory())?;
        tar.file("UtilityVM/Files/top", &plain(), b"vm")?;
        tar.junction("UtilityVM/Files/up", r"C:\", &junction())
    });
    let view = open(&[upper, base]);
    assert_eq!(view.content_size().expect("readable"), Some(4));
    for (from, to) in [
        ("Files/j/in/FILE", "found Files/Real/In/file"),
        ("Files/relative/file", "found Files/Real/In/file"),
        ("Files/Real/In", "found Files/Real/In"),
        ("Files/J/none/file", "missing Files/Real/none/file"),
        ("Files/nowhere", "missing Files/none"),
        ("Files/up", r"Files/up leads to ..\..\..\etc"),
        ("Files/drive/x", r"Files/drive leads to D:\x"),
        ("Files/self", "loop"),
        ("Files/ping/x", "loop"),
        ("UtilityVM/Files/up/top", "found UtilityVM/Files/top"),
    ] {
        assert_eq!(resolved(&view, from), to, "{from}");
    }
}

#[test]
fn as_many_links_are_followed_as_on_windows() {
    let folder = tempfile::tempdir().expect("a folder");
    let layer = write(&folder, "layer.tar", |tar| {
        tar.file("Files/0", &plain(), b"x")?;
        (1..=64).try_for_each(|link| {
            tar.symlink(&format!("Files/{link}"), &(link - 1).to_string(), &plain())
        })
    });
    let view = open(&[layer]);
    assert_eq!(resolved(&view, "Files/63"), "found Files/0");
    assert_eq!(resolved(&view, "Files/64"), "loop");
}

#[test]
fn a_long_path_through_a_link_is_resolved() {
    let folder = tempfile::tempdir().expect("a folder");
    let deep = vec!["d"; 900].join("/");
    let layer = write(&folder, "layer.tar", |tar| {
        tar.symlink("Files/l", &deep.replace('/', "\\"), &plain())?;
        tar.file(&format!("Files/{deep}"), &plain(), b"x")
    });
    let expected = format!("found Files/{deep}");
    assert_eq!(resolved(&open(&[layer]), "Files/l"), expected);
}

/// Hard links that each name the previous one; the first names `target`.
fn link_chain(tar: &mut Tar, target: &str, count: usize) -> std::io::Result<()> {
    (1..=count).try_for_each(|link| {
        let before = match link {
            1 => target.to_owned(),
            link => format!("Files/{}", link - 1),
        };
        tar.hard_link(&format!("Files/{link}"), &before, &plain())
    })
}

fn kind_of(view: &View, text: &str) -> ItemKind {
    let node = view.find(&path(text)).expect("readable").expect("there");
    node.item.expect("an item").kind
}

#[test]
fn hard_links_are_followed_up_to_the_number_of_names_of_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let layer = write(&folder, "layer.tar", |tar| {
        tar.file("Files/file", &plain(), b"x")?;
        link_chain(tar, "Files/file", 20_000)
    });
    // From either end, the results are the same.
    for order in [
        [1, 1023, 1024, 17_000, 20_000],
        [20_000, 17_000, 1024, 1023, 1],
    ] {
        let view = open(std::slice::from_ref(&layer));
        for link in order {
            let is_file = kind_of(&view, &format!("Files/{link}")) == ItemKind::File;
            assert_eq!(is_file, link <= 1023, "link {link} in {order:?}");
        }
    }
    let view = open(&[layer]);
    let nodes = view.walk(None).map(|node| node.expect("readable"));
    let is_broken = |item: &wclayer::layer::Item| item.kind != ItemKind::File;
    let all = nodes
        .filter(|node| node.link.is_some() && node.item.as_ref().is_some_and(is_broken))
        .count();
    assert_eq!(all, 20_000 - 1023);
}

#[test]
fn hard_links_in_a_cycle_name_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let layer = write(&folder, "layer.tar", |tar| {
        link_chain(tar, "Files/1500", 1500)
    });
    let view = open(&[layer]);
    let nodes = view.walk(None).map(|node| node.expect("readable"));
    let broken = nodes
        .filter(|node| matches!(&node.item, Some(item) if item.kind != ItemKind::File))
        .count();
    // The count includes the directory `Files`.
    assert_eq!(broken, 1501);
}

#[test]
fn directories_without_an_entry_are_visible_and_limited() {
    let folder = tempfile::tempdir().expect("a folder");
    let layer = write(&folder, "layer.tar", |tar| {
        tar.file("Files/a/b/file", &plain(), b"x")?;
        tar.whiteout("Files/gone/x")
    });
    let view = open(&[layer]);
    let names: Vec<String> = view
        .walk(None)
        .map(|node| node.expect("readable").path.to_string())
        .collect();
    assert_eq!(names, ["Files", "Files/a", "Files/a/b", "Files/a/b/file"]);
    // They belong to the layer that has content in them.
    let upper = write(&folder, "upper.tar", |tar| {
        tar.file("Files/c", &plain(), b"x")
    });
    let view = open(&[upper, folder.path().join("layer.tar")]);
    let layer_of = |text: &str| {
        view.find(&path(text))
            .expect("readable")
            .expect("there")
            .layer
    };
    assert_eq!(layer_of("Files/a/b"), 1);
    assert_eq!(layer_of("Files"), 0);
    // Each of these paths has about a hundred directories of its own.
    let many = write(&folder, "many.tar", |tar| {
        let rest = vec!["d"; 1000].join("/");
        (0..500).try_for_each(|number| tar.file(&format!("Files/{number}/{rest}"), &plain(), b""))
    });
    let error = source::open(&many, &OpenOptions::default(), &()).err();
    assert_eq!(error.expect("refused").kind(), ErrorKind::InvalidLayer);
}

#[test]
fn damaged_content_of_a_portable_layer_is_not_returned() {
    let layers = Layers::new();
    let source = tar(|tar| {
        tar.file("Files/good", &plain(), b"good content")?;
        // The block of content that is checked as a whole is no longer than this.
        tar.file("Files/between", &plain(), &[0; 64 * 1024])?;
        tar.file("Files/bad", &plain(), b"soon bad content")
    });
    layers.import("layer", source, &[]).expect("imported");
    let tar = layers.path("layer").join("layer.tar");
    spoil(&tar, b"soon bad");
    let view = open(&[layers.path("layer")]);
    let read = |name: &str, whole: bool| {
        let node = view.find(&path(name)).expect("readable").expect("there");
        let mut bytes = Vec::new();
        let content = match whole {
            true => view.backup_stream(&node).expect("opened").reader,
            false => Box::new(view.content(&node, None).expect("opened").reader()),
        };
        let mut content: Box<dyn Read> = content;
        content.read_to_end(&mut bytes).map(|_| bytes)
    };
    for whole in [false, true] {
        assert!(read("Files/good", whole).is_ok());
        let error = read("Files/bad", whole).expect_err("damaged");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    }
}

/// Changes a byte of a file, at the start of `text`.
fn spoil(file: &Path, text: &[u8]) {
    let mut bytes = fs::read(file).expect("read");
    let at = bytes.windows(text.len()).position(|part| part == text);
    bytes[at.expect("there")] ^= 1;
    let mut permissions = fs::metadata(file).expect("there").permissions();
    #[allow(clippy::permissions_set_readonly_false)]
    permissions.set_readonly(false);
    fs::set_permissions(file, permissions).expect("ours");
    fs::File::create(file)
        .expect("ours")
        .write_all(&bytes)
        .expect("written");
}

#[test]
fn of_many_entries_the_last_counts_and_still_removes() {
    let folder = tempfile::tempdir().expect("a folder");
    let layer = write(&folder, "layer.tar", |tar| {
        for number in 0..5 {
            tar.opaque("Files/opaque")?;
            tar.directory("Files/opaque", &directory())?;
            tar.whiteout("Files/gone")?;
            tar.file("Files/last", &plain(), number.to_string().as_bytes())?;
        }
        tar.whiteout("Files/both")?;
        (0..5).try_for_each(|_| tar.opaque("Files/both"))
    });
    let view = open(&[layer]).only_nearest(1);
    let node = |text: &str| view.find(&path(text)).expect("readable").expect("there");
    let removed = |text: &str| node(text).removed;
    assert_eq!(removed("Files/opaque"), Some(Removed::Contents));
    assert_eq!(removed("Files/gone"), Some(Removed::Path));
    assert_eq!(removed("Files/both"), Some(Removed::Path));
    let mut text = String::new();
    let content = view.content(&node("Files/last"), None);
    let mut content = content.expect("content").reader();
    content.read_to_string(&mut text).expect("text");
    assert_eq!(text, "4");
}
