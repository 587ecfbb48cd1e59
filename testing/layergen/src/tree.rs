//! Converts a directory of real files to a layer.
//!
//! Used for benchmarks with real binaries. Entries are sorted by the bytes of their names; only the
//! content and the modification time come from the file system.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::time::UNIX_EPOCH as SYSTEM_EPOCH;

use crate::builder::TarBuilder;
use crate::descriptor::standard_descriptors;
use crate::generate::Stats;
use crate::meta::{Meta, UNIX_EPOCH};

/// Writes the content of `root` as a layer that has it at `prefix`, such as
/// `Files/Windows/System32`; the ancestors get entries too. Symbolic links and special files are
/// omitted.
///
/// # Errors
///
/// Returns errors of reading and writing, and `InvalidData` for a name that is not UTF-8.
pub fn wrap_tree<W: Write>(root: &Path, prefix: &str, out: W) -> io::Result<Stats> {
    let mut descriptors = standard_descriptors();
    let directory_descriptor = descriptors.swap_remove(6);
    let file_descriptor = descriptors.swap_remove(0);
    let mut wrapper = Wrapper {
        tar: TarBuilder::new(out),
        stats: Stats::default(),
        file_descriptor,
        directory_descriptor,
    };
    let prefix = prefix.trim_matches('/');
    let time = file_time(&fs::metadata(root)?)?;
    for (at, _) in prefix.match_indices('/').chain([(prefix.len(), "")]) {
        wrapper.directory(&prefix[..at], time)?;
    }
    wrapper.children(root, prefix)?;
    let Wrapper { tar, mut stats, .. } = wrapper;
    stats.tar_bytes = tar.position() + 1024;
    tar.finish()?;
    Ok(stats)
}

struct Wrapper<W: Write> {
    tar: TarBuilder<W>,
    stats: Stats,
    file_descriptor: Vec<u8>,
    directory_descriptor: Vec<u8>,
}

impl<W: Write> Wrapper<W> {
    fn directory(&mut self, path: &str, time: u64) -> io::Result<()> {
        let mut meta = Meta::with_attributes(0x10).at(time);
        meta.security_descriptor = Some(self.directory_descriptor.clone());
        self.stats.directories += 1;
        self.tar.directory(path, &meta)
    }

    fn children(&mut self, directory: &Path, path: &str) -> io::Result<()> {
        let mut names = fs::read_dir(directory)?
            .map(|entry| {
                entry?.file_name().into_string().map_err(|name| {
                    let message = format!("name is not UTF-8: {}", name.display());
                    io::Error::new(io::ErrorKind::InvalidData, message)
                })
            })
            .collect::<io::Result<Vec<String>>>()?;
        names.sort();
        for name in names {
            let (source, target) = (directory.join(&name), format!("{path}/{name}"));
            let metadata = fs::symlink_metadata(&source)?;
            let time = file_time(&metadata)?;
            if metadata.is_dir() {
                self.directory(&target, time)?;
                self.children(&source, &target)?;
            } else if metadata.is_file() {
                self.file(&source, &target, metadata.len(), time)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, source: &Path, path: &str, size: u64, time: u64) -> io::Result<()> {
        let mut meta = Meta::with_attributes(0x20).at(time);
        meta.security_descriptor = Some(self.file_descriptor.clone());
        self.stats.files += 1;
        self.stats.content_bytes += size;
        self.tar
            .file_from(path, &meta, size, fs::File::open(source)?)
    }
}

/// Returns the modification time as a FILETIME; a time before 1970 becomes 1970.
fn file_time(metadata: &fs::Metadata) -> io::Result<u64> {
    let since = metadata
        .modified()?
        .duration_since(SYSTEM_EPOCH)
        .unwrap_or_default();
    Ok(UNIX_EPOCH + since.as_secs() * 10_000_000 + u64::from(since.subsec_nanos()) / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_written_below_its_prefix() {
        let root = std::env::temp_dir().join(format!("layergen-tree-{}", std::process::id()));
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(root.join("b.dll"), b"b").unwrap();
        fs::write(root.join("sub/a.dll"), b"aa").unwrap();
        let mut bytes = Vec::new();
        let stats = wrap_tree(&root, "Files/Windows/", &mut bytes).unwrap();
        fs::remove_dir_all(&root).unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let listed: Vec<(String, u64)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (
                    String::from_utf8(entry.path_bytes().into_owned()).unwrap(),
                    entry.size(),
                )
            })
            .collect();
        let expected = [
            ("Files", 0),
            ("Files/Windows", 0),
            ("Files/Windows/b.dll", 1),
            ("Files/Windows/sub", 0),
            ("Files/Windows/sub/a.dll", 2),
        ];
        assert_eq!(listed, expected.map(|(path, size)| (path.to_owned(), size)));
        assert_eq!(
            (stats.files, stats.directories, stats.content_bytes),
            (2, 3, 3)
        );
    }
}
