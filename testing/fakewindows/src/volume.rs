//! The disk, through the traits of `wclayer::volume`.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};

use ntmeta::{FileAttributes, FileBasicInfo, ReparseTag, wide};
use wclayer::LayerPath;
use wclayer::hcs::HResult;
use wclayer::volume::{
    Access, File, Kind, Listed, Privilege, PrivilegeError, Privileges, Root, Scope, Stat, Volume,
};

use crate::FakeWindows;
use crate::code::{Code, io_error};
use crate::disk::{Names, ObjectId, ROOT, names};
use crate::state::State;
use crate::stream::{Restorer, compose};

/// A held lock.
struct Held {
    windows: FakeWindows,
    place: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.windows.lock().locks.remove(&self.place);
    }
}

/// The disks of the machine.
pub struct FakeVolume {
    windows: FakeWindows,
}

impl FakeVolume {
    pub(crate) fn new(windows: FakeWindows) -> Self {
        Self { windows }
    }

    fn on<T>(
        &self,
        function: &'static str,
        path: &Path,
        action: impl FnOnce(&mut State) -> Result<T, Code>,
    ) -> io::Result<T> {
        let mut state = self.windows.lock();
        let arguments = path.display().to_string();
        state.call(false, function, arguments).map_err(io_error)?;
        Ok(action(&mut state)?)
    }
}

impl Volume for FakeVolume {
    type Root = FakeRoot;

    fn enable(&self, wanted: &[Privilege]) -> Result<Privileges, PrivilegeError> {
        let mut state = self.windows.lock();
        let text = wanted.iter().map(Privilege::to_string).collect::<Vec<_>>();
        if let Err(hresult) = state.call(false, "enable", text.join(", ")) {
            return Err(PrivilegeError::System {
                privilege: wanted.first().copied().unwrap_or(Privilege::Backup),
                source: io_error(hresult),
            });
        }
        if let Some(denied) = wanted.iter().find(|one| state.denied.contains(one)) {
            return Err(PrivilegeError::NotHeld(*denied));
        }
        let id = state.new_id();
        state.guards.insert(id, wanted.to_vec());
        let windows = self.windows.clone();
        let restore = move || {
            windows.lock().guards.remove(&id);
        };
        Ok(Privileges::new(wanted, Some(Box::new(restore))))
    }

