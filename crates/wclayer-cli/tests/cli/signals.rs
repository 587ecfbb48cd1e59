//! Ctrl-C and SIGTERM, or Ctrl-Break: the command stops, reports it and leaves nothing behind.

use std::io::{Read, Write};
use std::process::Child;
use std::time::Duration;

use layergen::Rng;

use crate::support::{Run, Workplace, small_tar, wait_until};

#[cfg(unix)]
fn send(signal: &str, child: &Child) {
    let status = std::process::Command::new("kill")
        .arg(signal)
        .arg(child.id().to_string())
        .status();
    assert!(status.expect("kill starts").success());
}

/// Sends Ctrl-Break for any `signal`: Windows has no other for the process group of a child.
#[cfg(windows)]
fn send(_signal: &str, child: &Child) {
    unsafe extern "system" {
        fn GenerateConsoleCtrlEvent(event: u32, group: u32) -> i32;
    }
    const CTRL_BREAK_EVENT: u32 = 1;
    // SAFETY: takes only two numbers.
    let sent = unsafe { GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, child.id()) };
    assert_ne!(sent, 0, "{}", std::io::Error::last_os_error());
}

/// Stops an import whose input stays open but sends nothing.
#[track_caller]
fn stop_an_idle_import(signal: &str, code: i32) {
    let work = Workplace::new();
    let mut child = work.start(&["import", "--json", "layer"]);
    let mut stdin = child.stdin.take().expect("piped");
    stdin
        .write_all(&small_tar(&[5; 9000])[..4096])
        .expect("the import reads");
    wait_until("the import is under way", || {
        work.list(".")
            .iter()
            .any(|name| name.starts_with(".layer.wclayer-"))
    });
    send(signal, &child);
    wait_until("the import stops", || {
        child.try_wait().expect("it can be asked").is_some()
    });
    let run = Run::new(
        child.wait_with_output().expect("it ended"),
        &["import", signal],
    );
    let run = run.fails_with(code, "Error: cancelled");
    assert_eq!(run.json()["error"]["kind"], "cancelled");
    assert_eq!(work.list("."), [""; 0]);
    drop(stdin);
}

#[test]
fn an_idle_import_stops_at_ctrl_c() {
    stop_an_idle_import("-INT", 130);
}

#[test]
fn an_idle_import_stops_at_sigterm() {
    stop_an_idle_import("-TERM", 143);
}

#[test]
fn commands_that_read_standard_input_stop_at_ctrl_c() {
    let work = Workplace::new();
    for command in ["validate", "info"] {
        let mut child = work.start(&[command, "-"]);
        let mut stdin = child.stdin.take().expect("piped");
        let tar = small_tar(&vec![5; 9 << 20]);
        // More than the buffers hold: once it is read, the command is running.
        stdin.write_all(&tar[..8 << 20]).expect("it reads");
        send("-INT", &child);
        wait_until("the command stops", || {
            child.try_wait().expect("it can be asked").is_some()
        });
        let run = Run::new(child.wait_with_output().expect("it ended"), &[command]);
        run.fails_with(130, "Error: cancelled");
        drop(stdin);
    }
}

#[test]
fn the_second_signal_ends_the_program() {
    let work = Workplace::new();
    work.import_base("base");
    // Nobody reads further, so the export blocks in the middle of a write.
    let mut child = work.start(&["export", "base"]);
    let mut stdout = child.stdout.take().expect("piped");
    stdout.read_exact(&mut [0; 512]).expect("a header");
    send("-INT", &child);
    // Two signals in quick succession may arrive as one: send it again until it works.
    let mut sent = 1;
    wait_until("the export ends", || {
        std::thread::sleep(Duration::from_millis(300));
        let is_over = child.try_wait().expect("it can be asked").is_some();
        if !is_over {
            send("-INT", &child);
            sent += 1;
        }
        is_over
    });
    assert!(sent > 1, "the first one ended it");
    assert_eq!(child.wait().expect("it ended").code(), Some(130));
}

#[test]
fn a_stopped_export_leaves_the_old_file() {
    let work = Workplace::new();
    // The strongest compression of noise takes many seconds: the signal arrives in the middle.
    let mut noise = Rng::new(1);
    let content: Vec<u8> = (0..4 << 20)
        .flat_map(|_| noise.next_u64().to_le_bytes())
        .collect();
    work.write("in.tar", &small_tar(&content));
    work.run(&["import", "-i", "in.tar", "layer"]).succeeds();
    work.write("out.tar", b"old");
    let mut child = work.start(&["export", "--compress", "zstd:22", "-o", "out.tar", "layer"]);
    wait_until("the export is under way", || {
        work.list(".")
            .iter()
            .any(|name| name.starts_with(".wclayer-export-"))
    });
    send("-INT", &child);
    wait_until("the export stops", || {
        child.try_wait().expect("it can be asked").is_some()
    });
    let run = Run::new(child.wait_with_output().expect("it ended"), &["export"]);
    run.fails_with(130, "Error: cancelled");
    assert_eq!(work.read("out.tar"), b"old");
    assert_eq!(work.list("."), ["in.tar", "layer", "out.tar"]);
}
