//! A working folder, runs of the program in it, and sample layers.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use layergen::{Meta, TarBuilder};
use serde_json::Value;
use tempfile::TempDir;

/// The DiffIDs in `examples/sample/README.md`.
pub(crate) const BASE_DIFF_ID: &str =
    "sha256:b81eb6d04927e8286f84ca4f9e7e1bd453013cf41a478d0971c2ebfb0de3a4e9";
pub(crate) const APP_DIFF_ID: &str =
    "sha256:5384d2cfb482c69d5d7d76c45ac0c262c08a2204275b6beac48b1fe8c90cc8bd";

/// A temporary folder in which the program runs.
pub(crate) struct Workplace {
    folder: TempDir,
}

impl Workplace {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).expect(name);
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect(name)
    }

    pub(crate) fn create_folder(&self, name: &str) {
        fs::create_dir_all(self.path(name)).expect(name);
    }

    /// Returns the names in a folder, hidden ones included, sorted.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(name)).expect(name);
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect(name)
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wclayer"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let mut command = self.command(arguments);
        Run::new(started(|| command.output()), arguments)
    }

    /// Runs the program with `input` on its standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Run {
        let mut child = self.start(arguments);
        let mut stdin = child.stdin.take().expect("piped");
        std::thread::scope(|scope| {
            // A program that fails may not read all of it.
            scope.spawn(move || stdin.write_all(input));
            Run::new(
                child.wait_with_output().expect("the program ends"),
                arguments,
            )
        })
    }

    /// Starts the program with all streams piped, on Windows in its own process group, to which a
    /// signal can be sent.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        #[cfg(windows)]
        {
            const CREATE_NEW_PROCESS_GROUP: u32 = 0x0200;
            std::os::windows::process::CommandExt::creation_flags(
                &mut command,
                CREATE_NEW_PROCESS_GROUP,
            );
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        started(|| command.spawn())
    }

    /// Imports the base layer of the sample.
    pub(crate) fn import_base(&self, path: &str) {
        self.run(&["import", "-i", &sample("base.tar.gz"), path])
            .succeeds();
    }

    /// Imports the upper layer of the sample on top of `base`.
    pub(crate) fn import_app(&self, base: &str, path: &str) {
        self.run(&["import", "-l", base, "-i", &sample("app.tar.gz"), path])
            .succeeds();
    }
}

/// Starts a program. On a busy machine, Wine may fail to start a process with ERROR_INTERNAL_ERROR
/// before the program runs; in this case, starts it again.
pub(crate) fn started<T>(mut start: impl FnMut() -> io::Result<T>) -> T {
    const INTERNAL_ERROR: i32 = 1359;
    for _ in 0..50 {
        match start() {
            Err(error) if cfg!(windows) && error.raw_os_error() == Some(INTERNAL_ERROR) => {
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            result => return result.expect("the program starts"),
        }
    }
    panic!("Wine does not start the program");
}

/// The result of a run of the program.
pub(crate) struct Run {
    arguments: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn new(output: Output, arguments: &[&str]) -> Self {
        Self {
            arguments: arguments.join(" "),
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).expect("messages are UTF-8"),
        }
    }

    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "{}: {}", self.arguments, self.stderr);
        self
    }

    /// Checks that the run failed with exit code 1 and a well-formed message that contains `part`.
    #[track_caller]
    pub(crate) fn fails(self, part: &str) -> Self {
        self.fails_with(1, part)
    }

    /// Checks that the run failed with this exit code and a well-formed message that contains `part`.
    #[track_caller]
    pub(crate) fn fails_with(self, code: i32, part: &str) -> Self {
        assert_eq!(self.code, Some(code), "{}: {}", self.arguments, self.stderr);
        assert!(
            self.stderr.starts_with("Error: "),
            "{}: {}",
            self.arguments,
            self.stderr
        );
        assert!(
            self.stderr.contains(part),
            "{}: `{part}`: {}",
            self.arguments,
            self.stderr
        );
        self
    }

    /// Checks that the run was wrong usage: exit code 2, nothing done.
    #[track_caller]
    pub(crate) fn was_wrong_usage(self) -> Self {
        assert_eq!(self.code, Some(2), "{}: {}", self.arguments, self.stderr);
        assert!(
            self.stderr.starts_with("error: "),
            "{}: {}",
            self.arguments,
            self.stderr
        );
        self
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("UTF-8")
    }

    /// Returns the JSON object on stdout, which must be the only output there.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let value: Value = serde_json::from_slice(&self.stdout).expect("one JSON value");
        assert!(value.is_object(), "{value}");
        value
    }
}

/// Returns the names of the members of an object, sorted.
pub(crate) fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}

/// Returns the path of a file in `examples/sample`.
pub(crate) fn sample(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/sample");
    folder.join(name).to_str().expect("UTF-8").to_owned()
}

/// Builds a small tar: `Files` and a file in it.
pub(crate) fn small_tar(content: &[u8]) -> Vec<u8> {
    let mut tar = TarBuilder::new(Vec::new());
    tar.directory("Files", &Meta::with_attributes(0x10))
        .expect("memory");
    tar.file("Files/a.txt", &Meta::with_attributes(0x20), content)
        .expect("memory");
    tar.finish().expect("memory")
}

/// Waits until `ready`. Gives up in the end, so that a failing test cannot hang.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    const PAUSE: std::time::Duration = std::time::Duration::from_millis(2);
    for _ in 0..15 * 60 * 500 {
        if ready() {
            return;
        }
        std::thread::sleep(PAUSE);
    }
    panic!("waited a quarter of an hour until {what}");
}
