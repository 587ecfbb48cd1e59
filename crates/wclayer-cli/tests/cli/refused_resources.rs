//! System calls that fail, and threads and memory that the system refuses: exit code 1, a message, and
//! nothing left behind. Uses `strace` and limits of the shell; without them, the tests print a note and
//! are skipped.

use std::process::Command;

use crate::support::{Run, Workplace, sample, small_tar};

/// Runs the program with a system call that fails; `None` if this is not possible.
fn with_fault(work: &Workplace, fault: &str, arguments: &[&str]) -> Option<Run> {
    let calls = fault.split(':').next().expect("a call");
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o", "trace", "-e"])
        .arg(format!("trace={calls}"))
        .arg("-e")
        .arg(format!("inject={fault}"))
        .arg(env!("CARGO_BIN_EXE_wclayer"))
        .args(arguments)
        .current_dir(work.path("."))
        .output();
    let trace = work.path("trace");
    let traced = std::fs::read_to_string(&trace).unwrap_or_default();
    let _ = std::fs::remove_file(trace);
    match output {
        Ok(output) if traced.contains("INJECTED") => Some(Run::new(output, arguments)),
        _ => {
            eprintln!("skipped: strace cannot let system calls fail here");
            None
        }
    }
}

/// Writes a large layer: an import flushes it in the background.
fn large_tar() -> Vec<u8> {
    small_tar(&vec![7; 40 << 20])
}

#[test]
fn a_flush_that_fails_in_the_background_fails_the_import() {
    let work = Workplace::new();
    work.write("in.tar", &large_tar());
    let import = ["import", "--format", "portable", "-i", "in.tar", "layer"];
    let Some(run) = with_fault(&work, "fdatasync:error=EIO:when=1", &import) else {
        return;
    };
    run.fails("cannot write");
    assert_eq!(work.list("."), ["in.tar"]);
}

#[test]
fn a_failed_flush_of_any_file_or_folder_is_reported_and_undone() {
    let work = Workplace::new();
    let base = sample("base.tar.gz");
    let import = ["import", "--format", "portable", "-i", &base, "a/b/layer"];
    // Four files, the new folder, three folders around it; at the last, the layer is in place.
    for number in 1..=8 {
        let fault = format!("fsync:error=EIO:when={number}");
        let Some(run) = with_fault(&work, &fault, &import) else {
            return;
        };
        run.fails("cannot flush");
        assert_eq!(work.list("a/b"), [""; 0], "{fault}");
        std::fs::remove_dir_all(work.path("a")).expect("ours");
    }
    work.run(&import).succeeds();
    for command in [
        &["export", "-o", "out.tar", "a/b/layer"][..],
        &["squash", "-o", "out.tar", "a/b/layer"],
    ] {
        for (number, before) in [(1, None), (2, None), (2, Some(b"before"))] {
            let _ = std::fs::remove_file(work.path("out.tar"));
            if let Some(before) = before {
                work.write("out.tar", before);
            }
            let fault = format!("fsync:error=EIO:when={number}");
            if let Some(run) = with_fault(&work, &fault, command) {
                run.fails("cannot flush");
                let there = std::fs::read(work.path("out.tar")).ok();
                assert_eq!(there.as_deref(), before.map(|it| &it[..]), "{fault}");
            }
        }
    }
}

#[test]
fn a_lack_of_threads_is_an_error_message() {
    let work = Workplace::new();
    let base = sample("base.tar.gz");
    work.import_base("base");
    for command in [
        &["import", "--format", "portable", "-i", &base, "layer"][..],
        &["import", "--format", "transport", "-i", &base, "layer"],
        &["export", "-z", "-o", "out.tar", "base"],
        &["extract", "base", "-C", "out"],
        &["ls", &base],
        &["validate", &base],
    ] {
        let Some(run) = with_fault(&work, "clone3,clone:error=EAGAIN:when=1+", command) else {
            return;
        };
        assert!(
            matches!(run.code, Some(1 | 2)),
            "{command:?}: {}",
            run.stderr
        );
        assert!(
            run.stderr.contains("refuses another thread"),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains("ulimit -u"), "{}", run.stderr);
        assert!(!run.stderr.contains("has a fault"), "{}", run.stderr);
    }
    let left = work.list(".");
    assert!(left == ["base"] || left == ["base", "out"], "{left:?}");
}

#[test]
fn a_lack_of_memory_is_an_error_message() {
    let work = Workplace::new();
    work.write("in.tar", &large_tar());
    let program = env!("CARGO_BIN_EXE_wclayer");
    let mut refused = 0;
    // From limits that barely let it start to limits that it barely exceeds.
    for kibibytes in (8_000..80_000).step_by(6_000) {
        let script = format!("ulimit -v {kibibytes} && exec '{program}' \"$@\"");
        let output = Command::new("sh")
            .args(["-c", &script, "sh"])
            .args(["import", "--format", "portable", "-i", "in.tar", "layer"])
            .current_dir(work.path("."))
            .output()
            .expect("sh starts");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => break,
            // The loader or the system did not even start the program.
            Some(127) => {}
            None if stderr.is_empty() => {}
            code => {
                assert!(code == Some(1), "{kibibytes} KiB: {code:?}: {stderr}");
                assert!(stderr.contains("refuses"), "{kibibytes} KiB: {stderr}");
                assert!(stderr.contains("ulimit -"), "{kibibytes} KiB: {stderr}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "no limit was too low");
}

#[test]
fn failed_writes_to_standard_output_are_failures() {
    let work = Workplace::new();
    work.import_base("base");
    for command in [
        &["--version"][..],
        &["--help"],
        &["info", "base"],
        &["info", "--json", "base"],
        &["ls", "-R", "base"],
        &["tree", "base"],
        &["stat", "base", "Files"],
        &["du", "base"],
        &["find", "base"],
        &["export", "base"],
        &["squash", "base"],
        &["completions", "bash"],
        &["man"],
        &["gc", "."],
        &["validate", "--all", "base"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full");
        let mut program = work.command(command);
        let output = program.stdout(full.expect("Linux has it")).output();
        let code = output.expect("the program starts").status.code();
        assert!(matches!(code, Some(1 | 2)), "{command:?}: {code:?}");
    }
}
