//! Squashing: the chains that it rejects, and the entries that it adds to make the result
//! importable.

use std::fs;
use std::path::PathBuf;

use layergen::{Meta, TarBuilder, minimal_hive};
use tempfile::TempDir;
use wclayer::diff::{DiffOptions, diff};
use wclayer::hub::{Entry, LayerReader};
use wclayer::rules::Breach;
use wclayer::source::{self, OpenOptions};
use wclayer::squash::{LostHive, SquashOptions, Squashed, squash};
use wclayer::tar::{TarLayerReader, TarLayerWriter};
use wclayer::view::View;
use wclayer::{Error, ErrorKind, LayerPath, ParentChain};

mod common;

use common::{directory, plain, tar};

type Tar = TarBuilder<Vec<u8>>;

const DELTA: &str = "Hives/Software_Delta";

fn keep_base() -> SquashOptions {
    SquashOptions::default().keep_base(true)
}

/// A folder of layer tars.
struct Chain {
    folder: TempDir,
    /// Nearest first.
    layers: Vec<PathBuf>,
}

impl Chain {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            layers: Vec::new(),
        }
    }

    /// Puts a layer on top.
    fn on_top(mut self, build: impl FnOnce(&mut Tar) -> std::io::Result<()>) -> Self {
        let path = self
            .folder
            .path()
            .join(format!("{}.tar", self.layers.len()));
        fs::write(&path, tar(build).get_ref()).expect("written");
        self.layers.insert(0, path);
        self
    }

    fn view(&self) -> View {
        let options = OpenOptions {
            parents: ParentChain::from_nearest_first(&self.layers[1..]),
            ..OpenOptions::default()
        };
        source::open(&self.layers[0], &options, &()).expect("a view")
    }

    fn squash(&self, options: SquashOptions) -> Result<Squashed<Vec<u8>>, Error> {
        let writer = TarLayerWriter::new(Vec::new());
        squash(self.view(), options, writer, &()).map_err(inner)
    }
}

/// Returns the failure on the layer that an error names.
fn inner(error: Error) -> Error {
    match error {
        Error::Layer { source, .. } => inner(*source),
        error => error,
    }
}

/// A hive with one value, which is a change; `number` distinguishes hives.
fn changed_hive(number: u8) -> Vec<u8> {
    let mut hive = minimal_hive("Software_Delta", true);
    let root = 4096 + 32 + 4;
    hive[root + 36] = 1;
    *hive.last_mut().expect("a byte") = number;
    hive
}

fn hive_layer(hive: Vec<u8>) -> impl FnOnce(&mut Tar) -> std::io::Result<()> {
    move |tar| {
        tar.directory("Hives", &directory())?;
        tar.file(DELTA, &plain(), &hive)
    }
}

/// Returns the entries of a tar, described in words, with the content of their backup streams.
fn entries(tar: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut reader = TarLayerReader::new(tar);
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry().expect("readable") {
        let text = match &entry {
            Entry::File(file) => file.path.to_string(),
            Entry::Link(link) => format!("{} = {}", link.path, link.target),
            Entry::Removal(path) => format!("- {path}"),
            Entry::Opaque(path) => format!("- {path}/*"),
        };
        let mut stream = Vec::new();
        let mut piece = [0; 4096];
        loop {
            match reader.read_stream(&mut piece).expect("readable") {
                0 => break,
                read => stream.extend_from_slice(&piece[..read]),
            }
        }
        found.push((text, stream));
    }
    found
}