    fn open_root(&self, folder: &Path, privileges: &Privileges) -> io::Result<FakeRoot> {
        privileges
            .require(&[Privilege::Backup])
            .map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))?;
        let (handle, object) = self.on("open_root", folder, |state| {
            state.check_privileges(&[Privilege::Backup])?;
            let object = state.find(folder)?;
            if !state.disk.get(object).is_plain_directory() {
                return Err(Code::NO_DIRECTORY);
            }
            let path = folder.display().to_string();
            Ok((state.open(object, path, false, false)?, object))
        })?;
        Ok(FakeRoot {
            windows: self.windows.clone(),
            handle,
            object,
            path: folder.to_owned(),
        })
    }

    fn attributes(&self, path: &Path) -> io::Result<Option<FileAttributes>> {
        self.on("attributes", path, |state| match state.find(path) {
            Ok(id) => Ok(Some(state.disk.get(id).shown_info().attributes)),
            Err(Code::FILE_NOT_FOUND | Code::PATH_NOT_FOUND) => Ok(None),
            Err(code) => Err(code),
        })
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.on("create_folder", folder, |state| {
            state.disk.ensure_path(&names(folder)).map(drop)
        })
    }

    fn temporary_folder(&self, inside: Option<&Path>) -> io::Result<PathBuf> {
        let inside = inside.unwrap_or(Path::new("/temp")).to_owned();
        self.on("temporary_folder", &inside, |state| {
            if inside == Path::new("/temp") {
                state.disk.ensure_path(&names(&inside))?;
            }
            let above = state.find(&inside)?;
            let name = format!("tmp{}", state.new_id());
            state.disk.ensure_directory(above, name.as_bytes())?;
            let path = inside.join(name);
            state.temporary.push(path.clone());
            Ok(path)
        })
    }

    fn delete(&self, path: &Path) -> io::Result<()> {
        self.on("delete_path", path, |state| {
            let names = names(path);
            let (folder, name) = state.disk.parent(ROOT, &names)?;
            let id = state.disk.child(folder, name).ok_or(Code::FILE_NOT_FOUND)?;
            let object = state.disk.get(id);
            let read_only = object.info.attributes.contains(FileAttributes::READONLY);
            if read_only || !object.security.is_empty() {
                return Err(Code::ACCESS_DENIED);
            }
            state.check_closed(id)?;
            state.disk.unname(folder, name)
        })
    }

    fn read_small(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.on("read_small", path, |state| {
            let id = state.find(path)?;
            let object = state.disk.get(id);
            if object.is_directory() {
                return Err(Code::ACCESS_DENIED);
            }
            if object.data.len() as u64 > limit {
                return Err(Code::INVALID_DATA);
            }
            Ok(object.data.clone())
        })
    }

    fn write_small(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.on("write_small", path, |state| {
            let names = names(path);
            let (folder, name) = state.disk.parent(ROOT, &names)?;
            state.disk.put(folder, name, content).map(drop)
        })
    }

    fn free_space(&self, folder: &Path) -> io::Result<u64> {
        self.on("free_space", folder, |state| Ok(state.free_space))
    }

    fn lock(&self, place: &Path) -> io::Result<Option<Box<dyn Send>>> {
        let is_new = self.on("lock", place, |state| {
            Ok(state.locks.insert(place.to_owned()))
        })?;
        Ok(is_new.then(|| {
            Box::new(Held {
                windows: self.windows.clone(),
                place: place.to_owned(),
            }) as Box<dyn Send>
        }))
    }

    fn mount(&self, volume_path: &str, target: &Path) -> io::Result<()> {
        self.on("mount", target, |state| {
            let volume_path = volume_path.trim_end_matches('\\');
            if !state.is_volume(volume_path) {
                return Err(Code::FILE_NOT_FOUND);
            }
            let id = state.find(target)?;
            let object = state.disk.get_mut(id);
            if !object.is_plain_directory() {
                return Err(Code::NO_DIRECTORY);
            }
            if !object.children.is_empty() {
                return Err(Code::NOT_EMPTY);
            }
            object.reparse = Some(mount_point(volume_path));
            object.info.attributes |= FileAttributes::REPARSE_POINT;
            state
                .mounts
                .insert(target.to_owned(), volume_path.to_owned());
            Ok(())
        })
    }

    fn unmount(&self, target: &Path) -> io::Result<()> {
        self.on("unmount", target, |state| {
            state.mounts.remove(target).ok_or(Code::INVALID_PARAMETER)?;
            let id = state.find(target)?;
            let object = state.disk.get_mut(id);
            object.reparse = None;
            object.info.attributes.remove(FileAttributes::REPARSE_POINT);
            Ok(())
        })
    }
}

/// Builds the reparse buffer of a folder at which a volume is mounted.
fn mount_point(volume_path: &str) -> Vec<u8> {
    let target = format!("{volume_path}\\");
    ntmeta::ReparsePoint::from_target(target.as_bytes(), true)
        .and_then(|point| point.encode())
        .expect("the path of a volume fits")
}

/// An open folder.
pub struct FakeRoot {
    windows: FakeWindows,
    handle: u64,
    object: ObjectId,
    path: PathBuf,
}

impl Drop for FakeRoot {
    fn drop(&mut self) {
        self.windows.lock().handles.remove(&self.handle);
    }
}

impl FakeRoot {
    fn on<T>(
        &self,
        function: &'static str,
        path: Option<&LayerPath>,
        action: impl FnOnce(&mut State, &Names) -> Result<T, Code>,
    ) -> io::Result<T> {
        let mut state = self.windows.lock();
        let arguments = self.text(path);
        state.call(false, function, arguments).map_err(io_error)?;
        Ok(action(&mut state, &components(path))?)
    }

    fn text(&self, path: Option<&LayerPath>) -> String {
        match path {
            Some(path) => format!("{}/{path}", self.path.display()),
            None => self.path.display().to_string(),
        }
    }

