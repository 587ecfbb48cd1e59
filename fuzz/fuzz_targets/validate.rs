//! Validation by all rules: any bytes yield a report without a panic; a tar that can be imported is
//! complete and breaks no rule that an import enforces.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use wclayer::portable::{self, ImportOptions};
use wclayer::rules::Rule;
use wclayer::validate::validate_tar;
use wclayer_fuzz::repair_checksums;

/// The rules that an import enforces too.
const OF_IMPORTS: [Rule; 9] = [
    Rule::PathParent,
    Rule::PathAbsolute,
    Rule::TarEntryType,
    Rule::StreamWithoutFile,
    Rule::WhiteoutInBase,
    Rule::BelowFile,
    Rule::BelowReparsePoint,
    Rule::DuplicateKind,
    Rule::LinkTargetMissing,
];

fuzz_target!(|data: &[u8]| {
    let tar = repair_checksums(data);
    let report = validate_tar(Cursor::new(tar.clone()), None, 3, &()).expect("memory can be read");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = folder.path().join("layer");
    if portable::import(Cursor::new(tar), place, &ImportOptions::default(), &()).is_ok() {
        assert!(report.is_complete, "{report:?}");
        for rule in OF_IMPORTS {
            assert!(!report.rules.contains_key(&rule), "{report:?}");
        }
    }
});