fn names(tar: &[u8]) -> Vec<String> {
    entries(tar).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn registry_changes_of_several_layers_are_not_silently_lost() {
    let chain = Chain::new()
        .on_top(|tar| tar.file("Files/base", &plain(), b""))
        .on_top(hive_layer(changed_hive(1)))
        .on_top(hive_layer(changed_hive(2)));
    let error = chain.squash(keep_base()).expect_err("two hives");
    assert!(matches!(&error, Error::SeveralHives { hive, .. } if hive == DELTA));
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let options = keep_base().lose_registry(true);
    let squashed = chain.squash(options).expect("on request");
    let path: LayerPath = DELTA.parse().expect("a path");
    assert_eq!(
        squashed.lost_hives,
        [LostHive {
            path,
            layers: vec![1]
        }]
    );
    let hive = entries(&squashed.output).pop().expect("the hive").1;
    assert!(hive.ends_with(&changed_hive(2)));
}

#[test]
fn an_empty_hive_on_top_does_not_hide_the_changes_below() {
    let chain = Chain::new()
        .on_top(|tar| tar.file("Files/base", &plain(), b""))
        .on_top(hive_layer(changed_hive(1)))
        .on_top(hive_layer(minimal_hive("Software_Delta", true)))
        .on_top(hive_layer(Vec::new()));
    let squashed = chain
        .squash(keep_base())
        .expect("only one hive with changes");
    assert_eq!(squashed.lost_hives, []);
    let hive = entries(&squashed.output).pop().expect("the hive");
    assert_eq!(hive.0, DELTA);
    assert!(hive.1.ends_with(&changed_hive(1)));
}

#[test]
fn changes_cannot_be_merged_into_the_hives_of_a_base() {
    let base = |tar: &mut Tar| {
        let hive = minimal_hive("SOFTWARE", false);
        tar.file("Files/Windows/System32/config/SOFTWARE", &plain(), &hive)
    };
    let chain = Chain::new()
        .on_top(base)
        .on_top(hive_layer(changed_hive(1)));
    let error = chain.squash(SquashOptions::default());
    assert!(matches!(error, Err(Error::SeveralHives { .. })));
    let kept = chain.squash(keep_base()).expect("the base is kept");
    assert_eq!(kept.lost_hives, []);
    assert_eq!(names(&kept.output), ["Files", "Hives", DELTA]);
    // Hives reported as lost are not in the result.
    let options = SquashOptions::default().lose_registry(true);
    let squashed = chain.squash(options).expect("on request");
    let layers = vec![0];
    let path: LayerPath = DELTA.parse().expect("a path");
    assert_eq!(squashed.lost_hives, [LostHive { path, layers }]);
    assert!(!names(&squashed.output).contains(&DELTA.to_owned()));
    let unchanged = hive_layer(minimal_hive("Software_Delta", true));
    let chain = Chain::new().on_top(base).on_top(unchanged);
    let squashed = chain.squash(SquashOptions::default());
    let squashed = squashed.expect("nothing to lose");
    assert_eq!(squashed.lost_hives, []);
    assert!(names(&squashed.output).contains(&DELTA.to_owned()));
}

/// `Hives/*_Base` are the hives to which Windows applies the deltas.
#[test]
fn links_to_the_hives_of_a_base_count_too() {
    let base = |tar: &mut Tar| {
        tar.directory("Hives", &directory())?;
        let hive = minimal_hive("SOFTWARE", false);
        tar.file("Hives/Software_Base", &plain(), &hive)
    };
    let chain = Chain::new()
        .on_top(base)
        .on_top(hive_layer(changed_hive(1)));
    let error = chain.squash(SquashOptions::default());
    assert!(matches!(error, Err(Error::SeveralHives { .. })));
    let options = SquashOptions::default().lose_registry(true);
    let squashed = chain.squash(options).expect("on request");
    let expected = ["Files", "Hives", "Hives/Software_Base"];
    assert_eq!(names(&squashed.output), expected);
}

/// A single layer is unchanged, whatever its hives.
#[test]
fn one_layer_loses_no_hive() {
    let chain = Chain::new().on_top(|tar| {
        let hive = minimal_hive("SOFTWARE", false);
        tar.file("Files/Windows/System32/config/SOFTWARE", &plain(), &hive)?;
        hive_layer(changed_hive(1))(tar)
    });
    let squashed = chain.squash(SquashOptions::default()).expect("one layer");
    assert_eq!(squashed.lost_hives, []);
    let hive = entries(&squashed.output).pop().expect("the hive");
    assert_eq!(hive.0, DELTA);
    assert!(hive.1.ends_with(&changed_hive(1)));
}

#[test]
fn a_hard_link_to_nothing_is_an_error() {
    let chain = Chain::new()
        .on_top(|tar| tar.file("Files/base", &plain(), b""))
        .on_top(|tar| tar.hard_link("Files/link", "Files/later", &plain()))
        // Later entries are another file.
        .on_top(|tar| tar.file("Files/later", &plain(), b"secret"));
    for options in [keep_base(), SquashOptions::default()] {
        let error = chain.squash(options).expect_err("a broken link");
        let Error::Rule(error) = &error else {
            panic!("{error:?}");
        };
        let is_missing = matches!(error.breach, Breach::LinkTargetMissing { .. });
        assert!(is_missing, "{error:?}");
    }
}

#[test]
fn an_entry_that_its_own_layer_hides_is_an_error() {
    type Build = fn(&mut Tar) -> std::io::Result<()>;
    let below: [(&str, Build); 7] = [
        ("a symbolic link", |tar| {
            tar.symlink("Files/d", "x", &plain())
        }),
        ("a junction", |tar| {
            tar.junction("Files/d", r"C:\x", &Meta::with_attributes(0x410))
        }),
        ("a file", |tar| tar.file("Files/d", &plain(), b"")),
        ("a hard link", |tar| {
            tar.hard_link("Files/d", "Files/f", &plain())
        }),
        ("a directory that becomes a file", |tar| {
            tar.directory("Files/d", &directory())?;
            tar.file("Files/D", &plain(), b"")
        }),
        ("a directory that becomes a link", |tar| {
            tar.directory("Files/d", &directory())?;
            tar.hard_link("Files/d", "Files/f", &plain())
        }),
        ("a file that replaces a removed path", |tar| {
            tar.whiteout("Files/d")?;
            tar.file("Files/d", &plain(), b"")
        }),
    ];
    let lost: [(&str, Build); 3] = [
        ("Files/d/lost", |tar| {
            tar.file("Files/d/lost", &plain(), b"lost")
        }),
        ("Files/d/no/entry/lost", |tar| {
            tar.file("Files/d/no/entry/lost", &plain(), b"lost")
        }),
        ("Files/D/e", |tar| {
            tar.directory("Files/D/e", &directory())?;
            tar.file("Files/d/e/lost", &plain(), b"lost")
        }),
    ];
    for (what, above) in below {
        for (path, add) in lost {
            for in_order in [true, false] {
                let upper = |tar: &mut Tar| {
                    let order = if in_order { [above, add] } else { [add, above] };
                    order.into_iter().try_for_each(|build| build(tar))
                };
                let chain = Chain::new()
                    .on_top(|tar| tar.file("Files/f", &plain(), b""))
                    .on_top(upper);
                for options in [keep_base(), SquashOptions::default()] {
                    let error = chain.squash(options).map(|_| ()).expect_err(what);
                    let Error::Rule(error) = inner(error) else {
                        panic!("{what} {path}");
                    };
                    let named = error.entry == path || error.entry == "Files/d";
                    assert!(named, "{what} {path}: {}", error.entry);
                }
                // A kept base is not part of the result.
                let chain = Chain::new().on_top(upper).on_top(|_| Ok(()));
                chain.squash(keep_base()).expect(what);
                chain
                    .squash(SquashOptions::default())
                    .map(|_| ())
                    .expect_err(what);
            }
        }
    }
}

/// Found by the fuzz target `view`: a member of type directory whose attributes mark it as a file
/// has no data stream and gets an empty one. This difference is not kept, and there are no others.
#[test]
fn a_file_without_a_data_stream_gets_an_empty_one() {
    let chain = Chain::new()
        .on_top(|tar| tar.raw_entry("Files/odd", b'5', &[("MSWINDOWS.fileattr", b"32")], b""));
    let squashed = chain.squash(SquashOptions::default()).expect("legal");
    let path = chain.folder.path().join("squashed.tar");
    fs::write(&path, squashed.output).expect("written");
    let after = source::open(&path, &OpenOptions::default(), &()).expect("a view");
    let before = chain.view();
    let options = DiffOptions::default();
    assert!(diff(&before, &after, &options, &()).next().is_none());
    for view in [&before, &after] {
        let node = view
            .find(&"Files/odd".parse().expect("a path"))
            .expect("readable");
        let node = node.expect("the entry exists");
        let streams = view.details(&node).expect("readable").streams;
        assert!(streams.iter().all(|stream| stream.size == 0), "{streams:?}");
    }
}

#[test]
fn the_second_of_two_entries_of_one_kind_counts_and_nothing_is_lost() {
    let chain = Chain::new().on_top(|tar| {
        tar.directory("Files/d", &directory())?;
        tar.file("Files/d/x", &plain(), b"first")?;
        tar.directory("Files/D", &directory())?;
        tar.file("Files/d/X", &plain(), b"second")
    });
    let squashed = chain.squash(SquashOptions::default()).expect("legal");
    let all = entries(&squashed.output);
    assert!(
        all.iter().any(|(_, content)| content.ends_with(b"second")),
        "{all:?}"
    );
}

#[test]
fn only_existing_paths_of_the_base_are_removed() {
    let chain = Chain::new()
        .on_top(|tar| {
            tar.file("Files/old", &plain(), b"")?;
            tar.directory("Files/dir", &directory())?;
            tar.file("Files/dir/old", &plain(), b"")
        })
        .on_top(|tar| {
            tar.file("Files/between", &plain(), b"")?;
            tar.directory("Files/new", &directory())?;
            tar.file("Files/new/x", &plain(), b"")
        })
        .on_top(|tar| {
            tar.whiteout("Files/between")?;
            tar.whiteout("Files/old")?;
            tar.opaque("Files/dir")?;
            tar.opaque("Files/new")
        });
    let squashed = chain.squash(keep_base()).expect("squashed").output;
    let expected = ["Files", "- Files/dir/old", "Files/new", "- Files/old"];
    assert_eq!(names(&squashed), expected);
}

#[test]
fn every_directory_gets_an_entry() {
    let secured = Meta {
        security_descriptor: Some(layergen::standard_descriptors().remove(0)),
        ..directory()
    };
    let of_base = Meta {
        write_time: Some(layergen::UNIX_EPOCH + 77),
        ..directory()
    };
    let chain = Chain::new()
        .on_top(|tar| {
            tar.directory("Files/kept", &of_base)?;
            tar.directory("Files/again", &of_base)?;
            tar.file("Files/again/old", &plain(), b"")
        })
        .on_top(|tar| tar.whiteout("Files/again"))
        .on_top(|tar| {
            tar.directory("Files/above", &secured)?;
            tar.file("Files/above/in/file", &plain(), b"")?;
            tar.file("Files/kept/file", &plain(), b"")?;
            tar.file("Files/again/file", &plain(), b"")
        });
    let squashed = chain.squash(keep_base()).expect("squashed").output;
    let entries = entries(&squashed);
    let named: Vec<&str> = entries.iter().map(|(name, _)| &**name).collect();
    let expected = [
        "Files",
        "Files/above",
        "Files/above/in",
        "Files/above/in/file",
        "Files/again",
        "- Files/again/old",
        "Files/again/file",
        "Files/kept",
        "Files/kept/file",
    ];
    assert_eq!(named, expected);
    // It inherits the descriptor of its directory.
    assert!(!entries[2].1.is_empty());
    assert_eq!(entries[2].1, entries[1].1);
    // Directories of the base stay as they are.
    let path = chain.folder.path().join("squashed.tar");
    fs::write(&path, &squashed).expect("written");
    let view = source::open(&path, &OpenOptions::default(), &()).expect("a view");
    let kept = view.find(&"Files/kept".parse().expect("a path"));
    let info = kept
        .expect("readable")
        .expect("there")
        .basic_info()
        .copied();
    let written = info.expect("an entry").last_write_time.ticks();
    assert_eq!(written, layergen::UNIX_EPOCH + 77);
}
