//! The disk: objects, and their names in directories.
//!
//! As on NTFS, names are compared case-insensitively, and a file may have several names. A change
//! in a directory updates the directory's write time, which exposes code that forgets to restore
//! it. Names below a reparse point never resolve: each attempt is an error and is counted. Unlike
//! on NTFS, an additional name for a file does not update the file's change time.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use ntmeta::{FileAttributes, FileBasicInfo, FileTime, upcase, wide};

use crate::code::Code;

/// The identity of an object; never reused.
pub(crate) type ObjectId = u64;

/// A name in a directory, in the form used for comparisons.
pub(crate) type Key = Vec<u16>;

/// A path below the root of the disk or below an object: names as WTF-8.
pub(crate) type Names = Vec<Vec<u8>>;

/// The attributes that determine the kind of an object and that nobody can set.
pub(crate) const KIND: FileAttributes = FileAttributes::DIRECTORY
    .union(FileAttributes::REPARSE_POINT)
    .union(FileAttributes::SPARSE_FILE)
    .union(FileAttributes::COMPRESSED)
    .union(FileAttributes::ENCRYPTED);

/// A file, a directory or a reparse point.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Object {
    /// Times and attributes.
    pub info: FileBasicInfo,
    /// The unnamed data; holes are zeros.
    pub data: Vec<u8>,
    /// The data ranges of a sparse file: offsets and lengths. `None` for any other file.
    pub ranges: Option<Vec<(u64, u64)>>,
    /// The alternate data streams: names without `:` and `:$DATA`, and their data.
    pub streams: Vec<(String, Vec<u8>)>,
    /// The extended attributes, as `FILE_FULL_EA_INFORMATION`; empty if there are none.
    pub extended_attributes: Vec<u8>,
    /// The security descriptor if one was restored, otherwise empty.
    pub security: Vec<u8>,
    /// The reparse buffer of a reparse point.
    pub reparse: Option<Vec<u8>>,
    /// Other streams of the backup stream: IDs and contents.
    pub others: Vec<(u32, Vec<u8>)>,
    /// The number of names.
    pub links: u32,
    pub(crate) children: BTreeMap<Key, Child>,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) name: Vec<u8>,
    pub(crate) object: ObjectId,
}

impl Object {
    /// Returns whether the object is a directory, including reparse points that are directories.
    pub fn is_directory(&self) -> bool {
        self.info.attributes.contains(FileAttributes::DIRECTORY)
    }

    /// Returns whether the object can have children.
    pub fn is_plain_directory(&self) -> bool {
        self.is_directory() && self.reparse.is_none()
    }

    /// Sets times and attributes as Windows does: 0 leaves a value unchanged, and the attributes
    /// that determine the kind of the object cannot be set.
    pub(crate) fn set_info(&mut self, info: &FileBasicInfo) {
        let unset = |time: FileTime| time.ticks() == 0 || time.ticks() == u64::MAX;
        for (own, new) in [
            (&mut self.info.creation_time, info.creation_time),
            (&mut self.info.last_access_time, info.last_access_time),
            (&mut self.info.last_write_time, info.last_write_time),
            (&mut self.info.change_time, info.change_time),
        ] {
            if !unset(new) {
                *own = new;
            }
        }
        if !info.attributes.is_empty() {
            let kept = self.info.attributes & KIND;
            let set = info.attributes.difference(KIND | FileAttributes::NORMAL);
            self.info.attributes = kept | set;
        }
    }

    /// Returns times and attributes as Windows shows them: `NORMAL` is set if nothing else is.
    pub(crate) fn shown_info(&self) -> FileBasicInfo {
        let mut info = self.info;
        if info.attributes.is_empty() {
            info.attributes = FileAttributes::NORMAL;
        }
        info
    }

