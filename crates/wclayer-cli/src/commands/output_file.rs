//! `--output FILE`: whether FILE is standard output, a device or a file, and whether to replace it.

use std::fs;
use std::path::{Component, Path, PathBuf, Prefix};

use clap::Args;

use crate::errors::CliError;
use crate::file_argument::is_dash;

/// How many symbolic links are followed.
const MAX_LINKS: usize = 40;
/// The file descriptor of standard output.
const STDOUT: u32 = 1;
const STDOUT_TWICE: &str =
    "the argument '--json' cannot share standard output with the tar: use '--output <FILE>'";

/// The options for the destination of a tar.
#[derive(Debug, Args)]
pub(crate) struct OutputOptions {
    /// Layer tar to write, `-` for stdout [default: stdout]
    ///
    /// Replaces FILE once the tar is complete; writes directly to a device, a pipe or `/dev/fd/N`.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Fail if FILE exists instead of replacing it
    #[arg(long)]
    pub(super) no_clobber: bool,
}

impl OutputOptions {
    /// Returns the file as the user named it; `None` for standard output.
    pub(super) fn file(&self) -> Option<&Path> {
        match self.place() {
            OutputPlace::Stdout => None,
            _ => self.output.as_deref(),
        }
    }

    /// Returns a conflict if the tar and JSON would both go to standard output.
    pub(super) fn conflict_with_json(&self, json: bool) -> Option<&'static str> {
        let is_stdout = self.output.is_some() && self.place() == OutputPlace::Stdout;
        (json && is_stdout).then_some(STDOUT_TWICE)
    }

    /// Returns an error if the output is one of `layers`, or a file in one of them.
    pub(super) fn check_is_outside<'a>(
        &self,
        mut layers: impl Iterator<Item = &'a Path>,
    ) -> Result<(), CliError> {
        let Some(output) = self.file() else {
            return Ok(());
        };
        // A file that does not exist cannot be part of a layer.
        let Ok(file) = output.canonicalize() else {
            return Ok(());
        };
        let has_file = |place: &&Path| {
            let place = place.canonicalize();
            place.is_ok_and(|place| file.starts_with(place))
        };
        match layers.find(has_file) {
            None => Ok(()),
            Some(layer) => Err(CliError::OutputIsLayer {
                output: output.to_owned(),
                layer: layer.to_owned(),
            }),
        }
    }

    /// Returns the kind of destination.
    pub(super) fn place(&self) -> OutputPlace {
        (self.output.as_deref()).map_or(OutputPlace::Stdout, OutputPlace::of)
    }
}

/// A kind of destination.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OutputPlace {
    /// Standard output, by any name.
    Stdout,
    /// A device, a pipe, or an open file descriptor of the caller, which cannot be replaced.
    Direct(PathBuf),
    /// An existing or new file.
    File(PathBuf),
}

impl OutputPlace {
    /// Follows links: the target is replaced, not the link.
    fn of(name: &Path) -> Self {
        if is_dash(name) {
            return Self::Stdout;
        }
        let mut path = name.to_owned();
        for _ in 0..MAX_LINKS {
            match descriptor(&path) {
                Some(STDOUT) => return Self::Stdout,
                Some(_) => return Self::Direct(path),
                None => {}
            }
            let Ok(target) = fs::read_link(&path) else {
                break;
            };
            path = path.parent().unwrap_or(Path::new("")).join(target);
        }
        match is_special(&path) {
            true => Self::Direct(path),
            false => Self::File(path),
        }
    }
}

/// Returns the file descriptor that a path names: `/dev/fd/N`, `/proc/self/fd/N`.
fn descriptor(path: &Path) -> Option<u32> {
    let number = path.file_name()?.to_str()?.parse().ok()?;
    let folder = path.parent()?.canonicalize().ok()?;
    let own = Path::new("/proc").join(std::process::id().to_string());
    (folder == Path::new("/dev/fd") || folder == own.join("fd")).then_some(number)
}

/// Returns whether something other than a file is at a path, which cannot be replaced.
fn is_special(path: &Path) -> bool {
    // `NUL`, `\\.\pipe\…`: Windows has no metadata of devices and pipes.
    let is_device = |path: PathBuf| match path.components().next() {
        Some(Component::Prefix(prefix)) => matches!(prefix.kind(), Prefix::DeviceNS(_)),
        _ => false,
    };
    std::path::absolute(path).is_ok_and(is_device)
        || fs::metadata(path).is_ok_and(|metadata| !metadata.is_file())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_name_of_standard_output_is_recognised() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("link");
        symlink("/dev/stdout", &link).expect("a link");
        for name in [
            Path::new("-"),
            Path::new("/dev/stdout"),
            Path::new("/dev/fd/1"),
            &link,
        ] {
            assert_eq!(OutputPlace::of(name), OutputPlace::Stdout, "{name:?}");
        }
    }

    #[test]
    fn links_are_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        symlink("b", at("a")).expect("a link");
        assert_eq!(OutputPlace::of(&at("a")), OutputPlace::File(at("b")));
        fs::write(at("b"), b"").expect("written");
        assert_eq!(OutputPlace::of(&at("a")), OutputPlace::File(at("b")));
        let null = PathBuf::from("/dev/null");
        symlink(&null, at("null")).expect("a link");
        assert_eq!(OutputPlace::of(&at("null")), OutputPlace::Direct(null));
        assert!(matches!(
            OutputPlace::of(Path::new("/dev/fd/0")),
            OutputPlace::Direct(_)
        ));
        let file = PathBuf::from("./-");
        assert_eq!(OutputPlace::of(&file), OutputPlace::File(file.clone()));
    }
}
