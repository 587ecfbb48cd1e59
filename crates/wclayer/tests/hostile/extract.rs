//! Extracts every hostile tar of the other tables: whatever the tar contains, and whatever is
//! waiting in the destination folder, nothing outside the folder is touched.

use std::fs;
use std::io::Cursor;
use std::path::Path;
#[cfg(target_os = "linux")]
use std::process::Command;

use wclayer::extract::{ExtractOptions, ExtractWriter, Extracted};
use wclayer::source::{self, OpenOptions};
use wclayer::{Error, LayerReader, hub, tar::TarLayerReader};

use crate::common::{directory, plain};
use crate::{Ground, built};

fn extract(source: &mut dyn LayerReader, out: &Path) -> Result<Extracted, Error> {
    hub::copy(
        source,
        ExtractWriter::new(out, ExtractOptions::default().xattrs(true))?,
        &(),
    )
}

/// Extracts a tar directly, without the view, which would return each path once. Checks that only
/// the destination folder has changed, and that no link in it leads out.
#[track_caller]
pub(crate) fn harmless(ground: &Ground, what: &str, tar: &[u8]) {
    let out = ground.path("layers/out");
    let _ = extract(&mut TarLayerReader::new(Cursor::new(tar)), &out);
    assert_links_stay(&out, &out);
    clear(&out);
    ground.assert_untouched(what);
}

/// Does the same through the view, like the command; a tar that cannot be indexed is skipped.
#[track_caller]
pub(crate) fn harmless_in_view(ground: &Ground, what: &str, tar: &[u8]) {
    let out = ground.path("layers/out");
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), tar).expect("a temporary file");
    let Ok(view) = source::open(file.path(), &OpenOptions::default(), &()) else {
        return;
    };
    let _ = extract(&mut view.reader(&[]), &out);
    assert_links_stay(&out, &out);
    clear(&out);
    ground.assert_untouched(what);
}

fn clear(out: &Path) {
    if out.exists() {
        fs::remove_dir_all(out).expect("ours");
    }
}

#[track_caller]
fn assert_links_stay(root: &Path, folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("readable").path();
        if path.is_symlink() {
            let target = fs::read_link(&path).expect("a link");
            assert!(target.is_relative(), "{}", path.display());
            if let Ok(real) = fs::canonicalize(&path) {
                let root = fs::canonicalize(root).expect("there");
                assert!(real.starts_with(root), "{}", path.display());
            }
        } else if path.is_dir() {
            assert_links_stay(root, &path);
        }
    }
}

#[test]
fn links_that_lead_out_are_reported_and_never_created() {
    let ground = Ground::new();
    let targets = [
        r"..\..\outside",
        r"..\..\..\outside\canary",
        r"\\server\share",
        r"D:\x",
        r"\\?\GLOBALROOT\Device\x",
        "../../../outside",
    ];
    let tar = built(|tar| {
        for (number, target) in targets.iter().enumerate() {
            tar.symlink(&format!("Files/l{number}"), target, &plain())?;
            // A file below a link, and a hard link to one.
            tar.file(&format!("Files/l{number}/canary"), &plain(), b"dead")?;
            tar.hard_link(
                &format!("Files/h{number}"),
                &format!("Files/l{number}"),
                &plain(),
            )?;
        }
        Ok(())
    });
    let out = ground.path("layers/out");
    let mut reader = TarLayerReader::new(Cursor::new(&tar));
    let extracted = extract(&mut reader, &out).expect("extracted");
    assert_eq!(extracted.symlinks, 0);
    assert_eq!(extracted.not_made.count, 2 * targets.len() as u64);
    clear(&out);
    ground.assert_untouched("links out");
}

