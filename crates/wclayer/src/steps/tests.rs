//! What is asked once for every entry takes steps for that entry, not for all the others as well.

use std::io::{self, Cursor};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tempfile::TempDir;

use super::test_tar::{Meta, Tar};
use super::{assert_linear, statements_of};
use crate::LayerReader;
use crate::parent_chain::ParentChain;
use crate::path::LayerPath;
use crate::portable::{self, ImportOptions};
use crate::rules::Rule;
use crate::source::{self, OpenOptions};
use crate::tar::TarLayerReader;
use crate::validate::validate_tar;
use crate::view::View;

fn file() -> Meta {
    Meta::default()
}

/// Makes a layer tar that starts with `Files`.
fn tar(build: impl FnOnce(&mut Tar) -> io::Result<()>) -> Vec<u8> {
    let mut tar = Tar::default();
    tar.directory("Files")
        .and_then(|()| build(&mut tar))
        .expect("memory");
    tar.finish()
}

/// A file at one path, again and again, and links to it.
fn often(size: usize) -> Vec<u8> {
    tar(|tar| {
        (0..size).try_for_each(|_| tar.file("Files/often", &file(), b""))?;
        (0..size)
            .try_for_each(|number| tar.hard_link(&format!("Files/link{number}"), "Files/often"))
    })
}

/// Links of which each leads to the one before, and the first to the last, or to a file.
fn link_chain(size: usize, is_ring: bool) -> Vec<u8> {
    let last = format!("Files/{}", size - 1);
    tar(|tar| {
        tar.file("Files/file", &file(), b"")?;
        let first = if is_ring { &last } else { "Files/file" };
        tar.hard_link("Files/0", first)?;
        (1..size).try_for_each(|number| {
            let before = format!("Files/{}", number - 1);
            tar.hard_link(&format!("Files/{number}"), &before)
        })
    })
}

/// Folders for layers, which go away with the test.
struct Layers(TempDir);

impl Layers {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn import(&self, name: &str, tar: Vec<u8>, parents: &[&str]) {
        let parents = parents.iter().map(|name| self.0.path().join(name));
        let options = ImportOptions::default().parents(ParentChain::from_nearest_first(parents));
        let place = self.0.path().join(name);
        portable::import(Cursor::new(tar), place, &options, &()).expect("a legal layer");
    }

    /// Opens the view of a tar alone.
    fn view(&self, tar: &[u8]) -> View {
        let path = self.0.path().join(format!("{}.tar", tar.len()));
        std::fs::write(&path, tar).expect("free");
        source::open(path, &OpenOptions::default(), &()).expect("a layer")
    }
}

fn path(text: &str) -> LayerPath {
    text.parse().expect(text)
}

fn walk(view: &View) {
    for node in view.walk(None) {
        node.expect("readable");
    }
}

/// However many entries a directory has, each layer is asked once.
#[test]
fn a_directory_is_listed_by_one_statement_for_each_layer() {
    let directory = |size: usize| {
        tar(|tar| {
            tar.directory("Files/d")?;
            (0..size).try_for_each(|number| {
                let name = format!("Files/d/{number}");
                tar.file(&name, &file(), b"content")?;
                tar.stream(&name, "stream", b"more")?;
                tar.directory(&format!("Files/d/sub{number}"))?;
                tar.file(&format!("Files/d/sub{number}/below"), &file(), b"")
            })
        })
    };
    let layers = Layers::new();
    layers.import("base", directory(400), &[]);
    layers.import("app", directory(300), &["base"]);
    let app = layers.0.path().join("app");
    let stored = source::open(app, &OpenOptions::default(), &()).expect("a layer");
    for (view, depth) in [(layers.view(&directory(400)), 1), (stored, 2)] {
        let found = view
            .find(&path("Files/d"))
            .expect("readable")
            .expect("there");
        let statements = statements_of(|| {
            let children = view.children(Some(&found)).expect("readable");
            assert_eq!(children.len(), 800);
            let sizes = children.iter().filter_map(|child| child.item.as_ref());
            let total: u64 = sizes.map(|item| item.total_size).sum();
            assert_eq!(total, 400 * ("content".len() + "more".len()) as u64);
        });
        assert_eq!(statements, depth);
    }
}

/// Each of the directories above the file is looked up once, not once for each one below it.
#[test]
fn the_way_down_to_deep_paths_is_checked_once() {
    let layers = Layers::new();
    layers.import("base", tar(|_| Ok(())), &[]);
    assert_linear(100, |depth| {
        let tar = tar(|tar| {
            (0..depth).try_for_each(|depth| {
                let way = "dir/".repeat(depth);
                tar.file(&format!("Files/{way}x"), &file(), b"")
            })
        });
        let name = depth.to_string();
        let layers = &layers;
        move || layers.import(&name, tar, &["base"])
    });
}

