//! `-` on the command line: standard input or output in place of a file, a mistake in place of a new
//! folder.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};

/// The name of standard input in messages.
pub(crate) const STDIN: &str = "standard input";

/// Returns whether a name means standard input or output; a file named `-` is `./-`.
pub(crate) fn is_dash(name: &Path) -> bool {
    name == Path::new("-")
}

/// Parses the path of a new folder; `meant` says what to write instead of `-`.
pub(crate) fn new_folder(meant: &'static str) -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(move |text: OsString| {
        let path = PathBuf::from(text);
        match path.as_os_str().is_empty() {
            true => Err("the path of a folder must not be empty".to_owned()),
            false if is_dash(&path) => Err(format!("{meant}; for a folder named `-`, write `./-`")),
            false => Ok(path),
        }
    })
}