#[test]
fn a_link_to_a_link_stays_inside() {
    let ground = Ground::new();
    let tar = built(|tar| {
        tar.directory("Files/a", &directory())?;
        tar.directory("Files/a/b", &directory())?;
        tar.symlink("Files/d", r"a\b", &plain())?;
        // On Windows this is `Files`; resolved word by word, a Unix system would end up elsewhere.
        tar.symlink("Files/up", r"d\..\..\..\..\outside", &plain())?;
        tar.symlink("Files/same", r"d\..", &plain())
    });
    harmless(&ground, "links of links", &tar);
    harmless_in_view(&ground, "links of links", &tar);
}

#[cfg(unix)]
#[test]
fn links_planted_at_any_component_are_replaced_and_not_followed() {
    use std::os::unix::fs::symlink;
    let tar = built(|tar| {
        tar.directory("Files/a", &directory())?;
        tar.directory("Files/a/b", &directory())?;
        tar.file("Files/a/b/canary", &plain(), b"new")?;
        tar.hard_link("Files/a/b/link", "Files/a/b/canary", &plain())?;
        tar.symlink("Files/a/b/sym", "canary", &plain())
    });
    for planted in [
        "Files",
        "Files/a",
        "Files/a/b",
        "Files/a/b/canary",
        "Files/a/b/link",
        "Files/a/b/sym",
    ] {
        let ground = Ground::new();
        for (number, target) in ["outside/canary", "outside", "outside/missing"]
            .into_iter()
            .enumerate()
        {
            let out = ground.path("layers/out");
            let place = out.join(planted);
            fs::create_dir_all(place.parent().expect("inside")).expect("free");
            symlink(ground.path(target), &place).expect("free");
            let mut reader = TarLayerReader::new(Cursor::new(&tar));
            let extracted = extract(&mut reader, &out).expect(planted);
            assert_eq!(extracted.replaced, 1, "{planted}, {number}");
            for name in ["canary", "link", "sym"] {
                let content = fs::read(out.join("Files/a/b").join(name)).expect(planted);
                assert_eq!(content, b"new", "{planted}, {number}");
            }
            clear(&out);
            ground.assert_untouched(planted);
        }
    }
}

#[cfg(unix)]
#[test]
fn a_planted_hard_link_to_a_foreign_file_is_not_written_to() {
    let ground = Ground::new();
    let out = ground.path("layers/out");
    fs::create_dir_all(out.join("Files")).expect("free");
    fs::hard_link(ground.path("outside/canary"), out.join("Files/x")).expect("free");
    fs::hard_link(ground.path("outside/canary"), out.join("Files/old")).expect("free");
    let tar = built(|tar| {
        tar.file("Files/x", &plain(), b"new")?;
        // Its target already existed and does not belong to the layer.
        tar.hard_link("Files/link", "Files/old", &plain())
    });
    let mut reader = TarLayerReader::new(Cursor::new(&tar));
    let extracted = extract(&mut reader, &out).expect("extracted");
    assert_eq!((extracted.links, extracted.not_made.count), (0, 1));
    assert_eq!(fs::read(out.join("Files/x")).expect("there"), b"new");
    clear(&out);
    ground.assert_untouched("hard links");
}

/// Runs the tables again as an ordinary user, if the tests run as root.
#[cfg(target_os = "linux")]
#[test]
fn an_ordinary_user_is_as_safe() {
    use std::os::unix::fs::PermissionsExt;
    let id = Command::new("id").arg("-u").output().expect("id");
    let setpriv = Command::new("setpriv").arg("--version").output();
    if id.stdout != b"0\n" || setpriv.is_err() {
        println!("SKIPPED: already running as an ordinary user, or setpriv is missing");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("ours");
    let program = folder.path().join("hostile");
    fs::copy(std::env::current_exe().expect("this"), &program).expect("free");
    let status = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args([
            "names::",
            "places::",
            "rules::",
            "data::",
            "extract::",
            "--skip=an_ordinary_user",
        ])
        .env("TMPDIR", folder.path())
        .current_dir(folder.path())
        .output()
        .expect("setpriv");
    let text = String::from_utf8_lossy(&status.stdout);
    assert!(status.status.success(), "{text}");
    assert!(text.contains("extract::a_link_to_a_link"), "{text}");
}
