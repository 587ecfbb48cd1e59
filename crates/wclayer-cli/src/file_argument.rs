//! `-` on the command line: standard input or output where a file is expected, and a mistake where
//! a folder is made.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};

/// What is read or written, where that is not a file.
pub(crate) const STDIN: &str = "standard input";

/// Returns whether a name is that of standard input or output; a file that is called so is `./-`.
pub(crate) fn is_dash(name: &Path) -> bool {
    name == Path::new("-")
}

/// Takes the name of a folder that is to be made; `meant` says what to write instead of `-`.
pub(crate) fn new_folder(meant: &'static str) -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(move |text: OsString| {
        let path = PathBuf::from(text);
        match path.as_os_str().is_empty() {
            true => Err("a folder has a name".to_owned()),
            false if is_dash(&path) => Err(format!("{meant}; a folder called `-` is `./-`")),
            false => Ok(path),
        }
    })
}
