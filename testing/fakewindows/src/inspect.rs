//! What tests put on the disk and see of it. None of this is a call.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use ntmeta::{FileBasicInfo, ReparsePoint, wide};
use wclayer::volume::Scope;

use crate::FakeWindows;
use crate::disk::{Disk, Object, ObjectId, ROOT, names};
use crate::stream::restore;

/// All that is below a folder: paths relative to it, `/` between names.
pub type Snapshot = BTreeMap<String, Seen>;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The object.
    pub object: Object,
    /// The first other name of the same object, by bytes, below the same folder.
    pub same_as: Option<String>,
}

/// What `ImportLayer` found when it was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The transport folder.
    pub transport: Snapshot,
    /// The layer's folder; empty when there was none.
    pub layer: Snapshot,
}

impl FakeWindows {
    /// Makes a folder with those above it.
    ///
    /// # Panics
    ///
    /// When something else is in the way; so for all methods that put something on the disk.
    pub fn folder(&self, path: impl AsRef<Path>) {
        let names = names(path.as_ref());
        self.lock()
            .disk
            .ensure_path(&names)
            .expect("the folder can be made");
    }

    /// Makes a file, or writes it anew, with the folders above it.
    pub fn file(&self, path: impl AsRef<Path>, data: &[u8]) {
        let names = names(path.as_ref());
        let (name, above) = names.split_last().expect("a path below the root");
        let mut state = self.lock();
        let folder = state
            .disk
            .ensure_path(above)
            .expect("the folder can be made");
        state
            .disk
            .put(folder, name, data)
            .expect("the file can be made");
    }

    /// Makes an object with times, attributes and a backup stream; a directory when the attributes
    /// say so. A directory that exists is changed; a file is replaced.
    pub fn object(&self, path: impl AsRef<Path>, info: &FileBasicInfo, backup_stream: &[u8]) {
        use ntmeta::FileAttributes;
        let names = names(path.as_ref());
        let (name, above) = names.split_last().expect("a path below the root");
        let mut state = self.lock();
        let disk = &mut state.disk;
        let folder = disk.ensure_path(above).expect("the folder can be made");
        let id = if info.attributes.contains(FileAttributes::DIRECTORY) {
            disk.ensure_directory(folder, name)
        } else {
            disk.unname_tree(folder, name);
            disk.put(folder, name, b"")
        }
        .expect("the object can be made");
        let object = disk.get_mut(id);
        restore(object, backup_stream, Scope::WithSecurity).expect("a backup stream");
        object.set_info(info);
    }

    /// Makes a directory reparse point with a target.
    pub fn junction(&self, path: impl AsRef<Path>, target: &str) {
        let point = ReparsePoint::from_target(target.as_bytes(), true).expect("a target");
        let buffer = point.encode().expect("a short target");
        self.folder(path.as_ref());
        let mut state = self.lock();
        let id = state.find(path.as_ref()).expect("it was made");
        let object = state.disk.get_mut(id);
        object.reparse = Some(buffer);
        object.info.attributes |= ntmeta::FileAttributes::REPARSE_POINT;
    }

    /// Makes a file reparse point with a target.
    pub fn symlink(&self, path: impl AsRef<Path>, target: &str) {
        let point = ReparsePoint::from_target(target.as_bytes(), false).expect("a target");
        let buffer = point.encode().expect("a short target");
        self.file(path.as_ref(), b"");
        let mut state = self.lock();
        let id = state.find(path.as_ref()).expect("it was made");
        let object = state.disk.get_mut(id);
        object.reparse = Some(buffer);
        object.info.attributes |= ntmeta::FileAttributes::REPARSE_POINT;
    }

    /// Makes a further name of a file.
    pub fn hard_link(&self, existing: impl AsRef<Path>, new: impl AsRef<Path>) {
        let new = names(new.as_ref());
        let (name, above) = new.split_last().expect("a path below the root");
        let mut state = self.lock();
        let id = state.find(existing.as_ref()).expect("the file exists");
        let folder = state
            .disk
            .ensure_path(above)
            .expect("the folder can be made");
        state.disk.name(folder, name, id).expect("the name is free");
    }

    /// Sets times and attributes of what exists.
    pub fn set_info(&self, path: impl AsRef<Path>, info: &FileBasicInfo) {
        let mut state = self.lock();
        let id = state.find(path.as_ref()).expect("it exists");
        state.disk.get_mut(id).set_info(info);
    }

    /// Deletes what is at a path with all below it; nothing is fine.
    pub fn delete(&self, path: impl AsRef<Path>) {
        let mut state = self.lock();
        if let Ok((folder, name)) = state.disk.parent(ROOT, &names(path.as_ref())) {
            let name = name.to_vec();
            state.disk.unname_tree(folder, &name);
        }
    }

    /// Returns what is at a path.
    pub fn look(&self, path: impl AsRef<Path>) -> Option<Object> {
        let mut state = self.lock();
        let id = quiet_find(&mut state.disk, path.as_ref())?;
        Some(state.disk.get(id).without_children())
    }

    /// Returns whether something is at a path.
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.look(path).is_some()
    }

    /// Returns the data of a file.
    pub fn data(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.look(path).map(|object| object.data)
    }

    /// Returns the names in a folder, sorted byte by byte; empty when there is none.
    pub fn list(&self, path: impl AsRef<Path>) -> Vec<String> {
        let mut state = self.lock();
        let Some(id) = quiet_find(&mut state.disk, path.as_ref()) else {
            return Vec::new();
        };
        let children = state.disk.children(id).into_iter();
        children
            .map(|child| wide::display(&child.name).into_owned())
            .collect()
    }

    /// Returns all that is below a folder, the folder itself as ``; empty when there is none.
    pub fn snapshot(&self, folder: impl AsRef<Path>) -> Snapshot {
        snapshot(&mut self.lock().disk, folder.as_ref())
    }
}

pub(crate) fn snapshot(disk: &mut Disk, folder: &Path) -> Snapshot {
    let mut snapshot = Snapshot::new();
    if let Some(id) = quiet_find(disk, folder) {
        see(disk, id, String::new(), &mut snapshot, &mut HashMap::new());
    }
    snapshot
}

fn quiet_find(disk: &mut Disk, path: &Path) -> Option<ObjectId> {
    let traversals = disk.traversals;
    let found = disk.find(ROOT, &names(path));
    disk.traversals = traversals;
    found.ok()
}

fn see(
    disk: &Disk,
    id: ObjectId,
    path: String,
    snapshot: &mut Snapshot,
    seen: &mut HashMap<ObjectId, String>,
) {
    let seen_object = Seen {
        object: disk.get(id).without_children(),
        same_as: seen.get(&id).cloned(),
    };
    seen.entry(id).or_insert_with(|| path.clone());
    for child in disk.children(id) {
        let name = wide::display(&child.name);
        let below = if path.is_empty() {
            name.into_owned()
        } else {
            format!("{path}/{name}")
        };
        see(disk, child.object, below, snapshot, seen);
    }
    snapshot.insert(path, seen_object);
}