    /// Returns a copy without its names.
    pub(crate) fn without_children(&self) -> Self {
        Self {
            children: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// Returns whether everything except data and names is the same.
    pub(crate) fn same_metadata(&self, other: &Self) -> bool {
        self.info == other.info
            && self.streams == other.streams
            && self.extended_attributes == other.extended_attributes
            && self.security == other.security
            && self.reparse == other.reparse
    }
}

/// All objects.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    objects: HashMap<ObjectId, Object>,
    next: ObjectId,
    ticks: u64,
    /// How often a name below a reparse point was looked up.
    pub(crate) traversals: u32,
}

/// The root directory.
pub(crate) const ROOT: ObjectId = 0;

impl Disk {
    pub(crate) fn new() -> Self {
        let mut disk = Self {
            objects: HashMap::new(),
            next: ROOT,
            ticks: 0,
            traversals: 0,
        };
        disk.make(true);
        disk
    }

    /// The clock, which advances with every query. It starts far from all times used in tests.
    pub(crate) fn now(&mut self) -> FileTime {
        self.ticks += 1;
        FileTime::from_ticks(0x01E0_0000_0000_0000 + self.ticks * 10_000_000)
    }

    /// Creates an object without a name.
    pub(crate) fn make(&mut self, directory: bool) -> ObjectId {
        let now = self.now();
        let attributes = if directory {
            FileAttributes::DIRECTORY
        } else {
            FileAttributes::ARCHIVE
        };
        self.add(Object {
            info: FileBasicInfo {
                creation_time: now,
                last_access_time: now,
                last_write_time: now,
                change_time: now,
                attributes,
            },
            ..Object::default()
        })
    }

    /// Adds an object without a name.
    pub(crate) fn add(&mut self, object: Object) -> ObjectId {
        let id = self.next;
        self.next += 1;
        self.objects.insert(id, Object { links: 0, ..object });
        id
    }

    pub(crate) fn get(&self, id: ObjectId) -> &Object {
        &self.objects[&id]
    }

    pub(crate) fn get_mut(&mut self, id: ObjectId) -> &mut Object {
        self.objects.get_mut(&id).expect("the object exists")
    }

    /// Finds a name in a directory.
    pub(crate) fn child(&self, directory: ObjectId, name: &[u8]) -> Option<ObjectId> {
        let children = &self.get(directory).children;
        children.get(&key(name)).map(|child| child.object)
    }

    /// Lists a directory, sorted by the bytes of the names.
    pub(crate) fn children(&self, directory: ObjectId) -> Vec<Child> {
        let mut children: Vec<Child> = self.get(directory).children.values().cloned().collect();
        children.sort_by(|a, b| a.name.cmp(&b.name));
        children
    }

    /// Checks that names can be looked up in an object.
    fn enter(&mut self, directory: ObjectId) -> Result<(), Code> {
        let object = self.get(directory);
        if object.reparse.is_some() {
            self.traversals += 1;
            return Err(Code::REPARSE_POINT_ENCOUNTERED);
        }
        if !object.is_directory() {
            return Err(Code::PATH_NOT_FOUND);
        }
        Ok(())
    }

    /// Finds the object at a path; the last component may be of any kind.
    pub(crate) fn find(&mut self, from: ObjectId, names: &[Vec<u8>]) -> Result<ObjectId, Code> {
        let mut at = from;
        for (index, name) in names.iter().enumerate() {
            self.enter(at)?;
            at = self.child(at, name).ok_or(if index + 1 == names.len() {
                Code::FILE_NOT_FOUND
            } else {
                Code::PATH_NOT_FOUND
            })?;
        }
        Ok(at)
    }

    /// Finds the directory that contains the last component of a path.
    pub(crate) fn parent<'a>(
        &mut self,
        from: ObjectId,
        names: &'a [Vec<u8>],
    ) -> Result<(ObjectId, &'a [u8]), Code> {
        let (name, above) = names.split_last().ok_or(Code::INVALID_PARAMETER)?;
        let directory = match self.find(from, above) {
            Err(Code::FILE_NOT_FOUND) => Err(Code::PATH_NOT_FOUND),
            other => other,
        }?;
        self.enter(directory)?;
        Ok((directory, name))
    }

    /// Gives an object a name, which must not exist yet.
    pub(crate) fn name(
        &mut self,
        directory: ObjectId,
        name: &[u8],
        object: ObjectId,
    ) -> Result<(), Code> {
        if self.child(directory, name).is_some() {
            return Err(Code::EXISTS);
        }
        let child = Child {
            name: name.to_vec(),
            object,
        };
        self.get_mut(directory).children.insert(key(name), child);
        self.get_mut(object).links += 1;
        self.touch(directory);
        Ok(())
    }

