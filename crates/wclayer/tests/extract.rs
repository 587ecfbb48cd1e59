//! Layers as plain files: content, links, times, names, and the report on everything else.

#![cfg(unix)]

mod common;

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use common::{directory, plain, tar};
use layergen::{Meta, TarBuilder};
use tempfile::TempDir;
use wclayer::extract::{ExtractOptions, ExtractWriter, Extracted, Loss, Reason};
use wclayer::source::{self, OpenOptions};
use wclayer::{ParentChain, hub, tar::TarLayerReader};

/// A folder with layers, and one to extract to.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn out(&self, name: &str) -> PathBuf {
        self.0.path().join("out").join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.out(name)).expect(name)
    }

    /// Extracts tars, nearest first.
    fn extract(&self, tars: &[Cursor<Vec<u8>>], paths: &[&str], xattrs: bool) -> Extracted {
        let places: Vec<PathBuf> = (0..tars.len())
            .map(|number| self.0.path().join(format!("{number}.tar")))
            .collect();
        for (place, tar) in places.iter().zip(tars) {
            fs::write(place, tar.get_ref()).expect("free");
        }
        let options = OpenOptions {
            parents: ParentChain::from_nearest_first(&places[1..]),
            ..OpenOptions::default()
        };
        let view = source::open(&places[0], &options, &()).expect("a view");
        let paths: Vec<_> = paths
            .iter()
            .map(|path| path.parse().expect("a path"))
            .collect();
        let writer = ExtractWriter::new(self.out(""), ExtractOptions::default().xattrs(xattrs));
        let mut writer = writer.expect("a folder");
        let found = view.for_each_lost(&mut |_, lost| {
            writer.leave_out(&lost);
            Ok(())
        });
        found.expect("readable");
        hub::copy(&mut view.reader(&paths), writer, &()).expect("extracted")
    }

    fn one(
        &self,
        build: impl FnOnce(&mut TarBuilder<Vec<u8>>) -> std::io::Result<()>,
    ) -> Extracted {
        self.extract(&[tar(build)], &[], false)
    }
}

#[test]
fn content_of_every_size_is_extracted_with_its_times() {
    let place = Place::new();
    let contents: Vec<Vec<u8>> = [0, 1, 4096, 524_200, 524_288, 600_000, 3 << 20]
        .into_iter()
        .map(|size: usize| (0..size).map(|at| (at % 251) as u8).collect())
        .collect();
    // 2023-11-14T22:13:20.1234567Z
    let meta = plain().at(133_444_736_001_234_567);
    let extracted = place.one(|tar| {
        tar.directory("Files/d", &directory().at(133_444_736_001_234_567))?;
        for (number, content) in contents.iter().enumerate() {
            tar.file(&format!("Files/d/{number}"), &meta, content)?;
        }
        Ok(())
    });
    assert_eq!(extracted.files, contents.len() as u64);
    assert_eq!(extracted.directories, 2);
    for (number, content) in contents.iter().enumerate() {
        let name = format!("Files/d/{number}");
        assert!(place.read(&name) == *content, "{name}");
        let there = fs::metadata(place.out(&name)).expect("there");
        assert_eq!(
            (there.mtime(), there.mtime_nsec()),
            (1_700_000_000, 123_456_700)
        );
    }
    let there = fs::metadata(place.out("Files/d")).expect("there");
    assert_eq!(there.mtime(), 1_700_000_000);
}

#[test]
fn distant_times_are_set_or_reported() {
    // 1965, 1800 and 2500.
    for ticks in [
        114_867_072_000_000_000_u64,
        62_798_112_000_000_000,
        283_696_992_000_000_000,
    ] {
        let seconds = i64::try_from(ticks / 10_000_000).expect("small") - 11_644_473_600;
        let place = Place::new();
        let extracted = place.one(|tar| {
            tar.directory("Files/d", &directory().at(ticks))?;
            tar.file("Files/x", &plain().at(ticks), b"x")?;
            tar.symlink("Files/soft", "x", &plain().at(ticks))
        });
        let names = ["Files/d", "Files/x", "Files/soft"];
        let wrong = names.into_iter().filter(|name| {
            let there = fs::symlink_metadata(place.out(name)).expect(name);
            there.mtime() != seconds
        });
        let lost = extracted.lost.get(&Loss::LastTimes);
        let lost = lost.map_or(0, |lost| lost.count);
        assert_eq!(lost, wrong.count() as u64, "{ticks}");
    }
}

