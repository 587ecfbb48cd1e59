//! The privileges of the process, counted so that guards may overlap.
//!
//! A privilege is enabled by its first guard and, if it was disabled before, disabled again by its
//! last. `AdjustTokenPrivileges` succeeds without effect for a privilege that the process does not
//! hold; only the last error shows this (`ERROR_NOT_ALL_ASSIGNED`).

use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::sync::{Mutex, PoisonError};

use windows_sys::Win32::Foundation::{ERROR_NOT_ALL_ASSIGNED, GetLastError, LUID, SetLastError};
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, LUID_AND_ATTRIBUTES, LookupPrivilegeValueW, SE_PRIVILEGE_ENABLED,
    TOKEN_ADJUST_PRIVILEGES, TOKEN_PRIVILEGES, TOKEN_QUERY,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::library::wide;
use crate::error::{Privilege, PrivilegeError};
use crate::volume::Privileges;

/// How many guards use each privilege, and whether it was enabled before.
static USES: Mutex<Vec<Use>> = Mutex::new(Vec::new());

struct Use {
    privilege: Privilege,
    guards: usize,
    was_enabled: bool,
}

/// Enables privileges for the lifetime of the guard.
pub(super) fn enable(wanted: &[Privilege]) -> Result<Privileges, PrivilegeError> {
    let mut taken = Taken(Vec::with_capacity(wanted.len()));
    for &privilege in wanted {
        acquire(privilege)?;
        taken.0.push(privilege);
    }
    Ok(Privileges::new(wanted, Some(Box::new(move || drop(taken)))))
}

/// Privileges to release, also if a later one cannot be enabled.
struct Taken(Vec<Privilege>);

impl Drop for Taken {
    fn drop(&mut self) {
        for privilege in self.0.drain(..) {
            release(privilege);
        }
    }
}

fn acquire(privilege: Privilege) -> Result<(), PrivilegeError> {
    let mut uses = USES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(used) = uses.iter_mut().find(|one| one.privilege == privilege) {
        used.guards += 1;
        return Ok(());
    }
    let was_enabled = match switch(privilege, true) {
        Ok(Some(was_enabled)) => was_enabled,
        Ok(None) => return Err(PrivilegeError::NotHeld(privilege)),
        Err(source) => return Err(PrivilegeError::System { privilege, source }),
    };
    uses.push(Use {
        privilege,
        guards: 1,
        was_enabled,
    });
    Ok(())
}

fn release(privilege: Privilege) {
    let mut uses = USES.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(index) = uses.iter().position(|one| one.privilege == privilege) else {
        return;
    };
    uses[index].guards -= 1;
    if uses[index].guards == 0 && !uses.swap_remove(index).was_enabled {
        // A privilege that cannot be disabled stays enabled.
        let _ = switch(privilege, false);
    }
}

/// Returns whether the privilege was enabled before; `None` if the process does not hold it.
fn switch(privilege: Privilege, on: bool) -> io::Result<Option<bool>> {
    let token = process_token()?;
    let mut wanted = TOKEN_PRIVILEGES {
        PrivilegeCount: 1,
        Privileges: [LUID_AND_ATTRIBUTES {
            Luid: lookup(privilege)?,
            Attributes: if on { SE_PRIVILEGE_ENABLED } else { 0 },
        }],
    };
    let mut before = TOKEN_PRIVILEGES::default();
    let mut length = 0;
    // SAFETY: both structures hold one privilege, and the length of the second is passed.
    let (done, error) = unsafe {
        SetLastError(0);
        let done = AdjustTokenPrivileges(
            token.as_raw_handle(),
            0,
            &raw mut wanted,
            size_of::<TOKEN_PRIVILEGES>() as u32,
            &raw mut before,
            &raw mut length,
        );
        (done, GetLastError())
    };
    if done == 0 {
        return Err(io::Error::from_raw_os_error(error as i32));
    }
    if error == ERROR_NOT_ALL_ASSIGNED {
        return Ok(None);
    }
    // A privilege that did not change is not reported.
    let changed = before.PrivilegeCount == 1;
    Ok(Some(if changed {
        before.Privileges[0].Attributes & SE_PRIVILEGE_ENABLED != 0
    } else {
        on
    }))
}

fn process_token() -> io::Result<OwnedHandle> {
    let mut token = std::ptr::null_mut();
    // SAFETY: the pseudo handle of the process needs no closing, and the other argument is an
    // output.
    let opened = unsafe {
        OpenProcessToken(
            GetCurrentProcess(),
            TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY,
            &raw mut token,
        )
    };
    if opened == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so the handle is open and owned by us.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

fn lookup(privilege: Privilege) -> io::Result<LUID> {
    let name = wide(privilege.name())?;
    let mut luid = LUID::default();
    // SAFETY: the name ends with a NUL, and a null system means the local one.
    let found = unsafe { LookupPrivilegeValueW(std::ptr::null(), name.as_ptr(), &raw mut luid) };
    if found == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(luid)
}
