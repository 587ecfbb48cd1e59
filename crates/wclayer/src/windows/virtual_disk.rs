//! The disks of scratch layers (`virtdisk.dll`), which the documented API leaves to its callers.
//!
//! The DLL is loaded on demand, because some editions of Windows do not have it.
//!
//! Source: Microsoft, "Virtual Disk API"; hcsshim `computestorage/helpers.go` and
//! `internal/wclayer/expandscratchsize.go` for the kinds of disks and their expansion.

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle, RawHandle};
use std::path::Path;

use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;
use windows_sys::Win32::Storage::Vhd::{
    ATTACH_VIRTUAL_DISK_FLAG_BYPASS_DEFAULT_ENCRYPTION_POLICY,
    ATTACH_VIRTUAL_DISK_FLAG_NO_DRIVE_LETTER, ATTACH_VIRTUAL_DISK_FLAG_PERMANENT_LIFETIME,
    CREATE_VIRTUAL_DISK_FLAG_NONE, CREATE_VIRTUAL_DISK_PARAMETERS, CREATE_VIRTUAL_DISK_VERSION_2,
    EXPAND_VIRTUAL_DISK_PARAMETERS, EXPAND_VIRTUAL_DISK_VERSION_1, OPEN_VIRTUAL_DISK_FLAG_NONE,
    OPEN_VIRTUAL_DISK_PARAMETERS, OPEN_VIRTUAL_DISK_VERSION_2, VIRTUAL_DISK_ACCESS_NONE,
    VIRTUAL_STORAGE_TYPE, VIRTUAL_STORAGE_TYPE_DEVICE_VHDX, VIRTUAL_STORAGE_TYPE_VENDOR_MICROSOFT,
};
use windows_sys::Win32::System::Ioctl::{FSCTL_EXTEND_VOLUME, IOCTL_DISK_GET_LENGTH_INFO};

use super::abi::{Hresult, Pcwstr};
use super::library::{Library, imports, wide};
use super::nt;
use crate::error::HcsError;

const DLL: &str = "virtdisk.dll";
/// The block size of all disks, in bytes.
const BLOCK_SIZE: u32 = 1 << 20;

type Handle = *mut c_void;

imports! {
    /// The exports; they return Win32 errors.
    struct Imports {
        open: c"OpenVirtualDisk" fn(
            *const VIRTUAL_STORAGE_TYPE, Pcwstr, i32, i32,
            *const OPEN_VIRTUAL_DISK_PARAMETERS, *mut Handle),
        create: c"CreateVirtualDisk" fn(
            *const VIRTUAL_STORAGE_TYPE, Pcwstr, i32, *const c_void, i32, u32,
            *const CREATE_VIRTUAL_DISK_PARAMETERS, *const c_void, *mut Handle),
        attach: c"AttachVirtualDisk" fn(
            Handle, *const c_void, i32, u32, *const c_void, *const c_void),
        detach: c"DetachVirtualDisk" fn(Handle, i32, u32),
        expand: c"ExpandVirtualDisk" fn(
            Handle, i32, *const EXPAND_VIRTUAL_DISK_PARAMETERS, *const c_void),
    }
}

static VHDX: VIRTUAL_STORAGE_TYPE = VIRTUAL_STORAGE_TYPE {
    DeviceId: VIRTUAL_STORAGE_TYPE_DEVICE_VHDX,
    VendorId: VIRTUAL_STORAGE_TYPE_VENDOR_MICROSOFT,
};

/// How long a disk stays attached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// Until its handle is closed.
    Handle,
    /// Until it is detached.
    Permanent,
}

/// The calls for disks.
pub(super) struct VirtualDisks {
    imports: Imports,
}

/// An opened disk.
pub(super) struct Disk<'a> {
    imports: &'a Imports,
    handle: OwnedHandle,
}

impl VirtualDisks {
    /// Loads the DLL.
    pub(super) fn load() -> Result<Self, HcsError> {
        let library = Library::load(DLL)?;
        Ok(Self {
            imports: Imports::of(&library),
        })
    }