#[test]
fn zeros_of_sparse_files_take_no_space() {
    let place = Place::new();
    let mut content = vec![0; 8 << 20];
    content[5 << 20] = 1;
    place.one(|tar| tar.file("Files/x", &Meta::with_attributes(0x220), &content));
    assert!(place.read("Files/x") == content);
    let there = fs::metadata(place.out("Files/x")).expect("there");
    assert!(there.blocks() * 512 < 2 << 20, "{} blocks", there.blocks());
}

#[test]
fn hard_links_are_preserved_in_any_order_and_across_layers() {
    let place = Place::new();
    let base = tar(|tar| tar.file("Files/base", &plain(), b"base"));
    let app = tar(|tar| {
        tar.hard_link("Files/z", "Files/x", &plain())?;
        tar.file("Files/x", &plain(), b"content")?;
        tar.hard_link("Files/y", "Files/z", &plain())?;
        tar.hard_link("Files/b", "Files/base", &plain())?;
        tar.hard_link("Files/lost", "Files/nowhere", &plain())
    });
    let extracted = place.extract(&[app, base], &[], false);
    let inode = |name: &str| fs::metadata(place.out(name)).expect(name).ino();
    assert_eq!(inode("Files/x"), inode("Files/y"));
    assert_eq!(inode("Files/x"), inode("Files/z"));
    assert_eq!(inode("Files/b"), inode("Files/base"));
    assert_eq!(place.read("Files/y"), b"content");
    assert_eq!((extracted.files, extracted.links), (2, 3));
    assert_eq!(extracted.not_made.count, 1);
    assert_eq!(extracted.not_made.first[0].reason, Reason::TargetMissing);
}

#[test]
fn links_inside_are_made_relative_and_found_in_any_case() {
    let place = Place::new();
    let extracted = place.one(|tar| {
        tar.directory("Files/Users", &directory())?;
        tar.file("Files/Users/x", &plain(), b"x")?;
        tar.junction("Files/Documents and Settings", r"C:\USERS", &directory())?;
        tar.symlink("Files/Users/self", "X", &plain())?;
        tar.symlink("Files/out", r"D:\x", &plain())
    });
    assert_eq!(extracted.symlinks, 2);
    assert_eq!(place.read("Files/Documents and Settings/x"), b"x");
    assert_eq!(place.read("Files/Users/self"), b"x");
    let target = fs::read_link(place.out("Files/Documents and Settings")).expect("a link");
    assert_eq!(target, PathBuf::from("Users"));
    assert_eq!(extracted.not_made.first[0].path, "Files/out");
    assert_eq!(extracted.not_made.first[0].reason, Reason::LeadsOutside);
    assert_eq!(extracted.failed, 0);
    // The part that the new texts do not express.
    assert_eq!(extracted.lost[&Loss::ReparseData].count, 2);
}

