//! For any input, the check ends, and it reports whether it was complete.

use proptest::prelude::*;

use crate::{Start, check, file, tar, vm};

fn sample() -> Vec<u8> {
    tar(Start::Base, |tar| {
        vm(tar)?;
        tar.hard_link("Files/a", "Files/Windows/System32/config/SAM", &file())?;
        tar.stream("Files/a", "s", &file(), b"stream")?;
        tar.whiteout("Files/gone")?;
        tar.symlink("Files/link", "target", &file())
    })
}

/// Corrects checksums; otherwise, every change would end the check at the first header.
fn repair(tar: &mut [u8]) {
    let (blocks, _) = tar.as_chunks_mut::<512>();
    for block in blocks
        .iter_mut()
        .filter(|block| block[257..262] == *b"ustar")
    {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_changed_tar_is_checked_to_its_end_or_to_the_damage(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
        cut in prop::option::of(any::<prop::sample::Index>()),
        above in any::<bool>(),
    ) {
        let mut bytes = sample();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        repair(&mut bytes);
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let start = if above { Start::Above } else { Start::Base };
        let report = check(start, bytes);
        let is_reported = ["tar-damaged", "tar-truncated", "tar-empty", "not-a-layer"]
            .iter()
            .any(|id| crate::broken(&report).contains(id));
        prop_assert_eq!(report.is_complete, !is_reported);
        for found in report.rules.values() {
            prop_assert!(found.count >= found.first.len() as u64 && !found.first.is_empty());
        }
    }

    #[test]
    fn garbage_is_checked_too(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        prop_assert!(!crate::broken(&check(Start::Base, bytes)).is_empty());
    }
}

#[test]
fn a_path_that_occurs_many_times_is_checked() {
    let bytes = tar(Start::Base, |tar| {
        for _ in 0..500 {
            tar.file("Files/often", &file(), b"")?;
        }
        (0..100).try_for_each(|number| {
            tar.hard_link(&format!("Files/link{number}"), "Files/often", &file())
        })
    });
    assert_eq!(
        crate::broken(&check(Start::Base, bytes)),
        ["duplicate"].into()
    );
}
