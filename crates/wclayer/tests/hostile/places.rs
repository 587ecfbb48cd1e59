//! Destinations: links in place of a folder or a lock, and folders that cannot be written.

use std::fs;

use wclayer::ErrorKind;
use wclayer::portable::{self, PortableLayer};

use crate::common::{names_in, plain};
use crate::{Ground, built};

fn small_tar() -> Vec<u8> {
    built(|tar| tar.file("Files/x", &plain(), b"content"))
}

#[cfg(unix)]
#[test]
fn a_link_at_the_destination_is_never_followed() {
    for target in ["../outside", "base", "nowhere", "new", "../canary"] {
        let mut ground = Ground::new();
        std::os::unix::fs::symlink(target, ground.path("layers/new")).expect("free");
        ground.accept_changes();
        for replace in [false, true] {
            let error = ground
                .import_to("layers/new", small_tar(), false, replace)
                .expect_err("there is a link");
            assert_eq!(error.kind(), ErrorKind::Exists, "{target}");
            ground.assert_untouched(target);
        }
        portable::remove(ground.path("layers/new")).expect_err("a link");
        ground.assert_untouched(target);
    }
}

#[cfg(unix)]
#[test]
fn a_link_in_place_of_the_lock_is_not_followed() {
    for target in ["../outside/created", "../canary", "../outside", ".new.lock"] {
        let mut ground = Ground::new();
        std::os::unix::fs::symlink(target, ground.path("layers/.new.lock")).expect("free");
        ground.accept_changes();
        match ground.import(small_tar(), false) {
            // Removed like any lock that a killed process left behind.
            Ok(_) => assert_eq!(
                names_in(&ground.path("layers")),
                ["base", "new"],
                "{target}"
            ),
            Err(_) => ground.assert_untouched(target),
        }
        assert_eq!(
            fs::read(ground.path("canary")).expect("there"),
            b"alive",
            "{target}"
        );
        assert_eq!(
            names_in(&ground.path("outside")),
            ["canary", "deep"],
            "{target}"
        );
    }
}

#[test]
fn a_folder_in_place_of_the_lock_is_not_changed() {
    let mut ground = Ground::new();
    fs::create_dir(ground.path("layers/.new.lock")).expect("free");
    ground.accept_changes();
    ground.import(small_tar(), false).expect_err("no lock");
    ground.assert_untouched("a folder as the lock");
}

#[cfg(unix)]
#[test]
fn a_pipe_in_place_of_the_lock_is_not_waited_for() {
    let mut ground = Ground::new();
    let made = std::process::Command::new("mkfifo")
        .arg(ground.path("layers/.new.lock"))
        .status();
    assert!(made.expect("mkfifo starts").success());
    ground.accept_changes();
    let ground = crate::common::ends(move || {
        let _ = ground.import(small_tar(), false);
        ground
    });
    assert!(
        !names_in(&ground.path("layers"))
            .iter()
            .any(|name| name.contains("wclayer-"))
    );
}

/// Leftovers of killed imports are removed; a link with such a name, and its target, are not.
#[cfg(unix)]
#[test]
fn leftovers_are_removed_without_following_links() {
    let mut ground = Ground::new();
    std::os::unix::fs::symlink("../outside", ground.path("layers/.new.wclayer-aaaaaa"))
        .expect("free");
    ground.accept_changes();
    fs::create_dir(ground.path("layers/.new.wclayer-bbbbbb")).expect("free");
    let inner = ground.path("layers/.new.wclayer-bbbbbb/link");
    std::os::unix::fs::symlink("../../outside", inner).expect("free");
    let layer = ground.import(small_tar(), false).expect("free");
    portable::remove(layer.path()).expect("ours");
    ground.assert_untouched("leftovers that are links");
}

/// Two imports next to each other, one with a name like the other's hidden folders.
#[test]
fn imports_with_similar_names_do_not_take_each_other_for_leftovers() {
    struct Other<'a>(&'a Ground, std::sync::atomic::AtomicBool);
    impl wclayer::Progress for Other<'_> {
        fn entry(&self) {
            if !self.1.swap(true, std::sync::atomic::Ordering::Relaxed) {
                let other = self.0.import_to("layers/new", small_tar(), false, false);
                other.expect("another destination");
            }
        }
    }
    let ground = Ground::new();
    let progress = Other(&ground, false.into());
    portable::import(
        std::io::Cursor::new(small_tar()),
        ground.path("layers/new.wclayer-copy"),
        &portable::ImportOptions::default(),
        &progress,
    )
    .expect("another destination");
    assert_eq!(
        names_in(&ground.path("layers")),
        ["base", "new", "new.wclayer-copy"]
    );
}

#[test]
fn impossible_destinations_are_rejected() {
    let ground = Ground::new();
    for place in [
        "canary/new",
        "canary",
        "layers/base/layer.tar",
        "layers/base/layer.tar/x",
        ".",
    ] {
        let error = ground
            .import_to(place, small_tar(), false, true)
            .expect_err(place);
        assert_ne!(error.kind(), ErrorKind::InvalidLayer, "{place}: {error:?}");
        ground.assert_untouched(place);
    }
    let long = format!("layers/{}", "n".repeat(255));
    ground
        .import_to(&long, small_tar(), false, false)
        .expect_err("its lock has no name");
    ground.assert_untouched("a long name");
    for place in ["", "/", "..", "layers/.."] {
        let options = portable::ImportOptions::default();
        portable::import(std::io::Cursor::new(small_tar()), place, &options, &())
            .expect_err("no name");
    }
}

/// `/proc` does not accept new names, not even from root.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_is_reported() {
    let options = portable::ImportOptions::default();
    for place in ["/proc/wclayer-test", "/proc/wclayer-test/deeper"] {
        let source = std::io::Cursor::new(small_tar());
        let error = portable::import(source, place, &options, &()).expect_err("read-only");
        assert!(
            matches!(error.kind(), ErrorKind::Io | ErrorKind::NotFound),
            "{place}: {error:?}"
        );
        assert!(!std::path::Path::new(place).exists());
    }
}

/// The sanity check for all other tests: a valid destination works, whatever its name.
#[test]
fn unusual_folder_names_work() {
    let ground = Ground::new();
    for name in [
        "layers/ä ö",
        "layers/-l",
        "layers/a%b?c#d",
        "layers/.hidden",
        "layers/x/y/z",
    ] {
        let layer = ground
            .import_to(name, small_tar(), true, false)
            .expect(name);
        let opened = PortableLayer::open(layer.path()).expect(name);
        opened
            .index()
            .expect(name)
            .find(&"Files/x".parse().expect("a name"))
            .expect(name);
        portable::remove(layer.path()).expect(name);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_name_that_is_not_text_works() {
    use std::os::unix::ffi::OsStrExt as _;
    let ground = Ground::new();
    let name = ground
        .path("layers")
        .join(std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    let options = portable::ImportOptions::default();
    let layer = portable::import(std::io::Cursor::new(small_tar()), &name, &options, &());
    layer.expect("a legal name here").index().expect("found");
}