#[test]
fn each_reason_for_a_skipped_link_is_reported() {
    let place = Place::new();
    let extracted = place.one(|tar| {
        tar.directory("Files/d", &directory())?;
        tar.hard_link("Files/hard", "Files/d", &plain())?;
        tar.symlink("Files/long", &r"..\d\".repeat(1500), &plain())?;
        tar.symlink("Files/d/long", &r"..\d\".repeat(1500), &plain())?;
        // Fits as it is, but not as a name on the host.
        tar.symlink("Files/name", &"n".repeat(2000), &plain())
    });
    let reasons: Vec<_> = extracted
        .not_made
        .first
        .iter()
        .map(|it| (&it.path[..], it.reason, it.cause.is_some()))
        .collect();
    assert_eq!(
        reasons,
        [
            ("Files/d/long", Reason::Refused, true),
            ("Files/hard", Reason::TargetIsDirectory, false),
            ("Files/long", Reason::LeadsOutside, false),
            ("Files/name", Reason::LeadsOutside, false),
        ]
    );
    assert_eq!(extracted.failed, 2);
}

#[test]
fn entries_that_their_own_layer_hides_are_listed() {
    let extracted = Place::new().one(|tar| {
        tar.file("Files/link/lost", &plain(), b"lost")?;
        tar.file("Files/file/e/lost", &plain(), b"lost")?;
        tar.symlink("Files/link", "x", &plain())?;
        tar.file("Files/file", &plain(), b"")?;
        tar.file("Files/twice", &plain(), b"lost")?;
        tar.directory("Files/twice", &directory())
    });
    let not_made: Vec<_> = extracted
        .not_made
        .first
        .iter()
        .map(|it| (&it.path[..], &it.target[..], it.reason))
        .filter(|it| it.2 != Reason::LeadsOutside)
        .collect();
    assert_eq!(
        not_made,
        [
            ("Files/file/e/lost", "Files/file", Reason::NotInDirectory),
            ("Files/link/lost", "Files/link", Reason::NotInDirectory),
            ("Files/twice", "", Reason::PlaceTaken),
        ]
    );
    assert_eq!(extracted.failed, 3);
}

#[test]
fn only_selected_paths_are_extracted_and_upper_layers_win() {
    let place = Place::new();
    let base = tar(|tar| {
        tar.directory("Files/a", &directory())?;
        tar.file("Files/a/kept", &plain(), b"base")?;
        tar.file("Files/a/gone", &plain(), b"base")?;
        tar.file("Files/a/new", &plain(), b"base")?;
        tar.file("Files/b", &plain(), b"base")
    });
    let app = tar(|tar| {
        tar.directory("Files/a", &directory())?;
        tar.whiteout("Files/a/gone")?;
        tar.file("Files/a/new", &plain(), b"app")
    });
    place.extract(&[app, base], &["files/A"], false);
    assert_eq!(place.read("Files/a/kept"), b"base");
    assert_eq!(place.read("Files/a/new"), b"app");
    assert!(!place.out("Files/a/gone").exists());
    assert!(!place.out("Files/b").exists());
}

#[test]
fn a_second_run_replaces_files_and_keeps_foreign_ones() {
    let place = Place::new();
    let readonly = Meta::with_attributes(0x21);
    let build = |content: &'static [u8]| {
        tar(|tar| {
            tar.directory("Files/d", &directory())?;
            tar.file("Files/d/x", &readonly, content)?;
            tar.hard_link("Files/d/l", "Files/d/x", &readonly)
        })
    };
    let first = place.extract(&[build(b"first")], &[], false);
    assert_eq!(first.replaced, 0);
    fs::write(place.out("Files/d/mine"), "mine").expect("free");
    let mode = fs::metadata(place.out("Files/d/x")).expect("there").mode();
    assert_eq!(mode & 0o222, 0);
    let second = place.extract(&[build(b"second")], &[], false);
    assert_eq!((second.replaced, second.renamed.count), (2, 0));
    assert_eq!(place.read("Files/d/l"), b"second");
    assert_eq!(place.read("Files/d/mine"), b"mine");
}

#[test]
fn losses_are_counted_by_kind_and_xattrs_keep_what_they_can() {
    let mut meta = Meta::with_attributes(0x23);
    let descriptor = layergen::standard_descriptors()[0].clone();
    meta.security_descriptor = Some(descriptor.clone());
    let [creation, access, write, change] = [1, 2, 3, 4].map(|time| layergen::UNIX_EPOCH + time);
    meta.creation_time = Some(creation);
    meta.access_time = Some(access);
    meta.write_time = Some(write);
    meta.change_time = Some(change);
    let times_be = [creation, write, access, change]
        .map(u64::to_be_bytes)
        .concat();
    let build = || {
        tar(|tar| {
            tar.file("Files/x", &meta, b"content")?;
            tar.stream("Files/x", "Zone.Identifier", &meta, b"zone")?;
            tar.stream("Files/x", "large", &meta, &vec![7; 100_000])
        })
    };
    let lost = |extracted: &Extracted, kind| {
        let lost = extracted.lost.get(&kind);
        lost.map_or((0, 0), |lost| (lost.count, lost.bytes))
    };
    let place = Place::new();
    let extracted = place.extract(&[build()], &[], false);
    let descriptors = lost(&extracted, Loss::SecurityDescriptors);
    assert_eq!(descriptors, (1, descriptor.len() as u64));
    assert_eq!(lost(&extracted, Loss::AlternateStreams), (2, 100_004));
    assert_eq!(lost(&extracted, Loss::Attributes).0, 1);
    assert_eq!(lost(&extracted, Loss::Times).0, 2);
    let streams = &extracted.lost[&Loss::AlternateStreams].first;
    assert!(streams.contains(&"Files/x:large".to_owned()), "{streams:?}");

    let place = Place::new();
    let extracted = place.extract(&[build()], &[], true);
    let file = fs::File::open(place.out("Files/x")).expect("there");
    let mut value = vec![0; 70_000];
    let mut get = |name: &str| {
        let length = rustix::fs::fgetxattr(&file, name, &mut value[..]);
        length.map(|length| value[..length].to_vec()).ok()
    };
    if get("user.ntfs_attrib_be").is_none() {
        println!("SKIPPED: the temporary folder does not support extended attributes");
        assert_eq!(lost(&extracted, Loss::Times).0, 2);
        return;
    }
    assert_eq!(get("user.ntfs_attrib_be"), Some(vec![0, 0, 0, 0x23]));
    assert_eq!(get("user.ntfs_acl"), Some(descriptor));
    let zone = get("user.DosStream.Zone.Identifier:$DATA");
    assert_eq!(zone.as_deref(), Some(&b"zone\0"[..]));
    assert_eq!(get("user.ntfs_times_be"), Some(times_be));
    assert_eq!(lost(&extracted, Loss::AlternateStreams), (1, 100_000));
    assert_eq!(extracted.lost.len(), 1, "{:?}", extracted.lost);
}

#[test]
fn names_that_look_like_escapes_are_renamed_and_reported() {
    let place = Place::new();
    let long = "ä".repeat(200);
    let build = |tar: &mut TarBuilder<Vec<u8>>| {
        tar.directory("Files/a%2Fb", &directory())?;
        tar.file("Files/a%2Fb/x", &plain(), b"x")?;
        tar.file(&format!("Files/{long}"), &plain(), b"long")?;
        tar.symlink("Files/link", &long.to_uppercase(), &plain())
    };
    let extracted = place.one(build);
    assert_eq!(place.read("Files/link"), b"long");
    // The same if the directory already exists.
    assert_eq!(place.one(build).renamed, extracted.renamed);
    assert_eq!(place.read("Files/a%252Fb/x"), b"x");
    let names: Vec<_> = extracted
        .renamed
        .first
        .iter()
        .map(|it| &it.path[..])
        .collect();
    assert_eq!(extracted.renamed.count, 2, "{names:?}");
    let cut = extracted
        .renamed
        .first
        .iter()
        .find(|it| it.path.ends_with(&long));
    let cut = &cut.expect("reported").name;
    assert_eq!(place.read(&format!("Files/{cut}")), b"long");
}

/// A host that treats two names as one is as rare as a source that returns a path twice: in both
/// cases, the second file gets another name, and links follow it there.
#[test]
fn links_lead_to_the_name_that_a_file_received() {
    let place = Place::new();
    let tar = tar(|tar| {
        tar.file("Files/x", &plain(), b"one")?;
        tar.file("Files/x", &plain(), b"two")?;
        tar.hard_link("Files/hard", "Files/x", &plain())?;
        tar.symlink("Files/soft", "X", &plain())
    });
    let writer = ExtractWriter::new(place.out(""), ExtractOptions::default()).expect("a folder");
    let extracted = hub::copy(&mut TarLayerReader::new(tar), writer, &()).expect("extracted");
    assert_eq!(extracted.renamed.count, 1);
    let other = &extracted.renamed.first[0].name;
    assert_eq!(place.read(&format!("Files/{other}")), b"two");
    assert_eq!(place.read("Files/x"), b"one");
    assert_eq!(place.read("Files/hard"), b"two");
    assert_eq!(place.read("Files/soft"), b"two");
}

#[test]
fn files_that_appear_during_the_extraction_are_replaced() {
    let place = Place::new();
    let writer = ExtractWriter::new(place.out(""), ExtractOptions::default()).expect("a folder");
    fs::create_dir_all(place.out("Files")).expect("free");
    fs::write(place.out("Files/x"), "old").expect("free");
    std::os::unix::fs::symlink("x", place.out("Files/d")).expect("free");
    fs::write(place.out("Files/soft"), "old").expect("free");
    fs::write(place.out("Files/target"), "old").expect("free");
    let tar = tar(|tar| {
        tar.directory("Files/d", &directory())?;
        tar.file("Files/x", &plain(), b"new")?;
        tar.hard_link("Files/hard", "Files/target", &plain())?;
        tar.symlink("Files/soft", "x", &plain())
    });
    let extracted = hub::copy(&mut TarLayerReader::new(tar), writer, &()).expect("extracted");
    assert_eq!((extracted.replaced, extracted.renamed.count), (3, 0));
    assert_eq!(place.read("Files/x"), b"new");
    assert_eq!(place.read("Files/soft"), b"new");
    assert!(place.out("Files/d").is_dir());
    // The target of a hard link must belong to the layer.
    assert_eq!(extracted.not_made.first[0].path, "Files/hard");
}

#[test]
fn a_failure_names_the_file_and_leaves_no_partial_file() {
    let place = Place::new();
    fs::create_dir_all(place.out("Files/x")).expect("free");
    let path = place.0.path().join("x.tar");
    let tar = tar(|tar| {
        tar.file("Files/%41", &plain(), b"content")?;
        tar.file("Files/x", &plain(), b"content")
    });
    fs::write(&path, tar.get_ref()).expect("free");
    let view = source::open(&path, &OpenOptions::default(), &()).expect("a view");
    let writer = ExtractWriter::new(place.out(""), ExtractOptions::default()).expect("a folder");
    let so_far = writer.so_far();
    let error =
        hub::copy(&mut view.reader(&[]), writer, &()).expect_err("a directory is in the way");
    assert!(error.to_string().contains("Files/x"), "{error}");
    let extracted = so_far.extracted();
    assert_eq!((extracted.files, extracted.renamed.count), (1, 1));
    assert_eq!(extracted.lost[&Loss::Times].count, 2);
}

#[test]
fn files_and_directories_get_their_write_and_access_times() {
    let place = Place::new();
    let seconds = |seconds: u64| Some(layergen::UNIX_EPOCH + seconds * 10_000_000);
    let times = |meta: Meta| Meta {
        creation_time: seconds(1_000_000_000),
        access_time: seconds(1_100_000_000),
        write_time: seconds(1_200_000_000),
        change_time: seconds(1_300_000_000),
        ..meta
    };
    place.one(|tar| {
        tar.directory("Files/d", &times(directory()))?;
        tar.file("Files/d/small", &times(plain()), b"x")?;
        tar.file("Files/d/large", &times(plain()), &vec![7; 5 << 20])
    });
    for name in ["Files/d", "Files/d/small", "Files/d/large"] {
        let found = fs::metadata(place.out(name)).expect("there");
        assert_eq!(
            (found.atime(), found.mtime()),
            (1_100_000_000, 1_200_000_000),
            "{name}"
        );
    }
}

#[test]
fn nothing_is_left_of_a_file_that_cannot_be_read_completely() {
    let layers = common::Layers::new();
    let large = vec![7; 5 << 20];
    let source = tar(|tar| {
        tar.file("Files/a", &plain(), b"fine")?;
        tar.file("Files/large", &plain(), &large)?;
        tar.file("Files/small", &plain(), b"soon damaged")
    });
    layers.import("layer", source, &[]).expect("imported");
    let stored = layers.path("layer").join("layer.tar");
    let bytes = fs::read(&stored).expect("read");
    for (damaged, whole) in [
        (&large[..1000], "Files/large"),
        (b"soon damaged", "Files/small"),
    ] {
        let mut bytes = bytes.clone();
        let at = bytes
            .windows(damaged.len())
            .position(|part| part == damaged);
        bytes[at.expect("there") + damaged.len() - 1] ^= 1;
        fs::remove_file(&stored).expect("ours");
        fs::write(&stored, bytes).expect("ours");
        let view = source::open(layers.path("layer"), &OpenOptions::default(), &());
        let view = view.expect("a view");
        let out = layers.path("out");
        let writer = ExtractWriter::new(&out, ExtractOptions::default()).expect("a folder");
        hub::copy(&mut view.reader(&[]), writer, &()).expect_err("damaged");
        assert!(!out.join(whole).exists(), "{whole}");
        fs::remove_dir_all(&out).expect("ours");
    }
}

#[test]
fn the_report_does_not_depend_on_the_order_of_threads() {
    let place = Place::new();
    let build = |tar: &mut TarBuilder<Vec<u8>>| {
        (0..1500).try_for_each(|number| {
            let path = format!("Files/{}", (number * 7919) % 1500);
            tar.file(&path, &Meta::with_attributes(0x22), b"x")
        })
    };
    let first = place.one(build);
    let hidden = &first.lost[&Loss::Attributes];
    assert_eq!((hidden.count, hidden.first.len()), (1500, 1000));
    assert_eq!(hidden.first[0], "Files/0");
    assert!(hidden.first.is_sorted());
    for _ in 0..2 {
        fs::remove_dir_all(place.out("")).expect("ours");
        assert_eq!(place.one(build), first);
    }
}
