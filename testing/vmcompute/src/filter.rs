//! The entry-by-entry import and export calls.
//!
//! # Safety
//!
//! As for [`crate::calls`]; a context comes from the call that begins, and is ended once.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use crate::calls::{Descriptor, Info, Text, give, joined, parents, path, text};
use crate::layer::{self, Layer, Record};
use crate::log::call;
use crate::transport::removed;

/// `FILE_BASIC_INFO`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct BasicInfo {
    times: [u64; 4],
    attributes: u32,
    padding: u32,
}

struct Import {
    layer: Layer,
    current: Option<(PathBuf, Record)>,
    /// Set again at the end, children first, because creating a name changes its directory's time.
    directories: Vec<(PathBuf, Record)>,
}

impl Import {
    fn flush(&mut self) -> io::Result<()> {
        let Some((path, record)) = self.current.take() else {
            return Ok(());
        };
        self.layer.put(&path, &record)?;
        if record.is_directory() {
            self.directories.push((path, record));
        }
        Ok(())
    }
}

#[unsafe(no_mangle)]
unsafe extern "system" fn ImportLayerBegin(
    _: Info,
    id: Text,
    list: *const Descriptor,
    count: u32,
    context: *mut usize,
) -> i32 {
    let parents = parents(list, count);
    let arguments = [("layer", text(id)), ("parents", joined(&parents))];
    call("ImportLayerBegin", &arguments, || {
        let layer = Layer::new(path(id));
        layer.start(&parents)?;
        let import = Box::new(Import {
            layer,
            current: None,
            directories: Vec::new(),
        });
        // SAFETY: the caller's output is writable.
        unsafe { *context = Box::into_raw(import) as usize };
        Ok(())
    })
}

/// Returns the name without its leading backslash, which is required.
fn below_layer(name: Text) -> io::Result<PathBuf> {
    let name = text(name);
    let relative = name
        .strip_prefix('\\')
        .ok_or_else(|| io::Error::from_raw_os_error(123))?;
    Ok(PathBuf::from(relative))
}

#[unsafe(no_mangle)]
unsafe extern "system" fn ImportLayerNext(
    context: usize,
    name: Text,
    info: *const BasicInfo,
) -> i32 {
    // SAFETY: the context is open; a call without information removes the path.
    let (import, info) = unsafe { (&mut *(context as *mut Import), info.as_ref()) };
    let removal = info.is_none().to_string();
    let arguments = [("name", text(name)), ("removal", removal)];
    call("ImportLayerNext", &arguments, || {
        import.flush()?;
        let path = below_layer(name)?;
        let Some(info) = info else {
            return import.layer.remove(&path);
        };
        let record = Record {
            times: info.times,
            attributes: info.attributes,
            stream: Vec::new(),
        };
        import.current = Some((path, record));
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "system" fn ImportLayerWrite(context: usize, buffer: *const u8, length: u32) -> i32 {
    // SAFETY: the context is open, and the buffer has the given length.
    let (import, bytes) = unsafe {
        (
            &mut *(context as *mut Import),
            std::slice::from_raw_parts(buffer, length as usize),
        )
    };
    call("ImportLayerWrite", &[("bytes", length.to_string())], || {
        let (_, record) = import
            .current
            .as_mut()
            .ok_or_else(|| io::Error::from_raw_os_error(87))?;
        record.stream.extend_from_slice(bytes);
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "system" fn ImportLayerEnd(context: usize) -> i32 {
    // SAFETY: the context is open and ends here.
    let mut import = unsafe { Box::from_raw(context as *mut Import) };
    call("ImportLayerEnd", &[], || {
        import.flush()?;
        for (path, record) in import.directories.iter().rev() {
            import.layer.put(path, record)?;
        }
        Ok(())
    })
}

struct Export {
    /// `None` removes the path.
    entries: VecDeque<(PathBuf, Option<Record>)>,
    stream: VecDeque<u8>,
}

#[unsafe(no_mangle)]
unsafe extern "system" fn ExportLayerBegin(
    _: Info,
    id: Text,
    list: *const Descriptor,
    count: u32,
    context: *mut usize,
) -> i32 {
    let parents = parents(list, count);
    let arguments = [("layer", text(id)), ("parents", joined(&parents))];
    call("ExportLayerBegin", &arguments, || {
        let mut entries = VecDeque::new();
        let layer = Layer::new(path(id));
        for top in ["Files", "Hives", "UtilityVM"] {
            if layer.path.join(top).is_dir() {
                list_entries(&layer, Path::new(top), &parents, &mut entries)?;
            }
        }
        let export = Box::new(Export {
            entries,
            stream: VecDeque::new(),
        });
        // SAFETY: the caller's output is writable.
        unsafe { *context = Box::into_raw(export) as usize };
        Ok(())
    })
}

/// Lists a directory and everything below it; its removed names follow it immediately.
fn list_entries(
    layer: &Layer,
    directory: &Path,
    parents: &[PathBuf],
    entries: &mut VecDeque<(PathBuf, Option<Record>)>,
) -> io::Result<()> {
    if let Some(record) = layer.record(directory, parents)? {
        entries.push_back((directory.to_owned(), Some(record)));
    }
    if directory.starts_with("Files") {
        let removed = removed(layer, directory, parents)?;
        entries.extend(removed.into_iter().map(|path| (path, None)));
    }
    for name in layer::names(&layer.path.join(directory))? {
        let path = directory.join(name);
        if layer.path.join(&path).is_dir() {
            list_entries(layer, &path, parents, entries)?;
        } else if let Some(record) = layer.record(&path, parents)? {
            entries.push_back((path, Some(record)));
        }
    }
    Ok(())
}

#[unsafe(no_mangle)]
unsafe extern "system" fn ExportLayerNext(
    context: usize,
    name: *mut *mut u16,
    info: *mut BasicInfo,
    size: *mut i64,
    deleted: *mut u32,
) -> i32 {
    // SAFETY: the context is open.
    let export = unsafe { &mut *(context as *mut Export) };
    call("ExportLayerNext", &[], || {
        let (path, record) = export
            .entries
            .pop_front()
            .ok_or_else(|| io::Error::from_raw_os_error(18))?;
        let is_deleted = record.is_none();
        let record = record.unwrap_or_default();
        let length = crate::stream::data(&record.stream)?.len();
        // SAFETY: the caller's outputs are writable.
        unsafe {
            *name = give(&format!("\\{}", path.display()));
            *info = BasicInfo {
                times: record.times,
                attributes: record.attributes,
                padding: 0,
            };
            *size = length as i64;
            *deleted = u32::from(is_deleted);
        }
        export.stream = record.stream.into();
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "system" fn ExportLayerRead(
    context: usize,
    buffer: *mut u8,
    length: u32,
    read: *mut u32,
) -> i32 {
    // SAFETY: the context is open.
    let export = unsafe { &mut *(context as *mut Export) };
    call("ExportLayerRead", &[("bytes", length.to_string())], || {
        let count = export.stream.len().min(length as usize);
        let bytes: Vec<u8> = export.stream.drain(..count).collect();
        // SAFETY: the buffer has the given length, and the output is writable.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer, count);
            *read = count as u32;
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "system" fn ExportLayerEnd(context: usize) -> i32 {
    // SAFETY: the context is open and ends here.
    drop(unsafe { Box::from_raw(context as *mut Export) });
    call("ExportLayerEnd", &[], || Ok(()))
}