    fn file(&self, handle: u64, object: ObjectId, path: String, writable: bool) -> FakeFile {
        FakeFile {
            windows: self.windows.clone(),
            handle,
            object,
            path,
            writable,
            keeps_times: Cell::new(false),
            position: 0,
            restorer: None,
            stream: None,
        }
    }
}

fn components(path: Option<&LayerPath>) -> Names {
    let parts = path.into_iter().flat_map(LayerPath::components);
    parts.map(<[u8]>::to_vec).collect()
}

impl Root for FakeRoot {
    type File = FakeFile;

    fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self, path: Option<&LayerPath>, access: Access) -> io::Result<FakeFile> {
        let text = self.text(path);
        let function = match access {
            Access::Look => "open_look",
            Access::Info => "open_info",
            Access::Read => "open_read",
            Access::Write => "open_write",
        };
        let (handle, object) = self.on(function, path, |state, names| {
            let id = state.disk.find(self.object, names)?;
            let object = state.disk.get(id);
            let read_only = object.info.attributes.contains(FileAttributes::READONLY);
            if access == Access::Write && read_only && !object.is_directory() {
                return Err(Code::ACCESS_DENIED);
            }
            let (reads, writes) = match access {
                Access::Look | Access::Info => (false, false),
                Access::Read => (true, false),
                Access::Write => (true, true),
            };
            Ok((state.open(id, text.clone(), reads, writes)?, id))
        })?;
        Ok(self.file(handle, object, text, access == Access::Write))
    }

    fn create(&self, path: &LayerPath, kind: Kind) -> io::Result<FakeFile> {
        let text = self.text(Some(path));
        let function = match kind {
            Kind::File => "create_file",
            Kind::Directory => "create_directory",
        };
        let (handle, object) = self.on(function, Some(path), |state, names| {
            let (folder, name) = state.disk.parent(self.object, names)?;
            if state.disk.child(folder, name).is_some() {
                return Err(Code::EXISTS);
            }
            let id = state.disk.make(kind == Kind::Directory);
            state.disk.name(folder, name, id)?;
            Ok((state.open(id, text.clone(), true, true)?, id))
        })?;
        Ok(self.file(handle, object, text, true))
    }

    fn link(&self, from: &Self, existing: &LayerPath, new: &LayerPath) -> io::Result<()> {
        let mut state = self.windows.lock();
        let arguments = format!("{}, {}", from.text(Some(existing)), self.text(Some(new)));
        state.call(false, "link", arguments).map_err(io_error)?;
        let id = state.disk.find(from.object, &components(Some(existing)))?;
        if state.disk.get(id).is_directory() {
            return Err(Code::ACCESS_DENIED.into());
        }
        let new = components(Some(new));
        let (folder, name) = state.disk.parent(self.object, &new)?;
        Ok(state.disk.name(folder, name, id)?)
    }

    fn delete(&self, path: &LayerPath) -> io::Result<()> {
        self.on("delete", Some(path), |state, names| {
            let (folder, name) = state.disk.parent(self.object, names)?;
            let id = state.disk.child(folder, name).ok_or(Code::FILE_NOT_FOUND)?;
            state.check_closed(id)?;
            state.disk.unname(folder, name)
        })
    }

    fn list(&self, directory: Option<&LayerPath>) -> io::Result<Vec<Listed>> {
        self.on("list", directory, |state, names| {
            let id = state.disk.find(self.object, names)?;
            if state.disk.get(id).reparse.is_some() {
                return Err(Code::REPARSE_POINT_ENCOUNTERED);
            }
            if !state.disk.get(id).is_directory() {
                return Err(Code::NO_DIRECTORY);
            }
            let children = state.disk.children(id).into_iter();
            let listed = children.map(|child| {
                if LayerPath::parse(&child.name).is_err() {
                    return Err(Code::INVALID_DATA);
                }
                let attributes = state.disk.get(child.object).shown_info().attributes;
                let name = child.name;
                Ok(Listed { name, attributes })
            });
            listed.collect()
        })
    }
}

