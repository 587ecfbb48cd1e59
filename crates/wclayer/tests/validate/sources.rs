//! The kinds of layers that can be checked: the results agree.

use std::io::Cursor;
use std::path::Path;

use wclayer::portable::{self, ImportOptions};
use wclayer::validate::{Report, ValidateOptions, validate};
use wclayer::{ErrorKind, ParentChain};

use crate::{Start, broken, file, parents, tar};

fn layer() -> Vec<u8> {
    tar(Start::Above, |tar| {
        tar.file("Files/nul", &file(), b"data")?;
        tar.whiteout("Files/nothing")
    })
}

const EXPECTED: [&str; 2] = ["path-reserved-name", "whiteout-of-nothing"];

fn check(layer: &Path, parents: &[&Path]) -> Report {
    let options = ValidateOptions::default()
        .parents(ParentChain::from_nearest_first(parents.iter().copied()));
    validate(layer, &options, &()).expect("a layer")
}

fn import(tar: &Path, place: &Path, parents: &[&Path]) {
    let options =
        ImportOptions::default().parents(ParentChain::from_nearest_first(parents.iter().copied()));
    let tar = Cursor::new(std::fs::read(tar).expect("the tar exists"));
    portable::import(tar, place, &options, &()).expect("a layer");
}

#[test]
fn a_tar_and_a_portable_layer_have_the_same_findings_and_the_latter_knows_its_parents() {
    let (_, folder, base) = parents(Start::Above).expect("it has some");
    let (app, portable, below) = (
        folder.path().join("app.tar"),
        folder.path().join("app"),
        folder.path().join("base"),
    );
    std::fs::write(&app, layer()).expect("free");
    import(&base, &below, &[]);
    import(&app, &portable, &[&below]);
    let reports = [
        check(&app, &[&base]),
        check(&app, &[&below]),
        check(&portable, &[]),
        check(&portable, &[&below]),
    ];
    for report in &reports {
        assert_eq!(broken(report), EXPECTED.into());
        assert_eq!(report, &reports[0]);
    }
}

#[test]
fn a_portable_layer_is_also_checked_by_its_index() {
    use wclayer::portable::PortableLayer;
    use wclayer::rules::Severity;
    use wclayer::validate::validate_stored;

    let (_, folder, base) = parents(Start::AboveVm).expect("it has parents");
    let below = folder.path().join("base");
    import(&base, &below, &[]);
    let bytes = tar(Start::Above, |tar| {
        tar.file("Files/what?", &file(), b"")?;
        tar.file("Files/no/file", &file(), b"")?;
        tar.file("Hives/Sam_Delta", &file(), b"")?;
        tar.file("Hives/System_Delta", &file(), &[1; 9000])?;
        tar.file("Files/bad", &crate::secured(b"no descriptor"), b"")?;
        tar.directory("UtilityVM", &crate::directory())?;
        tar.hard_link("Files/a", "Files/b", &file())?;
        tar.file("Files/b", &file(), b"")?;
        tar.opaque("Hives")
    });
    let (app, portable) = (folder.path().join("app.tar"), folder.path().join("app"));
    std::fs::write(&app, bytes).expect("free");
    import(&app, &portable, &[&below]);
    let layer = PortableLayer::open(&portable).expect("a layer");
    let quick = validate_stored(&layer, 10, &()).expect("a layer");
    let full = check(&portable, &[]);
    assert!(full.count(Severity::Error) >= 7, "{full:#?}");
    assert_eq!(quick, full);
    let layer = PortableLayer::open(&below).expect("a layer");
    assert_eq!(
        validate_stored(&layer, 10, &()).expect("a layer"),
        check(&below, &[])
    );
}

/// Transport folders, on the disks of this machine.
#[cfg(unix)]
mod transport_folder {
    use std::path::PathBuf;

    use tempfile::TempDir;
    use wclayer::ntmeta::{StreamAttributes, StreamHeader, StreamId};
    use wclayer::rules::Rule;
    use wclayer::tar::TarLayerReader;
    use wclayer::transport::{self, ImportOptions};
    use wclayer::volume::host::HostVolume;

    use super::*;

