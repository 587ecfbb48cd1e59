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

    let (_, folder, base) = parents(Start::AboveVm).expect("it has some");
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

#[test]
#[cfg(unix)]
fn a_transport_folder_has_no_offsets() {
    use wclayer::tar::TarLayerReader;
    use wclayer::transport::{self, ImportOptions};
    use wclayer::volume::host::HostVolume;

    let (_, folder, base) = parents(Start::Above).expect("it has some");
    let place = folder.path().join("transport");
    let portable = folder.path().join("base");
    import(&base, &portable, &[]);
    let options = ImportOptions::default().parents(
        wclayer::source::open_parents(&ParentChain::from_nearest_first([&portable]), &())
            .expect("a parent"),
    );
    let mut reader = TarLayerReader::new(Cursor::new(layer()));
    transport::import(&HostVolume::new(), &mut reader, &place, options, &()).expect("a layer");
    let report = check(&place, &[&portable]);
    assert_eq!(broken(&report), EXPECTED.into());
    assert!(report.is_complete);
    let findings = report.rules.values().flat_map(|found| &found.first);
    assert!(findings.into_iter().all(|finding| finding.offset.is_none()));
}

#[test]
fn findings_that_need_parents_are_not_reported_without_them() {
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