    /// Removes a name, and the object along with its last name. A directory must be empty.
    pub(crate) fn unname(&mut self, directory: ObjectId, name: &[u8]) -> Result<(), Code> {
        let id = self.child(directory, name).ok_or(Code::FILE_NOT_FOUND)?;
        if !self.get(id).children.is_empty() {
            return Err(Code::NOT_EMPTY);
        }
        self.get_mut(directory).children.remove(&key(name));
        self.touch(directory);
        let object = self.get_mut(id);
        object.links -= 1;
        if object.links == 0 {
            self.objects.remove(&id);
        }
        Ok(())
    }

    /// Removes a name and everything below it; succeeds if the name does not exist.
    pub(crate) fn unname_tree(&mut self, directory: ObjectId, name: &[u8]) {
        let Some(id) = self.child(directory, name) else {
            return;
        };
        for child in self.children(id) {
            self.unname_tree(id, &child.name);
        }
        self.unname(directory, name)
            .expect("the name exists and is empty");
    }

    /// Creates a directory or finds an existing one; fails if the name belongs to something else.
    pub(crate) fn ensure_directory(
        &mut self,
        directory: ObjectId,
        name: &[u8],
    ) -> Result<ObjectId, Code> {
        self.enter(directory)?;
        match self.child(directory, name) {
            Some(id) if self.get(id).is_plain_directory() => Ok(id),
            Some(_) => Err(Code::EXISTS),
            None => {
                let id = self.make(true);
                self.name(directory, name, id)?;
                Ok(id)
            }
        }
    }

    /// Creates a directory and its ancestors.
    pub(crate) fn ensure_path(&mut self, names: &[Vec<u8>]) -> Result<ObjectId, Code> {
        names
            .iter()
            .try_fold(ROOT, |at, name| self.ensure_directory(at, name))
    }

    /// Creates or replaces a named file.
    pub(crate) fn put(
        &mut self,
        directory: ObjectId,
        name: &[u8],
        data: &[u8],
    ) -> Result<ObjectId, Code> {
        let id = match self.child(directory, name) {
            Some(id) if self.get(id).is_directory() => return Err(Code::ACCESS_DENIED),
            Some(id) => id,
            None => {
                let id = self.make(false);
                self.name(directory, name, id)?;
                id
            }
        };
        let now = self.now();
        let object = self.get_mut(id);
        object.data = data.to_vec();
        object.info.last_write_time = now;
        object.info.change_time = now;
        Ok(id)
    }

    /// Copies an object without its names.
    pub(crate) fn copy(&mut self, id: ObjectId) -> ObjectId {
        let copy = self.get(id).without_children();
        self.add(copy)
    }

    /// Lists an object and all objects below it.
    pub(crate) fn all_below(&self, id: ObjectId) -> Vec<ObjectId> {
        let mut found = vec![id];
        let mut next = 0;
        while let Some(id) = found.get(next) {
            let below = self.get(*id).children.values().map(|child| child.object);
            let below: Vec<ObjectId> = below.collect();
            found.extend(below);
            next += 1;
        }
        found
    }

    fn touch(&mut self, directory: ObjectId) {
        let now = self.now();
        let info = &mut self.get_mut(directory).info;
        info.last_write_time = now;
        info.change_time = now;
    }
}

/// Returns the form of a name used for comparisons.
pub(crate) fn key(name: &[u8]) -> Key {
    wide::from_wtf8(name)
        .into_iter()
        .map(upcase::upcase_unit)
        .collect()
}

/// Splits an absolute Windows or Unix path into names.
pub(crate) fn names(path: &Path) -> Names {
    let text = path.to_string_lossy();
    let text = text.strip_prefix(r"\\?\").unwrap_or(&text);
    let mut names = Names::new();
    for part in text.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => drop(names.pop()),
            _ => names.push(part.as_bytes().to_vec()),
        }
    }
    names
}