/// The last one counts, and looking for it costs as much as if there were only one.
#[test]
fn a_path_that_comes_often_is_imported_like_many_paths() {
    let layers = Layers::new();
    assert_linear(500, |size| {
        let (tar, name) = (often(size), size.to_string());
        let layers = &layers;
        move || layers.import(&name, tar, &[])
    });
}

#[test]
fn a_path_that_comes_often_in_a_parent_is_linked_to_like_many_paths() {
    let layers = Layers::new();
    assert_linear(500, |size| {
        let parent = format!("parent{size}");
        layers.import(&parent, often(size), &[]);
        let links = tar(|tar| {
            (0..size)
                .try_for_each(|number| tar.hard_link(&format!("Files/{number}"), "Files/often"))
        });
        let layers = &layers;
        move || layers.import(&size.to_string(), links, &[&parent])
    });
}

#[test]
fn a_path_that_comes_often_is_validated_like_many_paths() {
    let removals = |size| {
        tar(|tar| {
            (0..size).try_for_each(|_| tar.whiteout("Files/often"))?;
            (0..size)
                .try_for_each(|number| tar.hard_link(&format!("Files/{number}"), "Files/often"))
        })
    };
    for build in [&often as &dyn Fn(usize) -> Vec<u8>, &removals] {
        assert_linear(500, |size| {
            let tar = Cursor::new(build(size));
            move || {
                validate_tar(tar, None, 8, &()).expect("readable");
            }
        });
    }
}

#[test]
fn a_path_that_comes_often_is_found_like_many_paths() {
    let layers = Layers::new();
    assert_linear(500, |size| {
        let view = layers.view(&often(size));
        move || {
            for number in 0..size {
                let link = path(&format!("Files/link{number}"));
                view.find(&link).expect("readable").expect("there");
            }
        }
    });
    assert_linear(500, |size| {
        let view = layers.view(&often(size));
        move || walk(&view)
    });
}

#[test]
fn a_ring_of_links_is_validated_like_a_chain() {
    assert_linear(500, |size| {
        let tar = Cursor::new(link_chain(size, true));
        move || {
            let report = validate_tar(tar, None, 8, &()).expect("readable");
            assert_eq!(report.rules[&Rule::LinkLoop].count, size as u64);
        }
    });
}

#[test]
fn links_over_links_are_each_followed_once() {
    let layers = Layers::new();
    assert_linear(500, |size| {
        let layer = link_chain(size, false);
        let layers = &layers;
        move || layers.import(&size.to_string(), layer, &[])
    });
    for is_ring in [false, true] {
        assert_linear(500, |size| {
            let view = layers.view(&link_chain(size, is_ring));
            move || walk(&view)
        });
    }
}

#[test]
fn a_long_way_over_a_link_is_gone_once() {
    let layers = Layers::new();
    assert_linear(100, |depth| {
        let deep = vec!["d"; depth].join("/");
        let view = layers.view(&tar(|tar| {
            tar.symlink("Files/l", &deep.replace('/', "\\"))?;
            tar.file(&format!("Files/{deep}"), &file(), b"x")
        }));
        move || {
            view.resolve(&path("Files/l")).expect("readable");
        }
    });
}

#[test]
fn many_records_of_a_header_are_each_read_once() {
    assert_linear(500, |count| {
        let mut meta = file();
        for number in 0..count {
            let key = format!("MSWINDOWS.xattr.{number}");
            meta.records.push((key, Vec::new()));
        }
        let tar = tar(|tar| tar.file("Files/x", &meta, b""));
        move || {
            let mut reader = TarLayerReader::new(Cursor::new(tar));
            while reader.next_entry().expect("legal").is_some() {}
        }
    });
}

#[test]
fn many_streams_and_descriptors_are_imported_one_by_one() {
    let layers = Layers::new();
    let import = |name: String, tar: Vec<u8>| {
        let layers = &layers;
        move || layers.import(&name, tar, &[])
    };
    assert_linear(500, |count| {
        let streams = tar(|tar| {
            tar.file("Files/f", &file(), b"")?;
            (0..count).try_for_each(|number| tar.stream("Files/f", &number.to_string(), b"x"))
        });
        import(format!("streams{count}"), streams)
    });
    assert_linear(500, |count| {
        let descriptors = tar(|tar| {
            (0..count as u32).try_for_each(|number| {
                let descriptor = BASE64_STANDARD.encode(number.to_le_bytes().repeat(9));
                let mut meta = file();
                let key = "MSWINDOWS.rawsd".to_owned();
                meta.records.push((key, descriptor.into_bytes()));
                tar.file(&format!("Files/{number}"), &meta, b"")
            })
        });
        import(format!("descriptors{count}"), descriptors)
    });
}
