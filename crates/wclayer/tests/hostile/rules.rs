//! Layers whose entries contradict each other or their parents, or are expensive to check.

use layergen::Meta;
use wclayer::portable::{self, ImportOptions};
use wclayer::{ErrorKind, ParentChain};

use crate::common::{REPARSE, directory, plain};
use crate::{Ground, built};

/// The base layer has `Files/dir/deep`: a directory that exists further down says nothing about the
/// entries that this layer puts above it.
#[test]
fn nothing_is_reached_through_an_entry_that_hides_a_directory_of_the_parent() {
    let ground = Ground::new();
    let junction = Meta::with_attributes(REPARSE | 0x10);
    let tar = built(|tar| {
        tar.junction("Files/dir", r"C:\Windows", &junction)?;
        tar.file("Files/dir/deep/evil.dll", &plain(), b"")
    });
    let reason = ground.refuses("a junction", &tar, true);
    assert_eq!(reason, "it is below `Files/dir`, which is a reparse point");
    let tar = built(|tar| {
        tar.file("Files/dir", &plain(), b"")?;
        tar.file("Files/dir/deep/x", &plain(), b"")
    });
    let reason = ground.refuses("a file", &tar, true);
    assert_eq!(reason, "it is below `Files/dir`, which is not a directory");
}

#[test]
fn a_layer_is_not_its_own_parent() {
    let ground = Ground::new();
    let tar = || std::io::Cursor::new(built(|tar| tar.file("Files/new", &plain(), b"")));
    let options = ImportOptions::default()
        .parents(ParentChain::from_nearest_first(
            [ground.path("layers/base")],
        ))
        .replace(true);
    let error = portable::import(tar(), ground.path("layers/base"), &options, &())
        .expect_err("the base layer would be its own parent");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    ground.assert_untouched("a layer on itself");
}

#[test]
fn a_deep_path_on_top_of_a_parent_is_accepted() {
    let ground = Ground::new();
    let deep = format!("Files/{}x", "dir/".repeat(300));
    let tar = built(|tar| tar.file(&deep, &plain(), b""));
    assert_eq!(ground.takes("a deep path", &tar, true).len(), 2);
}

#[test]
fn a_path_that_occurs_many_times_is_accepted() {
    let ground = Ground::new();
    let tar = built(|tar| {
        for _ in 0..300 {
            tar.file("Files/often", &plain(), b"")?;
        }
        for number in 0..60 {
            tar.hard_link(&format!("Files/link{number}"), "Files/often", &plain())?;
        }
        Ok(())
    });
    assert_eq!(ground.takes("many times", &tar, false).len(), 361);
}

#[test]
fn a_long_chain_of_links_is_followed_or_rejected() {
    let ground = Ground::new();
    let chain = |steps: usize| {
        built(|tar| {
            tar.file("Files/l0", &plain(), b"")?;
            (1..steps).try_for_each(|step| {
                let (link, target) = (format!("Files/l{step}"), format!("Files/l{}", step - 1));
                tar.hard_link(&link, &target, &plain())
            })
        })
    };
    assert_eq!(ground.takes("some links", &chain(60), false).len(), 61);
    ground.refuses("many links", &chain(1100), false);
    let ring = built(|tar| {
        (0..500).try_for_each(|step| {
            let (link, target) = (
                format!("Files/l{step}"),
                format!("Files/l{}", (step + 1) % 500),
            );
            tar.hard_link(&link, &target, &plain())
        })
    });
    ground.refuses("a ring of links", &ring, false);
}

#[test]
fn removals_and_links_of_everything_change_nothing_in_the_parent() {
    let ground = Ground::new();
    let tar = built(|tar| {
        tar.whiteout("Files")?;
        tar.opaque("Files")?;
        tar.directory("Files/dir", &directory())?;
        tar.hard_link("Files/l", "Files/target", &plain())?;
        tar.whiteout("Files/target")
    });
    let _ = ground.try_tar("a layer against its parent", &tar, true);
}