    /// Opens an existing disk.
    pub(super) fn open(&self, path: &Path) -> io::Result<Disk<'_>> {
        let function = self.imports.open.ok_or(io::ErrorKind::Unsupported)?;
        let path = wide(path)?;
        let parameters = OPEN_VIRTUAL_DISK_PARAMETERS {
            Version: OPEN_VIRTUAL_DISK_VERSION_2,
            ..OPEN_VIRTUAL_DISK_PARAMETERS::default()
        };
        let mut handle = std::ptr::null_mut();
        // SAFETY: the text ends with a NUL, and the parameters are those of version 2.
        check(unsafe {
            function(
                &raw const VHDX,
                path.as_ptr(),
                VIRTUAL_DISK_ACCESS_NONE,
                OPEN_VIRTUAL_DISK_FLAG_NONE,
                &raw const parameters,
                &raw mut handle,
            )
        })?;
        Ok(self.opened(handle))
    }

    /// Creates a dynamic disk of `size` bytes.
    pub(super) fn create(&self, path: &Path, size: u64) -> io::Result<Disk<'_>> {
        self.make(path, size, None)
    }

    /// Creates a disk that contains only the differences from another.
    pub(super) fn create_difference(&self, path: &Path, parent: &Path) -> io::Result<()> {
        self.make(path, 0, Some(parent)).map(drop)
    }

    fn make(&self, path: &Path, size: u64, parent: Option<&Path>) -> io::Result<Disk<'_>> {
        let function = self.imports.create.ok_or(io::ErrorKind::Unsupported)?;
        let path = wide(path)?;
        let parent = parent.map(wide).transpose()?;
        let mut parameters = CREATE_VIRTUAL_DISK_PARAMETERS {
            Version: CREATE_VIRTUAL_DISK_VERSION_2,
            ..CREATE_VIRTUAL_DISK_PARAMETERS::default()
        };
        // Writing a field of a union is safe, and the rest of it is zero.
        parameters.Anonymous.Version2.MaximumSize = size;
        parameters.Anonymous.Version2.BlockSizeInBytes = BLOCK_SIZE;
        if let Some(parent) = &parent {
            parameters.Anonymous.Version2.ParentPath = parent.as_ptr();
        }
        let mut handle = std::ptr::null_mut();
        // SAFETY: the texts end with a NUL, and the parameters are those of version 2.
        check(unsafe {
            function(
                &raw const VHDX,
                path.as_ptr(),
                VIRTUAL_DISK_ACCESS_NONE,
                std::ptr::null(),
                CREATE_VIRTUAL_DISK_FLAG_NONE,
                0,
                &raw const parameters,
                std::ptr::null(),
                &raw mut handle,
            )
        })?;
        Ok(self.opened(handle))
    }

    fn opened(&self, handle: RawHandle) -> Disk<'_> {
        Disk {
            imports: &self.imports,
            // SAFETY: the call succeeded, so the handle is open and owned by us.
            handle: unsafe { OwnedHandle::from_raw_handle(handle) },
        }
    }
}

impl Disk<'_> {
    /// Returns the handle, for calls of the service.
    pub(super) fn handle(&self) -> RawHandle {
        self.handle.as_raw_handle()
    }

    /// Attaches the disk without a drive letter.
    pub(super) fn attach(&self, lifetime: Lifetime) -> io::Result<()> {
        let function = self.imports.attach.ok_or(io::ErrorKind::Unsupported)?;
        let mut flags = ATTACH_VIRTUAL_DISK_FLAG_NO_DRIVE_LETTER
            | ATTACH_VIRTUAL_DISK_FLAG_BYPASS_DEFAULT_ENCRYPTION_POLICY;
        if lifetime == Lifetime::Permanent {
            flags |= ATTACH_VIRTUAL_DISK_FLAG_PERMANENT_LIFETIME;
        }
        // SAFETY: the disk is open; without parameters, the defaults apply.
        check(unsafe {
            function(
                self.handle(),
                std::ptr::null(),
                flags,
                0,
                std::ptr::null(),
                std::ptr::null(),
            )
        })
    }

    /// Undoes [`attach`](Self::attach).
    pub(super) fn detach(&self) -> io::Result<()> {
        let function = self.imports.detach.ok_or(io::ErrorKind::Unsupported)?;
        // SAFETY: the disk is open.
        check(unsafe { function(self.handle(), 0, 0) })
    }

    /// Expands the disk to `size` bytes; its volume does not change.
    pub(super) fn expand(&self, size: u64) -> io::Result<()> {
        let function = self.imports.expand.ok_or(io::ErrorKind::Unsupported)?;
        let mut parameters = EXPAND_VIRTUAL_DISK_PARAMETERS {
            Version: EXPAND_VIRTUAL_DISK_VERSION_1,
            ..EXPAND_VIRTUAL_DISK_PARAMETERS::default()
        };
        parameters.Anonymous.Version1.NewSize = size;
        // SAFETY: the disk is open, and the parameters are those of version 1.
        check(unsafe { function(self.handle(), 0, &raw const parameters, std::ptr::null()) })
    }
}

/// Extends the NTFS of a volume (`\\?\Volume{…}\`) to the size of its partition.
pub(super) fn extend_volume(volume_path: &str) -> io::Result<()> {
    const CLUSTER: u64 = 4096;
    const SECTOR: u64 = 512;
    let device = volume_path.trim_end_matches('\\');
    let volume: File = OpenOptions::new().read(true).write(true).open(device)?;
    let mut length = nt::Buffer::new(8);
    nt::device_control(&volume, IOCTL_DISK_GET_LENGTH_INFO, &[], length.bytes_mut())?;
    let partition = nt::u64_at(length.bytes(), 0) / CLUSTER;
    let root = wide(format!("{device}\\"))?;
    let mut size = 0;
    // SAFETY: the text ends with a NUL; unneeded outputs may be null.
    let done = unsafe {
        GetDiskFreeSpaceExW(
            root.as_ptr(),
            std::ptr::null_mut(),
            &raw mut size,
            std::ptr::null_mut(),
        )
    };
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    // NTFS keeps one cluster for itself; the call fails for a volume that cannot grow.
    if size / CLUSTER + 1 < partition {
        let sectors = (partition * (CLUSTER / SECTOR)).to_le_bytes();
        nt::control(&volume, FSCTL_EXTEND_VOLUME, &sectors, &mut [])?;
    }
    Ok(())
}

fn check(error: Hresult) -> io::Result<()> {
    if error == 0 {
        return Ok(());
    }
    Err(io::Error::from_raw_os_error(error))
}
