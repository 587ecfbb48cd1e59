//! The disks of a Windows host.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::windows::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ntmeta::FileAttributes;
use windows_sys::Win32::Foundation::GENERIC_READ;
use windows_sys::Win32::Storage::FileSystem::{
    DeleteVolumeMountPointW, FILE_FLAG_BACKUP_SEMANTICS, GetDiskFreeSpaceExW, SetVolumeMountPointW,
};

use super::library::wide;
use super::nt::SHARE_ALL;
use super::privileges;
use super::root::NtRoot;
use crate::error::{Privilege, PrivilegeError};
use crate::path::LayerPath;
use crate::place::lock::Lock;
use crate::volume::{Privileges, Root, Volume};

/// The disks of this host.
#[derive(Debug, Clone, Copy, Default)]
pub struct NtVolume {
    _private: (),
}

impl NtVolume {
    /// Returns the disks of this host.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Volume for NtVolume {
    type Root = NtRoot;

    fn enable(&self, wanted: &[Privilege]) -> Result<Privileges, PrivilegeError> {
        privileges::enable(wanted)
    }

    fn open_root(&self, folder: &Path, privileges: &Privileges) -> io::Result<NtRoot> {
        privileges
            .require(&[Privilege::Backup])
            .map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))?;
        open_folder(folder)
    }

    fn attributes(&self, path: &Path) -> io::Result<Option<FileAttributes>> {
        match fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Some(FileAttributes::from_bits_retain(
                metadata.file_attributes(),
            ))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)
    }

    fn temporary_folder(&self, inside: Option<&Path>) -> io::Result<PathBuf> {
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix("wclayer-");
        let folder = match inside {
            Some(inside) => builder.tempdir_in(inside),
            None => builder.tempdir(),
        };
        Ok(folder?.keep())
    }

    fn delete(&self, path: &Path) -> io::Result<()> {
        let path = std::path::absolute(path)?;
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let name = LayerPath::parse(name.as_encoded_bytes())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        open_folder(folder)?.delete(&name)
    }

    fn read_small(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        fs::File::open(path)?
            .take(limit.saturating_add(1))
            .read_to_end(&mut content)?;
        if content.len() as u64 > limit {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(content)
    }

    fn write_small(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        fs::write(path, content)
    }

    fn free_space(&self, folder: &Path) -> io::Result<u64> {
        let folder = wide(std::path::absolute(folder)?)?;
        let mut free = 0;
        // SAFETY: the text ends with a NUL; unneeded outputs may be null.
        let done = unsafe {
            GetDiskFreeSpaceExW(
                folder.as_ptr(),
                &raw mut free,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
        succeeded(done).map(|()| free)
    }

    fn lock(&self, place: &Path) -> io::Result<Option<Box<dyn Send>>> {
        let lock = Lock::take(&std::path::absolute(place)?)?;
        Ok(lock.map(|lock| Box::new(lock) as Box<dyn Send>))
    }

    fn mount(&self, volume_path: &str, target: &Path) -> io::Result<()> {
        let volume = wide(with_backslash(volume_path.into()))?;
        let target = mount_point(target)?;
        // SAFETY: both texts end with a NUL.
        succeeded(unsafe { SetVolumeMountPointW(target.as_ptr(), volume.as_ptr()) })
    }

    fn unmount(&self, target: &Path) -> io::Result<()> {
        let target = mount_point(target)?;
        // SAFETY: the text ends with a NUL.
        succeeded(unsafe { DeleteVolumeMountPointW(target.as_ptr()) })
    }
}

/// Opens a folder that the user named; links above it are followed.
pub(super) fn open_folder(folder: &Path) -> io::Result<NtRoot> {
    let path = std::path::absolute(folder)?;
    let handle = OpenOptions::new()
        .access_mode(GENERIC_READ)
        .share_mode(SHARE_ALL)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
        .open(&path)?;
    if !handle.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(NtRoot::new(path, handle))
}

fn mount_point(target: &Path) -> io::Result<Vec<u16>> {
    wide(with_backslash(std::path::absolute(target)?.into()))
}

/// Adds the trailing backslash that names of volumes and mount points require.
fn with_backslash(name: std::ffi::OsString) -> std::ffi::OsString {
    let mut name = name;
    if !name.as_encoded_bytes().ends_with(b"\\") {
        name.push("\\");
    }
    name
}

fn succeeded(returned: i32) -> io::Result<()> {
    if returned == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
