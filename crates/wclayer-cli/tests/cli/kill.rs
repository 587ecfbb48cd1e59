//! SIGKILL, which no program can tidy up after: a layer is there whole or not at all, and the next
//! import works and clears away what was left.

use std::fs;
use std::time::{Duration, Instant};

use layergen::{Meta, Rng, TarBuilder};

use crate::support::Workplace;

/// How often each import is killed, spread over the time that it takes.
const KILLS: u32 = 8;

/// A layer of many small files and some megabytes, which takes a while to import.
fn medium_tar(seed: u64) -> Vec<u8> {
    let mut noise = Rng::new(seed);
    let mut tar = TarBuilder::new(Vec::new());
    tar.directory("Files", &Meta::with_attributes(0x10))
        .expect("memory");
    for number in 0..4000 {
        let content: Vec<u8> = (0..300)
            .flat_map(|_| noise.next_u64().to_le_bytes())
            .collect();
        let name = format!("Files/{number}.bin");
        tar.file(&name, &Meta::with_attributes(0x20), &content)
            .expect("memory");
    }
    tar.finish().expect("memory")
}

/// Returns the DiffID of a layer whose content agrees with it.
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

/// Starts an import and kills it after `delay`; returns whether it was done before.
fn kill_after(work: &Workplace, arguments: &[&str], delay: Duration) -> bool {
    let mut child = work.start(arguments);
    std::thread::sleep(delay);
    child.kill().expect("it can be killed");
    child.wait().expect("it ended").success()
}

/// Checks that nothing but the layer, and what the next import clears away, is there.
#[track_caller]
fn assert_only(work: &Workplace, layer: &str) {
    for name in work.list("layers") {
        let left_over = format!(".{layer}.");
        assert!(name == layer || name.starts_with(&left_over), "{name}");
    }
}

#[test]
fn a_killed_import_leaves_a_whole_layer_or_none() {
    let work = Workplace::new();
    work.create_folder("layers");
    work.write("in.tar", &medium_tar(1));
    let import = ["import", "-i", "in.tar", "layers/new"];
    let started = Instant::now();
    work.run(&import).succeeds();
    let whole = started.elapsed();
    let expected = diff_id(&work, "layers/new");
    work.run(&["remove", "layers/new"]).succeeds();
    for kill in 0..KILLS {
        let was_done = kill_after(&work, &import, whole * (2 * kill + 1) / (2 * KILLS));
        assert_only(&work, "new");
        if work.path("layers/new").exists() {
            assert_eq!(diff_id(&work, "layers/new"), expected, "kill {kill}");
            work.run(&["remove", "layers/new"]).succeeds();
        } else {
            assert!(!was_done, "kill {kill}: it succeeded and left nothing");
        }
        work.run(&import).succeeds();
        assert_eq!(work.list("layers"), ["new"], "kill {kill}");
        work.run(&["remove", "layers/new"]).succeeds();
        assert_eq!(work.list("layers"), [""; 0], "kill {kill}");
    }
}

#[test]
fn a_killed_replacement_leaves_the_old_layer_or_the_new_one() {
    let work = Workplace::new();
    work.create_folder("layers");
    work.write("old.tar", &medium_tar(2));
    work.write("new.tar", &medium_tar(3));
    let import = |input| ["import", "--force", "-i", input, "layers/x"];
    let started = Instant::now();
    work.run(&import("new.tar")).succeeds();
    let whole = started.elapsed();
    let new = diff_id(&work, "layers/x");
    work.run(&import("old.tar")).succeeds();
    let old = diff_id(&work, "layers/x");
    for kill in 0..KILLS {
        let delay = whole * (2 * kill + 1) / (2 * KILLS);
        let was_done = kill_after(&work, &import("new.tar"), delay);
        assert_only(&work, "x");
        let found = diff_id(&work, "layers/x");
        assert!(found == new || (found == old && !was_done), "kill {kill}");
        work.run(&import("old.tar")).succeeds();
        assert_eq!(work.list("layers"), ["x"], "kill {kill}");
        assert_eq!(diff_id(&work, "layers/x"), old, "kill {kill}");
    }
}

/// An import that is killed while another one waits for the place does not keep it.
#[test]
fn a_killed_import_gives_its_place_free() {
    let work = Workplace::new();
    work.write("in.tar", &medium_tar(4));
    let mut child = work.start(&["import", "layer"]);
    crate::support::wait_until("the import is under way", || {
        work.list(".")
            .iter()
            .any(|name| name.starts_with(".layer.wclayer-"))
    });
    work.run(&["import", "-i", "in.tar", "layer"])
        .fails("is under way");
    child.kill().expect("it can be killed");
    child.wait().expect("it ended");
    work.run(&["import", "-i", "in.tar", "layer"]).succeeds();
    assert_eq!(work.list("."), ["in.tar", "layer"]);
}
