//! Builds the program that the tasks run, and looks for other programs.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Result;

/// Builds `wclayer` in release mode and returns where it is.
pub(crate) fn wclayer() -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--package", "wclayer-cli"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("wclayer does not build".into());
    }
    String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| "cargo did not report the path of wclayer".into())
}

/// Returns whether a program is in one of the folders of `PATH`.
pub(crate) fn is_installed(program: impl AsRef<OsStr>) -> bool {
    let file = format!(
        "{}{}",
        program.as_ref().to_string_lossy(),
        env::consts::EXE_SUFFIX
    );
    let path = env::var_os("PATH").unwrap_or_default();
    // An absolute path replaces the folder in `join`.
    env::split_paths(&path).any(|folder| folder.join(&file).is_file())
}
