//! A full disk: the import reports it and leaves nothing behind, wherever the disk fills up.
//!
//! The disk is a small one in memory, in a mount namespace that ends with the program, so that nothing
//! stays mounted. If the system does not allow this, the tests print a note and are skipped.

use std::process::Command;

use layergen::{Meta, TarBuilder};

use crate::support::{Run, Workplace};

/// The start of a shell script that mounts `SIZE` kibibytes at `disk`.
fn on_small_disk(work: &Workplace, size: u32, script: &str) -> Option<Run> {
    let program = env!("CARGO_BIN_EXE_wclayer");
    let script = format!(
        "mount -t tmpfs -o size={size}k none disk || exit 77
         wclayer() {{ '{program}' \"$@\"; }}
         {script}"
    );
    let arguments = ["--map-root-user", "--mount", "sh", "-c", &script];
    let output = Command::new("unshare")
        .args(arguments)
        .current_dir(work.path("."))
        .output();
    match output {
        Ok(output) if output.status.code() != Some(77) && !is_refused(&output.stderr) => {
            Some(Run::new(output, &["on a small disk"]))
        }
        _ => {
            eprintln!("skipped: this system gives no disk to tests");
            None
        }
    }
}

fn is_refused(stderr: &[u8]) -> bool {
    stderr.starts_with(b"unshare:")
}

/// Builds a tar of about `size` bytes with the smallest possible entries.
fn tar_of(size: usize) -> Vec<u8> {
    let mut tar = TarBuilder::new(Vec::new());
    tar.directory("Files", &Meta::default()).expect("memory");
    for number in 0..size / 512 {
        tar.raw_entry(format!("Files/{number}"), b'0', &[], b"")
            .expect("memory");
    }
    tar.finish().expect("memory")
}

#[test]
fn an_import_to_a_full_disk_fails_and_leaves_nothing() {
    let tar = tar_of(3 << 20);
    // From a disk that holds nothing to one that lacks a few pages: the tar has 3 MiB, the
    // index and the rest a little more than 1 MiB.
    for size in [12, 100, 1000, 2500, 3080, 3200, 3500, 4000] {
        let work = Workplace::new();
        work.create_folder("disk");
        work.write("in.tar", &tar);
        let script =
            "wclayer import --json -i in.tar disk/layer; code=$?; ls -A disk >&2; exit $code";
        let Some(run) = on_small_disk(&work, size, script) else {
            return;
        };
        let run = run.fails("cannot import layer `disk/layer`");
        let json = run.json();
        assert_eq!(json["error"]["kind"], "io", "{size} KiB: {}", run.stderr);
        assert!(
            run.stderr.contains("isk is full"),
            "{size} KiB: {}",
            run.stderr
        );
        let last = run.stderr.lines().last().expect("a message");
        assert!(last.starts_with("Hint:"), "{size} KiB: {last} was left");
    }
}

#[test]
fn a_replacement_that_does_not_fit_leaves_the_old_layer() {
    let work = Workplace::new();
    work.create_folder("disk");
    work.write("old.tar", &tar_of(1 << 20));
    work.write("new.tar", &tar_of(2 << 20));
    let script = "wclayer -q import -i old.tar disk/layer && ls -A disk
         wclayer -q import --force -i new.tar disk/layer && exit 5
         ls -A disk; wclayer export disk/layer | cmp - old.tar && echo same";
    let Some(run) = on_small_disk(&work, 4000, script) else {
        return;
    };
    assert_eq!(run.text(), "layer\nlayer\nsame\n", "{}", run.stderr);
    assert!(
        run.stderr
            .contains("Error: cannot import layer `disk/layer`"),
        "{}",
        run.stderr
    );
}
