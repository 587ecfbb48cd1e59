//! Entry-by-entry imports and exports (`ImportLayerBegin`, `ExportLayerBegin` and related calls).

use std::collections::VecDeque;
use std::path::Path;

use ntmeta::{FileAttributes, FileBasicInfo, wide};
use wclayer::hcs::{Exported, FilterExport, FilterImport, ServiceError};
use wclayer::volume::Scope;

use crate::code::Code;
use crate::disk::{Names, ObjectId};
use crate::layers::{Change, inherit};
use crate::service::FakeService;
use crate::state::State;
use crate::stream::{Restorer, compose};
use crate::volume::utf16_names;

/// An import in progress. Dropping it ends the import; everything written so far stays.
pub(crate) struct Import<'a> {
    service: &'a FakeService,
    context: u64,
    layer: ObjectId,
    parent: Option<ObjectId>,
    /// The current file, its times and the part of its stream received so far.
    current: Option<(ObjectId, FileBasicInfo, Restorer)>,
    directories: Vec<(ObjectId, FileBasicInfo)>,
}

impl<'a> Import<'a> {
    pub(crate) fn new(
        service: &'a FakeService,
        context: u64,
        layer: ObjectId,
        parent: Option<ObjectId>,
    ) -> Self {
        Self {
            service,
            context,
            layer,
            parent,
            current: None,
            directories: Vec::new(),
        }
    }

    fn end_entry(&mut self, state: &mut State) -> Result<(), Code> {
        if let Some((object, info, restorer)) = self.current.take() {
            if !restorer.is_complete() {
                return Err(Code::INVALID_DATA);
            }
            state.disk.get_mut(object).set_info(&info);
        }
        Ok(())
    }

    fn remove(&self, state: &mut State, names: &Names) -> Result<(), Code> {
        match state.disk.parent(self.layer, names) {
            Ok((folder, name)) => {
                state.disk.unname_tree(folder, name);
                Ok(())
            }
            Err(Code::PATH_NOT_FOUND) => Ok(()),
            Err(code) => Err(code),
        }
    }

    fn add(&mut self, state: &mut State, names: &Names, info: &FileBasicInfo) -> Result<(), Code> {
        let (folder, name) = state.disk.parent(self.layer, names)?;
        let is_vm = names.len() == 1 && crate::disk::key(name) == crate::disk::key(b"UtilityVM");
        if let (true, Some(parent)) = (is_vm, self.parent) {
            inherit(&mut state.disk, self.layer, parent, name)?;
        }
        let existing = state.disk.child(folder, name);
        let is_directory = info.attributes.contains(FileAttributes::DIRECTORY);
        let is_reparse = info.attributes.contains(FileAttributes::REPARSE_POINT);
        let reused = existing
            .filter(|id| is_directory && !is_reparse && state.disk.get(*id).is_plain_directory());
        let id = match reused {
            Some(id) => {
                let object = state.disk.get_mut(id);
                object.security.clear();
                object.extended_attributes.clear();
                object.streams.clear();
                id
            }
            None => {
                state.disk.unname_tree(folder, name);
                let id = state.disk.make(is_directory);
                state.disk.name(folder, name, id)?;
                id
            }
        };
        if is_directory {
            self.directories.push((id, *info));
        }
        self.current = Some((id, *info, Restorer::default()));
        Ok(())
    }
}

impl Drop for Import<'_> {
    fn drop(&mut self) {
        self.service.windows().lock().contexts.remove(&self.context);
    }
}

impl FilterImport for Import<'_> {
    fn next(&mut self, name: &[u16], info: Option<&FileBasicInfo>) -> Result<(), ServiceError> {
        let text = wide::display(&wide::to_wtf8(name)).into_owned();
        let arguments = match info {
            Some(_) => text.clone(),
            None => format!("{text}, removed"),
        };
        let service = self.service;
        service.on("ImportLayerNext", arguments, &text, |state| {
            if name.first() != Some(&u16::from(b'\\')) {
                return Err(Code::INVALID_PARAMETER);
            }
            self.end_entry(state)?;
            let names = utf16_names(name);
            match info {
                Some(info) => self.add(state, &names, info),
                None => self.remove(state, &names),
            }
        })
    }

    fn write(&mut self, backup_stream: &[u8]) -> Result<(), ServiceError> {
        let service = self.service;
        let arguments = format!("{} bytes", backup_stream.len());
        service.on("ImportLayerWrite", arguments, "its context", |state| {
            let (object, _, restorer) = self.current.as_mut().ok_or(Code::INVALID_PARAMETER)?;
            let object = state.disk.get_mut(*object);
            restorer.write(object, backup_stream, Scope::WithSecurity)
        })
    }

    fn end(mut self: Box<Self>) -> Result<(), ServiceError> {
        let service = self.service;
        service.on("ImportLayerEnd", String::new(), "its context", |state| {
            self.end_entry(state)?;
            for (id, info) in self.directories.iter().rev() {
                state.disk.get_mut(*id).set_info(info);
            }
            Ok(())
        })
    }
}

/// An export in progress. Dropping it ends the export.
pub(crate) struct Export<'a> {
    service: &'a FakeService,
    context: u64,
    changes: VecDeque<Change>,
    stream: Vec<u8>,
    position: usize,
}

impl<'a> Export<'a> {
    pub(crate) fn new(service: &'a FakeService, context: u64, changes: Vec<Change>) -> Self {
        Self {
            service,
            context,
            changes: changes.into(),
            stream: Vec::new(),
            position: 0,
        }
    }
}

impl Drop for Export<'_> {
    fn drop(&mut self) {
        self.service.windows().lock().contexts.remove(&self.context);
    }
}

impl FilterExport for Export<'_> {
    fn next(&mut self) -> Result<Option<Exported>, ServiceError> {
        let service = self.service;
        service.on("ExportLayerNext", String::new(), "its context", |state| {
            self.stream.clear();
            self.position = 0;
            let Some(change) = self.changes.pop_front() else {
                return Ok(None);
            };
            let mut exported = Exported {
                name: Vec::new(),
                basic_info: FileBasicInfo::default(),
                size: 0,
                deleted: change.object.is_none(),
            };
            for name in &change.path {
                exported.name.push(u16::from(b'\\'));
                exported.name.extend(wide::from_wtf8(name));
            }
            if let Some(object) = change.object {
                let object = state.disk.get(object);
                exported.basic_info = object.shown_info();
                exported.size = object.data.len() as u64;
                self.stream = compose(object, Scope::WithSecurity, &state.order);
            }
            Ok(Some(exported))
        })
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ServiceError> {
        let service = self.service;
        service.on("ExportLayerRead", String::new(), "its context", |_| {
            let rest = &self.stream[self.position..];
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            self.position += length;
            Ok(length)
        })
    }

    fn end(self: Box<Self>) -> Result<(), ServiceError> {
        self.service
            .on("ExportLayerEnd", String::new(), "its context", |_| Ok(()))
    }
}

/// Returns a path as spelled in recorded calls.
pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}
