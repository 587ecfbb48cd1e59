//! SIGKILL, after which no program can clean up: a layer exists completely or not at all, and the next
//! import works and removes the leftovers.

use std::fs;
use std::io::Write;

use layergen::{Meta, Rng, TarBuilder};

use crate::support::{Workplace, wait_until};

/// When to kill an import that reads its tar from a pipe.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    /// Once it has read this many eighths of the tar, give or take the size of a pipe.
    Read(usize),
    /// Once it has read the tar, and this file, or the layer, exists.
    Made(&'static str),
}

/// Moments between the first byte and after the last.
pub(crate) const MOMENTS: [Moment; 9] = [
    Moment::Read(0),
    Moment::Read(1),
    Moment::Read(3),
    Moment::Read(5),
    Moment::Read(7),
    Moment::Read(8),
    Moment::Made("index.sqlite"),
    Moment::Made("layer.json"),
    Moment::Made(""),
];

/// Builds a layer of many small files and a few megabytes, which takes a while to import.
fn medium_tar(seed: u64) -> Vec<u8> {
    let mut noise = Rng::new(seed);
    let mut tar = TarBuilder::new(Vec::new());
    tar.directory("Files", &Meta::with_attributes(0x10))
        .expect("memory");
    for number in 0..1000 {
        let content: Vec<u8> = (0..300)
            .flat_map(|_| noise.next_u64().to_le_bytes())
            .collect();
        let name = format!("Files/{number}.bin");
        tar.file(&name, &Meta::with_attributes(0x20), &content)
            .expect("memory");
    }
    tar.finish().expect("memory")
}

/// Returns the DiffID of a layer after comparing it with the contents.
#[track_caller]
fn diff_id(work: &Workplace, layer: &str) -> String {
    let info = work.run(&["info", "--json", layer]).succeeds();
    let diff_id = info.json()["diffId"].as_str().expect("a digest").to_owned();
    let out = work
        .run(&["export", "--json", "-o", "out.tar", layer])
        .succeeds();
    assert_eq!(out.json()["diffId"], diff_id.as_str());
    fs::remove_file(work.path("out.tar")).expect("ours");
    diff_id
}

/// Starts an import to a path in `layers` and kills it; returns whether it finished first.
pub(crate) fn kill_at(work: &Workplace, arguments: &[&str], input: &[u8], moment: Moment) -> bool {
    let mut child = work.start(arguments);
    let mut stdin = child.stdin.take().expect("piped");
    match moment {
        Moment::Read(eighths) => {
            let part = &input[..input.len() / 8 * eighths];
            stdin.write_all(part).expect("the import reads");
        }
        Moment::Made(name) => {
            stdin.write_all(input).expect("the import reads");
            drop(stdin);
            wait_until("the import has made it", || {
                let place = arguments.last().expect("the place");
                let is_made = match name {
                    "" => work.path(place).exists(),
                    _ => work.list("layers").iter().any(|half| {
                        let half = work.path("layers").join(half);
                        half.join(name).exists()
                    }),
                };
                is_made || child.try_wait().expect("it can be asked").is_some()
            });
        }
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it ended").success()
}

/// Checks that nothing exists except the layer and leftovers that the next import removes.
#[track_caller]
fn assert_only(work: &Workplace, layer: &str) {
    for name in work.list("layers") {
        let left_over = format!(".{layer}.");
        assert!(name == layer || name.starts_with(&left_over), "{name}");
    }
}

#[test]
fn a_killed_import_leaves_a_complete_layer_or_none() {
    let work = Workplace::new();
    work.create_folder("layers");
    let tar = medium_tar(1);
    work.write("in.tar", &tar);
    let import = ["import", "-i", "in.tar", "layers/new"];
    work.run(&import).succeeds();
    let expected = diff_id(&work, "layers/new");
    work.run(&["remove", "layers/new"]).succeeds();
    for moment in MOMENTS {
        let was_done = kill_at(&work, &["import", "layers/new"], &tar, moment);
        assert_only(&work, "new");
        if work.path("layers/new").exists() {
            assert_eq!(diff_id(&work, "layers/new"), expected, "{moment:?}");
            work.run(&["remove", "layers/new"]).succeeds();
        } else {
            assert!(!was_done, "{moment:?}: it succeeded and left nothing");
        }
        work.run(&import).succeeds();
        assert_eq!(work.list("layers"), ["new"], "{moment:?}");
        work.run(&["remove", "layers/new"]).succeeds();
        assert_eq!(work.list("layers"), [""; 0], "{moment:?}");
    }
}

#[test]
fn a_killed_replacement_leaves_the_old_layer_or_the_new_one() {
    let work = Workplace::new();
    work.create_folder("layers");
    work.write("old.tar", &medium_tar(2));
    let tar = medium_tar(3);
    work.write("new.tar", &tar);
    let import = |input| ["import", "--force", "-i", input, "layers/x"];
    work.run(&import("new.tar")).succeeds();
    let new = diff_id(&work, "layers/x");
    work.run(&import("old.tar")).succeeds();
    let old = diff_id(&work, "layers/x");
    for moment in MOMENTS {
        let was_done = kill_at(&work, &["import", "--force", "layers/x"], &tar, moment);
        assert_only(&work, "x");
        let found = diff_id(&work, "layers/x");
        assert!(found == new || (found == old && !was_done), "{moment:?}");
        work.run(&import("old.tar")).succeeds();
        assert_eq!(work.list("layers"), ["x"], "{moment:?}");
        assert_eq!(diff_id(&work, "layers/x"), old, "{moment:?}");
    }
}

/// An import that is killed releases the path to another one that waits for it.
#[test]
fn a_killed_import_releases_its_path() {
    let work = Workplace::new();
    work.write("in.tar", &medium_tar(4));
    let mut child = work.start(&["import", "layer"]);
    wait_until("the import is under way", || {
        work.list(".")
            .iter()
            .any(|name| name.starts_with(".layer.wclayer-"))
    });
    work.run(&["import", "-i", "in.tar", "layer"])
        .fails("another process is importing to");
    child.kill().expect("it can be killed");
    child.wait().expect("it ended");
    work.run(&["import", "-i", "in.tar", "layer"]).succeeds();
    assert_eq!(work.list("."), ["in.tar", "layer"]);
}
