//! How tests prepare and inspect the disk. None of this counts as a call.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use ntmeta::{FileBasicInfo, ReparsePoint, wide};
use wclayer::volume::Scope;

use crate::FakeWindows;
use crate::disk::{Disk, Object, ObjectId, ROOT, names};
use crate::stream::restore;

/// Everything below a folder: paths relative to it, `/` between names.
pub type Snapshot = BTreeMap<String, Seen>;

/// The object behind a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The object.
    pub object: Object,
    /// The first other name of the same object, by bytes, below the same folder.
    pub same_as: Option<String>,
}

/// The folders that `ImportLayer` found when it was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The transport folder.
    pub transport: Snapshot,
    /// The layer's folder; empty if it did not exist.
    pub layer: Snapshot,
}

impl FakeWindows {
    /// Creates a folder and its ancestors.
    ///
    /// # Panics
    ///
    /// Panics if something else is in the way, like all methods that put something on the disk.
    pub fn folder(&self, path: impl AsRef<Path>) {
        let names = names(path.as_ref());
        self.lock()
            .disk
            .ensure_path(&names)
            .expect("the folder can be created");
    }

    /// Creates or overwrites a file, and creates its ancestors.
    pub fn file(&self, path: impl AsRef<Path>, data: &[u8]) {
        let names = names(path.as_ref());
        let (name, above) = names.split_last().expect("a path below the root");
        let mut state = self.lock();
        let folder = state
            .disk
            .ensure_path(above)
            .expect("the folder can be created");
        state
            .disk
            .put(folder, name, data)
            .expect("the file can be created");
    }

    /// Creates an object with times, attributes and a backup stream; the attributes determine
    /// whether it is a directory. An existing directory is changed, an existing file replaced.
    pub fn object(&self, path: impl AsRef<Path>, info: &FileBasicInfo, backup_stream: &[u8]) {
        use ntmeta::FileAttributes;
        let names = names(path.as_ref());
        let (name, above) = names.split_last().expect("a path below the root");
        let mut state = self.lock();
        let disk = &mut state.disk;
        let folder = disk.ensure_path(above).expect("the folder can be created");
        let id = if info.attributes.contains(FileAttributes::DIRECTORY) {
            disk.ensure_directory(folder, name)
        } else {
            disk.unname_tree(folder, name);
            disk.put(folder, name, b"")
        }
        .expect("the object can be created");
        let object = disk.get_mut(id);
        restore(object, backup_stream, Scope::WithSecurity).expect("a backup stream");
        object.set_info(info);
    }

    /// Creates a directory reparse point with a target.
    pub fn junction(&self, path: impl AsRef<Path>, target: &str) {
        let point = ReparsePoint::from_target(target.as_bytes(), true).expect("a target");
        let buffer = point.encode().expect("a short target");
        self.folder(path.as_ref());
        let mut state = self.lock();
        let id = state.find(path.as_ref()).expect("it was just created");
        let object = state.disk.get_mut(id);
        object.reparse = Some(buffer);
        object.info.attributes |= ntmeta::FileAttributes::REPARSE_POINT;
    }

    /// Creates a file reparse point with a target.
    pub fn symlink(&self, path: impl AsRef<Path>, target: &str) {
        let point = ReparsePoint::from_target(target.as_bytes(), false).expect("a target");
        let buffer = point.encode().expect("a short target");
        self.file(path.as_ref(), b"");
        let mut state = self.lock();
        let id = state.find(path.as_ref()).expect("it was just created");
        let object = state.disk.get_mut(id);
        object.reparse = Some(buffer);
        object.info.attributes |= ntmeta::FileAttributes::REPARSE_POINT;
    }

    /// Creates an additional name for a file.
    pub fn hard_link(&self, existing: impl AsRef<Path>, new: impl AsRef<Path>) {
        let new = names(new.as_ref());
        let (name, above) = new.split_last().expect("a path below the root");
        let mut state = self.lock();
        let id = state.find(existing.as_ref()).expect("the file exists");
        let folder = state
            .disk
            .ensure_path(above)
            .expect("the folder can be created");
        state.disk.name(folder, name, id).expect("the name is free");
    }

    /// Sets times and attributes of an existing object.
    pub fn set_info(&self, path: impl AsRef<Path>, info: &FileBasicInfo) {
        let mut state = self.lock();
        let id = state.find(path.as_ref()).expect("it exists");
        state.disk.get_mut(id).set_info(info);
    }

    /// Deletes the object at a path and everything below it; succeeds if there is none.
    pub fn delete(&self, path: impl AsRef<Path>) {
        let mut state = self.lock();
        if let Ok((folder, name)) = state.disk.parent(ROOT, &names(path.as_ref())) {
            let name = name.to_vec();
            state.disk.unname_tree(folder, &name);
        }
    }

    /// Returns the object at a path.
    pub fn look(&self, path: impl AsRef<Path>) -> Option<Object> {
        let mut state = self.lock();
        let id = quiet_find(&mut state.disk, path.as_ref())?;
        Some(state.disk.get(id).without_children())
    }

    /// Returns whether an object exists at a path.
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.look(path).is_some()
    }

    /// Returns the data of a file.
    pub fn data(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.look(path).map(|object| object.data)
    }

    /// Returns the names in a folder, sorted by bytes; empty if the folder does not exist.
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

    /// Returns everything below a folder, with the folder itself as ``; empty if it does not exist.
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
