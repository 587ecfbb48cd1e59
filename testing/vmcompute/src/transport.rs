//! `ImportLayer` and `ExportLayer`: a layer from and to a transport folder.
//!
//! Source: hcsshim `internal/wclayer/legacy.go`, which implements the opposite side.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::layer::{self, Layer, Record};

/// The suffix of the file that describes the directory of the same name.
const SUFFIX: &str = ".$wcidirs$";

/// Converts a transport folder to a layer.
pub(crate) fn import(layer: &Layer, folder: &Path, parents: &[PathBuf]) -> io::Result<()> {
    let mut import = Import {
        layer,
        folder,
        seen: HashMap::new(),
        directories: Vec::new(),
    };
    if !folder.join("Files").is_dir() {
        return Err(io::Error::from_raw_os_error(3));
    }
    layer.start(parents)?;
    import.directory(Path::new("Files"))?;
    // Children first: creating a name changes the time of its directory.
    for (relative, record) in import.directories.iter().rev() {
        layer.put(relative, record)?;
    }
    for name in layer::names(&folder.join("Hives"))? {
        fs::create_dir_all(layer.path.join("Hives"))?;
        fs::copy(
            folder.join("Hives").join(&name),
            layer.path.join("Hives").join(&name),
        )?;
    }
    Ok(())
}

struct Import<'a> {
    layer: &'a Layer,
    folder: &'a Path,
    /// The first name of every imported file, by its ID in the transport folder.
    seen: HashMap<String, PathBuf>,
    directories: Vec<(PathBuf, Record)>,
}

impl Import<'_> {
    fn directory(&mut self, relative: &Path) -> io::Result<()> {
        let mut description = relative.as_os_str().to_owned();
        description.push(SUFFIX);
        let record = read(&self.folder.join(description))?;
        self.layer.put(relative, &record)?;
        self.directories.push((relative.to_owned(), record));
        for name in layer::names(&self.folder.join(relative))? {
            let path = relative.join(&name);
            if self.folder.join(&path).is_dir() {
                self.directory(&path)?;
            } else if !name.as_encoded_bytes().ends_with(SUFFIX.as_bytes()) {
                self.file(&path)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, relative: &Path) -> io::Result<()> {
        let source = self.folder.join(relative);
        let id = layer::id(&source)?;
        if let Some(first) = self.seen.get(&id) {
            return self.layer.link(first, relative);
        }
        self.layer.put(relative, &read(&source)?)?;
        self.seen.insert(id, relative.to_owned());
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<Record> {
    let content = fs::read(path)?;
    let (attributes, stream) = content
        .split_first_chunk()
        .ok_or_else(|| io::Error::other("a transport file has no attributes"))?;
    Ok(Record {
        times: layer::times_of(&fs::metadata(path)?),
        attributes: u32::from_le_bytes(*attributes),
        stream: stream.to_vec(),
    })
}

/// Converts a layer to a transport folder.
pub(crate) fn export(layer: &Layer, folder: &Path, parents: &[PathBuf]) -> io::Result<()> {
    let mut export = Export {
        layer,
        folder,
        parents,
        seen: HashMap::new(),
        tombstones: Vec::new(),
    };
    export.directory(Path::new("Files"))?;
    let mut text = String::from("\u{feff}Version 1.0\r\n");
    for path in &export.tombstones {
        // `Files` itself is omitted, but not the backslash before the rest.
        let path = path.to_string_lossy().replace('/', "\\");
        text.push_str(path.strip_prefix("Files").unwrap_or(&path));
        text.push_str("\r\n");
    }
    fs::write(folder.join("tombstones.txt"), text)?;
    let hives = layer.path.join("Hives");
    if hives.is_dir() {
        fs::create_dir_all(folder.join("Hives"))?;
        fs::write(folder.join("Hives.$wcidirs$"), 0x10_u32.to_le_bytes())?;
        for name in layer::names(&hives)? {
            fs::copy(hives.join(&name), folder.join("Hives").join(&name))?;
        }
    }
    Ok(())
}

struct Export<'a> {
    layer: &'a Layer,
    folder: &'a Path,
    parents: &'a [PathBuf],
    seen: HashMap<String, PathBuf>,
    tombstones: Vec<PathBuf>,
}

impl Export<'_> {
    /// Exports a directory of the layer.
    fn directory(&mut self, relative: &Path) -> io::Result<()> {
        let target = self.folder.join(relative);
        if let Some(record) = self.layer.record(relative, self.parents)? {
            fs::create_dir_all(&target)?;
            let mut description = target.clone().into_os_string();
            description.push(SUFFIX);
            write(Path::new(&description), &record)?;
        }
        self.tombstones
            .extend(removed(self.layer, relative, self.parents)?);
        for name in layer::names(&self.layer.path.join(relative))? {
            let path = relative.join(&name);
            if self.layer.path.join(&path).is_dir() {
                self.directory(&path)?;
            } else if let Some(record) = self.layer.record(&path, self.parents)? {
                self.file(&path, &record)?;
            }
        }
        match self.layer.record(relative, self.parents)? {
            Some(record) => layer::set_times(&target, record.times),
            None => Ok(()),
        }
    }

    fn file(&mut self, relative: &Path, record: &Record) -> io::Result<()> {
        let target = self.folder.join(relative);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        let id = layer::id(&self.layer.path.join(relative))?;
        if let Some(first) = self.seen.get(&id) {
            return fs::hard_link(first, target);
        }
        write(&target, record)?;
        self.seen.insert(id, target);
        Ok(())
    }
}

fn write(path: &Path, record: &Record) -> io::Result<()> {
    let mut content = record.attributes.to_le_bytes().to_vec();
    content.extend_from_slice(&record.stream);
    fs::write(path, content)?;
    layer::set_times(path, record.times)
}

/// Returns the paths in a directory that exist in the nearest parent but not in the layer.
pub(crate) fn removed(
    layer: &Layer,
    directory: &Path,
    parents: &[PathBuf],
) -> io::Result<Vec<PathBuf>> {
    let Some(parent) = parents.first() else {
        return Ok(Vec::new());
    };
    let names: Vec<OsString> = layer::names(&parent.join(directory))?;
    Ok(names
        .into_iter()
        .map(|name| directory.join(name))
        .filter(|path| fs::symlink_metadata(layer.path.join(path)).is_err())
        .collect())
}
