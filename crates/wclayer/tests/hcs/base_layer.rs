//! Folders of files that become base layers.

use std::path::Path;

use fakewindows::FakeWindows;
use ntmeta::hive;
use wclayer::ErrorKind;
use wclayer::hcs;

const LAYER: &str = "/c/layers/base";
const CONFIG: &str = "/c/layers/base/Files/Windows/System32/config";
const HIVES: [&str; 5] = ["DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM"];

fn names(paths: &[wclayer::LayerPath]) -> Vec<String> {
    let name = |path: &wclayer::LayerPath| String::from_utf8_lossy(path.file_name()).into_owned();
    paths.iter().map(name).collect()
}

#[test]
fn missing_hives_are_created_and_the_service_is_called() {
    let windows = FakeWindows::new();
    windows.folder(format!("{LAYER}/Files"));
    let made =
        hcs::make_base_layer(&windows.host_compute(), Path::new(LAYER)).expect("a base layer");
    assert_eq!(names(&made.created_hives), HIVES);
    assert!(!made.has_utility_vm);
    for name in HIVES {
        let bytes = windows.data(format!("{CONFIG}/{name}")).expect(name);
        hive::check(&bytes, bytes.len() as u64).expect(name);
    }
    assert_eq!(
        windows.service_calls(),
        ["ProcessBaseImage(/c/layers/base)"]
    );
    assert_eq!(windows.open_handles(), [""; 0]);
}

#[test]
fn valid_hives_are_kept_and_empty_files_replaced() {
    let windows = FakeWindows::new();
    let mine = hive::empty("mine");
    let mut unfinished = mine.clone();
    unfinished[4] ^= 1;
    let words = unfinished[..508].chunks_exact(4);
    let sum = words.fold(0, |sum, word| {
        sum ^ u32::from_le_bytes(word.try_into().expect("four bytes"))
    });
    unfinished[508..512].copy_from_slice(&sum.to_le_bytes());
    windows.file(format!("{CONFIG}/SYSTEM"), &mine);
    windows.file(format!("{CONFIG}/software"), &unfinished);
    windows.file(format!("{CONFIG}/SAM"), b"");
    let made =
        hcs::make_base_layer(&windows.host_compute(), Path::new(LAYER)).expect("a base layer");
    assert_eq!(names(&made.kept_hives), ["SOFTWARE", "SYSTEM"]);
    assert_eq!(names(&made.replaced_hives), ["SAM"]);
    assert_eq!(names(&made.created_hives), ["DEFAULT", "SECURITY"]);
    assert_eq!(windows.data(format!("{CONFIG}/SYSTEM")), Some(mine));
    assert_eq!(windows.data(format!("{CONFIG}/software")), Some(unfinished));
    let replaced = windows.data(format!("{CONFIG}/SAM")).expect("a hive");
    hive::check(&replaced, replaced.len() as u64).expect("valid");
    assert_eq!(windows.list(CONFIG).len(), 5);
}

#[test]
fn a_utility_vm_is_processed_too() {
    let windows = FakeWindows::new();
    windows.folder(format!("{LAYER}/Files"));
    windows.file(
        format!("{LAYER}/UtilityVM/Files/EFI/Microsoft/Boot/BCD"),
        b"boot",
    );
    let made =
        hcs::make_base_layer(&windows.host_compute(), Path::new(LAYER)).expect("a base layer");
    assert!(made.has_utility_vm);
    assert_eq!(
        windows.service_calls(),
        [
            "ProcessBaseImage(/c/layers/base)",
            "ProcessUtilityImage(/c/layers/base/UtilityVM)"
        ]
    );
}

#[test]
fn unsuitable_folders_are_rejected_unchanged_and_the_culprit_is_named() {
    type Spoil = fn(&FakeWindows);
    let boot = "UtilityVM/Files/EFI/Microsoft/Boot/BCD";
    let cases: [(&str, Spoil); 9] = [
        ("config/SYSTEM", |windows| {
            windows.file(format!("{CONFIG}/SYSTEM"), b"no hive");
        }),
        ("config/SAM", |windows| {
            windows.folder(format!("{CONFIG}/SAM"))
        }),
        ("config/SAM", |windows| {
            windows.symlink(format!("{CONFIG}/SAM"), r"C:\precious");
        }),
        ("Windows/System32", |windows| {
            windows.junction(format!("{LAYER}/Files/Windows/System32"), r"C:\precious");
        }),
        ("base/UtilityVM", |windows| {
            windows.junction(format!("{LAYER}/UtilityVM"), r"C:\precious");
        }),
        ("UtilityVM/Files", |windows| {
            windows.file(format!("{LAYER}/UtilityVM/Files"), b"");
        }),
        (boot, |windows| {
            windows.folder(format!("{LAYER}/UtilityVM/Files"))
        }),
        (boot, |windows| {
            windows.folder(format!("{LAYER}/UtilityVM/Files/EFI/Microsoft/Boot/BCD"));
        }),
        ("Microsoft/Boot", |windows| {
            windows.junction(
                format!("{LAYER}/UtilityVM/Files/EFI/Microsoft/Boot"),
                r"C:\precious",
            );
        }),
    ];
    for (culprit, spoil) in cases {
        let windows = FakeWindows::new();
        windows.file("/c/precious/BCD", b"precious");
        windows.folder(format!("{LAYER}/Files"));
        spoil(&windows);
        let before = windows.snapshot("/c");
        let error =
            hcs::make_base_layer(&windows.host_compute(), Path::new(LAYER)).expect_err(culprit);
        assert_eq!(
            error.kind(),
            ErrorKind::InvalidInput,
            "{culprit}: {error:?}"
        );
        let source = std::error::Error::source(&error).expect("a reason");
        assert!(source.to_string().contains(culprit), "{culprit}: {source}");
        assert_eq!(windows.snapshot("/c"), before, "{culprit}");
        assert_eq!(windows.service_calls(), [""; 0]);
        assert_eq!(windows.traversals(), 0, "{culprit}");
    }
}

#[test]
fn a_folder_without_files_is_not_changed() {
    let windows = FakeWindows::new();
    windows.file(format!("{LAYER}/precious"), b"precious");
    hcs::make_base_layer(&windows.host_compute(), Path::new(LAYER)).expect_err("no Files");
    assert_eq!(windows.list(LAYER), ["precious"]);
}

#[test]
fn an_interrupted_run_can_be_repeated() {
    for number in 1.. {
        let windows = FakeWindows::new();
        windows.folder(format!("{LAYER}/Files"));
        windows.die_at(number);
        let result = hcs::make_base_layer(&windows.host_compute(), Path::new(LAYER));
        if !windows.restart() {
            result.expect("it was not interrupted");
            assert!(number > 10, "{number}");
            return;
        }
        hcs::make_base_layer(&windows.host_compute(), Path::new(LAYER)).expect("a base layer");
    }
}