    /// Imports a layer into a transport folder, on top of a parent; returns both.
    fn transport(layer: &[u8]) -> (TempDir, PathBuf, PathBuf) {
        let (_, folder, base) = parents(Start::Above).expect("it has parents");
        let place = folder.path().join("transport");
        let parent = folder.path().join("base");
        import(&base, &parent, &[]);
        let chain = ParentChain::from_nearest_first([&parent]);
        let parents = wclayer::source::open_parents(&chain, &()).expect("a parent");
        let options = ImportOptions::default().parents(parents);
        let mut reader = TarLayerReader::new(Cursor::new(layer));
        transport::import(&HostVolume::new(), &mut reader, &place, options, &()).expect("a layer");
        (folder, place, parent)
    }

    #[test]
    fn a_transport_folder_has_no_offsets() {
        let (_folder, place, parent) = transport(&layer());
        let report = check(&place, &[&parent]);
        assert_eq!(broken(&report), EXPECTED.into());
        assert!(report.is_complete);
        // `Files`, `Files/nul`, `Hives`, and the removal.
        assert_eq!((report.entries, report.parents), (4, 1));
        let findings = report.rules.values().flat_map(|found| &found.first);
        assert!(findings.into_iter().all(|finding| finding.offset.is_none()));
    }

    #[test]
    fn it_breaks_the_rules_that_its_tar_breaks() {
        let bytes = tar(Start::Above, |tar| {
            tar.file("Files/nul", &file(), b"")?;
            tar.file("Files/bad", &crate::secured(b"no descriptor"), b"")?;
            tar.file("Files/none", &crate::Meta::with_attributes(0x20), b"")?;
            tar.file("Files/stream", &file(), b"")?;
            tar.file("Files/stream:a", &file(), b"1")?;
            tar.file("Files/stream:A", &file(), b"2")?;
            tar.file("Files/link", &crate::link(), b"")?;
            tar.symlink("Files/inside", "Files/nul", &crate::link())?;
            tar.symlink("Files/unmarked", "nul", &file())?;
            tar.file("Hives/Sam_Delta", &file(), b"")?;
            tar.file("Hives/System_Delta", &file(), &[1; 9000])?;
            tar.file("Hives/unknown", &file(), b"")?;
            tar.file("top", &file(), b"")?;
            tar.whiteout("Files/nothing")
        });
        let (folder, place, parent) = transport(&bytes);
        let tar = folder.path().join("layer.tar");
        std::fs::write(&tar, bytes).expect("free");
        let expected = broken(&check(&tar, &[&parent]));
        assert!(expected.len() >= 12, "{expected:?}");
        assert_eq!(broken(&check(&place, &[&parent])), expected);
    }

    /// Writes a file of `Files` as the format has it: attributes and backup stream.
    fn write(place: &Path, name: &str, attributes: u32, streams: &[(StreamHeader, &[u8])]) {
        let mut bytes = attributes.to_le_bytes().to_vec();
        for (header, body) in streams {
            header.encode(&mut bytes);
            bytes.extend_from_slice(body);
        }
        std::fs::write(place.join("Files").join(name), bytes).expect("free");
    }

    /// These streams cannot be written to a tar.
    #[test]
    fn streams_that_no_tar_can_hold_are_findings_as_well() {
        let bytes = tar(Start::Above, |_| Ok(()));
        let (_folder, place, parent) = transport(&bytes);
        let of = |id, body: &[u8]| StreamHeader::new(id, body.len() as u64);
        let descriptor = file().security_descriptor.expect("it has one");
        let security = (of(StreamId::SECURITY_DATA, &descriptor), &descriptor[..]);
        let alternate = |name: &str| {
            let name: Vec<u16> = name.encode_utf16().collect();
            StreamHeader::alternate_data(&name, 0)
        };
        let data = of(StreamId::DATA, b"");
        type Streams<'a> = Vec<(StreamHeader, &'a [u8])>;
        let cases: [(u32, Streams<'_>, Rule); 5] = [
            (
                0x20,
                vec![(of(StreamId::EA_DATA, b"x"), b"x")],
                Rule::EaMalformed,
            ),
            (
                0x420,
                vec![(of(StreamId::REPARSE_DATA, b"x"), b"x")],
                Rule::ReparseMalformed,
            ),
            (
                0x20,
                vec![(data.clone(), b""), (data.clone(), b"")],
                Rule::StreamTwice,
            ),
            (
                0x20,
                vec![
                    (alternate("a"), b""),
                    (data.clone(), b""),
                    (alternate("A"), b""),
                ],
                Rule::StreamTwice,
            ),
            (0x20, vec![(alternate("a/b"), b"")], Rule::PathColon),
        ];
        for (attributes, mut streams, rule) in cases {
            streams.insert(0, security.clone());
            write(&place, "file", attributes, &streams);
            let report = check(&place, &[&parent]);
            assert_eq!(broken(&report), [rule.info().id].into(), "{report:#?}");
        }
    }