/// An open file, directory or reparse point.
pub struct FakeFile {
    windows: FakeWindows,
    handle: u64,
    object: ObjectId,
    path: String,
    writable: bool,
    /// Whether times were set through this handle, so that writing through it does not update them.
    keeps_times: Cell<bool>,
    position: usize,
    restorer: Option<Restorer>,
    stream: Option<(Vec<u8>, usize)>,
}

impl Drop for FakeFile {
    fn drop(&mut self) {
        self.windows.lock().handles.remove(&self.handle);
    }
}

impl FakeFile {
    fn call(&self, state: &mut State, function: &'static str) -> io::Result<()> {
        let called: Result<(), HResult> = state.call(false, function, &*self.path);
        called.map_err(io_error)
    }

    /// Updates the write time, as writing does.
    fn written(&self, state: &mut State) {
        if !self.keeps_times.get() {
            let now = state.disk.now();
            let info = &mut state.disk.get_mut(self.object).info;
            info.last_write_time = now;
            info.change_time = now;
        }
    }
}

impl File for FakeFile {
    fn stat(&self) -> io::Result<Stat> {
        let mut state = self.windows.lock();
        self.call(&mut state, "stat")?;
        let object = state.disk.get(self.object);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(self.object + 1).to_le_bytes());
        let tag = object
            .reparse
            .as_ref()
            .and_then(|bytes| bytes.first_chunk::<4>());
        Ok(Stat {
            basic_info: object.shown_info(),
            size: object.data.len() as u64,
            links: object.links,
            id,
            reparse_tag: tag.map(|tag| ReparseTag(u32::from_le_bytes(*tag))),
        })
    }

    fn set_basic_info(&self, info: &FileBasicInfo) -> io::Result<()> {
        let mut state = self.windows.lock();
        self.call(&mut state, "set_basic_info")?;
        state.disk.get_mut(self.object).set_info(info);
        self.keeps_times.set(true);
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.windows.lock();
        self.call(&mut state, "read")?;
        let object = state.disk.get(self.object);
        if object.is_directory() {
            return Err(Code::ACCESS_DENIED.into());
        }
        let rest = object.data.get(self.position..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.position += length;
        Ok(length)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.windows.lock();
        self.call(&mut state, "write_all")?;
        let object = state.disk.get_mut(self.object);
        if !self.writable || object.is_directory() {
            return Err(Code::ACCESS_DENIED.into());
        }
        let end = self.position + bytes.len();
        if object.data.len() < end {
            object.data.resize(end, 0);
        }
        object.data[self.position..end].copy_from_slice(bytes);
        self.position = end;
        self.written(&mut state);
        Ok(())
    }

    fn backup_read(&mut self, buffer: &mut [u8], scope: Scope) -> io::Result<usize> {
        let mut state = self.windows.lock();
        self.call(&mut state, "backup_read")?;
        let object = state.disk.get(self.object);
        let (bytes, position) = self
            .stream
            .get_or_insert_with(|| (compose(object, scope, &state.order), 0));
        let rest = &bytes[*position..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        *position += length;
        Ok(length)
    }

    fn backup_write(&mut self, bytes: &[u8], scope: Scope) -> io::Result<()> {
        let mut state = self.windows.lock();
        self.call(&mut state, "backup_write")?;
        if !self.writable {
            return Err(Code::ACCESS_DENIED.into());
        }
        let restorer = self.restorer.get_or_insert_default();
        let object = state.disk.get_mut(self.object);
        restorer.write(object, bytes, scope)?;
        self.written(&mut state);
        Ok(())
    }

    fn close(self) -> io::Result<()> {
        let mut state = self.windows.lock();
        self.call(&mut state, "close")?;
        drop(state);
        match &self.restorer {
            Some(restorer) if !restorer.is_complete() => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// Returns a name as spelled in the service's calls.
pub(crate) fn utf16_names(units: &[u16]) -> Names {
    let bytes = wide::to_wtf8(units);
    let parts = bytes.split(|byte| matches!(byte, b'\\' | b'/'));
    parts
        .filter(|part| !part.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}