    /// Holes count as zeros. One in the first page changes nothing; a hive whose second page is a
    /// hole has no bins.
    #[test]
    fn a_hive_with_holes_is_read_at_the_right_offsets() {
        let hive = layergen::minimal_hive("SAM", false);
        let bytes = tar(Start::Above, |_| Ok(()));
        let (_folder, place, parent) = transport(&bytes);
        let directories = ["Windows", "Windows/System32", "Windows/System32/config"];
        let descriptor = file().security_descriptor.expect("it has one");
        let header = StreamHeader::new(StreamId::SECURITY_DATA, descriptor.len() as u64);
        let security = (header, &descriptor[..]);
        for directory in directories {
            std::fs::create_dir(place.join("Files").join(directory)).expect("free");
            let name = format!("{directory}.$wcidirs$");
            write(&place, &name, 0x10, std::slice::from_ref(&security));
        }
        let sparse = StreamHeader {
            attributes: StreamAttributes::SPARSE,
            ..StreamHeader::new(StreamId::DATA, 0)
        };
        let size = hive.len();
        let block = |from: usize, to: usize| {
            let header = StreamHeader::sparse_block(from as i64, (to - from) as u64);
            (header, &hive[from..to])
        };
        assert_eq!(hive[512..4096], [0; 4096 - 512]);
        let whole = [block(0, 512), block(4096, size), block(size, size)];
        let without_bins = [block(0, 4096), block(size, size), block(size, size)];
        for (blocks, expected) in [
            (whole, &["hive-without-delta"][..]),
            (without_bins, &["hive-malformed", "hive-without-delta"]),
        ] {
            let mut streams = vec![security.clone(), (sparse.clone(), &[][..])];
            streams.extend(blocks);
            let name = "Windows/System32/config/SAM";
            write(&place, name, 0x20, &streams);
            let report = check(&place, &[&parent]);
            let expected: std::collections::BTreeSet<_> = expected.iter().copied().collect();
            assert_eq!(broken(&report), expected, "{report:#?}");
        }
    }
}

#[test]
fn rules_that_depend_on_unknown_parents_are_not_checked() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let app = folder.path().join("app.tar");
    let bytes = tar(Start::Above, |tar| {
        tar.directory("UtilityVM", &crate::Meta::with_attributes(0x10))?;
        tar.file("UtilityVM/Files/dir/file", &file(), b"")?;
        tar.whiteout("UtilityVM/Files/old")?;
        tar.hard_link("Files/a", "Files/nothing", &file())?;
        tar.file("Files/no/file", &file(), b"")
    });
    std::fs::write(&app, bytes).expect("free");
    let options = ValidateOptions::default().has_unknown_parents(true);
    let report = validate(&app, &options, &()).expect("a layer");
    assert_eq!(broken(&report), ["parent-missing"].into());
    assert_eq!(report.rules[&wclayer::rules::Rule::ParentMissing].count, 1);
}

#[test]
fn anything_but_a_layer_is_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = ValidateOptions::default();
    assert!(validate(folder.path(), &options, &()).is_err());
    let error =
        validate(folder.path().join("no"), &options, &()).expect_err("the path does not exist");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_check_can_be_cancelled() {
    struct Stopped;
    impl wclayer::Progress for Stopped {
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let tar = Cursor::new(layer());
    let error = wclayer::validate::validate_tar(tar, None, 1, &Stopped).expect_err("stopped");
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

/// The checks of the whole layer may take long even after the tar was read.
#[test]
fn the_check_of_the_whole_layer_can_be_cancelled_too() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Later(AtomicUsize);
    impl wclayer::Progress for Later {
        fn is_cancelled(&self) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed) > 600
        }
    }
    let tar = tar(Start::Above, |tar| {
        (0..200).try_for_each(|number| {
            let target = format!("Files/{}", (number + 1) % 200);
            tar.hard_link(&format!("Files/{number}"), &target, &file())
        })
    });
    let later = Later(AtomicUsize::new(0));
    let error = wclayer::validate::validate_tar(Cursor::new(tar), None, 1, &later);
    assert_eq!(error.expect_err("cancelled").kind(), ErrorKind::Cancelled);
}
